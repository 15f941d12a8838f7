"""The table of the canonical flow: what a dialect, a batch and the pages take from it agrees."""

import pytest

from v6share.schemas.dialects import Reverse
from v6share.schemas.flow import FLOW_COLUMNS, PLAIN_COLUMNS, Columns, InReverse, Plain
from v6share.schemas.source_kinds import FORM_MEANINGS, Form


def test_every_column_has_a_row_and_no_source_by_itself() -> None:
    assert list(FLOW_COLUMNS) == list(Columns.model_fields)
    assert set(dict(Columns()).values()) == {()}
    assert all(column.meaning and column.form in FORM_MEANINGS for column in FLOW_COLUMNS.values())


def test_the_other_direction_has_what_each_direction_has_of_its_own() -> None:
    required = {n for n, field in Reverse.model_fields.items() if field.is_required()}
    assert required == {"packets", "octets"}
    assert set(Reverse.model_fields) - required == {"start", "end", "duration", "tcp_flags"}


@pytest.mark.parametrize("column", PLAIN_COLUMNS, ids=lambda c: c.name)
def test_swapped_columns_come_in_pairs(column: Plain) -> None:
    if column.reverse is InReverse.SWAPPED:
        partner = FLOW_COLUMNS[column.other_end]
        assert isinstance(partner, Plain)
        assert partner.other_end == column.name != partner.name
        assert (partner.reverse, partner.limit) == (column.reverse, column.limit)


@pytest.mark.parametrize(
    ("largest", "bits"),
    [(3, 16), (2**15 - 1, 16), (2**15, 32), (2**31 - 1, 32), (2**31, 64), (2**63 - 1, 64)],
)
def test_numbers_take_the_smallest_width_that_holds_them(largest: int, bits: int) -> None:
    assert Plain("a number", InReverse.SAME, largest=largest).bits == bits


def test_a_number_without_a_limit_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="hops: expected `largest`"):
        _ = Plain("hops left", InReverse.SAME, name="hops", form=Form.NUMBER).limit
