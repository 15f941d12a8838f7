"""Beam as one would first write it: an element is a row, a dict; look-ups one by one.

Two orders of magnitude slower than batches, so it gets the slice only, and its rate is that of
the phase "pipeline" alone, without imports and table loading.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from bench.peers.report import Job, Phases, print_report, read_job

COLUMNS = (
    "flowStartMilliseconds",
    "sourceIPAddress",
    "destinationIPAddress",
    "sourceTransportPort",
    "destinationTransportPort",
    "octetDeltaCount",
    "packetDeltaCount",
    "samplingInterval",
)
APP_PORTS = frozenset((80, 443))
EPOCH, SECOND = datetime(1970, 1, 1), timedelta(seconds=1)  # noqa: DTZ001 - as the files: no zone
Row = dict[str, Any]
Key = tuple[int, str, str, str, str]
Sums = tuple[int, int, int]

# Loaded once a process, before the pipeline: the workers are threads of it.
_tables: dict[str, list[Any]] = {}


def load_tables(job: Job) -> None:
    """Interval starts (16 bytes, ascending), their codes, and what the codes stand for."""
    intervals = pq.read_table(job.tables / "intervals.parquet")
    _tables["start"] = intervals["start"].to_pylist()
    _tables["code"] = intervals["code"].to_pylist()
    _tables["names"] = pq.read_table(job.tables / "codes.parquet").to_pylist()


def read_rows(path: str) -> Iterator[Row]:
    """One dict a flow."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=list(COLUMNS)):
            yield from batch.to_pylist()


def look_up(address: bytes) -> dict[str, str]:
    """Region, network and app of one address."""
    at = bisect_right(_tables["start"], address) - 1
    found: dict[str, str] = _tables["names"][_tables["code"][at]]
    return found


def key_row(row: Row) -> tuple[Key, Sums]:
    """The group of one flow, and what it adds."""
    source, destination = look_up(row["sourceIPAddress"]), look_up(row["destinationIPAddress"])
    from_app = bool(source["app"]) and row["sourceTransportPort"] in APP_PORTS
    to_app = bool(destination["app"]) and row["destinationTransportPort"] in APP_PORTS
    app = source["app"] if from_app else destination["app"] if to_app else "unclassified"
    lower = row["sourceTransportPort"] < row["destinationTransportPort"]
    client = destination if from_app or (not to_app and lower) else source
    start = (row["flowStartMilliseconds"] - EPOCH) // SECOND
    family = "v4" if row["sourceIPAddress"].startswith(b"\0" * 10 + b"\xff\xff") else "v6"
    key = (start - start % 300, app, client["region"], client["network"], family)
    interval = row["samplingInterval"]
    return key, (1, row["packetDeltaCount"] * interval, row["octetDeltaCount"] * interval)


def add_up(parts: Iterable[Sums]) -> Sums:
    """Column sums; an empty one is zero."""
    records = packets = octets = 0
    for n, p, b in parts:
        records, packets, octets = records + n, packets + p, octets + b
    return records, packets, octets


def write_result(groups: list[tuple[Key, Sums]], path: Path) -> None:
    """The groups as Parquet."""
    names = ("window_start", "app", "client_region", "network", "family")
    rows = [
        {**dict(zip(names, key, strict=True)), "records": n, "packets": p, "bytes": b}
        for key, (n, p, b) in groups
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


def main() -> None:
    """Run the pipeline over the files of the job."""
    phases = Phases()
    job = read_job(__doc__)
    files = sorted(str(p) for p in job.flows.glob("*.parquet"))
    phases.done("start")
    load_tables(job)
    phases.done("load")
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        (
            pipeline
            | beam.Create(files, reshuffle=False)
            | beam.FlatMap(read_rows)
            | beam.Map(key_row)
            | beam.CombinePerKey(add_up)
            | beam.combiners.ToList()
            | beam.Map(write_result, path=job.result)
        )
    phases.done("pipeline")
    print_report(sum(pq.read_metadata(p).num_rows for p in files), phases)


if __name__ == "__main__":
    main()
