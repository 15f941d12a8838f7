"""An endpoint of DNS, whose clients are no active ones, carries IPv6 all the same."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calls import call
from flow_files import DAY_MS, JANUARY_1, write_flows
from workspaces import read

from v6share.jobs.terminal.exit_codes import ExitCode

CATALOG = {
    "apps.toml": '[[app]]\nid = "dns"\nname = "DNS"\nproduct = "resolver"\n'
    'match = [{ port = 53, region = "eu" }]\n',
    "products.toml": '[[product]]\nid = "resolver"\nname = "Resolver"\ncore = true\n',
    "endpoints.csv": "app,product,region,planned_on,enabled_on\n"
    "dns,resolver,eu,2026-01-01,2026-01-01\n",
}


@pytest.mark.parametrize(
    ("ports", "verdict"),
    [
        ((53, 53, 53), ("records", True)),
        # DNS over HTTPS beside it: its one client is counted, and says little of the others.
        ((53, 53, 443), ("records", True)),
        ((54, 54, 54), ("clients", False)),
    ],
)
def test_an_endpoint_of_dns_carries(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    tmp_path: Path,
    ports: tuple[int, ...],
    verdict: tuple[str, bool],
) -> None:
    """One client only: enough where clients of that port are not counted, and not elsewhere."""
    (root / "catalog").mkdir()
    for name, text in CATALOG.items():
        (root / "catalog" / name).write_text(text.replace("53", str([*ports])))
    for day, port in enumerate(ports):
        path = write_flows(tmp_path / f"flows/{day}.parquet", start_ms=JANUARY_1 + day * DAY_MS)
        table = pq.read_table(path)
        place = table.schema.get_field_index("sourceTransportPort")
        ports = pa.array([port] * table.num_rows, pa.int64())
        pq.write_table(table.set_column(place, "sourceTransportPort", ports), path)
    assert call(capsys, root, "run", tmp_path / "flows")[0] is ExitCode.DONE
    with read(root) as connection:
        for view in ("endpoint_status", "kpi_stage3_parity"):
            assert connection.execute(f"SELECT judged_by, carrying FROM {view}").fetchall() == [
                verdict
            ]
