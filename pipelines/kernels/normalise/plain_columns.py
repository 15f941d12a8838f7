"""Plain columns: read as the table of the canonical flow says, with no step of their own."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from v6share.pipelines.kernels.flow_batch import I16, I32, I64, Coded, FlowBatch
from v6share.pipelines.kernels.normalise.column_values import first_coded
from v6share.pipelines.kernels.normalise.source_columns import SourceRows
from v6share.pipelines.kernels.normalise.vendor_formats import (
    app_id_reader,
    exporter_reader,
    host_reader,
    text_reader,
)
from v6share.schemas.flow import PLAIN_COLUMNS, Columns, InReverse, Plain
from v6share.schemas.source_kinds import Form

_TEXT_READERS: Final = {
    Form.TEXT: text_reader,
    Form.HOST: host_reader,
    Form.APP_ID: app_id_reader,
    Form.EXPORTER: exporter_reader,
}


def read_plain(rows: SourceRows, columns: Columns) -> dict[str, Any]:
    """The fields of ``FlowBatch`` for the plain columns, by name."""
    return {column.name: _read(rows, column, columns) for column in PLAIN_COLUMNS}


def read_plain_reverse(rows: SourceRows, forward: FlowBatch, reverse: Columns) -> dict[str, Any]:
    """The same fields for the other direction of these rows, whose flows ``forward`` is.

    ``reverse`` has sources for what each direction has of its own; all else that is neither the
    same nor swapped is unknown.
    """
    fields: dict[str, Any] = {}
    for column in PLAIN_COLUMNS:
        if column.reverse is InReverse.SAME:
            fields[column.name] = getattr(forward, column.name)
        elif column.reverse is InReverse.SWAPPED:
            fields[column.name] = getattr(forward, column.other_end)
        else:
            fields[column.name] = _read(rows, column, reverse)
    return fields


def _read(rows: SourceRows, column: Plain, columns: Columns) -> I16 | I32 | I64 | Coded | None:
    sources: Sequence[Any] = getattr(columns, column.name)
    if not column.always and not rows.present(sources):
        return None
    if column.form in _TEXT_READERS:
        return _texts(rows, column, sources)
    if column.form is Form.FLAGS:
        return rows.flags(sources, column.limit)
    if column.form is Form.NUMBER:
        return _numbers(rows, column, sources)
    raise ValueError(f"{column.name}: no plain column can have the form {column.form.value}")


def _numbers(rows: SourceRows, column: Plain, sources: Sequence[Any]) -> I16 | I32 | I64:
    if column.bits == 64:
        return rows.wide(sources, column.limit)
    numbers = rows.narrow(sources, column.limit)
    return numbers if column.bits == 32 else numbers.astype(np.int16)


def _texts(rows: SourceRows, column: Plain, sources: Sequence[Any]) -> Coded | None:
    texts = rows.texts(sources, _TEXT_READERS[column.form])
    if not column.always or (texts is not None and (texts.codes >= 0).all()):
        return texts
    empty = Coded(np.zeros(rows.rows, np.int32), ("",))
    return empty if texts is None else first_coded([texts, empty])
