"""How long a file waits until readers see it, while `v6share stream` follows a folder.

    python -m bench.follow W --rows 1000 --per-minute 100 --minutes 5
    python -m bench.follow W --rows 1000 --burst 100
    python -m bench.follow W --rows 1000 --batches 5000

W is a workspace in which something is counted: the sample, or one that ``bench.history`` makes. It
is changed: the files are counted in it for good. They are made ahead of time (``bench.feed``), of
the minutes behind the newest hour of W, and are renamed into a folder below W: each at its own
moment, or many at once (``--burst``), or each as soon as the one before is published
(``--batches``). With ``--late`` every tenth file is of the day before. Nothing else may count in W
meanwhile, or the sums at the end differ.

Measured from outside: arrival is the moment of the rename; published is the moment at which a
reader of the published file, who opens it with plain DuckDB whenever there is another one, has
found the file in ``ledger_files``. The stream and what it starts are watched in /proc; what it says
of its batches is read from its JSON lines. The first file is there to warm up, and counts in no
figure.

At the end the stream is told to stop (SIGTERM). Exit code 1 where it does not end with 0, where a
file was not counted exactly once, or where the sums of ``traffic_5m`` did not rise by those of the
files.

``--csv FILE`` keeps a line a file, of which ``python -m bench.plot_lag FILE`` draws a picture.
"""

import argparse
import csv
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from bench.compare import machine, say
from bench.feed import HOSTS, Template, draw_template, write_flows
from bench.processes import Usage
from bench.watch import POLL_SECONDS, Watch, newest_hour, now, read_published, traffic_sums
from v6share.schemas.errors import UserError
from v6share.workspace.catalog_files import read_catalog
from v6share.workspace.paths import Workspace

# The stream compiles its kernels at the first file after an installation.
START_SECONDS: Final = 300.0
# So long nothing may be published before the rest is given up.
PATIENCE_SECONDS: Final = 300.0
STOP_SECONDS: Final = 120.0
# What the stream does after a publish, and the line it writes of the batch, belong to the batch.
SETTLE_SECONDS: Final = 1.5
BATCHES_A_SAMPLE: Final = 100
LATE_EVERY: Final = 10
MOST_FILES: Final = HOSTS // 2
MIB: Final = 1 << 20


class StreamFailed(Exception):  # noqa: N818 - the process failed, not we
    """The stream ended, or published nothing, before all files were there."""


@dataclass(frozen=True)
class FlowFile:
    """A file that is to arrive. due: seconds after the beginning; None: after the one before."""

    name: str
    minute: datetime
    number: int
    due: float | None


@dataclass(frozen=True)
class Plan:
    """What is asked for: files in the order of their arrival, the first one to warm up."""

    files: tuple[FlowFile, ...]

    @property
    def measured(self) -> tuple[FlowFile, ...]:
        """All but the one to warm up."""
        return self.files[1:]


def plan_files(first_minute: datetime, due: Sequence[float | None], *, late: bool) -> Plan:
    """The files of consecutive minutes, one to warm up and one for each time at which one is due.

    late: every tenth is of the day before its minute. Raises ValueError where they are too many to
    differ from one another.
    """
    if len(due) >= MOST_FILES:
        raise ValueError(f"found {len(due):,} files, expected fewer than {MOST_FILES:,}")

    def file(at: int, when: float | None) -> FlowFile:
        minute = first_minute + timedelta(minutes=at)
        if late and at and at % LATE_EVERY == 0:
            # Other hosts than those of any file of that minute that was on time.
            return FlowFile(f"{at:06}-late.parquet", minute - timedelta(1), at + MOST_FILES, when)
        return FlowFile(f"{at:06}.parquet", minute, at, when)

    return Plan(tuple(file(at, when) for at, when in enumerate([None, *due])))


def steady(per_minute: float, minutes: float) -> list[float | None]:
    """When files are due that arrive evenly, in seconds."""
    return [60 * i / per_minute for i in range(round(per_minute * minutes))]


# Driving the stream.


@dataclass(frozen=True)
class Arrival:
    """A file's way, in seconds since 1970. published: None where no reader ever saw it."""

    name: str
    arrived: float
    published: float | None

    @property
    def lag(self) -> float | None:
        """Seconds until readers saw it."""
        return None if self.published is None else self.published - self.arrived


