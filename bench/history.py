"""A workspace with days of streamed history behind it: a flow file a minute, a run an hour.

    python -m bench.history --days 30 --rows 500000 bench/out/history

makes a workspace whose warehouse, journal and ledger are as large as if v6share had followed a
folder for so many days, with so many rows of ``traffic_5m`` a day. It is published, every check of
the tables holds, and a flow file of the day behind its last one (``bench.follow`` writes them) is
counted, committed and published by ``v6share run`` or ``v6share stream``. What a batch costs
beside so much history can be measured there.

Traffic is that of the newest days of the three years in ``bench.rollout``, with the same catalog.
Lines show more often or more seldom than there, so that the rows of a day are those asked for, a
few percent up or down. Beside it, in proportion to these rows (here for 500,000):

- ``rtt_1h``: 100,000 rows a day. ``health_1h`` is empty.
- ``clients_1d``: a sketch of 2,000 hashes for every app, product, region and network, of two
  vantages and two families, each day.
- ``ledger_files``, the journal and what v6share notes of seen files: 1,440 files a day. The traffic
  of a window is shared out among its five files, so that the ledger and ``traffic_5m`` agree to the
  byte.

**There are no fragments.** The inputs of the history are in the journal, with names and checksums
of fragments that were never written. So ``v6share check`` ends with 3, as it misses them, while all
its checks of the tables pass; ``rebuild`` refuses; and ``forget``, ``doctor`` or whatever else
reads fragments of days of the history has no use here. Counting and publishing new files opens
only the fragments of these.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from bench.compare import say
from bench.rollout import (
    FAMILY_SUMS,
    LAST_DAY,
    Connection,
    Size,
    draw_lines,
    fill_exporters,
    fill_windows,
    open_empty,
    row_counts,
    scale_lines,
)
from v6share import __version__
from v6share.jobs.steps.check_and_publish import check_and_publish
from v6share.jobs.steps.gate import JobGate
from v6share.schemas.aggregates import SIDES, THETA_MAX, THETA_SIZE
from v6share.schemas.fragment import RULES_VERSION, FragmentFile, FragmentKey
from v6share.warehouse.database.state import write_state
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.changes import plan_changes
from v6share.warehouse.ledger.journal import Commit, CommittedInput, Entry, Run
from v6share.warehouse.ledger.rows import write_ledger
from v6share.warehouse.ledger.seals import BEGINNING, Mark
from v6share.workspace.configured import read_declared
from v6share.workspace.paths import Workspace
from v6share.workspace.settings_file import read_settings

# The rollout, of which the history is the newest days.
ROLLOUT: Final = Size()
TRAFFIC_ROWS_PER_RTT_ROW: Final = 5
TRAFFIC_ROWS_PER_HASH: Final = 250
BYTES_PER_ROW: Final = 32
SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class History:
    """How much to make. rows: of traffic_5m a day."""

    days: int = 30
    rows: int = 500_000

    @property
    def first_day(self) -> date:
        """The first day of it; the last is that of the rollout."""
        return LAST_DAY - timedelta(days=self.days - 1)

    @property
    def hashes(self) -> int:
        """The hashes of a sketch, as many as one can hold at most."""
        return min(THETA_SIZE, max(1, self.rows // TRAFFIC_ROWS_PER_HASH))


@dataclass(frozen=True)
class File:
    """A flow file of the history: the minute it is of, and its counted rows."""

    minute: datetime
    rows: int

    @property
    def path(self) -> str:
        """Where it once was."""
        return f"history/{self.minute:%Y-%m-%d/%H%M}.parquet"

    @property
    def input_id(self) -> str:
        """In the place of the SHA-256 of its bytes, which nobody has."""
        return _digest(self.path)

    @property
    def figures(self) -> tuple[int, int, int, datetime, datetime]:
        """The rows_in, rows_counted, rows_rejected, first_start and last_end of the ledger."""
        return self.rows, self.rows, 0, self.minute, self.minute + timedelta(seconds=59)


def make(root: Path, history: History) -> None:
    """Make the workspace and publish it.

    Raises FileExistsError where something is at its place, ValueError where the lines of the
    rollout cannot make so many rows.
    """
    workspace = Workspace(root)
    with closing(open_empty(root, ROLLOUT)) as connection:
        version = read_declared(workspace, read_settings(workspace)).catalog_version
        draw_lines(connection, ROLLOUT)
        scale_lines(connection, history.first_day, history.rows)
        connection.execute(_PATHS)
        end = BEGINNING
        for number in range(history.days):
            began = time.perf_counter()
            day = history.first_day + timedelta(number)
            with transaction(connection):
                files = _fill_day(connection, history, day)
                end = _commit_day(connection, workspace, files, version, end)
            say(f"{day}: {time.perf_counter() - began:.1f} s, {number + 1} of {history.days} days")
        say("checking and publishing")
        check_and_publish(connection, workspace, JobGate(workspace), wanted=True)


def _fill_day(connection: Connection, history: History, day: date) -> list[File]:
    """Fill all tables of a day but the ledger of its files, which are given back."""
    fill_windows(connection, day)
    fill_exporters(connection, ROLLOUT, day, day)
    rtt = {"day": day, "rows": history.rows // TRAFFIC_ROWS_PER_RTT_ROW, "sides": list(SIDES)}
    connection.execute(_RTT, rtt)
    first_client = (day - ROLLOUT.first_day).days * history.hashes // 20
    sketches = {"day": day, "first": first_client, "hashes": history.hashes, "all": THETA_MAX}
    connection.execute(_SKETCHES, sketches)
    connection.execute(_PARTS, {"day": day})
    return _enter_families(connection, day)


def _enter_families(connection: Connection, day: date) -> list[File]:
    """Share out the day among its files, of which some of a small history have no row."""
    rows = dict(
        connection.execute("SELECT minute, sum(rows)::BIGINT FROM parts GROUP BY minute").fetchall()
    )
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the tables' times are UTC
    minutes = [midnight + timedelta(minutes=i) for i in range(24 * 60)]
    files = [File(minute, rows.get(minute, 0)) for minute in minutes]
    connection.execute(
        "INSERT INTO ledger_families BY NAME SELECT f.input_id, 'counted' AS disposition, "
        "p.* EXCLUDE (minute) FROM parts p JOIN (SELECT unnest($minutes) AS minute, "
        "unnest($ids) AS input_id) f USING (minute)",
        {"minutes": minutes, "ids": [file.input_id for file in files]},
    )
    return files


def _commit_day(
    connection: Connection,
    workspace: Workspace,
    files: Sequence[File],
    catalog_version: str,
    applied: Mark,
) -> Mark:
    """Enter a day's files into ledger and journal, as a run an hour would have.

    applied: the end of the journal; its new end is given back.
    """
    entries = [
        entry
        for hour in range(0, len(files), 60)
        for entry in _run(files[hour : hour + 60], catalog_version)
    ]
    changes = plan_changes([], entries)
    for file in files:
        versions = changes.rows[file.input_id]
        for key, row in versions.items():
            versions[key] = replace(row, figures=file.figures)
    write_ledger(connection, changes)
    end = journal.append(workspace.journal, entries, applied)
    write_state(connection, "journal_offset", str(end.offset))
    write_state(connection, "journal_seal", end.seal)
    return end


def _run(files: Sequence[File], catalog_version: str) -> list[Entry]:
    """The journal entries of the run that committed the files of an hour, once it was over."""
    started = files[0].minute + timedelta(hours=1)
    run_id = f"{started:%Y%m%dT%H%M%SZ}-history"
    rows = sum(file.rows for file in files)
    commit = Commit(run_id, started, tuple(_input(file, catalog_version) for file in files))
    run = Run(
        run_id=run_id,
        command="v6share run history/",
        code_version=__version__,
        rules_version=RULES_VERSION,
        catalog_version=catalog_version,
        started_at=started,
        finished_at=started + timedelta(seconds=5),
        inputs_committed=len(files),
        inputs_known=0,
        inputs_quarantined=0,
        rows_in=rows,
        rows_counted=rows,
        rows_rejected=0,
        outcome="committed",
    )
    return [commit, run]


def _input(file: File, catalog_version: str) -> CommittedInput:
    key = FragmentKey(file.input_id, "ipfix", RULES_VERSION, catalog_version)
    return CommittedInput(
        **vars(key),
        path=file.path,
        size=BYTES_PER_ROW * file.rows,
        mtime_ns=int(file.minute.replace(tzinfo=UTC).timestamp()) * SECOND_NS,
        fragment=FragmentFile(_digest(key.fragment_id), BYTES_PER_ROW * file.rows),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# What the five files of a window hold of it: a fifth each, and the first ones what is left over.
_PARTS: Final = f"""
CREATE OR REPLACE TEMP TABLE parts AS
WITH windows AS (
  SELECT window_start, {FAMILY_SUMS.replace("AS records", "AS rows")}
  FROM traffic_5m
  WHERE window_start >= $day::DATE AND window_start < $day::DATE + 1
  GROUP BY window_start, family
)
SELECT
  window_start + to_minutes(k) AS minute, family,
  (rows + 4 - k) // 5 AS rows,
  (sampled_packets + 4 - k) // 5 AS sampled_packets,
  (sampled_bytes + 4 - k) // 5 AS sampled_bytes,
  (packets + 4 - k) // 5 AS packets,
  (bytes + 4 - k) // 5 AS bytes
