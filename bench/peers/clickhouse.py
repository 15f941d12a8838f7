"""ClickHouse, embedded (chdb): an ``ip_trie`` dictionary, asked once for each side of a flow.

Plain: the disjoint intervals that all engines are given, as CIDRs; types as the reader finds them.
Tuned, as far as we found it to go, with what mattered:
- The nested prefixes as they are, because the trie finds the longest itself: the intervals come
  to 1.9 million CIDRs, which take almost four times as long to load and a quarter longer to ask.
- The columns' types named, addresses as FixedString(16): no conversion, no nulls.
- Short-circuit evaluation off: it may make the look-ups again below every ``if`` that uses them
  (not in this query).

What made no difference that stood out of the noise: a dictionary a family, reading the file once a
family, block sizes, the key packed into one integer, ``dictGet`` without default, the older Parquet
reader, arithmetic in place of ``if``. Either way one attribute, a code, is turned into names after
the aggregation.
"""

from dataclasses import dataclass
from typing import Final

from bench.peers.report import Job, Phases, print_report, read_job

MAPPED: Final = "unhex('00000000000000000000FFFF')"


@dataclass(frozen=True)
class Form:
    """How the job is put: a table of prefixes, how an address is given, and what is set."""

    prefixes: str
    address: str
    columns: str = ""
    settings: str = ""


PLAIN: Final = Form("cidrs", "toFixedString({}::String, 16)")
TUNED: Final = Form(
    "prefixes",
    "{}",
    ", Parquet, 'flowStartMilliseconds DateTime64(3), sourceIPAddress FixedString(16),"
    " destinationIPAddress FixedString(16), sourceTransportPort UInt16,"
    " destinationTransportPort UInt16, octetDeltaCount UInt64, packetDeltaCount UInt64,"
    " samplingInterval UInt32'",
    ", short_circuit_function_evaluation = 'disable'",
)


def load_statements(job: Job, form: Form) -> tuple[str, ...]:
    """Codes and prefixes into memory, then the dictionary over the prefixes."""
    return (
        "CREATE DATABASE bench ENGINE = Atomic",
        "CREATE TABLE bench.codes ENGINE = Memory AS SELECT assumeNotNull(code) AS code,"
        " assumeNotNull(region) AS region, assumeNotNull(network) AS network,"
        f" assumeNotNull(app) AS app FROM file('{job.tables}/codes.parquet', Parquet)",
        "CREATE TABLE bench.prefixes ENGINE = Memory AS SELECT assumeNotNull(prefix) AS prefix,"
        " assumeNotNull(code) AS code"
        f" FROM file('{job.tables}/{form.prefixes}.parquet', Parquet)",
        "CREATE DICTIONARY bench.trie (prefix String, code UInt32) PRIMARY KEY prefix"
        " SOURCE(CLICKHOUSE(DB 'bench' TABLE 'prefixes')) LAYOUT(IP_TRIE) LIFETIME(0)",
        "SYSTEM RELOAD DICTIONARY bench.trie",
    )


def _look_up(address: str) -> str:
    return f"dictGetOrDefault('bench.trie', 'code', {address}, toUInt32(0))"


def job_query(job: Job, form: Form, first_app_code: int) -> str:
    """The job as one INSERT into a Parquet file. Codes from ``first_app_code`` on are apps."""
    source, destination = map(form.address.format, ("sourceIPAddress", "destinationIPAddress"))
    return f"""
INSERT INTO FUNCTION file('{job.result}', Parquet)
SELECT t.w * 300 AS window_start, if(t.app = 0, 'unclassified', a.app) AS app,
  c.region AS client_region, c.network AS network, if(t.v4, 'v4', 'v6') AS family,
  records, packets, bytes
FROM (
  SELECT w, app, client, v4, count() AS records, sum(p) AS packets, sum(b) AS bytes
  FROM (
    SELECT
      intDiv(toUnixTimestamp64Milli(flowStartMilliseconds), 300000) AS w,
      substring({source}, 1, 12) = {MAPPED} AS v4,
      {_look_up(source)} AS source,
      {_look_up(destination)} AS destination,
      sourceTransportPort AS sp, destinationTransportPort AS dp,
      source >= {first_app_code} AND (sp = 80 OR sp = 443) AS from_app,
      destination >= {first_app_code} AND (dp = 80 OR dp = 443) AS to_app,
      if(from_app, source, if(to_app, destination, 0)) AS app,
      if(from_app OR (NOT to_app AND sp < dp), destination, source) AS client,
      octetDeltaCount * samplingInterval AS b, packetDeltaCount * samplingInterval AS p
    FROM file('{job.pattern}'{form.columns})
  )
  GROUP BY w, app, client, v4
) AS t
INNER JOIN bench.codes AS a ON a.code = t.app
INNER JOIN bench.codes AS c ON c.code = t.client
SETTINGS max_threads = {job.threads}, engine_file_truncate_on_insert = 1{form.settings}"""


def main() -> None:
    """Start, load the dictionary, run the job, leave."""
    phases = Phases()
    job = read_job(__doc__)
    form = TUNED if job.tuned else PLAIN
    from chdb import session

    here = session.Session()
    phases.done("start")
    for statement in load_statements(job, form):
        here.query(statement)
    first_app = int(str(here.query("SELECT min(code) FROM bench.codes WHERE app != ''")).strip())
    phases.done("load")
    here.query(job_query(job, form, first_app))
    phases.done("query")
    rows = str(here.query(f"SELECT sum(records) FROM file('{job.result}', Parquet)")).strip()
    print_report(int(rows), phases)


if __name__ == "__main__":
    main()
