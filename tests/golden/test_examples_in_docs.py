"""The examples of output in the pages are what the sample gives."""

import re
import shutil
from pathlib import Path

import duckdb
import pytest
from sample_run import SAMPLE, Counted
from workspaces import run_json, v6share

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "kpis.md"


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
    of_the_board = [example for example in examples if not example.startswith("revisions")]
    for begin, example in zip(shown, of_the_board, strict=True):
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
    # A sum of counts that other tools can divide.
    records = snapshot.sql(queries.pop(0)).pl()["records"]
    assert (records / 7 * 7).to_list() == pytest.approx(records.to_list())
    assert records.dtype.is_float()
    # Whether a drop is real, in one row.
    ((period, *_, change, low, high, scatter, verdict),) = snapshot.sql(queries.pop()).fetchall()
    assert (period, verdict) == ("week", "within sampling and scatter")
    assert low < change < high
    assert scatter > 0
    assert len(queries) == 2
    for query in queries:
        (row,) = snapshot.sql(query).fetchall()
        assert all(figure is not None and figure > 0 for figure in row), query


def shown_rows(table: str) -> list[dict[str, str]]:
    """The rows of a table for people, by column; times say only that they are times."""
    table = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "time", table)
    titles, *rows = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()[1:]]
    return [dict(zip(titles, row, strict=True)) for row in rows]


def test_the_example_of_days_that_changed_is_what_a_late_file_of_the_sample_does(
    tmp_path: Path,
) -> None:
    root, flows = tmp_path / "ws", tmp_path / "flows"
    shutil.copytree(SAMPLE / "catalog", root / "catalog")
    shutil.copytree(SAMPLE / "flows", flows, ignore=shutil.ignore_patterns("*-late.parquet"))
    (late,) = (SAMPLE / "flows").glob("*-late.parquet")
    for files in (flows, late):
        assert run_json(root, files)[0] == 0
    (example,) = re.findall(r"^```text\n(revisions.*?)^```$", DOCS.read_text(), flags=re.M | re.S)
    shown = shown_rows(example)
    found = shown_rows(v6share(root, "kpi", "revisions")[1])[: len(shown)]
    assert [{name: row[name] for name in shown[0]} for row in found] == shown
