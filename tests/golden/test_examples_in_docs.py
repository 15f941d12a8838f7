"""The examples of output in the pages are what the sample gives."""

import re
from pathlib import Path

import duckdb
import pytest
from sample_run import Counted
from workspaces import v6share

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def board(counted: Counted) -> str:
    code, out, _ = v6share(counted.root, "kpi")
    assert code == 0
    return out


@pytest.mark.parametrize(
    ("page", "shown"),
    [("README.md", ["Headline"]), ("docs/kpis.md", ["Stage 1", "Stage 2", "Stage 3"])],
)
def test_a_page_shows_what_the_board_of_the_sample_says(
    board: str, page: str, shown: list[str]
) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    examples = re.findall(r"^```text\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    for begin, example in zip(shown, examples, strict=True):
        assert example.startswith(begin)
        assert f"\n{example}\n" in f"\n{board}\n"


def test_the_queries_of_the_docs_find_figures_in_the_sample(
    snapshot: duckdb.DuckDBPyConnection,
) -> None:
    text = (ROOT / "docs/kpis.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sql\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    queries = [block for block in blocks if not block.startswith("ATTACH")]
    # A result and its definition have no row that the other has not.
    assert snapshot.sql(queries.pop(0)).fetchall() == []
    assert len(queries) == 2
    for query in queries:
        (row,) = snapshot.sql(query).fetchall()
        assert all(figure is not None and figure > 0 for figure in row), query
