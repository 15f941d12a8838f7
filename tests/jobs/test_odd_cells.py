"""No cell refuses a file: whatever a text holds, only its own row may be rejected."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calls import run
from flow_files import write_flows

from v6share.jobs.terminal.exit_codes import ExitCode

ODD = [
    "9" * 5000,
    "0x" + "f" * 5000,
    "-" + "9" * 400,
    "1e999999999",
    "NaN",
    "inf",
    "٣" * 30,
    "\x00\x00",
    "",
    " ",
    ":" * 300,
    "1.2.3.4" * 200,
    "2001:db8::/129",
    "9999-12-31T23:59:59.999999999Z",
    "0000-00-00 00:00:00",
    "2026-02-30T00:00:00",
    "'; DROP TABLE ledger_files; --",
    "{}",
    "\udcff".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
    "A" * 100_000,
]


def test_each_odd_text_harms_its_own_row_alone(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    table = pq.read_table(write_flows(tmp_path / "plain.parquet", rows=2 * len(ODD)))
    for name in table.schema.names:
        place = table.schema.get_field_index(name)
        plain = [None if one is None else str(one) for one in table.column(name).to_pylist()]
        texts = [*ODD, *plain[len(ODD) :]]
        folder = tmp_path / "flows"
        folder.mkdir(exist_ok=True)
        pq.write_table(
            table.set_column(place, name, pa.array(texts, pa.string())), folder / f"{name}.parquet"
        )
    code, summary, err = run(capsys, root, tmp_path / "flows")
    assert code is ExitCode.DONE, err
    assert summary["inputs_committed"] == len(table.schema.names)
    assert summary["rows_in"] == 2 * len(ODD) * len(table.schema.names)
    # The half of each file that is as it was counts.
    assert summary["rows_counted"] >= summary["rows_in"] // 2
