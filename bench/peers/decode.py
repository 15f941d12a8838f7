"""The limit: pyarrow decodes the columns of the flow files and throws them away.

Threads take row groups, as v6share does; every column of the files is read, as v6share does.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq

from bench.peers.report import Phases, print_report, read_job

BATCH_ROWS = 65_536


def decode(part: tuple[Path, int]) -> int:
    """Decode one row group; return its rows."""
    path, group = part
    with pq.ParquetFile(path, memory_map=True) as file:
        batches = file.iter_batches(BATCH_ROWS, row_groups=[group], use_threads=False)
        return sum(batch.num_rows for batch in batches)


def main() -> None:
    """Decode all row groups."""
    phases = Phases()
    job = read_job(__doc__)
    files = sorted(job.flows.glob("*.parquet"))
    parts = [(p, g) for p in files for g in range(pq.read_metadata(p).num_row_groups)]
    phases.done("start")
    with ThreadPoolExecutor(job.threads) as pool:
        flows = sum(pool.map(decode, parts))
    phases.done("decode")
    print_report(flows, phases)


if __name__ == "__main__":
    main()
