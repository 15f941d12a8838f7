"""How things stand: runs, files, rejects, exporters, versions, and what readers do not see yet."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa

from v6share.schemas.findings import EGRESS_FINDING, TOLD_BY_RUN
from v6share.schemas.ledger import LEDGER_KEYS, LEDGER_PRUNED, NO_OP, REJECTS_BY_DESIGN
from v6share.warehouse.database.arrow import fetch_table
from v6share.warehouse.database.views import quoted
from v6share.warehouse.ledger.journal import Run, runs_backwards
from v6share.warehouse.ledger.quarantined import REFUSED_INPUTS
from v6share.workspace import storage
from v6share.workspace.paths import Workspace


@dataclass(frozen=True)
class StatusReport:
    """How things stand, as small tables in the order of reading.

    days: one row: the last final day and what the next one waits for, as in the view as_of; none
    before there are data.

    runs: the newest first; ``published``: whether readers see what it did, null where it did
    nothing. files: inputs and rows by what each input is now: committed where a version of it
    counts, else what became of it last. rejects: by reason, largest first. findings: by kind and
    exporter, what can make a share wrong first. exporters: hours with data out of the hours between
    its first record and the newest of all, and how far it is behind, those first that are furthest.
    silent: exporters of the catalog that have not sent in the newest day of the data, ``last_seen``
    null for those that never did. unlisted: exporters with traffic that the catalog does not list.
    both_directions: exporters that sent egress records among others and that the catalog does not
    declare. versions: committed inputs by version; ``current`` marks the versions of the newest
    run, ``sealed`` is how many of them stay as they are. keys: every client key that counted, the
    first one first, with the inputs that count with it. quarantined: inputs that are refused, those
    first that nobody has acknowledged.

    A table has MOST_ROWS rows at most, however many exporters there are; left_out: how many more
    there would be, by the name of the table. inputs_of_old_versions: committed inputs that keep an
    older version than the newest run's; those of an earlier client key are none of them, nor are
    those that are sealed: they are meant to keep it.
    """

    days: pa.Table
    runs: pa.Table
    files: pa.Table
    rejects: pa.Table
    findings: pa.Table
    exporters: pa.Table
    silent: pa.Table
    unlisted: pa.Table
    both_directions: pa.Table
    versions: pa.Table
    keys: pa.Table
    quarantined: pa.Table
    left_out: Mapping[str, int]
    inputs_of_old_versions: int

    @property
    def tables(self) -> dict[str, pa.Table]:
        """The tables by name, in the order of reading."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: part for name, part in parts.items() if isinstance(part, pa.Table)}

    @property
    def inputs_of_earlier_keys(self) -> int:
        """Committed inputs that an earlier client key counted."""
        return sum(self.keys["inputs"].to_pylist()[:-1])


MOST_ROWS: Final = 100
# Where a part of the report has more rows than it shows: the table that has them all.
WHOLE: Final = {
    "findings": "findings",
    "exporters": "exporters_1h",
    "silent": "dim_exporters",
    "unlisted": "exporters_1h",
    "both_directions": "ledger_findings",
    "versions": "ledger_files",
    "keys": "ledger_keys",
    "quarantined": "ledger_files",
}

_BOTH_DIRECTIONS: Final = f"""
    WITH egress AS (
      SELECT exporter, sum("rows") AS egress_rows
      FROM ledger_findings WHERE finding = '{EGRESS_FINDING}' GROUP BY exporter
    ),
    counted AS (
      SELECT exporter, sum(records) AS "rows" FROM exporters_1h GROUP BY exporter
    )
    SELECT
      c.exporter,
      CAST(e.egress_rows AS BIGINT) AS egress_rows,
      CAST(c."rows" AS BIGINT) AS "rows",
      d.exporter IS NOT NULL AS listed
    FROM egress e JOIN counted c USING (exporter) LEFT JOIN dim_exporters d USING (exporter)
    WHERE e.egress_rows < c."rows" AND coalesce(d.directions, 'one') <> 'both'
    ORDER BY e.egress_rows DESC, c.exporter"""  # noqa: S608 - a name of the schemas

