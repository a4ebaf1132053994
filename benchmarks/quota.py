"""One account, one quota, measured at the provider's side: issue 4's table, wanted and measured.

    python benchmarks/quota.py                  everything, about 25 minutes
    python benchmarks/quota.py --quick          a cut of it, about 3 minutes
    python benchmarks/quota.py hidden rate      the rows with one of these words in their names
    python benchmarks/quota.py --list

Each row has emulators of its own (in processes of their own), a state folder and an OUT of its own, and every run is a
real ``cluster-tts run``. Rows mostly wait for windows to pass, so some run beside each other (``--lanes``); rows on Ray
run beside no other row on Ray. A row that falls short is marked with ``!``, and makes the exit code 1.
"""

import argparse
import importlib.util
import json
import queue
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import quota_hidden as hidden
import quota_on_ray as on_ray
import quota_peers as peers
import quota_rows as rows
from quota_figures import Figure

LANES = 4
QUICK_SCALE = 0.2
ROW_S = 900.0


Measure = Callable[[Path, float], list[Figure]]


@dataclass(frozen=True)
class Row:
    """A row of the table. ``quick``: also part of the quick cut; ``needs``: a module that has to be there."""

    name: str
    measure: Measure
    quick: bool = False
    ray: bool = False
    needs: str | None = None


def all_rows() -> list[Row]:
    """Long ones first, so that lanes end at about the same time."""
    found = [
        Row("ray: requests, sliding, 2 jobs, 3 nodes", on_ray.rate, ray=True),
        Row("ray: 10 in flight, 2 jobs, 3 nodes", on_ray.places, ray=True),
        Row("ray: limiter killed", on_ray.limiter_killed, ray=True),
        *(Row(f"{most} in flight", _with(rows.places, most), quick=most == 15) for most in (3, 5, 10, 15)),
        *(
            Row(f"1,500 on 600: {name}", _with(rows.known_end, count, burst))
            for name, count, burst in (
                ("sliding", "sliding", None),
                ("fixed", "fixed", None),
                ("bucket, burst given", "bucket", rows.BURST),
                ("bucket, burst unknown", "bucket", None),
            )
        ),
        *(
            Row(
                f"{what}, {count}, {jobs} job{'s' if jobs > 1 else ''}",
                _windows(count, what, jobs),
                _in_cut(count, jobs),
            )
            for jobs in (1, 2)
            for what in ("requests", "characters")
            for count in ("sliding", "fixed", "bucket")
        ),
        *(Row(f"hidden: {most} in flight", _with(hidden.places, most), most == 10) for most in (3, 10)),
        Row("hidden: a rate", hidden.rate, quick=True),
        Row("hidden: rate halved in mid-run", _with(hidden.less_in_mid_run, "halved")),
        Row("hidden: 10 in flight, halved in mid-run", hidden.fewer_places),
        Row("hidden: a neighbour takes a third", _with(hidden.less_in_mid_run, "neighbour")),
        Row("Retry-After: 7", rows.told_to_wait, quick=True),
        Row("killed and started again", rows.killed_and_again, quick=True),
        Row("two runs, no common Ray", rows.one_after_the_other, quick=True),
    ]
    for name, tool, needs in (("script", peers.SCRIPT, None), ("async-batch-llm", peers.BATCH, "async_batch_llm")):
        found += [
            Row(f"{name}: 1,500 on 600, {count}, {number} process{'es' if number > 1 else ''}",
                _with(peers.rate, tool, number, count), needs=needs)
            for number in (1, 2)
            for count in ("sliding", "bucket")
        ]  # fmt: skip
        found.append(Row(f"{name}: 10 in flight", _with(peers.places, tool, 10), needs=needs))
    return found


def _with(measure: Callable[..., list[Figure]], *own: object) -> Measure:
    """A row's function with what is the row's own, which stands between the folder and the scale."""
    return lambda folder, scale: measure(folder, *own, scale)


def _windows(count: str, what: str, jobs: int) -> Measure:
    return _with(rows.whole_windows, rows.Way(count, what), jobs)


def _in_cut(count: str, jobs: int) -> bool:
    return count == "sliding" and jobs == 2


