"""``python -m v6share.pipelines.warm``: compile every kernel now, so that no run waits for it.

Counts a tiny sample in a temporary workspace; machine code stays in the user's cache folder.
"""

import tempfile
from datetime import date
from pathlib import Path
from typing import Final

from v6share.pipelines.compile_plan import compile_plan
from v6share.pipelines.flow_file import open_flow_file
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.aggregate.fragment_tables import merge_accumulators
from v6share.pipelines.kernels.plan import Plan
from v6share.pipelines.sample.write import write_sample
from v6share.pipelines.session import Session
from v6share.pipelines.work import Work
from v6share.schemas.outcome import FoundInput
from v6share.schemas.settings import Settings
from v6share.workspace.catalog_files import read_catalog
from v6share.workspace.client_key import KEY_BYTES
from v6share.workspace.paths import Workspace

_FEW_ROWS: Final = 50


def compile_kernels() -> None:
    """Run the kernels once, as over files of one thread's own and over one that two share."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_sample(root, flows=3_000, start=date(2025, 9, 1), days=28)
        work = Work(
            workspace=Workspace(root),
            run_id="warm",
            settings=Settings(),
            catalog_version="warm",
            threads=2,
        )
        catalog = read_catalog(work.workspace)
        plan = compile_plan(catalog, work.settings, bytes(KEY_BYTES))
        crew = Session(work, plan).gather()
        paths = sorted((root / "flows").iterdir())
        for path in paths:
            stat = path.stat()
            list(crew.submit(FoundInput(str(path), stat.st_size, stat.st_mtime_ns)))
        list(crew.drain())
        _merge_two_lanes(plan, paths[0])


def _merge_two_lanes(plan: Plan, path: Path) -> None:
    """Count a file as two threads do that share it; the crew has a thread for each."""
    file = open_flow_file(str(path))
    lanes = [Accumulator(plan, file_rows=file.rows) for _ in range(2)]
    for number, batch in enumerate(file.read(range(file.row_groups), _FEW_ROWS)):
        lanes[number % 2].add(batch)
    merge_accumulators(plan, lanes)


if __name__ == "__main__":
    compile_kernels()