_RUNS: Final = f"""
    -- What is asked first comes first: a narrow terminal leaves out the last columns.
    SELECT
      run_id,
      outcome,
      CASE WHEN outcome <> '{NO_OP}' THEN list_contains(
        list_zip(CAST($ids AS VARCHAR[]), CAST($ends AS TIMESTAMP[])), (run_id, finished_at)
      ) END AS published,
      inputs_committed,
      inputs_quarantined,
      rows_counted,
      rows_rejected,
      * EXCLUDE (
        run_id, outcome, inputs_committed, inputs_quarantined, rows_counted, rows_rejected
      )
    FROM ledger_runs ORDER BY started_at DESC, run_id DESC LIMIT 20"""  # noqa: S608 - a name

_KEYS: Final = """
    SELECT k.client_key, k.key_id, k.since, count(f.input_id) AS inputs
    FROM ledger_keys k
    LEFT JOIN ledger_files f ON f.client_key = k.client_key AND f.status = 'committed'
    GROUP BY k.client_key, k.key_id, k.since ORDER BY k.client_key"""

_QUARANTINED: Final = f"""
    SELECT
      path, reason, status = 'accepted' AS acknowledged, size, dialect, input_id, committed_at AS at
    FROM ({REFUSED_INPUTS}) ORDER BY acknowledged, path, input_id"""  # noqa: S608 - SQL of ours

_STATUS: Final = {
    "days": """
        SELECT
          as_of, first_day, last_day, next_day, final_once, waiting_for, held_back_by, held_back_to
        FROM as_of WHERE next_day IS NOT NULL""",
    "files": """
        WITH latest AS (
          SELECT * FROM ledger_files
          QUALIFY 1 = row_number() OVER (
            PARTITION BY input_id ORDER BY status = 'committed' DESC, committed_at DESC, dialect
          )
        )
        SELECT
          status,
          count(*) AS inputs,
          CAST(sum(rows_in) AS BIGINT) AS rows_in,
          CAST(sum(rows_counted) AS BIGINT) AS rows_counted,
          CAST(sum(rows_rejected) AS BIGINT) AS rows_rejected
        FROM latest GROUP BY status ORDER BY status""",
    "rejects": """
        SELECT
          reason,
          CAST(sum("rows") AS BIGINT) AS "rows",
          count(DISTINCT input_id) AS inputs,
          -- The ledger keeps what the file says, below 0 too. A sum of it is no traffic.
          CAST(sum(sampled_packets) FILTER (reason <> 'bad_counter') AS DECIMAL(38, 0))
            AS sampled_packets,
          CAST(sum(sampled_bytes) FILTER (reason <> 'bad_counter') AS DECIMAL(38, 0))
            AS sampled_bytes
        FROM rejects GROUP BY reason ORDER BY "rows" DESC, reason""",
    "findings": """
        SELECT
          finding,
          exporter,
          CAST(sum("rows") AS BIGINT) AS "rows",
          CAST(sum(bytes) AS DOUBLE) AS bytes,
          count(DISTINCT f.input_id) AS inputs,
          -- In a struct NULL would be the most: the bytes of what older rules counted.
          arg_max(f.input, (coalesce(f.bytes, -1), f."rows", f.input)) AS worst_input,
          arg_max(f.example, (coalesce(f.bytes, -1), f."rows", f.input)) AS example
        FROM findings f
        GROUP BY ALL
        ORDER BY bool_or(doubtful) DESC, bytes DESC NULLS LAST, "rows" DESC, finding, exporter""",
    "exporters": """
        SELECT
          exporter,
          CAST(sum(records) AS BIGINT) AS records,
          min(sampling_min) AS sampling_min,
          max(sampling_max) AS sampling_max,
          min(first_seen) AS first_seen,
          max(last_seen) AS last_seen,
          count(DISTINCT window_start) AS hours_seen,
          -- From its first hour to the newest of all; of days of data, where it has any: one record
          -- of a wrong clock is no hour since which it is expected.
          greatest(
            count(DISTINCT window_start),
            date_diff(
              'hour',
              coalesce(min(window_start) FILTER (window_start >= first_day), min(window_start)),
              date_trunc('hour', any_value(moment))
            ) + 1
          ) AS hours_expected,
          greatest(0, date_diff('minute', max(last_seen), any_value(moment))) AS minutes_behind
        FROM exporters_1h, newest_record, (SELECT min(first_day) AS first_day FROM as_of)
        GROUP BY exporter ORDER BY minutes_behind DESC, exporter""",
    "unlisted": """
        SELECT
          exporter,
          CAST(sum(records) AS BIGINT) AS records,
          CAST(sum(bytes) AS DECIMAL(38, 0)) AS bytes
        FROM exporters_1h ANTI JOIN dim_exporters USING (exporter)
        GROUP BY exporter ORDER BY bytes DESC, exporter""",
    "both_directions": _BOTH_DIRECTIONS,
    "versions": """
        WITH newest AS (
          SELECT rules_version, catalog_version FROM ledger_runs
          ORDER BY started_at DESC, run_id DESC LIMIT 1
        )
        SELECT
          f.rules_version,
          f.catalog_version,
          f.client_key,
          f.dialect,
          count(*) AS inputs,
          count(f.sealed_at) AS sealed,
          coalesce(
            bool_and(f.rules_version = n.rules_version AND f.catalog_version = n.catalog_version),
            TRUE
          ) AS current
        FROM ledger_files f LEFT JOIN newest n ON TRUE
        WHERE f.status = 'committed'
        GROUP BY f.rules_version, f.catalog_version, f.client_key, f.dialect
        ORDER BY current DESC, inputs DESC, f.catalog_version, f.dialect""",
    "keys": _KEYS,
    "quarantined": _QUARANTINED,
}


