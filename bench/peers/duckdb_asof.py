"""DuckDB: the flat intervals as a table, and an ``ASOF JOIN`` for each side of a flow.

Plain: addresses are compared as they stand in the files, as blobs. Tuned: as 128-bit integers,
which takes a third of the time. Both file by file, the sums added at the end, because the join
holds its input in memory: with integers 24 million flows took 6.6 GB and 28 s of processor time in
one query, 2.3 GB and 19 s so.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from bench.peers.report import Job, Phases, print_report, read_job


@dataclass(frozen=True)
class Form:
    """How an address is compared, and how one tells that it is IPv4."""

    address: str
    is_v4: str


PLAIN: Final = Form("{}", "{}[:12] = unhex('00000000000000000000FFFF')")
TUNED: Final = Form("{}::BIT::UHUGEINT", "{} < 1::UHUGEINT << 48")


def load_statements(job: Job, form: Form) -> tuple[str, ...]:
    """Codes and sorted intervals."""
    return (
        f"CREATE TEMP TABLE codes AS FROM '{job.tables}/codes.parquet'",
        f"CREATE TEMP TABLE intervals AS SELECT {form.address.format('start')} AS start, code"
        f" FROM '{job.tables}/intervals.parquet' ORDER BY start",
    )


def file_query(path: Path, form: Form, first_app_code: int) -> str:
    """The job for one file, as codes. Codes from ``first_app_code`` on are apps."""
    return f"""
WITH flows AS (
  SELECT epoch_ms(flowStartMilliseconds) // 300000 AS w,
    {form.address.format("sourceIPAddress")} AS source_address,
    {form.address.format("destinationIPAddress")} AS destination_address,
    sourceTransportPort AS sp, destinationTransportPort AS dp,
    octetDeltaCount * samplingInterval AS b, packetDeltaCount * samplingInterval AS p
  FROM '{path}'
), found AS (
  SELECT w, sp, dp, b, p, {form.is_v4.format("source_address")} AS v4,
    s.code AS source, d.code AS destination
  FROM flows
  ASOF JOIN intervals AS s ON source_address >= s.start
  ASOF JOIN intervals AS d ON destination_address >= d.start
), sides AS (
  SELECT *, source >= {first_app_code} AND sp IN (80, 443) AS from_app,
    destination >= {first_app_code} AND dp IN (80, 443) AS to_app
  FROM found
)
SELECT w, v4,
  CASE WHEN from_app THEN source WHEN to_app THEN destination ELSE 0 END AS app_code,
  CASE WHEN from_app OR (NOT to_app AND sp < dp) THEN destination ELSE source END AS client_code,
  count(*) AS records, sum(p)::BIGINT AS packets, sum(b)::BIGINT AS bytes
FROM sides GROUP BY ALL"""


RESULT = """
CREATE TABLE traffic AS
SELECT w * 300 AS window_start, CASE WHEN app_code = 0 THEN 'unclassified' ELSE a.app END AS app,
  c.region AS client_region, c.network AS network, CASE WHEN v4 THEN 'v4' ELSE 'v6' END AS family,
  sum(records)::BIGINT AS records, sum(packets)::BIGINT AS packets, sum(bytes)::BIGINT AS bytes
FROM parts
JOIN codes AS a ON a.code = app_code
JOIN codes AS c ON c.code = client_code
GROUP BY ALL"""


def main() -> None:
    """Open the result's file, load the intervals, run the job, commit."""
    phases = Phases()
    job = read_job(__doc__)
    form = TUNED if job.tuned else PLAIN
    job.result.unlink(missing_ok=True)
    with duckdb.connect(str(job.result), config={"threads": job.threads}) as con:
        con.execute("SET preserve_insertion_order = false")
        phases.done("start")
        for statement in load_statements(job, form):
            con.execute(statement)
        first = con.execute("SELECT min(code) FROM codes WHERE app != ''").fetchall()[0][0]
        phases.done("load")
        for number, path in enumerate(sorted(job.flows.glob("*.parquet"))):
            into = "INSERT INTO parts" if number else "CREATE TEMP TABLE parts AS"
            con.execute(into + file_query(path, form, first))
        con.execute(RESULT)
        phases.done("query")
        rows = con.execute("SELECT sum(records)::BIGINT FROM traffic").fetchall()[0][0]
    phases.done("commit")
    print_report(rows, phases)


if __name__ == "__main__":
    main()
