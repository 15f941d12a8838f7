"""Lines of TOML key paths. In these texts every number says the line on which it stands."""

import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from v6share.schemas.text.toml_lines import key_lines, line_of

# "@" becomes the number of its line, "#n" the number of the block.
BLOCKS = [
    "k#n = @ # not a key = 3, [x]\n",
    "\n# [comment]\n   k#n=@\n",
    '[t#n]\na = @\nb.c.d = @\nb.\'quoted " key\' = @\n"e\\u0066" = @\n',
    "[[list]]\nx = @\nmatch = [{a = @, b = {c = @}}, {a = @}]\n",
    "[[list]]\n[list.sub]\nx = @\n[[list.deep]]\ny = @\n[[list.deep]]\ny = @\n",
    "[a#n]\narray = [ # ]\n  @,\n\n  [ @, # ]]\n  @ ], @\n  , @,\n]\nafter = @\n",
    '[s#n]\ntext = """\n[[list]] = {\n \\""" # x\n"""\nafter = @\n',
    "[l#n]\ntext = '''\nit's ]] \"\"\" \\\n'''\nplain = 'C:\\'\nafter = [\"]\", '#', @]\n",
    '[e#n]\nday = 2026-01-01 10:00:00\nfloat = 1e5\nquotes = """a"""""\nafter = @\n',
    '[d#n.x."y.z"]\nv = @\r\nw = { p.q = @ , r = [] }\r\n',
]


def text_of(blocks: list[int]) -> str:
    text = ""
    for number, block in enumerate(blocks):
        text += BLOCKS[block].replace("#n", str(number)) if number else "top = @\n"
    # Keys that are not in a table must come first, else they belong to the table above.
    parts = text.split("\n")
    return "\n".join(line.replace("@", str(i)) for i, line in enumerate(parts, 1))


def numbers(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, int]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from numbers(below, (*path, key))
    elif isinstance(value, list):
        for position, below in enumerate(value):
            yield from numbers(below, (*path, position))
    elif isinstance(value, int):
        yield path, value


@given(st.lists(st.integers(0, len(BLOCKS) - 1), min_size=1, max_size=12))
@settings(deadline=None)
def test_every_number_stands_on_the_line_that_it_says(blocks: list[int]) -> None:
    text = text_of(blocks)
    lines = key_lines(text)
    leaves = dict(numbers(tomllib.loads(text)))
    assert leaves
    assert {path: lines[path] for path in leaves} == leaves


def test_an_absent_key_has_the_line_of_its_table() -> None:
    lines = key_lines("[[app]]\nid = 'a'\n\n[[app]]\nmatch = [\n  {port = 1},\n]\n")
    assert line_of(lines, ("app", 1, "id")) == 4
    assert line_of(lines, ("app", 1, "match", 0, "prefix")) == 6
    assert line_of(lines, ("app", 0)) == 1
    assert line_of(lines, ("product",)) is None
