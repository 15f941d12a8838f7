"""Which Arrow types the columns of a dialect may have: refused at opening, not in the middle."""

from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.types as pt

from v6share.pipelines.kernels.normalise.addresses import holds_addresses
from v6share.pipelines.kernels.normalise.column_values import (
    reads_tests,
    reads_text,
    reads_whole,
    value_type,
)
from v6share.pipelines.kernels.normalise.header_sizes import reads_names, reads_sizes
from v6share.pipelines.kernels.normalise.times import reads_times
from v6share.schemas.dialects import RULE_KINDS, Dialect, Rule, Test
from v6share.schemas.errors import InputRefused
from v6share.schemas.flow import FLOW_COLUMNS
from v6share.schemas.source_kinds import Form, TimeSource


def check_types(schema: pa.Schema, dialect: Dialect) -> None:
    """Raise InputRefused ``no_dialect`` where a column that the dialect reads has a type that
    no reader here understands, or a name that stands twice.
    """
    names = schema.names
    for canonical, column, reads in _readers(dialect):
        if names.count(column) > 1:
            raise InputRefused(
                "no_dialect",
                f'found the column "{column}" {names.count(column)} times, expected it once',
            )
        if column in names and not reads(_storage(schema.field(column).type)):
            kind = str(schema.field(column).type)
            raise InputRefused(
                "no_dialect",
                f'the column "{column}" has the type {kind[:80]}, which cannot be read as '
                f"{canonical} of the dialect {dialect.name}; expected "
                + _EXPECTED.get(reads, "text or whole numbers"),
            )


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _readers(dialect: Dialect) -> list[tuple[str, str, Callable[[pa.DataType], bool]]]:
    """(canonical column, source column, which types it may have) for every use."""
    uses: list[tuple[str, str, Callable[[pa.DataType], bool]]] = []
    parts = [*dialect.columns, *(dialect.reverse or ())]
    for canonical, sources in parts:
        for source in sources:
            uses.append((canonical, source.column, _READERS[FLOW_COLUMNS[canonical].form]))
            if isinstance(source, TimeSource) and source.base is not None:
                uses.append((canonical, source.base, reads_times))
    for form in dialect.interval:
        sums = [*(form.num or ()), *(form.den or ())]
        uses += [("interval", column, reads_whole) for column in sums]
        if form.probability is not None:
            uses.append(("interval", form.probability, _reads_probability))
        uses += [("interval", c, _reads_test(t)) for t in form.when for c in t.column]
    for kind in RULE_KINDS:
        rules: tuple[Rule, ...] = getattr(dialect, kind)
        uses += [(kind, c, _reads_test(t)) for r in rules for t in r.when for c in t.column]
    for shown in (rule.headers for rule in dialect.layer2 if rule.headers is not None):
        uses += [("layer2", shown.names, reads_names), ("layer2", shown.sizes, reads_sizes)]
    return uses


def _reads_flags(kind: pa.DataType) -> bool:
    if pt.is_list(kind) or pt.is_large_list(kind):
        return reads_text(kind.value_type)
    return reads_whole(kind)


def _reads_probability(kind: pa.DataType) -> bool:
    kind = value_type(kind)
    return bool(pt.is_floating(kind) or pt.is_decimal(kind) or reads_whole(kind))


def _reads_test(test: Test) -> Callable[[pa.DataType], bool]:
    return (lambda _: True) if test.present is not None else reads_tests


_READERS: Final[dict[Form, Callable[[pa.DataType], bool]]] = {
    Form.TIME: reads_times,
    Form.ADDRESS: holds_addresses,
    Form.FAMILY: reads_tests,
    Form.NUMBER: reads_whole,
    Form.PROTOCOL: reads_whole,
    Form.FLAGS: _reads_flags,
    Form.TEXT: reads_text,
    Form.HOST: reads_text,
    Form.APP_ID: reads_text,
    Form.EXPORTER: reads_text,
}
_EXPECTED: Final[dict[Callable[[pa.DataType], bool], str]] = {
    holds_addresses: "text, 4 or 16 bytes, or 32-bit integers",
    reads_times: "timestamps, numbers or text",
    reads_whole: "numbers, or text with digits",
    _reads_flags: "numbers, text, or lists of text",
    _reads_probability: "numbers",
    reads_names: "lists of text or whole numbers",
    reads_sizes: "lists of whole numbers",
}
