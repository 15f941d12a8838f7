"""The queries that the demo offers must run on a published file."""

from pathlib import Path

import duckdb
import pytest
from flow_files import write_flows

from tools.demo_words import QUERIES, closing_words
from v6share.jobs import cli


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    flows = write_flows(root / "flows" / "a.parquet")
    assert cli.call(["-q", "-C", str(root), "run", str(flows)]) == 0
    return root / "published" / "v6share.duckdb"


@pytest.mark.parametrize("sql", QUERIES.values(), ids=QUERIES)
def test_each_query_runs(published: Path, sql: str) -> None:
    with duckdb.connect(published, read_only=True) as connection:
        connection.execute(sql).fetchall()


def test_the_words_name_the_file() -> None:
    assert "demo/published/v6share.duckdb" in closing_words(Path("demo"))
