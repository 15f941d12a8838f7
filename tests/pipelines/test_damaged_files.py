"""Files that name what they do not hold: refused, and never a look into other memory."""

from pathlib import Path

import pytest
from damage import ROWS, write_stray_codes

from v6share.pipelines.sources import open_flow_file
from v6share.schemas.errors import InputRefused


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
