"""Speed of the KPI views, of `v6share kpi` and of publishing, on tables of a real size.

    python -m bench.views make bench/out/views
    python -m bench.views measure bench/out/views

``make`` makes the workspace (see ``bench.rollout``). ``measure`` leaves it as it is: it works on a
copy of the warehouse, which the code at hand opens, brings to its own version and publishes. So
two versions can be measured on the same workspace, one after the other.

Each part runs in a process of its own, whose peak memory is told. This one stays small: on Linux a
child's peak memory starts with its parent's.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer
from typing import Final

import duckdb
import pyarrow as pa

from bench.compare import machine, say
from bench.rollout import Connection, Size, enter_input, make, row_counts
from v6share.jobs.steps.check_and_publish import check_and_publish, report_checks
from v6share.jobs.steps.gate import JobGate
from v6share.schemas.aggregates import CLIENTS_1D, EXPORTERS_1H, TRAFFIC_5M
from v6share.schemas.columns import Table
from v6share.schemas.merge_rows import combine
from v6share.warehouse.checks import run_checks
from v6share.warehouse.database.arrow import fetch_table
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.final_days import record_final_days
from v6share.warehouse.kept.refresh import refresh_results
from v6share.warehouse.merge.upsert import upsert_rows
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.publish import publish
from v6share.workspace.paths import Workspace

# A query that takes longer is broken off. Rounds end, too, once they have taken that long together.
LONGEST_SECONDS: Final = 60.0
BATCH_ROWS: Final = 1000
# In this order: the first one publishes what the others read.
PARTS: Final = ("publishing", "kpi", "views")


@dataclass
class Figure:
    """What was measured: the seconds of each round, none where it was broken off.

    cpu_seconds: of all threads and of processes that ended, which other work on the machine moves
    less.
    """

    what: str
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    rows: int | None = None


@dataclass(frozen=True)
class Part:
    """A table of figures, and the peak memory of the process in which they were measured."""

    title: str
    figures: list[Figure]
    peak_mib: float


# Publishing.

Step = Callable[[Connection, Workspace], None]


def _check(connection: Connection, _: Workspace) -> None:
    """All checks. Raises JobStopped where one of them fails."""
    report_checks(connection, run_checks(connection))


def _record_final_days(connection: Connection, workspace: Workspace) -> None:
    record_final_days(connection, workspace, datetime.now(UTC))


def _publish(connection: Connection, workspace: Workspace) -> None:
    publish(connection, workspace)


def _check_and_publish(connection: Connection, workspace: Workspace) -> None:
    """All that a run does once its rows are committed, but for the gate."""
    check_and_publish(connection, workspace, JobGate(workspace), wanted=True)


def _refresh(connection: Connection, _: Workspace) -> None:
    refresh_results(connection)


# What check_and_publish is made of, in its order.
STEPS: Final[Mapping[str, Step]] = {
    "bring the kept results up to date": _refresh,
    "the checks alone": _check,
    "note what is published of final days": _record_final_days,
    "publish alone": _publish,
}


def measure_publishing(root: Path, runs: int) -> Part:
    """Publish a warehouse for the first time, and then after each new file, in two ways."""
    workspace = Workspace(root)
    opened = Figure("open the warehouse, made by this version or another")
    first = Figure("check and publish it for the first time")
    inserted = Figure(f"insert what a new file adds ({BATCH_ROWS:,} rows of 5 minutes)")
    parts = {what: Figure(what) for what in STEPS}
    whole = Figure("check and publish after a new file")
    with _timed(opened):
        connection = open_warehouse(workspace)
    with closing(connection), _timed(first):
        _check_and_publish(connection, workspace)
    for number in range(1, runs + 1):
        # Each time opened anew, as by a run.
        with closing(open_warehouse(workspace)) as connection:
            _insert(connection, 2 * number, inserted)
            for what, step in STEPS.items():
                with _timed(parts[what]):
                    step(connection, workspace)
        with closing(open_warehouse(workspace)) as connection:
            _insert(connection, 2 * number + 1, inserted)
            with _timed(whole):
                _check_and_publish(connection, workspace)
    figures = [opened, first, inserted, *parts.values(), whole]
    return Part("Publishing", figures, _peak_mib(resource.RUSAGE_SELF))


def _insert(connection: Connection, number: int, figure: Figure) -> None:
    batch = draw_batch(connection, number)
    with _timed(figure):
        insert_batch(connection, number, batch)


def draw_batch(connection: Connection, number: int) -> dict[Table, pa.Table]:
    """What the file of a number adds: rows of the newest day, of keys that are there already.

    Such rows cost most, as each is merged with one that has to be read and deleted.
    """
    values = {"number": number, "rows": BATCH_ROWS}
    return {
        table: combine(table, [fetch_table(connection, sql, _named(sql, values))])
        for table, sql in _BATCH.items()
    }


def _named(sql: str, values: Mapping[str, int]) -> dict[str, int]:
    """Those of the values that a statement names."""
    return {name: value for name, value in values.items() if f"${name}" in sql}


_BATCH: Final = {
    TRAFFIC_5M: f"""
        SELECT * FROM traffic_5m
        WHERE window_start >= (SELECT CAST(max(window_start) AS DATE) FROM traffic_5m)
        ORDER BY hash($number, {", ".join(TRAFFIC_5M.key)}) LIMIT $rows""",
    EXPORTERS_1H: """
        SELECT * FROM exporters_1h
        WHERE window_start >= (SELECT CAST(max(window_start) AS DATE) FROM exporters_1h)
          AND exporter IN ('192.0.2.1', '192.0.2.2', '192.0.2.3')""",
    CLIENTS_1D: """
        SELECT * REPLACE (list_sort(list_transform(
          range(10), lambda j: hash($number, scope, id, family, j) % theta)) AS client_hashes)
        FROM clients_1d WHERE day = (SELECT max(day) FROM clients_1d)""",
}


def insert_batch(connection: Connection, number: int, batch: Mapping[Table, pa.Table]) -> None:
    """Merge rows into the tables and enter their input into the ledger, as a commit does."""
    with transaction(connection):
        for table, rows in batch.items():
            upsert_rows(connection, table, rows)
        enter_input(connection, number, batch[TRAFFIC_5M])


# The command line.


def measure_kpi(program: Path, root: Path, runs: int) -> Part:
    """Whole processes of `v6share kpi`; the largest peak memory of them."""
    figure = Figure("`v6share kpi`, the whole process")

    def run() -> None:
        words = [str(program), "-C", str(root), "kpi"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, said = process.communicate()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, words, stderr=said)

    _warm_up(run, figure, runs)
    _in_rounds(run, figure, runs)
    return Part("The command", [figure], _peak_mib(resource.RUSAGE_CHILDREN))


# Views.


def measure_views(root: Path, runs: int) -> Part:
    """Every public view read to its end, and what a dashboard asks for one app, network, region."""
    published = Workspace(root).published
    with duckdb.connect(str(published), read_only=True) as connection:
        figures = [_measure_query(connection, *query, runs) for query in _queries(connection)]
    return Part("Views", figures, _peak_mib(resource.RUSAGE_SELF))


def _queries(connection: Connection) -> Iterator[tuple[str, str]]:
    """What each is called, and its SQL."""
    views = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' "
        "AND database_name = current_database() ORDER BY view_name"
    ).fetchall()
    for (name,) in views:
        if name not in NEVER_READ_WHOLE:
            yield name, f"SELECT * FROM {name}"
    for name, column, value in _DASHBOARD:
        about = f"{name}, {column} = {value}"
        one = f"SELECT * FROM {name} WHERE {column} = '{value}'"
        yield f"{about}, all shares", one
        yield (
            f"{about}, one share",
            f"{one} AND basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'",
        )


# Of three years they have 17 to 60 million rows.
NEVER_READ_WHOLE: Final = ("share_by_app_network", "share_by_app_region", "share_sums_1d")
_DASHBOARD: Final = (
    ("share_by_app", "app", "app-03"),
    ("share_by_network", "network", "network-03"),
    ("share_by_region", "client_region", "region-03"),
    ("share_by_app_region", "client_region = 'region-03' AND app", "app-03"),
    ("share_by_app_network", "network = 'network-03' AND app", "app-03"),
)


def _measure_query(connection: Connection, what: str, sql: str, runs: int) -> Figure:
    figure = Figure(what)

    def run() -> None:
        figure.rows = fetch_table(connection, sql).num_rows

    too_long = Timer(LONGEST_SECONDS, connection.interrupt)
    too_long.start()
    try:
        _warm_up(run, figure, runs)
    except duckdb.InterruptException:
        say(f"{what}: broken off")
        return figure
    finally:
        too_long.cancel()
    _in_rounds(run, figure, runs)
    return figure


# Measuring.


def _warm_up(action: Callable[[], None], figure: Figure, runs: int) -> None:
    """Do it once beforehand. Where one round is all that is wanted, this is the round."""
    with _timed(figure):
        action()
    if runs > 1:
        figure.seconds.clear()
        figure.cpu_seconds.clear()


def _in_rounds(action: Callable[[], None], figure: Figure, runs: int) -> None:
    """As many rounds as are wanted and fit into the time, one at least."""
    while not figure.seconds or (
        len(figure.seconds) < runs and sum(figure.seconds) < LONGEST_SECONDS
    ):
        with _timed(figure):
            action()


@contextmanager
def _timed(figure: Figure) -> Iterator[None]:
    began, cpu_began = time.perf_counter(), _cpu_seconds()
    yield
    figure.seconds.append(time.perf_counter() - began)
    figure.cpu_seconds.append(_cpu_seconds() - cpu_began)
    say(f"{figure.what}: {figure.seconds[-1]:.3f} s")


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _peak_mib(of: int) -> float:
    # Kibibytes on Linux, bytes on macOS.
    largest = resource.getrusage(of).ru_maxrss
    return largest / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def measure_part(name: str, root: Path, program: Path, runs: int) -> Part:
    """Measure one of PARTS in this process."""
    match name:
        case "publishing":
            return measure_publishing(root, runs)
        case "kpi":
            return measure_kpi(program, root, runs)
    return measure_views(root, runs)


def _apart(name: str, root: Path, program: Path, runs: int) -> Part:
    """Measure one of PARTS in a process of its own."""
    words = [sys.executable, "-m", "bench.views", "part", str(root), "--name", name]
    words += ["--v6share", str(program), "--runs", str(runs)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    part = json.loads(done.stdout)
    return Part(part["title"], [Figure(**one) for one in part["figures"]], part["peak_mib"])


def measure(root: Path, program: Path, runs: int) -> list[Part]:
    """Measure everything on a copy of the warehouse of a workspace."""
    copy = Workspace(root / "measured")
    shutil.rmtree(copy.root, ignore_errors=True)
    copy.state.mkdir(parents=True)
    try:
        shutil.copyfile(Workspace(root).warehouse, copy.warehouse)
        # Workspaces that were made before days were noted as published have none.
        if Workspace(root).journal.exists():
            shutil.copyfile(Workspace(root).journal, copy.journal)
        return [_apart(name, copy.root, program, runs) for name in PARTS]
    finally:
        shutil.rmtree(copy.root, ignore_errors=True)


def report(parts: Sequence[Part]) -> Iterator[str]:
    """The parts as Markdown."""
    for part in parts:
        yield f"\n{part.title}; peak memory of the process {part.peak_mib:,.0f} MiB\n"
        yield "| | s, median | from - to | CPU s, median | rounds | rows |"
        yield "|---|---:|---|---:|---:|---:|"
        yield from map(_row, part.figures)


def _row(figure: Figure) -> str:
    seconds = figure.seconds
    rows = "" if figure.rows is None else f"{figure.rows:,}"
    if not seconds:
        return f"| {figure.what} | > {LONGEST_SECONDS:.0f} | broken off | | 0 | |"
    return (
        f"| {figure.what} | {statistics.median(seconds):.3f}"
        f" | {min(seconds):.3f} - {max(seconds):.3f} | {statistics.median(figure.cpu_seconds):.2f}"
        f" | {len(seconds)} | {rows} |"
    )


def _sizes(root: Path) -> list[str]:
    """How much there is."""
    file = Workspace(root).published
    rows = [f"{table} {count:,} rows" for table, count in row_counts(file).items()]
    return [*rows, f"{file.stat().st_size / (1 << 20):,.0f} MiB"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    to_make = commands.add_parser("make", help="make the workspace")
    to_measure = commands.add_parser("measure", help="measure on a copy of it")
    # What ``measure`` starts.
    part = commands.add_parser("part", help="one part of it, as JSON; not a copy")
    part.add_argument("--name", choices=PARTS, required=True)
    for command in (to_make, to_measure, part):
        command.add_argument("root", type=Path, metavar="DIR", help="the workspace")
    usual = Size()
    to_make.add_argument(
        "--days", type=int, default=usual.days, help=f"of traffic (default {usual.days})"
    )
    to_make.add_argument(
        "--fine-days",
        type=int,
        default=usual.fine_days,
        help=f"the newest, made per 5 minutes (default {usual.fine_days})",
    )
    to_make.add_argument(
        "--part", type=float, default=usual.part, help="of all keys of traffic (default 1)"
    )
    for command in (to_measure, part):
        command.add_argument("--runs", type=int, default=5, help="rounds (default 5)")
        command.add_argument(
            "--v6share",
            type=Path,
            default=Path(sys.executable).with_name("v6share"),
            help="the command to measure (default: of this environment)",
        )
    return parser.parse_args()


def main() -> None:
    """Make the workspace, or measure and print the tables."""
    options = _options()
    if options.command == "make":
        began = time.perf_counter()
        make(options.root, Size(options.days, options.fine_days, options.part))
        say(f"{options.root}: made in {time.perf_counter() - began:.0f} s")
        print(", ".join(_sizes(options.root)))
        return
    program = options.v6share.absolute()
    if options.command == "part":
        part = measure_part(options.name, options.root, program, options.runs)
        print(json.dumps(asdict(part)))
        return
    print(machine())
    print(", ".join(_sizes(options.root)), flush=True)
    print(*report(measure(options.root, program, options.runs)), sep="\n")


if __name__ == "__main__":
    main()
