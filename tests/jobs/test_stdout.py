"""One table in each form."""

import csv
import io
import json
import re
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v6share.jobs.terminal import stdout
from v6share.render.text import Form, text_of
from v6share.render.units import with_header
from v6share.render.values import bytes_for_people, json_value, share_for_people, value_for_people
from v6share.schemas.errors import UserError

TABLE = pa.table(
    {
        "app": ["video", None],
        "bytes": pa.array([8_384_292, 2**62], pa.int64()),
        "bytes_variance": pa.array([Decimal(10**37), Decimal(0)], pa.decimal128(38, 0)),
        "share": pa.array([Decimal("0.412345"), None], pa.decimal128(18, 6)),
        "attained": [True, None],
        "day": [date(2026, 1, 31), None],
        "window_start": pa.array(
            [datetime(2026, 1, 31, 12, 5, tzinfo=UTC), None], pa.timestamp("us")
        ),
        "ids": [["a", "b"], []],
    }
)


def test_json_is_exact() -> None:
    first, second = json.loads(text_of(TABLE, "json"), parse_float=Decimal)
    assert first == {
        "app": "video",
        "bytes": 8_384_292,
        "bytes_variance": 10**37,
        "share": Decimal("0.412345"),
        "attained": True,
        "day": "2026-01-31",
        "window_start": "2026-01-31T12:05:00Z",
        "ids": ["a", "b"],
    }
    assert second["bytes"] == 2**62
    assert second["share"] is None


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_names_do_not_write_to_the_terminal(form: Form) -> None:
    table = pa.table({"exporter": ["r1\x1b[2J\x1b]0;t\x07\r\nerror: no"]})
    text = text_of(table, form)
    assert not set(text) & set("\x1b\x07\r")
    assert "\\x1b[2J" in text
    assert "\nerror" not in text


def test_json_of_nothing_is_a_list() -> None:
    assert json.loads(text_of(TABLE.slice(0, 0), "json")) == []


def test_json_has_one_row_a_line() -> None:
    lines = text_of(TABLE, "json").splitlines()
    assert [lines[0], lines[-1]] == ["[", "]"]
    assert [json.loads(line.rstrip(","))["app"] for line in lines[1:-1]] == ["video", None]


def test_csv_is_exact() -> None:
    first, second = csv.DictReader(io.StringIO(text_of(TABLE, "csv")))
    assert first == {
        "app": "video",
        "bytes": "8384292",
        "bytes_variance": "1" + "0" * 37,
        "share": "0.412345",
        "attained": "true",
        "day": "2026-01-31",
        "window_start": "2026-01-31T12:05:00Z",
        "ids": '["a", "b"]',
    }
    assert second["share"] == ""


def test_plain_text_lines_up_and_is_for_people() -> None:
    assert text_of(TABLE.select(["app", "bytes", "share", "attained"]), "table") == (
        "app      bytes   share  attained\nvideo  8.38 MB  41.2 %  yes\n-      4.61 EB       -  -\n"
    )


def test_markdown_escapes_bars() -> None:
    table = pa.table({"note": ["a|b"], "rows": [1234]})
    assert text_of(table, "markdown", title="T") == (
        "### T\n\n| note | rows |\n| --- | ---: |\n| a\\|b | 1,234 |\n"
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_500, "1 MB"),
        (8_384_292, "8.38 MB"),
        (10**13, "10 TB"),
        (-1500, "-1.5 kB"),
    ],
)
def test_bytes_for_people(count: int, text: str) -> None:
    assert bytes_for_people(count) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("rows_in", 1234567, "1,234,567"),
        ("share_low", 0.5, "50.0 %"),
        ("share_kind", "strict", "strict"),
        ("size", 2000, "2 kB"),
        ("bytes_variance", 2000, "2,000"),
        ("n_eff", 31.25, "31.25"),
        ("window_start", datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01 00:00"),
        ("ratio", float("nan"), "-"),
        ("command", "v6share run " + "f" * 48, "v6share run " + "f" * 48),
        ("command", "v6share run " + "f" * 49, "v6share run " + "f" * 45 + "..."),
    ],
)
def test_values_for_people(name: str, value: object, text: str) -> None:
    assert value_for_people(name, value) == text


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("share", Decimal("0.9061"), "90.6 %"),
        ("share", 1.5, "150.0 %"),
        ("points", -0.007194, "-0.72 pp"),
        ("points", -0.000001, "0.00 pp"),
        ("bytes", 2000, "2 kB"),
        ("apps", 2000, "2,000"),
    ],
)
def test_the_unit_tells_how_a_value_is_shown(unit: str, value: object, text: str) -> None:
    assert value_for_people("x", value, unit) == text