@dataclass(frozen=True)
class Outcome:
    """What came of a stream.

    before, after: of the measured files, the first usage and the last. sampled: in the order of
    time. batches: what the stream said of them. exit_code: None where it had to be killed.
    """

    arrivals: list[Arrival]
    publishes: int
    before: Usage
    after: Usage
    sampled: list[Usage]
    batches: list[dict[str, Any]]
    read_errors: list[str]
    exit_code: int | None


class Feed:
    """Puts files into the folder that the stream follows, one rename each."""

    def __init__(self, root: Path, plan: Plan, template: Template) -> None:
        # Named by its first minute, which no other feed of this workspace has.
        home = (root / f"follow-{plan.files[0].minute:%Y%m%dT%H%M}").absolute()
        self.folder, self._waiting = home / "flows", home / "waiting"
        self.log = home / "stream.log"
        for made in (self.folder, self._waiting):
            made.mkdir(parents=True)
        for one in plan.files:
            write_flows(template, self._waiting / one.name, one.minute, one.number)

    def put(self, file: FlowFile) -> Arrival:
        """Put a file in place, as new as if it had been written just now."""
        waiting = self._waiting / file.name
        os.utime(waiting)
        waiting.rename(self.folder / file.name)
        return Arrival(file.name, now(), None)


def start(program: Path, root: Path, feed: Feed) -> subprocess.Popen[bytes]:
    """Start the stream in a process group of its own; what it says goes to a file."""
    words = [str(program), "-C", str(root), "--log", "json", "stream", str(feed.folder)]
    with feed.log.open("wb") as log:
        return subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)


def stop(process: subprocess.Popen[bytes]) -> int | None:
    """Ask the stream to end, and give its exit code; None where it had to be killed."""
    process.terminate()
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def follow(root: Path, plan: Plan, feed: Feed, program: Path) -> Outcome:
    """Drive a stream through a plan. Raises StreamFailed where it ends or falls silent."""
    process = start(program, root, feed)
    try:
        with Watch(Workspace(root).published, feed.folder, process.pid) as watch:
            feed.put(plan.files[0])
            _await(watch, process, 1, START_SECONDS, feed.log)
            time.sleep(SETTLE_SECONDS)
            watch.samples.clear()
            watch.sample()
            publishes, said = watch.publishes, feed.log.stat().st_size
            arrivals = _put_all(plan.measured, feed, watch, process)
            with suppress(StreamFailed):  # the report tells what is missing
                _await(watch, process, len(plan.files), PATIENCE_SECONDS, feed.log)
            time.sleep(SETTLE_SECONDS)
            watch.sample()
            batches = read_batches(feed.log, said)
    finally:
        exit_code = stop(process)
    return Outcome(
        [Arrival(one.name, one.arrived, watch.seen.get(one.name)) for one in arrivals],
        watch.publishes - publishes,
        watch.samples[0],
        watch.samples[-1],
        watch.samples,
        batches,
        watch.errors,
        exit_code,
    )


def _put_all(
    files: Sequence[FlowFile], feed: Feed, watch: Watch, process: subprocess.Popen[bytes]
) -> list[Arrival]:
    began, arrivals = time.monotonic(), list[Arrival]()
    for number, file in enumerate(files, 1):
        if file.due is not None:
            time.sleep(max(0.0, began + file.due - time.monotonic()))
        arrivals.append(feed.put(file))
        if file.due is None:
            _await(watch, process, number + 1, PATIENCE_SECONDS, feed.log)
            if number % BATCHES_A_SAMPLE == 0:
                _say_sample(number, watch.samples[-1], time.monotonic() - began)
        elif number % BATCHES_A_SAMPLE == 0:
            say(f"{number:,} of {len(files):,} files are there, {len(watch.seen) - 1:,} published")
    return arrivals


def _say_sample(batches: int, sample: Usage, seconds: float) -> None:
    say(
        f"{batches:,} batches in {seconds:,.0f} s: {sample.memory_bytes / MIB:,.0f} MiB, "
        f"{sample.threads} threads, {sample.descriptors} descriptors"
    )


