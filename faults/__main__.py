"""Disturb v6share in every way that is known, and see that nothing is lost.

    python -m faults --kills 5000 --races 200 --flips 10000 --seed 1
    python -m faults --seed 1 --again 'kill at a step/run/fsync journal/2/before'

What came of each trial is added to a file as it ends, so the same call goes on where one was broken
off. Exit code 1 where a trial failed; each such one is named, and done again with ``--again``.
"""

import argparse
import ctypes
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from faults import seam
from faults.commands import World
from faults.plan import Sizes, measure, plan, seconds_of
from faults.processes import warm_up
from faults.report import write_figures
from faults.trials import Result, perform

ROOT: Final = Path(__file__).parents[1]
SHARED: Final = Path(os.environ.get("V6SHARE_SHARED") or ROOT.parent / "shared")
_PAGE: Final = ROOT / "docs" / "reliability.md"
_IN_MEMORY: Final = Path("/dev/shm")
_PR_SET_CHILD_SUBREAPER: Final = 36
_LOOKS_SECONDS: Final = 1.0


def main() -> int:
    """Do what is left of the trials, write the figures, and name those that failed."""
    given = _parse()
    unsupported = seam.why_unsupported()
    if unsupported:
        _say(f"nothing is stopped at a step, and no disk fails: {unsupported}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    _adopt_orphans()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as folder:
        place = Path(folder)
        _say("making the workspaces to start from")
        warm_up()
        world = World(place / "world")
        world.make()
        measured = measure(world, place / "measured", holds=not unsupported)
        seconds = seconds_of(measured)
        perform_one = partial(perform, world, seed=given.seed, seconds=seconds)
        if given.again:
            again = [perform_one(key, place=place / "0") for key in given.again]
            print(json.dumps([asdict(result) for result in again], indent=2))
            return int(any(result.verdict == "failed" for result in again))
        sizes = Sizes(**{size.name: getattr(given, size.name) for size in fields(Sizes)})
        keys = _planned(
            given.out / f"plan-{given.seed}.json", plan(measured, sizes, given.seed, corpora())
        )
        results = given.out / f"results-{given.seed}.jsonl"
        done = read_results(results)
        # Without the line that was half written when the harness was broken off.
        results.write_text("".join(_line(one) for one in done), encoding="utf-8")
        left = [key for key in keys if key not in {one.key for one in done}]
        workers: list[int] = []
        for job in range(given.jobs):
            workers.append(os.fork())
            if not workers[-1]:
                here = place / str(job)
                _work(left[job :: given.jobs], partial(perform_one, place=here), results)
        try:
            _watch(workers, results, len(keys))
        finally:
            for worker in workers:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
    found = read_results(results)
    write_figures(given.page, found)
    failed = [one for one in found if one.verdict == "failed"]
    for one in failed:
        print(f"{one.key}\n  {one.note}")
    missing = len(keys) - len(found)
    if missing:
        print(f"{missing:,} trials were not done; the same call goes on with them")
    return int(bool(failed or missing))


def corpora() -> list[Path]:
    """Files that are known to break readers, where this machine has them."""
    return sorted((SHARED / "corpora").rglob("*.parquet"))


def read_results(file: Path) -> list[Result]:
    """What came of the trials so far; a last line that is not yet whole is left out."""
    lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
    return [Result(**json.loads(line)) for line in lines]


def _line(result: Result) -> str:
    return f"{json.dumps(asdict(result))}\n"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    for size in fields(Sizes):
        parser.add_argument(f"--{size.name}", type=int, default=size.default)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--again", metavar="KEY", nargs="+", help="these trials, as they were named"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "faults")
    parser.add_argument("--page", type=Path, default=_PAGE, help="where the figures are written")
    return parser.parse_args()


def _planned(file: Path, keys: Sequence[str]) -> list[str]:
    """The keys that were planned first: another measurement would name other steps."""
    if not file.exists():
        file.write_text(json.dumps(keys), encoding="utf-8")
    planned: list[str] = json.loads(file.read_text(encoding="utf-8"))
    return planned


def _work(keys: Sequence[str], perform_one: Callable[[str], Result], out: Path) -> NoReturn:
    """Do trials one after the other, in a process of its own."""
    try:
        _adopt_orphans()
        with out.open("a", encoding="utf-8") as file:
            for key in keys:
                file.write(_line(perform_one(key)))
                file.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _adopt_orphans() -> None:
    """Become the parent of whatever outlives its own, to see whether it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _watch(workers: list[int], results: Path, count: int) -> None:
    """Show how far the workers are, until all have ended."""
    shown_at = 0.0
    every_seconds = _LOOKS_SECONDS if sys.stderr.isatty() else 60 * _LOOKS_SECONDS
    while workers:
        time.sleep(_LOOKS_SECONDS)
        for worker in list(workers):
            if os.waitpid(worker, os.WNOHANG) != (0, 0):
                workers.remove(worker)
        if time.monotonic() - shown_at > every_seconds:
            shown_at = time.monotonic()
            found = read_results(results)
            failed = sum(one.verdict == "failed" for one in found)
            _say(f"{len(found):,} of {count:,} trials, {failed:,} failed")


def _say(what: str) -> None:
    print(what, file=sys.stderr, end="\r" if sys.stderr.isatty() else "\n", flush=True)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Without the interpreter's shutdown, at which DuckDB complains of what it holds.
    os._exit(code)