@pytest.mark.parametrize(
    ("share", "target", "text"),
    [
        (0.9, 0.9, "90.0 %"),
        (0.8996, 0.9, "89.96 %"),
        (0.90004, Decimal("0.9"), "90.004 %"),
        (0.8949, 0.9, "89.5 %"),
        (1 / 3, None, "33.3 %"),
        (0.99996, None, "99.996 %"),
        (1.0, 0.9, "100.0 %"),
        (0.00025, None, "0.03 %"),
        (0.0, 0.9, "0.0 %"),
    ],
)
def test_a_share_is_never_shown_as_nothing_the_whole_or_a_target_that_it_is_not(
    share: float, target: float | Decimal | None, text: str
) -> None:
    assert share_for_people(share, target) == text


def test_a_row_tells_unit_and_target_of_its_cells() -> None:
    table = with_header(
        pa.table(
            {
                "basis": ["bytes", "tcp_opens"],
                "numerator": [2000, 2000],
                "share": [0.8999, 0.95],
                "target": [0.9, 0.9],
            }
        ),
        "unit: numerator: of the basis; share, target: share 0 to 1; a remark",
    )
    assert text_of(table, "csv").splitlines()[1] == "bytes,2000,0.8999,0.9"
    assert text_of(table, "table").splitlines()[1:] == [
        "bytes           2 kB  89.99 %  90.0 %",
        "tcp_opens      2,000   95.0 %  90.0 %",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: str = "100") -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return terminal


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    stdout.write_table(TABLE.select(["app", "bytes"]), "table", title="Apps")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.isascii()


def test_a_terminal_gets_a_styled_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    stdout.write_table(TABLE.select(["app", "bytes"]), "table", title="Apps")
    assert "\x1b[" in terminal.getvalue()


def test_a_terminal_breaks_lines_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch, columns="20")
    stdout.write_lines(["- the quick brown fox jumps", "over"])
    assert terminal.getvalue() == "- the quick brown \nfox jumps\nover\n"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    stdout.write_table(TABLE.select(["app", "bytes"]), "table", title="Apps")
    assert not any(f"\x1b[{code}" in terminal.getvalue() for code in range(30, 50))


def test_a_table_too_wide_for_the_terminal_says_what_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = on_terminal(monkeypatch, columns="34")
    monkeypatch.setenv("NO_COLOR", "1")
    table = TABLE.append_column("basis", [["bytes", "bytes"]])
    stdout.write_table(with_header(table, "first: app, share, day"), "table", title="T")
    lines = [
        line.rstrip() for line in re.sub("\x1b\\[[0-9]*m", "", terminal.getvalue()).split("\n")
    ]
    assert [*lines[:2], *lines[3:5]] == [
        "T",
        "app      bytes   share  day",
        "video  8.38 MB  41.2 %  2026-01-31",
        "-      4.61 EB       -  -",
    ]
    assert " ".join(lines[5:]).strip() == (
        "the same in all rows shown: basis bytes left out, as the terminal is narrow: "
        "bytes_variance, attained, window_start, ids; --format csv shows all"
    )


def test_a_terminal_gets_the_first_rows_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    table = pa.table({"n": list(range(100))})
    stdout.write_table(table, "table")
    assert "60 more rows" in terminal.getvalue()


def test_a_pipe_gets_all_rows(capsys: pytest.CaptureFixture[str]) -> None:
    stdout.write_table(pa.table({"n": list(range(100))}), "table")
    assert len(capsys.readouterr().out.splitlines()) == 101


def test_parquet_round_trips(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "out.parquet").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        stdout.write_table(TABLE, "parquet")
    assert pq.read_table(tmp_path / "out.parquet").equals(TABLE)


def test_parquet_is_not_thrown_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    with pytest.raises(UserError, match="write it to a file"):
        stdout.write_table(TABLE, "parquet")


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.text(),
            st.decimals(allow_nan=False, allow_infinity=False, places=6),
        )
    )
)
def test_json_values_survive(values: list[object]) -> None:
    parsed = json.loads(json_value(values), parse_float=Decimal)
    assert parsed == values