def _await(
    watch: Watch, process: subprocess.Popen[bytes], files: int, patience: float, log: Path
) -> None:
    """Wait until readers have seen so many files."""
    seen, since = len(watch.seen), time.monotonic()
    while len(watch.seen) < files:
        if process.poll() is not None:
            raise StreamFailed(f"the stream ended with {process.returncode}: {_tail(log)}")
        if len(watch.seen) > seen:
            seen, since = len(watch.seen), time.monotonic()
        if time.monotonic() - since > patience:
            raise StreamFailed(f"nothing was published for {patience:.0f} s: {_tail(log)}")
        time.sleep(POLL_SECONDS / 2)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def read_batches(log: Path, offset: int = 0) -> list[dict[str, Any]]:
    """What the stream said of its batches behind a byte of its log: JSON lines with phases."""
    found = []
    with log.open("rb") as file:
        file.seek(offset)
        for line in file:
            with suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict) and isinstance(said.get("phases"), dict):
                    found.append(said)
    return found


# The report.


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least so great a share of the values does not exceed.

    values: at least one, in any order. share: over 0, up to 1.
    """
    return sorted(values)[math.ceil(share * len(values)) - 1]


def exactly_once(file: Path, folder: Path, plan: Plan, rows: int) -> list[str]:
    """What the ledger of the published file says of the files that it should not; none is well."""
    found = read_published(
        file,
        "SELECT path, count(*), sum(rows_in)::BIGINT, sum(rows_counted)::BIGINT FROM ledger_files "
        "WHERE status = 'committed' AND starts_with(path, ?) GROUP BY path",
        [f"{folder}/"],
    )
    held = {Path(path).name: counts for path, *counts in found}
    expected = {one.name: [1, rows, rows] for one in plan.files}
    return [
        f"{name}: found {held.get(name, 'nothing')}, expected {expected.get(name, 'nothing')} "
        "(times committed, rows in, rows counted)"
        for name in sorted(held.keys() | expected.keys())
        if held.get(name) != expected.get(name)
    ]


def report(outcome: Outcome, rows: int) -> Iterator[str]:
    """What was measured, as Markdown."""
    lags = [one.lag for one in outcome.arrivals if one.lag is not None]
    missing = len(outcome.arrivals) - len(lags)
    yield f"{len(outcome.arrivals):,} files, {rows * len(outcome.arrivals):,} rows"
    yield ""
    yield "| | |"
    yield "|---|---|"
    if lags:
        parts = [f"{percentile(lags, share):.2f}" for share in (0.5, 0.95, 0.99, 1)]
        yield f"| lag p50, p95, p99, max | {', '.join(parts)} s |"
        arrived = [one.arrived for one in outcome.arrivals]
        last = max(one.published for one in outcome.arrivals if one.published is not None)
        yield f"| first arrival to last publish | {last - min(arrived):.2f} s |"
    yield f"| never seen by a reader | {missing:,} files |"
    yield f"| openings that failed three times | {len(outcome.read_errors):,} |"
    yield from _usage_lines(outcome)
    yield from _phase_lines(outcome.batches)


def _usage_lines(outcome: Outcome) -> Iterator[str]:
    before, after, sampled = outcome.before, outcome.after, outcome.sampled
    cpu_seconds = after.cpu_seconds - before.cpu_seconds
    written_mib = (after.written_bytes - before.written_bytes) / MIB
    told = f"; the stream told of {len(outcome.batches):,}" if outcome.batches else ""
    batches = len(outcome.batches) or outcome.publishes
    yield f"| batches that readers saw | {outcome.publishes:,}{told} |"
    yield f"| CPU of the stream and what it started | {cpu_seconds:.1f} s |"
    if batches:
        yield f"| CPU a batch | {cpu_seconds / batches:.2f} s |"
        yield f"| written a batch | {written_mib / batches:,.1f} MiB |"
    memory = [one.memory_bytes / MIB for one in sampled]
    told_memory = f"{memory[0]:,.0f}, {memory[-1]:,.0f}, {max(memory):,.0f}"
    yield f"| memory first, last, peak | {told_memory} MiB |"
    yield f"| threads first, last | {before.threads}, {after.threads} |"
    yield f"| descriptors first, last | {before.descriptors}, {after.descriptors} |"


def _phase_lines(batches: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The split of the batches by phase, and the largest figures that the stream told of itself."""
    for name, text in (("counted", ""), ("backlog", ""), ("lag_seconds", " s")):
        values = [b[name] for b in batches if isinstance(b.get(name), int | float)]
        if values:
            yield f"| most {name}, as the stream told it | {max(values):,g}{text} |"
    phases = {name: 0 for batch in batches for name in batch["phases"]}
    if not phases:
        return
    yield ""
    yield "| phase | s in all | a batch, median | p95 | max |"
    yield "|---|---:|---:|---:|---:|"
    for phase in phases:
        seconds = [float(batch["phases"].get(phase, 0)) for batch in batches]
        yield (
            f"| {phase} | {sum(seconds):.2f} | {statistics.median(seconds):.3f}"
            f" | {percentile(seconds, 0.95):.3f} | {max(seconds):.3f} |"
        )


