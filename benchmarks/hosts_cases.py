"""What is done to a run on several hosts, and what has to come of it."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import chaos_figures as figures
import chaos_results as results
from chaos_figures import Kill
from hosts_cluster import Cluster
from hosts_network import MOUNT, RAY, ROOT, SWITCH, TEXTS, Host
from quota_runs import Emulator

from cluster_tts.emulator.log import MOST_TEXT
from cluster_tts.storage import at

EMULATOR_PORT = 8001  # the address of a provider is part of a clip's name
SLOTS = 4
ACCOUNT = ("--latency", "1.0", "--sigma", "0.3", "--characters-per-second", "40")
MIDDLE = 0.4  # of its requests: a run that has made so many is struck
RUN_S = 150.0
PYTHON = "python"  # of the environment whose PATH the hosts have


@dataclass(frozen=True)
class Told:
    """What came of a case. ``wrong`` are promises that were broken beside those that the figures show."""

    case: str
    exit_codes: tuple[int, ...]
    wanted: tuple[int, ...]
    whole: int
    documents: int
    different: tuple[str, ...]
    repaid: int
    allowed: int
    seconds: float
    wrong: tuple[str, ...] = ()
    said: tuple[str, ...] = field(default=(), repr=False)

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        found = list(self.wrong)
        if self.exit_codes != self.wanted:
            found.append(f"exit codes {self.exit_codes}, {self.wanted} expected")
        if self.whole != self.documents:
            found.append(f"{self.whole} of {self.documents} documents whole")
        if self.different:
            found.append(f"{len(self.different)} files differ: {', '.join(self.different[:3])}")
        if self.repaid > self.allowed:
            found.append(f"{self.repaid} paid again, {self.allowed} allowed")
        return found


@dataclass
class Stage:
    """The hosts, where they write to, and what an undisturbed run on one of them made."""

    folder: Path
    cluster: Cluster
    bucket: str
    documents: int
    digests: dict[str, str] = field(default_factory=dict)
    requests: int = 0

    @property
    def head(self) -> Host:
        return self.cluster.head

    @property
    def workers(self) -> int:
        return 2 * len(self.cluster.hosts)

    def emulator(self, case: str) -> Emulator:
        """A provider on the network, for one case."""
        folder = self.folder / case
        folder.mkdir()
        return Emulator(folder, "openai", "--host", SWITCH, "--port", str(EMULATOR_PORT), *ACCOUNT)

    def command(self, emulator: Emulator, out: str, *settings: str) -> list[str]:
        """What comes after ``cluster-tts run``."""
        return [
            TEXTS, "--out", out, "provider.name=openai", f"provider.base_url={emulator.url}",
            "provider.api_key_env=null", "check.characters_per_second=null",
            f"quota.max_concurrent_requests={self.workers * SLOTS}", *settings,
        ]  # fmt: skip

    def on_ray(self) -> tuple[str, ...]:
        return f"cluster.address={self.cluster.address}", f"workers.count={self.workers}", f"workers.slots={SLOTS}"

    def run(self, case: str, emulator: Emulator, out: str, *settings: str) -> "subprocess.Popen[bytes]":
        """A run that is driven by the first host."""
        with (self.folder / case / "said.log").open("wb") as said:
            return self.head.start(
                PYTHON, "-m", "cluster_tts", "run", *self.command(emulator, out, *settings), stdout=said, stderr=said
            )

    def said(self, case: str) -> str:
        return (self.folder / case / "said.log").read_text(errors="replace")

    def judge(self, case: str, out: str, emulator: Emulator, asked: set[str], **more: Any) -> Told:
        """Hold OUT, as it can be reached from here, against the undisturbed run; ``asked`` may have been paid again."""
        repeats = emulator._ask("stats")["repeats"]
        unasked = figures.not_in_flight(repeats, asked, MOST_TEXT)
        report = read_report(out)
        return Told(
            case=case,
            whole=report["totals"]["documents_whole"],
            documents=self.documents,
            different=results.different(results.digests(out), self.digests),
            repaid=figures.paid_again(repeats),
            allowed=len(asked),
            wrong=tuple(f"'{text}' was paid again, and was not in flight" for text in unasked),
            said=tuple(line for line in self.said(case).splitlines()[-4:]),
            **more,
        )


def undisturbed(stage: Stage) -> Told:
    """On one machine, in one process: what all others are held against."""
    out = f"{stage.bucket}/undisturbed"
    begin = time.monotonic()
    with stage.emulator("undisturbed") as emulator:
        driver = stage.run("undisturbed", emulator, out, "engine=local", f"workers.slots={stage.workers * SLOTS}")
        code = driver.wait(RUN_S)
        stage.digests, stage.requests = results.digests(out), emulator.arrivals()
        return stage.judge("undisturbed", out, emulator, set(), exit_codes=(code,), wanted=(0,),
                           seconds=time.monotonic() - begin)  # fmt: skip


def cut_off(stage: Stage, case: str, out: str, number: int, back_after_s: float | None = None) -> Told:
    """One host loses its network in mid-run, for good or for so long; ``out`` is a URL, or below the shared folder."""
    host, here = stage.cluster.hosts[number - 1], seen_from_here(stage, out)
    if back_after_s is None:
        stage.cluster.spoil(number)
    begin = time.monotonic()
    with stage.emulator(case) as emulator:
        driver = stage.run(case, emulator, out, *stage.on_ray())
        sleep_until(lambda: driver.poll() is not None or emulator.arrivals() >= MIDDLE * stage.requests, RUN_S)
        before_s = emulator.now()
        host.cut()
        blow = Kill("host", before_s, emulator.now(), 1)
        if back_after_s is not None:
            time.sleep(back_after_s)
            host.mend()
        code = driver.wait(RUN_S)
        seconds = time.monotonic() - begin
        theirs = [entry for entry in emulator.log() if entry["peer"] == host.address]
        return stage.judge(case, here, emulator, figures.in_flight(theirs, blow), exit_codes=(code,), wanted=(0,),
                           seconds=seconds)  # fmt: skip


def blind(stage: Stage, out: str, number: int) -> Told:
    """One host does not see the shared folder: it is named, and nothing is asked for."""
    host = stage.cluster.spoil(number)
    host.lose_sight()
    begin = time.monotonic()
    with stage.emulator("blind") as emulator:
        code = stage.run("blind", emulator, out, *stage.on_ray()).wait(RUN_S)
        wrong = [] if (paid := emulator.arrivals()) == 0 else [f"{paid} requests were made"]
        if f"host '{host.name}' does not see '{out}'" not in stage.said("blind"):
            wrong.append(f"{host.name} is not named")
    if (ended := read_report(seen_from_here(stage, out))["exit_code"]) != code:
        wrong.append(f"report.json says {ended}")
    return Told("blind", (code,), (2,), 0, 0, (), paid, 0, time.monotonic() - begin, tuple(wrong))


def submitted(stage: Stage, out: str) -> Told:
    """A job is submitted, stopped in mid-run, and submitted again."""
    shutil.copytree(ROOT / "jobs", stage.head.path("/tmp/work/jobs"))
    begin = time.monotonic()
    with stage.emulator("submitted") as emulator:
        command = stage.command(emulator, out, *stage.on_ray())
        _submit(stage, "first", "--no-wait", command=command)
        sleep_until(lambda: emulator.arrivals() >= MIDDLE * stage.requests, RUN_S)
        before_s = emulator.now()
        stage.head.run(RAY, "job", "stop", "--address", stage.cluster.dashboard, "first", within_s=RUN_S)
        blow = Kill("job", before_s, before_s, 1)
        first = read_report(out)
        _submit(stage, "second", command=command)
        second = read_report(out)
        told = stage.judge(
            "submitted", out, emulator, figures.in_flight(emulator.log(), blow),
            exit_codes=(first["exit_code"], second["exit_code"]), wanted=(75, 0), seconds=time.monotonic() - begin,
        )  # fmt: skip
    for name, report in ("first", first), ("second", second):
        if (found := (report["job"] or {}).get("submission_id")) != name:
            told = replace(told, wrong=(*told.wrong, f"report.json is of '{found}' instead of '{name}'"))
    return told


def _submit(stage: Stage, name: str, *options: str, command: Sequence[str]) -> None:
    grace = json.dumps({"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60"}})
    said = stage.head.run(
        RAY, "job", "submit", "--address", stage.cluster.dashboard, "--submission-id", name, *options,
        "--working-dir", "/tmp/work", "--runtime-env-json", grace, "--", PYTHON, "jobs/synthesize.py", *command,
        within_s=RUN_S,
    )  # fmt: skip
    with (stage.folder / "submitted" / "said.log").open("a") as log:
        log.write(said)


def seen_from_here(stage: Stage, out: str) -> str:
    """The same OUT by the path at which it is to be found outside the hosts."""
    return out.replace(MOUNT, str(stage.folder / "shared"), 1) if out.startswith(MOUNT) else out


def read_report(out: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(at(out).read("report.json"))
    return content


def sleep_until(condition: Callable[[], bool], within_s: float) -> None:
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"it did not get to its middle within {within_s:g} s")
        time.sleep(0.05)
