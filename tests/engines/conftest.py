"""Flow files for the laws, and workspaces in which they are counted once."""

import random
import shutil
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flow_sets import Made, count, crowd
from workspaces import make_workspace

from v6share.pipelines.sample import write_sample


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five files of a rollout in small; one row group each, as the generator writes them."""
    folder = tmp_path_factory.mktemp("small") / "sample"
    write_sample(folder, flows=5_000, seed=11, start=date(2026, 1, 1), days=28)
    return folder


@pytest.fixture(scope="session")
def made(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The sample in many row groups, a crowd that overflows a sketch, and bad rows."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "flows").mkdir()
    for path in sorted((sample / "flows").iterdir()):
        pq.write_table(pq.read_table(path), folder / "flows" / path.name, row_group_size=150)
    pq.write_table(crowd(), folder / "flows" / "crowd.parquet", row_group_size=3000)
    root = make_workspace(folder / "ws", sample / "catalog")
    assert count(root, folder / "flows") == 0
    return Made(folder / "flows", sample / "catalog", root)


@pytest.fixture(scope="session")
def split(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The same flows in other files and another order, counted by three runs that overlap."""
    folder = tmp_path_factory.mktemp("split")
    (folder / "flows").mkdir()
    chance = random.Random(4)
    for path in made.files:
        table = pq.read_table(path)
        order = list(range(table.num_rows))
        chance.shuffle(order)
        edges = [0, *sorted(chance.sample(range(1, len(order)), 3)), len(order)]
        for part, (first, last) in enumerate(pairwise(edges)):
            name = f"{chance.randrange(16**6):06x}-{path.stem}-{part}.parquet"
            rows = table.take(pa.array(order[first:last]))
            pq.write_table(rows, folder / "flows" / name, row_group_size=chance.randint(50, 5000))
    root, order = make_workspace(folder / "ws", made.catalog), sorted((folder / "flows").iterdir())
    chance.shuffle(order)
    for first, last in ((0, 8), (4, 16), (12, len(order))):
        assert count(root, *order[first:last]) == 0
    return Made(folder / "flows", made.catalog, root)


@pytest.fixture
def fresh(made: Made, tmp_path: Path) -> Path:
    """An empty workspace with the catalog."""
    return make_workspace(tmp_path / "ws", made.catalog)


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Made], Path]:
    """A copy of a counted workspace, to change at will; the flow files stay where they are."""

    def copy(original: Made) -> Path:
        return Path(shutil.copytree(original.root, tmp_path / "copy"))

    return copy