def write_csv(file: Path, arrivals: Sequence[Arrival]) -> None:
    """A line a file: when it arrived and was published (UTC), and seconds between. Empty: never."""
    with file.open("w", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["arrived", "published", "lag_seconds"])
        for one in arrivals:
            lag = "" if one.lag is None else f"{one.lag:.3f}"
            rows.writerow([_utc(one.arrived), _utc(one.published), lag])


def _utc(moment: float | None) -> str:
    return (
        "" if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(" ", "milliseconds")
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("root", type=Path, metavar="W", help="the workspace; it is changed")
    parser.add_argument("--rows", type=int, default=1000, help="of a file (default 1000)")
    parser.add_argument(
        "--per-minute", type=float, default=100, help="files a minute (default 100)"
    )
    parser.add_argument("--minutes", type=float, default=5, help="how long (default 5)")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--burst", type=int, metavar="N", help="N files at once instead")
    other.add_argument(
        "--batches", type=int, metavar="N", help="N files instead, each after the one before"
    )
    parser.add_argument("--late", action="store_true", help="every tenth file is a day old")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a line a file")
    parser.add_argument(
        "--v6share",
        type=Path,
        default=Path(sys.executable).with_name("v6share"),
        help="the command to measure (default: of this environment)",
    )
    return parser.parse_args()


def _due(options: argparse.Namespace) -> list[float | None]:
    if options.burst is not None:
        return [0.0] * int(options.burst)
    if options.batches is not None:
        return [None] * int(options.batches)
    return steady(options.per_minute, options.minutes)


def main() -> int:
    """Feed a stream, print what was measured, and say whether every file was counted once."""
    options = _options()
    try:
        return _measure(options, Workspace(options.root.absolute()))
    except FileExistsError as error:
        say(f"{error.filename}: is there from a feed that was broken off; remove it to begin anew")
    except (StreamFailed, UserError, ValueError, duckdb.IOException) as error:
        say(str(error))
    return 1


def _measure(options: argparse.Namespace, workspace: Workspace) -> int:
    published, program = workspace.published, options.v6share.absolute()
    before = traffic_sums(published)
    plan = plan_files(newest_hour(published), _due(options), late=options.late)
    template = draw_template(read_catalog(workspace), options.rows)
    say(f"making {len(plan.files):,} files of {options.rows:,} rows")
    feed = Feed(workspace.root, plan, template)
    intro = machine()
    outcome = follow(workspace.root, plan, feed, program)
    print(intro)
    print(*report(outcome, options.rows), sep="\n")
    if options.csv:
        write_csv(options.csv, outcome.arrivals)
    wrong = exactly_once(published, feed.folder, plan, options.rows)
    risen, expected = traffic_sums(published) - before, template.sums * len(plan.files)
    if risen != expected:
        wrong.append(f"traffic_5m rose by {risen}, expected {expected}")
    if outcome.exit_code != 0:
        wrong.append(f"the stream's exit code: found {outcome.exit_code}, expected 0 (SIGTERM)")
    print("", *wrong[:20], "NOT AS IT SHOULD BE" if wrong else _VERDICT, sep="\n")
    return 1 if wrong else 0


_VERDICT: Final = (
    "Every file was counted exactly once, traffic_5m rose by the sums of the files, and the stream "
    "ended with 0."
)


if __name__ == "__main__":
    sys.exit(main())
