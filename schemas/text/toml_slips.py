"""What to write instead, where a text is not TOML. Pure.

``tomllib`` says where it could not go on, which is often not where the slip is, and what the
grammar expected. Here its message becomes the line of the slip and the words to put there. Slips
that are not known keep the message and the line of ``tomllib``.
"""

import re
from collections.abc import Collection
from typing import Final, NamedTuple

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]*?)\s*(\]{0,2})\s*(?:#.*)?$")
_BEHIND_HEADER: Final = re.compile(r"\s*(\[\[?[^\[\]]+\]\]?)\s*([^\s\]#][^#]*)")
_PAIR: Final = re.compile(r"\s*([\w.\"'-]+)\s*=")
_LAST_WORD: Final = re.compile(r"[\w.\"'-]+\s*$")
# Strings, comments, brackets, line ends and quotes without an end: all that tells what is open.
_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}\n"\']',
    re.DOTALL,
)
# A text that begins with one kind of quote and ends with the other.
_MIXED_QUOTES: Final = re.compile(
    r"[=\[,]\s*((?:'([^'\"\n]*)\"|\"([^'\"\n]*)'))(?=\s*[,\]}]|\s+#|\s*$)"
)
_BARE: Final = re.compile(r"[^,\]}#\n]+")
_ODD_QUOTES: Final = "“”„‘’«»`"
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "yes", "on"), "true"),
    **dict.fromkeys(("false", "no", "off"), "false"),
}
_LIKE_A_DAY: Final = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}", re.ASCII)
_WITH_COMMAS: Final = re.compile(r"\d{1,3}(,\d{3})+", re.ASCII)
_PER_CENT: Final = re.compile(r"[\d.]+\s*%", re.ASCII)
_ZERO_AHEAD: Final = re.compile(r"0\d+", re.ASCII)
_OF_VALUES: Final = ("Invalid value", "Unclosed inline table", "Unclosed array")


class _Place(NamedTuple):
    """Where ``tomllib`` stopped.

    ahead: the rest of the line from there. behind: the line before it. opened: brackets that are
    open there, each with its line. lists: names of tables of which there may be several.
    """

    line: int
    text: str
    behind: str
    ahead: str
    opened: tuple[tuple[str, int], ...]
    lists: Collection[str]


def what_to_write(
    text: str, line: int, column: int | None, message: str, lists: Collection[str]
) -> tuple[int, str]:
    """The line of a slip and what to write there.

    line, column, message: as ``tomllib`` gives them, from 1; column None: the end of the text.
    lists: names of tables of which there may be several.
    """
    place = _place(text, line, column, lists)
    for slip in (_of_quotes, _of_headers, _of_open_brackets, _of_values, _of_keys):
        found = slip(text, place, message)
        if found is not None:
            return found
    return line, message


def of_brackets(header: str, problem: str) -> str | None:
    """What to write where a table stands in place of a list of tables, or the other way round.

    header: the line. problem: what is wrong with the value, as in ``wording``. None where the line
    is no header, or the problem another one.
    """
    found = _HEADER.match(header)
    if found is None:
        return None
    one, several = f"[{found[2]}]", f"[[{found[2]}]]"
    if problem == "found a table, expected a list":
        return f"found {one}, expected {several}: there may be several, so write it in two brackets"
    if problem.endswith(", expected a table") and found[1] == "[[":
        return f"found {several}, expected {one}: there is one only, so write it in one bracket"
    return None


def _place(text: str, line: int, column: int | None, lists: Collection[str]) -> _Place:
    lines = text.split("\n")
    whole = lines[line - 1] if line <= len(lines) else ""
    at = len(whole) if column is None else column - 1
    before = "\n".join((*lines[: line - 1], whole[:at]))
    return _Place(line, whole, whole[:at], whole[at:], _opened(before), lists)


