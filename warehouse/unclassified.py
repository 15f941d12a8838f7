"""What the published file knows of traffic of no app, and where the flows are that would tell more.

Tables hold no address, port or AS number of a service: these stand in the flow files alone.
"""

from typing import NamedTuple

import duckdb


class Unclassified(NamedTuple):
    """Bytes in the apps' denominators in the last 30 final days: of no app, and all."""

    bytes: int
    all_bytes: int


def unclassified_bytes(snapshot: duckdb.DuckDBPyConnection) -> Unclassified:
    """How much of the traffic that feeds the KPIs is of no app."""
    ((found, whole),) = snapshot.execute(
        "SELECT coalesce(sum(t.bytes) FILTER (t.app = 'unclassified'), 0), "
        "coalesce(sum(t.bytes), 0) "
        "FROM main.traffic_1d t "
        "JOIN main.dim_ip_class c ON c.ip_class = t.ip_class AND c.family = t.family "
        "JOIN main.final_span s "
        "ON t.window_start BETWEEN (s.as_of - 29)::TIMESTAMP AND s.as_of::TIMESTAMP "
        "WHERE c.in_denominator "
        "AND t.vantage IN (SELECT vantage FROM main.dim_vantages WHERE feeds_kpis)"
    ).fetchall()
    return Unclassified(int(found), int(whole))


def newest_inputs(
    snapshot: duckdb.DuckDBPyConnection, most_files: int, most_bytes: int
) -> list[tuple[str, str]]:
    """Paths and dialects of the counted inputs with the newest flows, the newest first.

    So many, and of so many bytes together, at most; one at least, where there is any.
    """
    return snapshot.execute(
        "SELECT path, dialect FROM ("
        "SELECT path, dialect, last_end, input_id, sum(size) OVER ("
        "ORDER BY last_end DESC, input_id ROWS UNBOUNDED PRECEDING) - size AS newer "
        "FROM main.ledger_files WHERE status = 'committed' AND last_end IS NOT NULL"
        ") WHERE newer < ? ORDER BY last_end DESC, input_id LIMIT ?",
        [most_bytes, most_files],
    ).fetchall()
