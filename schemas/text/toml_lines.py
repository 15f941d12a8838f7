"""Where a TOML key stands: a line number for every key path, so that errors can point at it.

``tomllib`` gives values without places. This scanner reads text that ``tomllib`` has accepted
already, so it may trust the syntax and only has to know where keys and values begin and end:
comments, the four kinds of strings, multi-line arrays, inline tables, dotted keys and arrays of
tables. A path is made of names and list positions, as in ``("app", 3, "match", 1, "prefix")``.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{1,2}(?!"))?'
    r"|'''.*?'''(?:'{1,2}(?!'))?"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_PLAIN_VALUE: Final = re.compile(r"[^,\]}#\n]*")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of a key path, by ``key_lines``; of its nearest known parent where it is absent.

    None where not even the first part of the path stands in the text.
    """
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def key_lines(text: str) -> dict[Path, int]:
    """Every key path of a valid TOML text with the line (from 1) on which it begins."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


@dataclass
class _Scanner:
    text: str
    at: int = 0
    line: int = 1
    lines: dict[Path, int] = field(default_factory=dict)
    elements: Counter[Path] = field(default_factory=Counter)

    def document(self) -> None:
        table: Path = ()
        self.take(_SPACE)
        while self.at < len(self.text):
            if self.text.startswith("[", self.at):
                table = self.header()
            else:
                self.pair(table)
            self.take(_SPACE)

    def header(self) -> Path:
        is_element = self.text.startswith("[[", self.at)
        line = self.line
        self.at += 2 if is_element else 1
        *parents, last = self.dotted_key()
        self.at += 2 if is_element else 1
        table = self.enter((), parents, line)
        if is_element:
            table = (*table, last)
            self.lines.setdefault(table, line)
            self.elements[table] += 1
            table = (*table, self.elements[table] - 1)
            self.lines[table] = line
            return table
        return self.enter(table, [last], line)

    def enter(self, table: Path, names: list[str], line: int) -> Path:
        """Follow names; below a list of tables, a name means its newest element."""
        for name in names:
            table = (*table, name)
            self.lines.setdefault(table, line)
            if table in self.elements:
                table = (*table, self.elements[table] - 1)
        return table

    def pair(self, table: Path) -> None:
        line = self.line
        names = self.dotted_key()
        self.at += 1  # the equals sign
        self.take(_SPACE)
        self.value(self.enter(table, names, line))

    def dotted_key(self) -> list[str]:
        names = [self.key()]
        while self.text.startswith(".", self.at):
            self.at += 1
            names.append(self.key())
        return names

    def key(self) -> str:
        self.take(_SPACE)
        quoted = self.text[self.at] in "\"'"
        name = self.take(_STRING if quoted else _BARE_KEY)
        self.take(_SPACE)
        if not quoted:
            return name
        return _unescape(name[1:-1]) if name[0] == '"' else name[1:-1]

    def value(self, path: Path) -> None:
        match self.text[self.at]:
            case "[":
                position = iter(range(len(self.text)))
                self.enclosed("]", lambda: self.element((*path, next(position))))
            case "{":
                self.enclosed("}", lambda: self.pair(path))
            case '"' | "'":
                self.take(_STRING)
            case _:
                self.take(_PLAIN_VALUE)

    def element(self, path: Path) -> None:
        self.lines[path] = self.line
        self.value(path)

    def enclosed(self, end: str, read_one: Callable[[], None]) -> None:
        self.at += 1
        self.take(_SPACE)
        while not self.text.startswith(end, self.at):
            read_one()
            self.take(_SPACE)
            if self.text.startswith(",", self.at):
                self.at += 1
            self.take(_SPACE)
        self.at += 1

    def take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        taken = found.group() if found else ""
        self.at += len(taken)
        self.line += taken.count("\n")
        return taken


def _unescape(text: str) -> str:
    def one(escape: re.Match[str]) -> str:
        code = escape[1] or escape[2]
        return chr(int(code, 16)) if code else _ESCAPED.get(escape[3], escape[3])

    return _ESCAPE.sub(one, text)
