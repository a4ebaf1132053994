"""Several hosts that share nothing but a network: forty documents spoken on them, and one of them cut off meanwhile.

    python benchmarks/hosts.py                      all cases, about six minutes
    python benchmarks/hosts.py --case bucket --failing 0.05
    python benchmarks/hosts.py --hosts 2 --documents 8 --case bucket --quick

Every host is a set of namespaces with its own ``ray start``, its own memory for a disk, and a cable to a switch where
an emulator of OpenAI and an S3 server are. Cases:

    bucket     OUT on the S3 server; a host loses its network in mid-run
    folder     the same with a folder that all of them see
    outage     a host is without its network for eight seconds
    submitted  ``ray job submit``, ``ray job stop`` in mid-run, submitted again
    blind      a host does not see that folder: it is named, and nothing is asked for

Held against a run on one machine: the bytes of every file of the documents, and what was paid twice, counted at the
emulator: at most what the host was asking for when it was cut off. Exit code 1 where a promise is broken.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import hosts_cases as cases
import hosts_documents as documents
import hosts_network as network
from hosts_cases import Stage, Told
from hosts_cluster import Cluster
from hosts_network import MOUNT, SWITCH, TEXTS, Host
from quota_on_ray import can_unshare

sys.path.insert(0, str(network.ROOT))

from tests.storage.faulty import ENVIRONMENT, serving

BUCKET = "hosts"
OUTAGE_S = 8.0  # well below the minute after which Ray gives a host up
QUICK = {  # a head that believes after seconds that a host is gone, and not after more than a minute
    "RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1500", "RAY_health_check_failure_threshold": "3",
}  # fmt: skip
CASES: dict[str, Callable[[Stage], Told]] = {
    "bucket": lambda stage: cases.cut_off(stage, "bucket", f"{stage.bucket}/bucket", len(stage.cluster.hosts)),
    "folder": lambda stage: cases.cut_off(stage, "folder", f"{MOUNT}/folder", 2),
    "outage": lambda stage: cases.cut_off(stage, "outage", f"{stage.bucket}/outage", 2, back_after_s=OUTAGE_S),
    "submitted": lambda stage: cases.submitted(stage, f"{stage.bucket}/submitted"),
    "blind": lambda stage: cases.blind(stage, f"{MOUNT}/blind", len(stage.cluster.hosts)),
}
COLUMNS = ("case", "exit codes", "whole", "different", "paid again", "(allowed)", "seconds", "promise")


def measure(given: argparse.Namespace, folder: Path) -> list[Told]:
    """All cases, one after the other; each is told as it ends."""
    network.make_switch()
    shared = folder / "shared"
    shared.mkdir()
    told: list[Told] = []
    with ExitStack() as stack:
        url = stack.enter_context(serving(BUCKET, given.failing, seed=1, host=SWITCH))
        storage = {**ENVIRONMENT, "AWS_ENDPOINT_URL": url}
        os.environ.update(storage)
        more = {**storage, **(QUICK if given.quick else {})}
        made = stack.enter_context(network.hosts(given.hosts, shared, **more))
        documents.write(made[0].path(TEXTS), given.documents)
        cluster = Cluster(made, lambda number: Host(number, shared, **more))
        stage = Stage(folder, cluster, f"s3://{BUCKET}", given.documents)
        told.append(tell(cases.undisturbed(stage)))
        if told[0].broken():
            return told
        begin = time.monotonic()
        cluster.start()
        print(f"Ray on {given.hosts} hosts: {time.monotonic() - begin:.1f} s", file=sys.stderr, flush=True)
        for case in given.case or CASES:
            cluster.restore()
            told.append(tell(CASES[case](stage)))
    return told


def tell(one: Told) -> Told:
    """Say at once what came of a case."""
    broken = one.broken()
    print(f"{one.case}: {one.seconds:.1f} s, {'! ' + '; '.join(broken) if broken else 'kept'}", file=sys.stderr)
    for words in one.said if broken else ():
        print(f"    said: {words}", file=sys.stderr, flush=True)
    return one


def table(told: Sequence[Told]) -> list[str]:
    rows = [COLUMNS, *map(_row, told)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(one: Told) -> tuple[str, ...]:
    return (
        one.case, " ".join(map(str, one.exit_codes)), f"{one.whole}/{one.documents}", str(len(one.different)),
        str(one.repaid), str(one.allowed), f"{one.seconds:.0f}", "! broken" if one.broken() else "kept",
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=CASES, help="only this one (may be given again)")
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--failing", type=float, default=0.0, metavar="SHARE", help="of the requests to the S3 server")
    parser.add_argument("--quick", action="store_true", help="have Ray notice within seconds that a host is gone")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave there what the runs said")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside is None:
        if not can_unshare():
            print("needs unshare and ip, and the right to make a network namespace", file=sys.stderr)
            return 1
        with tempfile.TemporaryDirectory(prefix="hosts-", ignore_cleanup_errors=True) as made:
            folder = (given.keep or Path(made)).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            return network.inside([sys.executable, *sys.argv, "--inside", str(folder)])
    begin = time.monotonic()
    try:
        told = measure(given, given.inside)
    except Exception:  # noqa: BLE001 - what has begun must end before this namespace does
        traceback.print_exc()
        return 1
    print("\n".join(table(told)))
    print(f"{time.monotonic() - begin:.0f} s")
    return int(any(one.broken() for one in told))


if __name__ == "__main__":
    sys.exit(main())
