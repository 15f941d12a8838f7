"""Slips in TOML: the message names the line of the slip, and what to write there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from v6share.schemas.errors import CatalogError
from v6share.schemas.text.toml_files import read_toml

# In each text the slip stands in the line that ends with "# <-".
SLIPS = [
    # brackets of tables
    ('[app] # <-\nid = "a"\n\n[app]\nid = "b"\n', "write each as [[app]]"),
    ('[app] # <-\nid = "a"\n\n[[app]]\nid = "b"\n', "app stands in the lines 1 and 4"),
    ('[[app]]\nid = "a"\n\n[app] # <-\nid = "b"\n', "write each as [[app]]"),
    ('[app]] # <-\nid = "a"\n', "expected [[app]]"),
    ('[[app] # <-\nid = "a"\n', "expected [[app]]"),
    ('[[app # <-\nid = "a"\n', "expected [[app]]"),
    (
        "[sampling]\nunknown = 1\n\n[sampling] # <-\nmax_interval = 3\n",
        "[sampling] stands in the lines 1 and 4; there is one only",
    ),
    ("[run # <-\nthreads = 1\n", "expected [run]"),
    ('[[app]] shop # <-\nid = "a"\n', "found shop behind [[app]], expected the end of the"),
    (
        "[[app]]\nmatch = []\n[[app.match]] # <-\nport = 2\n",
        "found [[app.match]], and match = ... above it",
    ),
    # lists and tables that are not closed
    ('[[app]]\nmatch = [ # <-\n  { port = 1 },\n\n[[app]]\nid = "b"\n', "write ] before line 5"),
    ('[[app]]\nmatch = [ # <-\n  { port = 1 }\n\n[[app]]\nid = "b"\n', "write ] before line 5"),
    ('nat64 = ["2001:db8::/96" # <-\nmap_t = []\n', "write ] before line 2"),
    ("[[app]]\nmatch = [ # <-\n  { port = 1 },\n", "write ] behind its last value"),
    ("[[app]]\nmatch = [\n  { port = 1 # <-\n]\n", "found no } in this line"),
    ("[[app]]\nmatch = [\n  { port = 1, # <-\n    asn = 2 },\n]\n", "stands in one line"),
    ("[[app]]\nmatch = [{ port = 1 }}] # <-\n", "found a } that closes nothing"),
    ("[[app]]\nmatch = [{ port = 1 }]] # <-\n", "found ] behind the value"),
    # commas
    ("[[app]]\nmatch = [\n  { port = 1 } # <-\n  # x\n  { port = 2 }\n]\n", "found no comma"),
    ('nat64 = ["a" "b"] # <-\n', "found no comma between two values"),
    ('[[app]]\nmatch = [{ port = 1 prefix = "a" }] # <-\n', "found no comma before prefix"),
    ("[[app]]\nmatch = [{ port = 1, }] # <-\n", "found a comma before }"),
    # values
    ("[[app]]\nid = shop # <-\n", 'found shop, expected a text in quotes: "shop"'),
    ("match = [{ prefix = 192.0.2.0/24 }] # <-\n", 'quotes: "192.0.2.0/24"'),
    ("match = [{ prefix = 2001:db8::/32, port = 1 }] # <-\n", 'quotes: "2001:db8::/32"'),
    ("nat64 = [2001:db8::/96] # <-\n", 'quotes: "2001:db8::/96"'),
    ("match = [{ port = 8000-8010 }] # <-\n", 'quotes: "8000-8010"'),
    ("match = [{ port = 080 }] # <-\n", "found 080; write 80"),
    ("id = “shop” # <-\n", 'found “shop”, expected plain quotes: "shop"'),
    ("core = True # <-\n", "found True, expected true"),
    ("match = [{ shared = yes, port = 1 }] # <-\n", "found yes, expected true"),
    ("by = 2026-13-01 # <-\n", "found 2026-13-01, expected a day such as 2026-03-31"),
    ("by = 31.12.2026 # <-\n", "expected a day such as 2026-03-31"),
    ("share = 90% # <-\n", "expected a share from 0 to 1, such as 0.90"),
    ("active_users = 500,000,000 # <-\n", "found 500,000,000; write 500_000_000"),
    ("id = # <-\nname = 1\n", "found no value behind the ="),
    ('id = "a # <-\nname = "b"\n', "begins in this line and does not end there"),
    ('name = "a\\d" # <-\n', "write it twice, or put the text in '...'"),
    ('id = "a"; # <-\n', "found ; behind the value"),
    # quotes
    (
        "nat64 = ['2001:db8::/96\"] # <-\n",
        'found \'2001:db8::/96", whose quotes differ; write "200',
    ),
    ('id = \'shop" # <-\nname = "x"\n', 'found \'shop", whose quotes differ; write "shop"'),
    ("match = [{ prefix = \"10.0.0.0/8', port = 1 }] # <-\n", 'write "10.0.0.0/8"'),
    ("map_t = ['a\", 'b'] # <-\n", 'found \'a", whose quotes differ; write "a"'),
    ("map_t = ['a', \"b'] # <-\n", 'found "b\', whose quotes differ; write "b"'),
    ("a = 'b'\nid = 'shop # <-\nname = 1\n", "begins in this line and does not end there"),
    # keys
    ('id: "shop" # <-\n', "found : behind id, expected id ="),
    ("match = [{ port: 443 }] # <-\n", "found : behind port, expected port ="),
    ('id = "a"\nid = "b" # <-\n', "the key id stands twice in its table, in line 1 already"),
    ("match = [{ port = 1, port = 2 }] # <-\n", "'port'; keep one of them"),
    ("server name = 1 # <-\n", "expected = behind the first word"),
    ("// apps # <-\nid = 1\n", "a comment begins with #"),
    # brackets in texts and comments are none
    ('id = "[ {"\n# [ {\nname = x # <-\n', "found x, expected a text in quotes"),
]


def refused(text: str) -> CatalogError:
    with pytest.raises(CatalogError) as caught:
        read_toml("f.toml", text.encode(), ("app", "app.match"))
    return caught.value


@pytest.mark.parametrize(("text", "said"), SLIPS)
def test_a_slip_is_named_in_its_line_with_what_to_write(text: str, said: str) -> None:
    for ends in (text, text.replace("\n", "\r\n")):
        error = refused(ends)
        lines = [n for n, line in enumerate(text.split("\n"), 1) if line.endswith("# <-")]
        assert [error.line] == lines, str(error)
        assert said in error.problem
        assert error.problem.startswith("not TOML: ")


def test_what_is_no_known_slip_keeps_the_message_of_the_parser() -> None:
    assert str(refused('id = "a\x01"\n')) == "f.toml:1: not TOML: Illegal character '\\x01'"


class One(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = ""


class File(BaseModel):
    app: tuple[One, ...] = ()
    stage: One = One()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('\n[app]\nid = "a"\n', "f.toml:2: app: found [app], expected [[app]]: there may be sev"),
        ("\n[[stage]]\n", "f.toml:2: stage: found [[stage]], expected [stage]: there is one onl"),
        ("\napp = {}\n", "f.toml:2: app: found a table, expected a list"),
        ("\nstage = 3\n", "f.toml:2: stage: found 3, expected a table"),
    ],
)
def test_brackets_that_parse_and_mean_another_thing(text: str, said: str) -> None:
    with pytest.raises(CatalogError) as caught:
        read_toml("f.toml", text.encode()).validate(File)
    assert str(caught.value).startswith(said)


PIECES = ["[", "[[", "]", "]]", "{", "}", "=", ",", '"', "'", "#", "\n", "app", " 1", "-", ".", ":"]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
@settings(max_examples=500, deadline=None)
def test_whatever_is_no_toml_has_a_line_of_the_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    error = None
    try:
        read_toml("f.toml", text.encode())
    except CatalogError as caught:
        error = caught
    if error is not None:
        assert error.line is not None
        assert 1 <= error.line <= text.count("\n") + 1
