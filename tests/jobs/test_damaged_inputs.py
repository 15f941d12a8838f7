"""A file whose codes point outside of their dictionary, beside a good one, in a real run."""

import json
import os
from pathlib import Path

import pytest
from damage import write_stray_codes
from flow_files import write_flows
from workspaces import make_workspace, run_json

pytestmark = pytest.mark.long

APPS = """
[[app]]
id = "shop"
name = "Shop"
match = [{ server_name = "a.example" }, { app_name = "a.example" }, { app_id = "a.example" }]
"""
LONG_AGO = 1_600_000_000


@pytest.mark.parametrize("column", ["serverName", "userName"])
def test_a_file_with_stray_codes_harms_only_itself(tmp_path: Path, column: str) -> None:
    catalog, flows = tmp_path / "catalog", tmp_path / "flows"
    catalog.mkdir()
    (catalog / "apps.toml").write_text(APPS)
    root = make_workspace(tmp_path / "ws", catalog)
    good = write_flows(flows / "good.parquet")
    for name, code in (("far", 2**31 - 1), ("near", 3), ("negative", -1)):
        write_stray_codes(flows / f"{name}.parquet", code, column)
        os.utime(flows / f"{name}.parquet", (LONG_AGO, LONG_AGO))
    code, done, err = run_json(root, flows)
    assert (code, done["run"]["rows_counted"]) == (1, 4), err
    assert (done["run"]["inputs_committed"], done["run"]["inputs_quarantined"]) == (1, 3)
    noted = [json.loads(p.read_text()) for p in sorted((root / "state/quarantine").glob("*.json"))]
    assert {one["reason"] for one in noted} == {"unreadable"}
    assert all(
        f'"{column}" is damaged: found the dictionary code' in one["detail"] for one in noted
    )
    assert good.exists()
    code, done, err = run_json(root, flows)
    assert (code, done["run"]["outcome"]) == (0, "no-op"), err
    assert done["run"]["inputs_quarantined_before"] == 3