def findings_to_tell(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The findings that a run tells of, by finding and exporter, those with most bytes first."""
    return connection.sql(
        """SELECT
          f.finding,
          f.exporter,
          CAST(sum(f."rows") AS BIGINT) AS "rows",
          CAST(sum(f.bytes) AS DOUBLE) AS bytes,
          arg_max(l.path, (coalesce(f.bytes, -1), f."rows", l.path)) AS input,
          arg_max(f.example, (coalesce(f.bytes, -1), f."rows", l.path)) AS example
        FROM ledger_findings f
        JOIN ledger_files l ON l.input_id = f.input_id AND l.status = 'committed'
        WHERE list_contains(CAST($told AS VARCHAR[]), f.finding)
        GROUP BY f.finding, f.exporter
        ORDER BY bytes DESC NULLS LAST, "rows" DESC, f.finding, f.exporter""",
        params={"told": list(TOLD_BY_RUN)},
    ).to_arrow_table()


def new_overlaps(connection: duckdb.DuckDBPyConnection, inputs: Collection[str]) -> pa.Table:
    """The rows that these inputs share with others: path, other, rows, bytes, first_row.

    As in ``ledger_overlaps``, those with most bytes first.
    """
    return fetch_table(
        connection,
        """SELECT l.path, o.path AS other, p."rows", p.bytes, p.first_row
        FROM ledger_overlaps p
        JOIN ledger_files l ON l.input_id = p.input_id AND l.status = 'committed'
        JOIN ledger_files o ON o.input_id = p.other_input_id AND o.status = 'committed'
        WHERE list_contains(CAST($ids AS VARCHAR[]), p.input_id)
          OR list_contains(CAST($ids AS VARCHAR[]), p.other_input_id)
        ORDER BY p.bytes DESC, p."rows" DESC, l.path, o.path""",
        {"ids": sorted(inputs)},
    )


def both_directions(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The table ``both_directions`` of the status report alone."""
    return fetch_table(connection, _BOTH_DIRECTIONS)


def client_keys(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The table ``keys`` of the status report alone."""
    return fetch_table(connection, _KEYS)


def status_report(
    connection: duckdb.DuckDBPyConnection, published: Mapping[str, datetime]
) -> StatusReport:
    """How things stand, from the warehouse or from a published file.

    published: the runs that readers see (``published_runs``).
    """
    _stand_in_for_what_is_newer(connection)
    runs = fetch_table(
        connection,
        _RUNS,
        {"ids": list(published), "ends": list(published.values())},
    )
    parts, left_out = {}, {}
    for part, sql in {**_STATUS, "silent": _silent()}.items():
        parts[part] = fetch_table(connection, f"{sql} LIMIT {MOST_ROWS}")
        if parts[part].num_rows == MOST_ROWS:
            count = f"SELECT count(*) FROM ({sql})"  # noqa: S608 - SQL of ours
            left_out[part] = connection.execute(count).fetchall()[0][0] - MOST_ROWS
    ((old,),) = connection.execute(
        f"SELECT CAST(coalesce(sum(inputs - sealed), 0) AS BIGINT) FROM ({_STATUS['versions']}) "  # noqa: S608
        f"WHERE NOT current AND client_key = "
        f"(SELECT coalesce(max(client_key), 0) FROM {LEDGER_KEYS.name})"
    ).fetchall()
    return StatusReport(
        runs=runs,
        **parts,
        left_out={part: count for part, count in left_out.items() if count},
        inputs_of_old_versions=old,
    )


def _silent() -> str:
    """As the check silent_exporters says it; those first that never sent."""
    # Here, for it loads Arrow's functions, which of all that reads a state `status` alone needs.
    from v6share.warehouse.checks import read_checks

    (sql,) = (check.sql for check in read_checks() if check.name == "silent_exporters")
    return f"SELECT * FROM ({sql}\n) ORDER BY last_seen NULLS FIRST, exporter"  # noqa: S608


def _stand_in_for_what_is_newer(connection: duckdb.DuckDBPyConnection) -> None:
    """Make what is asked for and a file lacks that an earlier version published."""
    found = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE schema_name = 'main' "
        "AND database_name = current_database() UNION ALL SELECT table_name FROM duckdb_tables() "
        "WHERE schema_name = 'main' AND database_name = current_database()"
    )
    there = {name for (name,) in found.fetchall()}
    ((database,),) = connection.execute("SELECT current_database()").fetchall()
    main = f"{quoted(database)}.main"
    if not connection.execute(
        "SELECT count(*) FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = 'as_of' "
        "AND column_name = 'final_once' AND database_name = current_database()"
    ).fetchall()[0][0]:
        connection.execute(
            "CREATE TEMP VIEW as_of AS SELECT NULL::DATE AS as_of, NULL::DATE AS first_day, "
            "NULL::DATE AS last_day, NULL::DATE AS next_day, NULL::TIMESTAMP AS final_once, "
            "NULL::BIGINT AS waiting_for, NULL::VARCHAR AS held_back_by, "
            "NULL::TIMESTAMP AS held_back_to"
        )
    # After an upgrade nothing is kept yet: then the newest record of all is the measure.
    kept = f"(SELECT moment FROM {main}.newest_record)" if "newest_record" in there else "NULL"  # noqa: S608
    of_all = "(SELECT max(last_seen) FROM exporters_1h)"
    newest = f"SELECT coalesce({kept}, {of_all}) AS moment"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW newest_record AS {newest}")
    if "findings" not in there:
        connection.execute(
            "CREATE TEMP VIEW findings AS SELECT f.finding, f.exporter, f.rows, "
            "NULL::HUGEINT AS bytes, l.path AS input, '' AS example, f.input_id, false AS doubtful "
            "FROM ledger_findings f JOIN ledger_files l USING (input_id) "
            "WHERE l.status = 'committed'"
        )
    lacking = {
        LEDGER_KEYS.name: "0::SMALLINT AS client_key",
        LEDGER_PRUNED.name: "NULL::TIMESTAMP AS sealed_at",
    }
    columns = [column for table, column in lacking.items() if table not in there]
    if columns:
        files = f"SELECT *, {', '.join(columns)} FROM {main}.ledger_files"  # noqa: S608
        connection.execute(f"CREATE TEMP VIEW ledger_files AS {files}")
    if LEDGER_KEYS.name not in there:
        connection.execute(LEDGER_KEYS.ddl().replace("CREATE", "CREATE TEMP", 1))


def published_runs(snapshot: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """The runs that a published file holds: when each was last seen to end, UTC, by its id.

    A run that commits in parts, as a stream does, has one row, which each part brings up to date.
    """
    return dict(snapshot.execute("SELECT run_id, finished_at FROM ledger_runs").fetchall())


def unpublished_run(workspace: Workspace, published: Mapping[str, datetime]) -> Run | None:
    """The newest run that changed the numbers, where readers do not see it; else None.

    The journal says it: it may be read while another process holds the warehouse. published: as
    for ``status_report``. Without a journal nobody can tell: None. Raises OSError where it cannot
    be read.
    """
    if not storage.exists(workspace.journal):
        return None
    changes = (run for run in runs_backwards(workspace.journal) if run.outcome != NO_OP)
    newest = next(changes, None)
    is_seen = newest is not None and published.get(newest.run_id) == newest.finished_at
    return None if is_seen else newest


# Of the rows or the bytes of an input; more of them with one reason is a mistake somewhere.
_MOST_LOST: Final = 0.10
_MASS_REJECTS: Final = """
    SELECT
      f.path, f.dialect, r.reason, r."rows", f.rows_in, r.sampled_bytes,
      sum(t.sampled_bytes) AS of_bytes
    FROM ledger_files f
    JOIN rejects r ON r.input_id = f.input_id
    JOIN ledger_families t ON t.input_id = f.input_id
    WHERE f.run_id = $run_id AND f.status = 'committed'
      AND NOT list_contains(CAST($by_design AS VARCHAR[]), r.reason)
    GROUP BY f.input_id, f.path, f.dialect, r.reason, r."rows", f.rows_in, r.sampled_bytes
    HAVING r."rows" > $most * f.rows_in
      OR (r.reason <> 'bad_counter' AND r.sampled_bytes > $most * sum(t.sampled_bytes))
    ORDER BY r."rows" DESC, f.path, r.reason"""


@dataclass(frozen=True)
class MassReject:
    """An input of which over 10 % of the rows, or of the bytes as exported, have one reason."""

    path: str
    dialect: str
    reason: str
    rows: int
    of_rows: int
    bytes: int
    of_bytes: int

    @property
    def is_of_rows(self) -> bool:
        """Whether it is over 10 % of the rows; else it is of the bytes alone."""
        return self.rows > _MOST_LOST * self.of_rows

    @property
    def share(self) -> float:
        """How much that is."""
        return self.rows / self.of_rows if self.is_of_rows else self.bytes / self.of_bytes


def mass_rejects(connection: duckdb.DuckDBPyConnection, run_id: str) -> list[MassReject]:
    """Those of the inputs that a run committed, most rows first.

    What is rejected by design is none of them. Of bad_counter the bytes are what is wrong.
    """
    values = {"run_id": run_id, "by_design": list(REJECTS_BY_DESIGN), "most": _MOST_LOST}
    rows = connection.execute(_MASS_REJECTS, values).fetchall()
    return [MassReject(*row) for row in rows]


def newest_catalog_version(connection: duckdb.DuckDBPyConnection) -> str:
    """The version of the catalog that the newest run counted with; empty before any."""
    found = connection.execute(
        "SELECT coalesce(max_by(catalog_version, (started_at, run_id)), '') FROM ledger_runs"
    ).fetchall()
    return str(found[0][0])


def rejects_of_run(connection: duckdb.DuckDBPyConnection, run_id: str) -> pa.Table:
    """Rejected rows of the inputs that a run committed, by reason, most first: reason, rows."""
    return fetch_table(
        connection,
        'SELECT r.reason, CAST(sum(r."rows") AS BIGINT) AS "rows" FROM rejects r '
        "JOIN ledger_files f USING (input_id) "
        "WHERE f.run_id = $run_id AND f.status = 'committed' "
        'GROUP BY r.reason ORDER BY "rows" DESC, r.reason',
        {"run_id": run_id},
    )