FROM windows CROSS JOIN range(5) t(k)
"""

# The keys of round-trip times, and the things that have a sketch of clients.
_PATHS: Final = """
CREATE OR REPLACE TEMP TABLE paths AS
SELECT DISTINCT vantage, app, client_region, network, family FROM lines WHERE family <> 'unknown';
CREATE OR REPLACE TEMP TABLE ids AS
SELECT 'all' AS scope, '' AS id
UNION ALL SELECT DISTINCT 'app', app FROM lines
UNION ALL SELECT DISTINCT 'product', product FROM lines
UNION ALL SELECT DISTINCT 'client_region', client_region FROM lines
UNION ALL SELECT DISTINCT 'network', network FROM lines
"""

# A path has its times in ten neighbouring buckets, of which some show in an hour.
_RTT: Final = """
INSERT INTO rtt_1h BY NAME
WITH possible AS (
  SELECT
    $day::DATE + to_hours(hour::INTEGER) AS window_start, p.*, side,
    (200 + hash(p.network, p.client_region) % 300 + j)::SMALLINT AS bucket
  FROM range(24) h(hour)
  CROSS JOIN paths p
  CROSS JOIN (SELECT unnest($sides) AS side) s
  CROSS JOIN range(10) t(j)
)
SELECT *, (1 + hash('samples', window_start, app, network, bucket) % 9)::BIGINT AS samples
FROM possible
WHERE hash(window_start, vantage, app, client_region, network, family, side, bucket) % 1000000
  < 1000000.0 * $rows / (SELECT count(*) FROM possible)
