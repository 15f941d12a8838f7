"""Advice about what nobody states, and lines to paste."""

from importlib.resources import files

from v6share.schemas.catalog.models import Exporter
from v6share.schemas.catalog.parse import exporters_header
from v6share.schemas.catalog.suggest import directions_advice, interval_advice
from v6share.schemas.outcome import Outcome

REQUIRED = ("exporter", "vantage", "role", "sampling_interval", "white_box")


def advised(
    rows: int,
    without: dict[str, int],
    *exporters: Exporter,
    header: tuple[str, ...] = REQUIRED,
) -> str | None:
    one = Outcome("/a", 10, 7, "fragment", rows_in=rows, rows_without_interval=without)
    return interval_advice([one], exporters, header)


def test_a_tenth_without_interval_is_not_worth_a_word() -> None:
    assert advised(100, {"192.0.2.1": 10}) is None
    assert advised(0, {}) is None
    assert advised(100, {"192.0.2.1": 11}) is not None


def test_new_exporters_get_a_line_and_listed_ones_a_word() -> None:
    listed = Exporter(exporter="192.0.2.1", vantage="edge")
    text = advised(100, {"192.0.2.1": 20, "192.0.2.2": 20, "": 10}, listed)
    assert text is not None
    assert "  192.0.2.2,edge,,N,false" in text.splitlines()
    assert "  192.0.2.1,edge,,N,false" not in text
    assert "(no exporter): 10 rows" in text
    assert "listed there need a sampling_interval" in text


def test_exporters_of_both_directions_get_a_line_or_a_word() -> None:
    new = {"exporter": "192.0.2.2", "egress_rows": 50, "rows": 100, "listed": False}
    text = directions_advice([new], (*REQUIRED, "directions"))
    assert text is not None
    assert "  192.0.2.2,edge,,,false,both" in text.splitlines()
    assert "  192.0.2.2: 50 of 100 rows are egress records" in text.splitlines()
    assert "listed there" not in text
    text = directions_advice([new | {"listed": True}], (*REQUIRED, "directions"))
    assert text is not None
    assert "listed there need the directions both" in text
    assert "false,both" not in text


def test_lines_to_paste_have_the_columns_of_the_file() -> None:
    mine = ("site", "white_box", "sampling_interval", "exporter", "role", "vantage")
    text = advised(100, {"core, old": 20}, header=mine)
    assert text is not None
    assert '  ,false,N,"core, old",,edge' in text.splitlines()
    assert "  site," not in text  # it has its header


def test_lines_for_no_file_come_with_the_header_of_the_starter_file() -> None:
    starter = (files("v6share.jobs") / "starter/exporters.csv").read_bytes()
    text = advised(100, {"192.0.2.2": 20}, header=())
    assert text is not None
    header, line = (line.strip() for line in text.splitlines() if line.count(",") > 6)
    assert header.split(",") == exporters_header(starter)
    assert line == "192.0.2.2,edge,,N,false,,,,"


def test_a_file_without_the_column_directions_is_told_where_to_get_it() -> None:
    new = {"exporter": "192.0.2.2", "egress_rows": 50, "rows": 100, "listed": False}
    text = directions_advice([new], REQUIRED)
    assert text is not None
    assert "  192.0.2.2,edge,,,false,both" in text.splitlines()
    assert "put ,directions at the end of its header" in text
    assert "put ,directions" not in str(directions_advice([new], (*REQUIRED, "directions")))
    assert "put ,directions" not in str(directions_advice([new | {"exporter": ""}], REQUIRED))


def test_a_few_egress_records_are_not_worth_a_word() -> None:
    few = {"exporter": "192.0.2.2", "egress_rows": 9, "rows": 100, "listed": False}
    assert directions_advice([few], ()) is None
    assert directions_advice([few | {"egress_rows": 10}], ()) is not None
    assert directions_advice([], ()) is None