def _opened(text: str) -> tuple[tuple[str, int], ...]:
    """The brackets that are open at the end of a text, outermost first. Headers are none."""
    opened: list[tuple[str, int]] = []
    line, of_line = 1, 0
    for token in _TOKEN.finditer(text):
        found = token[0]
        is_header = not opened and not text[of_line : token.start()].strip(" [\t")
        if found == "\n":
            line, of_line = line + 1, token.end()
        elif found in "]}":
            del opened[-1:]
        elif found == "{" or (found == "[" and not is_header):
            opened.append((found, line))
        else:
            line += found.count("\n")
    return tuple(opened)


def _of_quotes(text: str, place: _Place, message: str) -> tuple[int, str] | None:
    """A text that ends with another quote than it begins with, or, at the end of a file, not."""
    line = min(_line_of_open_quote(text) or place.line, place.line)
    mixed = _MIXED_QUOTES.search(text.split("\n")[line - 1])
    if mixed:
        plain = mixed[2] or mixed[3] or ""
        return line, f'found {mixed[1]}, whose quotes differ; write "{plain}"'
    if message == 'Expected "\'"':
        return line, "a text in quotes begins in this line and does not end there; close it"
    return None


def _line_of_open_quote(text: str) -> int | None:
    """The first line in which a quote opens a text that does not end there."""
    for token in _TOKEN.finditer(text):
        if token[0] in ("'", '"'):
            return text.count("\n", 0, token.start()) + 1
    return None


def _of_headers(text: str, place: _Place, message: str) -> tuple[int, str] | None:
    """One bracket for two, or a bracket that is missing, in ``[[app]]`` and its like."""
    if place.opened:
        return None
    if behind := _BEHIND_HEADER.match(place.text):
        rest = behind[2].strip()
        return place.line, f"found {rest} behind {behind[1]}, expected the end of the line"
    header = _HEADER.match(place.text)
    if header is None or not header[2]:
        return None
    name, opening, closing = header[2], header[1], header[3]
    if closing != {"[": "]", "[[": "]]"}[opening]:
        right = f"[[{name}]]" if "[[" in opening or "]]" in closing else f"[{name}]"
        return place.line, f"found {opening}{name}{closing}, expected {right}"
    if message.startswith("Cannot mutate"):
        last = name.rpartition(".")[2]
        return place.line, (
            f"found {opening}{name}{closing}, and {last} = ... above it: write all of {name} in "
            "one of the two ways"
        )
    if not message.startswith("Cannot "):
        return None
    same = [
        (number, found[1])
        for number, line in enumerate(text.split("\n")[: place.line], 1)
        if (found := _HEADER.match(line)) and found[2] == name
    ]
    ones = [number for number, brackets in same if brackets == "["]
    if len(same) < 2 or not ones:
        return None
    numbers = " and ".join(str(number) for number, _ in same)
    if name not in place.lists:
        return place.line, (
            f"[{name}] stands in the lines {numbers}; there is one only, so write all its keys "
            "below the first"
        )
    return ones[0], (
        f"found [{name}] in one bracket, and {name} stands in the lines {numbers}; where there are "
        f"several, write each as [[{name}]]; where there is one, write all its keys below one "
        f"[{name}]"
    )


def _of_open_brackets(text: str, place: _Place, message: str) -> tuple[int, str] | None:
    """Lists and tables that are not closed, or hold what they may not."""
    if not place.opened:
        return None
    bracket, line = place.opened[-1]
    lists = [number for found, number in place.opened if found == "[" and number < place.line]
    if lists and (_HEADER.match(place.text) or _PAIR.match(place.text)):
        before = f"before line {place.line}"
        return lists[0], f"the list that begins here is not closed; write ] {before}"
    next_one = place.ahead.lstrip()[:1]
    if bracket == "{" and next_one in ("", "#"):
        return line, "found no } in this line; a table in braces stands in one line, from { to }"
    if bracket == "{" and next_one == "}" and place.behind.rstrip().endswith(","):
        return place.line, "found a comma before }, expected none there; remove it"
    if bracket == "[" and next_one == "}":
        return place.line, "found a } that closes nothing, expected , or ]; remove it"
    if lists and not next_one:
        return lists[0], "the list that begins here is not closed; write ] behind its last value"
    if message == "Unclosed array" and next_one in ("{", '"', "'", "["):
        ended = text.split("\n")[: place.line - 1]
        last = place.line if place.behind.strip() else _last_filled(ended)
        return last, "found no comma between two values of a list; write one behind each"
    if message == "Unclosed inline table" and (pair := _PAIR.match(place.ahead)):
        return place.line, f"found no comma before {pair[1]}; write one between the keys"
    return None


