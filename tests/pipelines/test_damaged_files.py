"""Files that name what they do not hold: refused, and never a look into other memory."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import ROWS, flow_columns, write_stray_codes

from v6share.pipelines.flow_file import open_flow_file
from v6share.schemas.errors import InputRefused

pytestmark = pytest.mark.long

BENT_BYTES = Path(__file__).with_name("bent_bytes.py")


@pytest.mark.parametrize("code", [3, 1000, 2**31 - 1, -1])
@pytest.mark.parametrize("column", ["serverName", "applicationName", "exporterIPv4Address"])
def test_a_code_outside_of_its_dictionary_refuses_the_file(
    tmp_path: Path, code: int, column: str
) -> None:
    path = tmp_path / "stray.parquet"
    write_stray_codes(path, code, column)
    file = open_flow_file(str(path))
    with pytest.raises(InputRefused) as caught:
        list(file.read([0], 1024))
    assert caught.value.reason == "unreadable"
    said = f'the column "{column}" is damaged: found the dictionary code {code}, expected 0 to 2'
    assert caught.value.detail.endswith(said)


def test_the_largest_code_of_a_dictionary_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "fine.parquet"
    write_stray_codes(path, 2)
    names = [b.server_name for b in open_flow_file(str(path)).read([0], 1024)]
    assert all(name is not None for name in names)
    texts = {name.values[code] for name in names if name is not None for code in name.codes}
    assert texts == {"c.example"}
    assert sum(len(name.codes) for name in names if name is not None) == ROWS


def write_small(path: Path) -> None:
    """A few flows with columns of each kind: numbers, text as codes, bytes, lists of names."""
    rows = 6
    columns = flow_columns(rows) | {
        "sourceIPv4Address": pa.array([f"10.0.0.{row}" for row in range(rows)]),
        "serverName": pa.array(
            [None if row % 3 else f"{row % 2}.video.example" for row in range(rows)]
        ),
        "userName": pa.array([f"user {row % 5}" for row in range(rows)]),
        "protocolIdentifier": pa.array(["tcp", "udp"] * 3),
        "exporterIPv4Address": pa.array([bytes([10, 0, 0, row % 2]) for row in range(rows)]),
        "tcpControlBits": pa.array(
            [[["ACK", "SYN"], [], None, ["FIN"]][row % 4] for row in range(rows)]
        ),
    }
    pq.write_table(pa.table(columns), path, compression="none", store_schema=False)


@pytest.mark.parametrize("part", range(2))
def test_no_byte_of_a_file_makes_a_kernel_look_outside(tmp_path: Path, part: int) -> None:
    path = tmp_path / "small.parquet"
    write_small(path)
    # In processes of their own: one that is ended is a failure here.
    half = path.stat().st_size // 2
    done = subprocess.run(
        [sys.executable, BENT_BYTES, path, str(part * half), str((part + 1) * half)],
        capture_output=True,
        text=True,
        timeout=280,
        env={"NUMBA_DISABLE_JIT": "1"},
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stdout[-300:], done.stderr[-3000:])
    assert set(done.stdout.splitlines()) <= {"all rows", "no_dialect", "unreadable"}