class Table:
    """The rows' results, printed in the order in which they come, and as one table at the end."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._lock = threading.Lock()
        self.lines: dict[str, str] = {}
        self.good = True

    def add(self, row: Row, figures: list[Figure] | str, took_s: float) -> None:
        if isinstance(figures, str):
            line, good = f"{row.name:<{self._width}}  ! {figures}", False
        else:
            wanted = ", ".join(figure.wanted for figure in figures)
            measured = ", ".join(figure.measured for figure in figures)
            good = all(figure.good for figure in figures)
            line = f"{row.name:<{self._width}}  {wanted:<72}  {measured}"
        with self._lock:
            self.lines[row.name] = line
            self.good = self.good and good
            print(f"[{took_s:5.0f} s] {line}", file=sys.stderr, flush=True)


def measured(row: Row, scale: float, keep: Path | None) -> list[Figure] | str:
    """A row's figures, or why there are none."""
    if row.needs is not None and importlib.util.find_spec(row.needs) is None:
        return f"not measured: {row.needs} is not installed; pip install 'cluster-tts[bench]'"
    try:
        if row.ray:
            return _on_ray(row, scale, keep)
        with tempfile.TemporaryDirectory(prefix="quota-", ignore_cleanup_errors=True) as made:
            return row.measure(_folder(row, keep) or Path(made), scale)
    except Exception as error:  # noqa: BLE001  # a row that breaks must not take the others with it
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"


def _folder(row: Row, keep: Path | None) -> Path | None:
    if keep is None:
        return None
    folder = keep.absolute() / row.name.replace("/", "-")
    folder.mkdir(parents=True)
    return folder


def _on_ray(row: Row, scale: float, keep: Path | None) -> list[Figure] | str:
    if not on_ray.can_unshare():
        return "not measured: needs unshare and ip, and the right to make a network namespace"
    kept = ["--keep", str(keep)] if keep is not None else []
    command = [sys.executable, __file__, "--inside", row.name, "--scale", str(scale), *kept]
    done = on_ray.inside_namespace(command, ROW_S)
    if done.returncode:
        return f"ended with {done.returncode}, see above"
    return [Figure(**figure) for figure in json.loads(done.stdout.splitlines()[-1])]


def inside(name: str, scale: float, keep: Path | None) -> int:
    """Measure a row here, where the namespace is: its figures as JSON in the last line."""
    row = next(row for row in all_rows() if row.name == name)
    with tempfile.TemporaryDirectory(prefix="quota-", ignore_cleanup_errors=True) as made:
        print(json.dumps([asdict(figure) for figure in row.measure(_folder(row, keep) or Path(made), scale)]))
    return 0


def work_off(chosen: list[Row], lanes: int, scale: float, keep: Path | None) -> Table:
    """Measure rows side by side, those on Ray one after the other in a lane of their own."""
    table = Table(max(len(row.name) for row in chosen))
    on_ray_now, others = [row for row in chosen if row.ray], queue.SimpleQueue[Row]()
    for row in chosen:
        if not row.ray:
            others.put(row)

    def one(row: Row) -> None:
        begin = time.monotonic()
        table.add(row, measured(row, scale, keep), time.monotonic() - begin)

    def lane(number: int) -> None:
        time.sleep(number * 2.5)  # so that bursts and starts do not fall together
        for row in on_ray_now if number == 0 else []:
            one(row)
        while True:
            try:
                one(others.get_nowait())
            except queue.Empty:
                return

    threads = [threading.Thread(target=lane, args=(number,)) for number in range(min(lanes, len(chosen)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="ROW", help="words; rows whose names have one of them are measured")
    parser.add_argument("--quick", action="store_true", help="a cut of the rows, shortened")
    parser.add_argument("--lanes", type=int, default=LANES, help=f"rows beside each other (default {LANES})")
    parser.add_argument("--list", action="store_true", help="only name the rows")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave what the runs left and said there")
    parser.add_argument("--scale", type=float, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--inside", metavar="ROW", help=argparse.SUPPRESS)
    given = parser.parse_args()
    scale = given.scale or (QUICK_SCALE if given.quick else 1.0)
    if given.inside:
        return inside(given.inside, scale, given.keep)
    chosen = [row for row in all_rows() if row.quick or not given.quick]
    chosen = [row for row in chosen if not given.words or any(word in row.name for word in given.words)]
    if given.list or not chosen:
        print("\n".join(row.name for row in chosen) or f"no row has one of {given.words} in its name; see --list")
        return 0 if chosen else 2
    begin = time.monotonic()
    table = work_off(chosen, given.lanes, scale, given.keep)
    print(f"\n{'row':<{table._width}}  {'wanted':<72}  measured (! falls short)")
    print("\n".join(table.lines[row.name] for row in chosen))
    print(f"\n{time.monotonic() - begin:.0f} s")
    return 0 if table.good else 1


if __name__ == "__main__":
    sys.exit(main())