def _last_filled(lines: list[str]) -> int:
    """The number of the last line that holds more than a comment."""
    filled = [n for n, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"]
    return filled[-1] if filled else 1


def _of_values(text: str, place: _Place, message: str) -> tuple[int, str] | None:  # noqa: ARG001
    """Values without quotes, and numbers, days and booleans in another spelling."""
    if message.startswith("Illegal character '\\n'"):
        return place.line, "a text in quotes begins in this line and does not end there; close it"
    if message.startswith("Unescaped"):
        return place.line, "found a \\ in a text; write it twice, or put the text in '...'"
    if place.behind.rstrip().endswith(("]", "}", '"', "'")):
        rest = place.ahead.partition("#")[0].strip()
        if place.opened or not rest:
            return None
        return place.line, f"found {rest} behind the value, expected the end of the line"
    begin = max(place.behind.rfind(sign) for sign in "=[,") + 1
    is_of_value = message in _OF_VALUES or message.startswith("Expected newline")
    if not begin or not is_of_value or _HEADER.match(place.text):
        return None
    return place.line, _spelling(place.text[begin:], is_alone=not place.opened)


def _spelling(text: str, *, is_alone: bool) -> str:
    """What to write for a value. text: it, and what follows in its line; is_alone: in no list."""
    bare = _BARE.match(text)
    value = bare[0].strip() if bare else ""
    whole = text.partition("#")[0].strip()
    plain = value.strip(_ODD_QUOTES)
    boolean = _BOOLEANS.get(value.lower())
    if not value:
        return "found no value behind the ="
    if value != plain:
        return f'found {value}, expected plain quotes: "{plain}"'
    if boolean:
        return f"found {value}, expected {boolean}"
    if _LIKE_A_DAY.fullmatch(value):
        return f"found {value}, expected a day such as 2026-03-31"
    if is_alone and _WITH_COMMAS.fullmatch(whole):
        return f"found {whole}; write {whole.replace(',', '_')}"
    if _PER_CENT.fullmatch(value):
        return f"found {value}, expected a share from 0 to 1, such as 0.90"
    if _ZERO_AHEAD.fullmatch(value):
        return f"found {value}; write {int(value)}"
    return f'found {value}, expected a text in quotes: "{value}"'


def _of_keys(text: str, place: _Place, message: str) -> tuple[int, str] | None:
    """Keys that stand twice, and what stands in place of the = behind a key."""
    pair = _PAIR.match(place.text)
    if message == "Cannot overwrite a value" and pair and not place.opened:
        above = _line_of_same_key(text, place.line, pair[1])
        where = f", in line {above} already" if above else ""
        return place.line, f"the key {pair[1]} stands twice in its table{where}; keep one of them"
    if message.startswith("Expected '='"):
        word = _LAST_WORD.search(place.behind)
        key = word[0].strip() if word else "the key"
        if place.ahead.startswith(":"):
            return place.line, f"found : behind {key}, expected {key} ="
        if not place.ahead.strip():
            return place.line, f"found {key} alone, expected {key} = and a value"
        return place.line, f"found {place.text.strip()}, expected = behind the first word"
    if message.startswith("Duplicate") and place.opened:
        return place.line, f"{message}; keep one of them"
    if message == "Invalid statement" and place.ahead.startswith(("//", ";", "--")):
        return place.line, "a comment begins with #"
    return None


def _line_of_same_key(text: str, line: int, key: str) -> int | None:
    """The line above, in the same table, in which the same key stands."""
    lines = text.split("\n")
    for number in range(line - 1, 0, -1):
        if _HEADER.match(lines[number - 1]) and lines[number - 1].lstrip().startswith("["):
            return None
        pair = _PAIR.match(lines[number - 1])
        if pair and pair[1] == key:
            return number
    return None
