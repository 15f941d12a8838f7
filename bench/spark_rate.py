"""How fast Spark's workers count, beside the threads of this process.

    python -m bench.spark_rate bench/out/24 --rounds 3

Takes flows of ``bench.generate``, lays them out in files of two million rows, as what Spark deals
out is a file, and counts them in turn: with ``run_local`` on so many threads, and with
``count_in_spark`` in a session ``local[N]`` of so many workers. Both read and compile the catalog
and write fragments; neither commits. Counted is the time of that call alone. What comes before it
stands apart: the start of the session, and one small job in it, in which the workers load their
libraries. Says million flows a second of each round, the ratio of each pair and their median. Run
it with the Python of ``make test-spark``.

Exit code 1: the two made other fragments.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from v6share.pipelines.beam_pipeline import run_local
from v6share.pipelines.engines.spark import count_in_spark
from v6share.pipelines.engines.spark_session import spark_session
from v6share.pipelines.find import find_inputs
from v6share.pipelines.session import Session
from v6share.pipelines.work import Work
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.workspace.configured import configure

GROUPS_OF_A_FILE: Final = 2  # of a million rows each
MILLION: Final = 1_000_000
Count = Callable[[Sequence[FoundInput], Work], list[Outcome]]


def lay_out(flows: Path, into: Path) -> None:
    """Write the row groups of all files into smaller files, unless they are there."""
    if into.exists():
        return
    draft = into.with_name(f"{into.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for path in sorted(flows.glob("*.parquet")):
        file = pq.ParquetFile(path)
        for first in range(0, file.num_row_groups, GROUPS_OF_A_FILE):
            groups = range(first, min(first + GROUPS_OF_A_FILE, file.num_row_groups))
            table = file.read_row_groups(list(groups))
            name = f"{path.stem}-{first:03d}.parquet"
            pq.write_table(table, draft / name, row_group_size=MILLION)
    draft.rename(into)


def work_in(root: Path, catalog: Path, threads: int) -> Work:
    """The work of a workspace that is made anew."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(catalog, root / "catalog")
    configured = configure(root)
    settings, version = configured.settings, configured.catalog_version
    return Work(configured.workspace, "bench", settings, version, threads)


def measure(name: str, count: Count, found: Sequence[FoundInput], work: Work) -> tuple[float, str]:
    """Million flows a second, and a digest of all fragments that were made."""
    shutil.rmtree(work.workspace.fragments, ignore_errors=True)
    for one in found:
        Path(one.path).read_bytes()  # into the page cache
    began = time.perf_counter()
    outcomes = count(found, work)
    seconds = time.perf_counter() - began
    rate = sum(one.rows_counted for one in outcomes) / MILLION / seconds
    load = os.getloadavg()[0]
    print(f"{name:10} {seconds:7.2f} s {rate:6.2f} million flows/s (load {load:.1f})", flush=True)
    digest = hashlib.sha256()
    for path in sorted(work.workspace.fragments.rglob("*.parquet")):
        digest.update(path.name.encode() + path.read_bytes())
    return rate, digest.hexdigest()


def embedded(found: Sequence[FoundInput], work: Work) -> list[Outcome]:
    """Count as ``--runner local`` does."""
    with closing(Session(work)) as session:
        outcomes = run_local(found, session)
    shutil.rmtree(work.workspace.outcomes)
    return outcomes


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="what bench.generate made, such as bench/out/24")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="and as many workers")
    parser.add_argument("--out", type=Path, default=Path("bench/out/spark"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    flows = given.out / f"flows-{given.data.name}"
    lay_out(given.data / "flows", flows)
    found = find_inputs([str(flows)]).inputs
    work = work_in(given.out / "workspace", given.data / "catalog", given.threads)
    few = find_inputs([str(given.data / "slice")]).inputs
    ratios, digests = [], set[str]()
    began = time.perf_counter()
    settings = {"spark.master": f"local[{given.threads}]", "spark.ui.enabled": "false"}
    with spark_session(settings, shows_log=False) as session:
        print(f"session    {time.perf_counter() - began:7.2f} s to start")
        in_spark = partial(count_in_spark, session)
        measure("first job", in_spark, few, work)
        measure("first run", embedded, few, work)
        for number in range(given.rounds):
            this = replace(work, run_id=f"bench-{number}")
            here, made_here = measure("embedded", embedded, found, this)
            there, made_there = measure("in Spark", in_spark, found, this)
            ratios.append(there / here)
            digests |= {made_here, made_there}
            print(f"ratio      {ratios[-1]:7.2f}")
    print(f"median of {len(ratios)} ratios: {statistics.median(ratios):.2f}")
    return 0 if len(digests) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
