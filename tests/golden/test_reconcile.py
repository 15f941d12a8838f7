"""An independent count of raw files agrees with the ledger, and finds where that is not right."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest
from sample_run import SAMPLE, Counted
from shared_files import CAPTURES, needs_captures
from workspaces import make_workspace, run_json, v6share


def reconcile(root: Path, *paths: object) -> tuple[int, list[dict[str, object]], str]:
    code, out, err = v6share(root, "reconcile", *paths, "--format", "json")
    return code, json.loads(out), err


def test_the_sample_is_counted_as_plain_sql_counts_it(counted: Counted) -> None:
    code, found, err = reconcile(counted.root, SAMPLE / "flows")
    assert (code, found) == (0, []), err
    assert "52 of 52 inputs" in err


@needs_captures
def test_real_exports_are_counted_as_plain_sql_counts_them(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "ws")
    folders = [CAPTURES / name for name in ("goflow2", "goflow2-bin", "pmacct")]
    assert run_json(root, "--unknown-sampling", "unsampled", *folders)[0] == 0
    code, found, err = reconcile(root, *folders)
    assert (code, found) == (0, []), err
    assert "148 of 148 inputs" in err


@pytest.fixture
def harmed(counted: Counted, tmp_path: Path) -> Path:
    """A copy whose published file may be changed."""
    root = tmp_path / "ws"
    shutil.copytree(counted.root / "published", root / "published")
    (root / "catalog").mkdir()
    return root


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        ("UPDATE ledger_families SET rows = rows + 1 WHERE family = 'v6'", {"rows"}),
        ("UPDATE ledger_families SET sampled_bytes = 0 WHERE family = 'v4'", {"bytes"}),
        (
            "UPDATE ledger_families SET family = CASE family WHEN 'v4' THEN 'v6' ELSE 'v4' END",
            {"rows", "packets", "bytes"},
        ),
        ("UPDATE rejects SET rows = 1000 WHERE reason = 'zero_packets'", {"rows without packets"}),
        ("UPDATE ledger_files SET status = 'forgotten'", {"not counted"}),
    ],
)
def test_what_the_ledger_has_otherwise_is_found(harmed: Path, harm: str, what: set[str]) -> None:
    with duckdb.connect(harmed / "published" / "v6share.duckdb") as published:
        published.execute(harm)
    code, found, _ = reconcile(harmed, SAMPLE / "flows")
    assert code == 3
    assert {one["what"] for one in found} == what


def test_a_file_that_is_not_counted_is_said(harmed: Path, tmp_path: Path) -> None:
    name = min((SAMPLE / "flows").rglob("*.parquet"))
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (FROM read_parquet('{name}') LIMIT 10) TO '{tmp_path}/new.parquet'"
        )
    code, found, _ = reconcile(harmed, tmp_path / "new.parquet", name)
    assert code == 3
    assert [(Path(str(one["path"])).name, one["what"]) for one in found] == [
        ("new.parquet", "not counted")
    ]