ORDER BY ALL
"""

# A twentieth of the clients is new every day.
_SKETCHES: Final = """
INSERT INTO clients_1d BY NAME
SELECT
  $day::DATE AS day, vantage, scope, id, family, 'prefix' AS unit, $all::UBIGINT AS theta,
  list_sort(list_transform(
    range($first, $first + $hashes),
    lambda j: hash(vantage, scope, id, family, j) % $all::UBIGINT)) AS client_hashes,
  0::SMALLINT AS client_key
FROM ids
CROSS JOIN (VALUES ('core'), ('edge')) v(vantage)
CROSS JOIN (VALUES ('v4'), ('v6')) f(family)
ORDER BY ALL
"""


def sizes(root: Path) -> list[str]:
    """How much there is, a line a thing."""
    workspace = Workspace(root)
    counts = row_counts(workspace.published)
    lines = [f"{table} {rows:,} rows" for table, rows in counts.items()]
    files = (workspace.warehouse, workspace.published, workspace.journal)
    return lines + [f"{file.name} {file.stat().st_size / (1 << 20):,.1f} MiB" for file in files]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    usual = History()
    parser.add_argument("root", type=Path, metavar="DIR", help="the workspace; must not be there")
    parser.add_argument(
        "--days", type=int, default=usual.days, help=f"of history (default {usual.days})"
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=usual.rows,
        help=f"of traffic_5m a day (default {usual.rows:,})",
    )
    return parser.parse_args()


def main() -> int:
    """Make the workspace and print how large it is."""
    options = _options()
    began = time.perf_counter()
    try:
        make(options.root, History(options.days, options.rows))
    except FileExistsError:
        say(f"{options.root}: is there already, expected nothing; name another place or remove it")
        return 1
    except ValueError as error:
        say(str(error))
        return 1
    say(f"{options.root}: made in {time.perf_counter() - began:.0f} s")
    print(", ".join(sizes(options.root)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
