"""Plain columns: what the table says of each is what the batch has."""

from dataclasses import MISSING, fields
from typing import Any, get_type_hints

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from v6share.pipelines.kernels.flow_batch import Coded, FlowBatch
from v6share.pipelines.kernels.normalise.normalise import normalise
from v6share.schemas.dialects import Dialect, parse_dialect
from v6share.schemas.flow import PLAIN_COLUMNS, InReverse, Plain
from v6share.schemas.source_kinds import Form

NUMBERS = [c for c in PLAIN_COLUMNS if c.form is Form.NUMBER]
T = 1_767_225_600_000
# A plain column's name in a file is that in the table.
DIALECT = """
name = "plain"
title = "every plain column"
requires = ["packets"]
[columns]
start = [{{ column = "start", unit = "ms" }}]
packets = ["packets"]
octets = ["octets"]
{columns}
[reverse]
packets = ["back"]
octets = ["back"]
{reverse}
"""


def dialect() -> Dialect:
    own = [c for c in PLAIN_COLUMNS if c.reverse is InReverse.OWN]
    columns = "\n".join(f'{c.name} = ["{c.name}"]' for c in PLAIN_COLUMNS)
    reverse = "\n".join(f'{c.name} = ["reverse_{c.name}"]' for c in own)
    return parse_dialect("plain.toml", DIALECT.format(columns=columns, reverse=reverse).encode())


def both(**columns: Any) -> tuple[FlowBatch, ...]:
    """The two directions of a row, or of as many rows as the columns have."""
    rows = max((len(values) for values in columns.values()), default=1)
    ones = {"start": T, "packets": 3, "octets": 100, "back": 2}
    return normalise(pa.record_batch({n: [v] * rows for n, v in ones.items()} | columns), dialect())


def kept(batch: FlowBatch, name: str) -> list[Any] | None:
    values = getattr(batch, name)
    if isinstance(values, Coded):
        return [None if code < 0 else values.values[code] for code in values.codes]
    return None if values is None else values.tolist()


def array_of(column: Plain) -> Any:
    if column.form in (Form.NUMBER, Form.FLAGS):
        return NDArray[getattr(np, f"int{column.bits}")]
    return Coded


@pytest.mark.parametrize("column", PLAIN_COLUMNS, ids=lambda c: c.name)
def test_the_batch_has_a_field_of_its_type(column: Plain) -> None:
    array, optional = array_of(column), "" if column.always else " | None"
    expected = array | None if optional else array
    name = "Coded" if array is Coded else f"I{column.bits}"
    assert get_type_hints(FlowBatch).get(column.name) == expected, (
        f"FlowBatch: expected the field `{column.name}: {name}{optional}`"
    )


def test_what_is_read_has_the_type_of_the_field() -> None:
    for batch in both(**{column.name: pa.array(["1"]) for column in PLAIN_COLUMNS}):
        for column in PLAIN_COLUMNS:
            values = getattr(batch, column.name)
            if isinstance(values, np.ndarray):
                assert NDArray[values.dtype.type] == array_of(column), column.name
            elif values is not None:
                assert type(values) is array_of(column), column.name


@pytest.mark.parametrize("column", NUMBERS, ids=lambda c: c.name)
@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.string()], ids=str)
def test_numbers_within_their_limits_are_kept_and_others_absent(
    column: Plain, kind: pa.DataType
) -> None:
    given = [0, 1, column.limit, column.limit + 1, None, 2**63 - 1]
    texts = pa.array([None if n is None else str(n) for n in given])
    forward = both(**{column.name: texts.cast(kind)})[0]
    assert kept(forward, column.name) == [0, 1, column.limit, -1, -1, -1]
    below = both(**{column.name: pa.array([-1, -5])})[0]
    assert kept(below, column.name) == [-1, -1]


def test_a_file_without_a_column_has_it_nowhere() -> None:
    for batch in both():
        for column in PLAIN_COLUMNS:
            nothing = [""] if column.form is Form.EXPORTER else [-1]
            assert kept(batch, column.name) == (nothing if column.always else None), column.name


def test_text_is_coded_and_null_where_absent() -> None:
    forward = both(server_name=pa.array(["a", None, "b", "a"]), exporter=pa.array(["r", None] * 2))
    assert kept(forward[0], "server_name") == ["a", None, "b", "a"]
    assert kept(forward[0], "exporter") == ["r", "", "r", ""]


def test_the_other_direction_has_what_the_table_says() -> None:
    """Every column has another number, so that one taken from a wrong place is seen."""
    given = {c.name: pa.array([str(number)]) for number, c in enumerate(PLAIN_COLUMNS, 1)}
    forward, reverse = both(**given, reverse_tcp_flags=pa.array([18]))
    pairs = {"src_port": "dst_port", "src_as": "dst_as"}
    for here, there in (*pairs.items(), *((there, here) for here, there in pairs.items())):
        assert kept(reverse, here) == kept(forward, there) != kept(forward, here)
    for name in ("exporter", "server_name", "app_name", "app_id", "subscriber"):
        assert kept(reverse, name) == kept(forward, name) == given[name].to_pylist()
    for name in ("rtt_client_us", "rtt_server_us", "retransmits"):
        assert kept(reverse, name) is None
        assert kept(forward, name) is not None
    assert (kept(reverse, "tcp_flags"), forward.tcp_flags[0]) == ([18], 3)


def test_no_plain_column_has_a_default() -> None:
    """So that a field without a row in the table, or a row without a field, fails at once."""
    required = {field.name for field in fields(FlowBatch) if field.default is MISSING}
    assert {column.name for column in PLAIN_COLUMNS} <= required
