"""Dialect files: validation, choice by columns, digest."""

import pytest

from v6share.schemas.dialects import (
    builtin_dialects,
    choose_dialect,
    dialect_named,
    dialects_digest,
    mapped_columns,
    parse_dialect,
    require_dialect,
)
from v6share.schemas.errors import CatalogError, InputRefused, UserError

TINY = """
name = "{name}"
title = "a title"
requires = ["src", ["bytes", "octets"]]
[columns]
src = ["src"]
octets = ["bytes", "octets"]
"""


def tiny(name="tiny", extra=""):
    return parse_dialect("tiny.toml", (TINY.format(name=name) + extra).encode())


def test_the_builtin_dialects():
    assert [d.name for d in builtin_dialects()] == ["goflow2", "ipfix", "pmacct"]
    for dialect in builtin_dialects():
        assert {c for group in dialect.requires for c in group} <= dialect.source_columns | {
            "stamp_inserted"
        }


def test_a_bare_name_is_a_source():
    columns = tiny().columns
    assert [s.column for s in columns.octets] == ["bytes", "octets"]
    assert columns.octets[0].times == 1


@pytest.mark.parametrize(
    ("extra", "line", "key", "words"),
    [
        ('protcol = ["p"]', 8, "columns.protcol", 'did you mean "protocol"'),
        ('start = [{ column = "t", unit = "min" }]', 8, "columns.start[0].unit", "one of s, ms"),
        ('start = ["t"]', 8, "columns.start[0].unit", "missing key"),
        ("[[layer2]]\noctets = 18", 8, "layer2[0].when", "missing key"),
        ('[[layer2]]\noctets = 0\nwhen = [{ column = "t", in = [1] }]', 9, "layer2[0].octets", "1"),
        (
            '[[layer2]]\noctets = 4\nheaders = { names = "n", until = ["IPv4"] }\n'
            'when = [{ column = "t", in = [1] }]',
            10,
            "layer2[0].headers.sizes",
            "missing key",
        ),
        ('[[pre_scaled]]\nwhen = [{ column = "t" }]', 9, "pre_scaled[0].when[0]", "exactly one"),
        ('[[interval]]\nden = "t"', 8, "interval[0]", "exactly one of num"),
        ("[[interval]]\nnum = []", 9, "interval[0].num", "at least 1"),
        (
            '[[reject]]\nreason = "bad"\nwhen = [{ column = "t", in = [1] }]',
            9,
            "reject[0].reason",
            "",
        ),
        ("src = 5", 8, "", "not TOML"),
        ('end = [{ column = 5, unit = "s" }]', 8, "columns.end[0].column", "expected text"),
    ],
)
def test_mistakes_have_a_place(extra, line, key, words):
    with pytest.raises(CatalogError) as caught:
        tiny(extra=extra)
    error = caught.value
    assert (error.file, error.line, error.key) == ("tiny.toml", line, key)
    assert words in error.problem


def test_the_dialect_that_knows_most_wins():
    small = tiny("small")
    large = tiny("large", 'dst = ["dst"]\n')
    assert choose_dialect(["src", "bytes", "dst"], [small, large]).name == "large"
    with pytest.raises(InputRefused, match=r"small, large fit .* equally well"):
        choose_dialect(["src", "octets"], [small, large])


def test_columns_in_another_case_are_named_as_such():
    shouted = tiny("shouted", 'dst = ["DST"]\n')
    with pytest.raises(InputRefused, match=r"but for .* case .* those of shouted: rename"):
        choose_dialect(["SRC", "Octets", "dst", "anything"], [shouted])
    with pytest.raises(InputRefused) as caught:
        choose_dialect(["anything"], builtin_dialects())
    assert "case" not in caught.value.detail


def test_no_dialect_says_what_is_there_and_what_is_not():
    with pytest.raises(InputRefused) as caught:
        choose_dialect(["src", "colour"], [tiny()])
    assert caught.value.reason == "no_dialect"
    assert "found the columns src, colour" in caught.value.detail
    assert "tiny, misses one of (bytes, octets)" in caught.value.detail


def test_the_nearest_dialect_is_named():
    with pytest.raises(InputRefused, match="nearest dialect, goflow2, misses dst_addr"):
        choose_dialect(["src_addr", "bytes", "time_received_ns"], builtin_dialects())


def test_a_refusal_is_short_whatever_the_columns():
    with pytest.raises(InputRefused) as caught:
        choose_dialect([f"{i}" * 1000 for i in range(10_000)], builtin_dialects())
    assert len(caught.value.detail) < 4000
    assert "and 9960 more" in caught.value.detail


def test_a_named_dialect_must_fit():
    assert dialect_named("ipfix", builtin_dialects()).name == "ipfix"
    with pytest.raises(UserError, match='did you mean "pmacct"'):
        dialect_named("pmact", builtin_dialects())
    with pytest.raises(InputRefused, match="; pmacct misses ip_src and ip_dst"):
        require_dialect(["a"], dialect_named("pmacct", builtin_dialects()))


def test_the_digest_follows_what_a_dialect_does_and_nothing_else():
    digest = dialects_digest([tiny()])
    other_title = tiny().model_copy(update={"title": "another"})
    assert dialects_digest([other_title]) == digest
    assert dialects_digest([tiny(extra="# a comment")]) == digest
    assert dialects_digest([tiny(extra='dst = ["dst"]')]) != digest
    assert dialects_digest(list(builtin_dialects())[::-1]) == dialects_digest()
    assert len(dialects_digest()) == 64


def test_the_mapping_of_a_file():
    pairs = mapped_columns(dialect_named("goflow2", builtin_dialects()), ["bytes", "type", "x"])
    assert pairs == (
        ("octets", "bytes"),
        ("interval", "type"),
        ("layer2", "type"),
        ("underlay", "type"),
    )


def test_the_columns_of_headers_are_known_and_mapped():
    goflow2 = dialect_named("goflow2", builtin_dialects())
    assert mapped_columns(goflow2, ["layer_size", "layer_stack", "type"]) == (
        ("interval", "type"),
        ("layer2", "type"),
        ("underlay", "type"),
        ("layer2", "layer_stack"),
        ("layer2", "layer_size"),
    )
