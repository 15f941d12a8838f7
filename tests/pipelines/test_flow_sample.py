"""The sample of flows that the gate judges: bounded, classified, and without addresses."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from v6share.pipelines.compile_plan import compile_plan
from v6share.pipelines.flow_sample import MOST_INPUTS, ROWS_OF_EACH, sample_flows
from v6share.pipelines.kernels.plan import Plan
from v6share.workspace.configured import configure_for_reading

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    root = tmp_path_factory.mktemp("w")
    (root / "catalog").symlink_to(SAMPLE / "catalog")
    configured = configure_for_reading(root, {})
    return compile_plan(configured.catalog, configured.settings, configured.client_key)


def test_it_is_bounded_and_says_how_flows_were_counted(plan: Plan) -> None:
    files = sorted((SAMPLE / "flows").rglob("*.parquet"))
    assert len(files) > MOST_INPUTS
    found = sample_flows([(str(path), "") for path in files], plan)
    paths = found.column("path").value_counts().to_pylist()
    assert len(paths) == MOST_INPUTS
    assert all(0 < one["counts"] <= ROWS_OF_EACH for one in paths)
    assert set(found.column("family").to_pylist()) == {"v4", "v6"}
    assert "video" in found.column("app").to_pylist()
    assert "" not in found.column("exporter").to_pylist()


def test_no_address_is_in_it(plan: Plan) -> None:
    (path, *_) = sorted((SAMPLE / "flows").rglob("*.parquet"))
    found = sample_flows([(str(path), "")], plan)
    text = [
        name for name in found.schema.names if pa.types.is_string(found.schema.field(name).type)
    ]
    assert text == [
        "path",
        "exporter",
        "family",
        "ip_class",
        "underlay",
        "direction",
        "app",
        "network",
    ]


def test_what_is_gone_or_spoilt_is_passed_over(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "spoilt.parquet").write_bytes(b"PAR1 nothing PAR1")
    pq.write_table(pa.table({"nothing": [1]}), tmp_path / "other.parquet")
    names = ("spoilt", "other", "gone")
    found = sample_flows([(str(tmp_path / f"{name}.parquet"), "") for name in names], plan)
    assert found.num_rows == 0
