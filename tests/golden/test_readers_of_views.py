"""What analysts read the published file with opens every view and divides as the docs teach."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from read_views import LONG
from sample_run import Counted
from workspaces import command

from v6share.warehouse.database.views import read_views

# ibis 12 calls DuckDB by a name that DuckDB 2 will give up.
pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

DOCS = Path(__file__).parents[2] / "docs" / "kpis.md"
VIEWS = sorted(view.name for view in read_views())
AS_OF = date(2026, 3, 28)
# Views in which a share stands beside what it is made of.
KINDS = ("basis", "denominator", "share_kind")


@pytest.fixture(scope="module")
def workspace(counted: Counted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: ibis opens files with settings of its own, and DuckDB one file with one setting."""
    root = tmp_path_factory.mktemp("readers")
    (root / "published").mkdir()
    shutil.copy(counted.root / "published/v6share.duckdb", root / "published/v6share.duckdb")
    return root


@pytest.fixture(scope="module")
def reader(workspace: Path) -> Iterator[ibis.BaseBackend]:
    backend = ibis.duckdb.connect(workspace / "published/v6share.duckdb", read_only=True)
    yield backend
    backend.disconnect()


def wanted_rows(snapshot: duckdb.DuckDBPyConnection, view: str) -> duckdb.DuckDBPyRelation:
    """The rows of a view; of the long ones the last final day is enough."""
    return snapshot.sql(
        f"SELECT * FROM {view}" + (f" WHERE day = '{AS_OF}'" if view in LONG else "")
    )


def by_ibis(reader: ibis.BaseBackend, view: str) -> ibis.Table:
    """The same rows."""
    table = reader.table(view)
    return table.filter(table.day == AS_OF) if view in LONG else table


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_holds_numbers_that_every_reader_divides(
    snapshot: duckdb.DuckDBPyConnection, reader: ibis.BaseBackend, view: str
) -> None:
    rows = wanted_rows(snapshot, view)
    arrow = rows.to_arrow_table()
    numbers = [
        field.name
        for field in arrow.schema
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]
    assert not [field for field in arrow.schema if pa.types.is_decimal(field.type)]
    frames = (rows.df(), rows.pl(), by_ibis(reader, view).to_polars())
    assert [len(frame) for frame in frames] == [arrow.num_rows] * 3
    for name in numbers:
        wanted = sorted(value / 2 for value in arrow[name].to_pylist() if value is not None)
        for halves in (
            pc.divide(arrow[name].cast(pa.float64(), safe=False), 2.0).to_pylist(),
            *(list(frame[name] / 2) for frame in frames),
        ):
            assert sorted(value for value in halves if not pd.isna(value)) == wanted, name


def of_kinds(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], float]:
    return {tuple(row[name] for name in KINDS): row["share"] for row in rows}


def test_shares_of_sums_are_those_that_duckdb_finds(
    snapshot: duckdb.DuckDBPyConnection, reader: ibis.BaseBackend
) -> None:
    named = dict.fromkeys(VIEWS, 0)
    for view in VIEWS:
        columns = {row[0] for row in snapshot.execute(f"DESCRIBE {view}").fetchall()}
        if not {*KINDS, "numerator", "denominator_value"} <= columns:
            del named[view]
            continue
        rows = wanted_rows(snapshot, view)
        wanted = of_kinds(
            rows.aggregate(f"{', '.join(KINDS)}, sum(numerator) / sum(denominator_value) AS share")
            .filter("share IS NOT NULL AND NOT isnan(share)")
            .to_arrow_table()
            .to_pylist()
        )
        frame = rows.df().groupby(list(KINDS))[["numerator", "denominator_value"]].sum()
        by_pandas = (frame["numerator"] / frame["denominator_value"]).dropna().to_dict()
        by_polars = of_kinds(
            rows.pl()
            .group_by(KINDS)
            .agg(share=pl.col("numerator").sum() / pl.col("denominator_value").sum())
            .filter(pl.col("share").is_not_nan())
            .to_dicts()
        )
        sums = (
            rows.to_arrow_table()
            .group_by(KINDS)
            .aggregate([("numerator", "sum"), ("denominator_value", "sum")])
        )
        sums = sums.filter(pc.greater(sums["denominator_value_sum"], 0))
        wholes = [
            pc.cast(sums[f"{part}_sum"], pa.float64())
            for part in ("numerator", "denominator_value")
        ]
        by_arrow = of_kinds(sums.append_column("share", pc.divide(*wholes)).to_pylist())
        table = by_ibis(reader, view)
        by_expression = of_kinds(
            table.group_by(KINDS)
            .agg(share=table.numerator.sum() / table.denominator_value.sum())
            .filter(ibis._.share.notnull() & ~ibis._.share.isnan())
            .to_pyarrow()
            .to_pylist()
        )
        for found in (by_pandas, by_polars, by_arrow, by_expression):
            assert found == pytest.approx(wanted), view
        named[view] = len(wanted)
    assert len(named) >= 10
    assert {"share_headline_1d", "share_sums_1d", "kpi_stage3_apps"} <= named.keys()
    assert all(named.values())


def as_mapping(shares: Any) -> Mapping[str, float]:
    """What an example of the docs ends with, whatever it was made by."""
    match shares:
        case pd.Series():
            return dict(shares)
        case pl.DataFrame():
            return dict(shares.select("app", "share").iter_rows())
    rows = shares.select(["app", "share"]).to_pylist()
    return {row["app"]: row["share"] for row in rows}


def test_the_examples_of_the_docs_find_the_shares_of_the_apps(
    workspace: Path, snapshot: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = snapshot.execute(
        "SELECT app, sum(numerator) / sum(denominator_value) FROM share_by_app JOIN target_share "
        "USING (denominator) WHERE basis = 'bytes' AND share_kind = 'strict' AND final GROUP BY app"
    ).fetchall()
    examples = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(), flags=re.M | re.S)
    assert len(examples) == 4
    monkeypatch.chdir(workspace)
    for place, example in enumerate(examples):
        # Each opens the file with settings of its own.
        shutil.copy("published/v6share.duckdb", f"published/{place}.duckdb")
        names: dict[str, Any] = {}
        exec(example.replace("published/v6share.duckdb", f"published/{place}.duckdb"), names)
        assert as_mapping(names["shares"]) == pytest.approx(dict(wanted))


def test_every_column_of_a_view_says_what_it_means(snapshot: duckdb.DuckDBPyConnection) -> None:
    comments = snapshot.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = 'main' "
        "AND table_name IN (SELECT view_name FROM duckdb_views() WHERE NOT internal)"
    ).fetchall()
    assert {view for view, _, _ in comments} == set(VIEWS)
    assert [row for row in comments if not row[2]] == []


@pytest.mark.parametrize("name", ["kpi_stage3_apps", "ledger_families", "dim_targets"])
def test_parquet_holds_no_decimals(
    counted: Counted, snapshot: duckdb.DuckDBPyConnection, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "rows.parquet"
    with path.open("wb") as file:
        words = command(counted.root, "kpi", name, "--format", "parquet")
        subprocess.run(words, stdout=file, check=True)
    written = pq.read_table(path)
    assert not [field for field in written.schema if pa.types.is_decimal(field.type)]
    ((rows,),) = snapshot.execute(f"SELECT count(*) FROM {name}").fetchall()
    assert written.num_rows == rows > 0
    for field in written.schema:
        if pa.types.is_floating(field.type):
            values = snapshot.sql(f"SELECT {field.name}::DOUBLE FROM {name}").fetchall()
            assert sorted(map(str, written[field.name].to_pylist())) == sorted(
                str(value) for (value,) in values
            )
