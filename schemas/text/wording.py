"""A user's mistake in words: what was found, what was expected, and the nearest known name."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final, TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

Path: TypeAlias = tuple[str | int, ...]

_WORD: Final = re.compile(r"[\W\d_]+")
# A shorter word is a code, such as that of a country or of a zone.
_FEWEST_LETTERS: Final = 4
_EXPECTED: Final = {
    "string_type": "text",
    "string_too_short": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "decimal_type": "a number",
    "tuple_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "decimal_max_places": "at most {decimal_places} decimal places",
    "decimal_whole_digits": "at most {whole_digits} digits before the point",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} in it",
}


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that looks most like ``name`` (case ignored), or None.

    Of names that are equally near, one with the same letters wins: ``tpc`` is ``tcp``.
    """
    word, by_lower = name.lower(), {k.lower(): k for k in known}
    close = difflib.get_close_matches(word, by_lower, 3, cutoff)
    if not close:
        return None
    return by_lower[next((c for c in close if sorted(c) == sorted(word)), close[0])]


def letters_of(name: str) -> str:
    """What is left of a name without case, spaces and signs: ``eu-west`` and ``EU West`` agree."""
    return "".join(c for c in name.casefold() if c.isalnum())


def is_one_slip(one: str, other: str) -> bool:
    """Whether two names differ by one slip of the hand in one word: a letter too many, too few,
    another one, or two that changed places. Upper and lower case are the same.

    ``eu-wset`` and ``eu-west`` do. Names that differ by a number, or by a word of up to three
    letters, are two names: ``eu-west-1a`` and ``eu-west-1b``.
    """
    words, others = (_WORD.split(name.casefold()) for name in (one, other))
    signs, other_signs = (_WORD.findall(name) for name in (one, other))
    if len(words) != len(others) or signs != other_signs:
        return False
    differing = [pair for pair in zip(words, others, strict=True) if pair[0] != pair[1]]
    return len(differing) == 1 and _is_slip_in_word(*differing[0])


def _is_slip_in_word(one: str, other: str) -> bool:
    if max(len(one), len(other)) < _FEWEST_LETTERS:
        return False
    while one and other and one[0] == other[0]:
        one, other = one[1:], other[1:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?``, or the list of what is known where nothing is near."""
    names = tuple(known)
    close = nearest(name, names)
    if close is not None:
        return f'; did you mean "{close}"?'
    if not names:
        return "; none is known"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"; known: {shown}"


def found(value: object) -> str:
    """A value as the user wrote it, near enough to recognise it."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str | bool):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 80 else f'{text[:76]}..."'
    return str(value)


def mistake(problem: str) -> PydanticCustomError:
    """The error that a validator raises to say ``problem``, word for word."""
    return PydanticCustomError("mistake", "{problem}", {"problem": problem})


def mistakes_in(
    error: ValidationError, known: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[Path, str]]:
    """The path and the words of each mistake that pydantic found.

    A key that is missing because it is misspelt is one mistake, not two. ``known`` gives the
    keys that may stand in a place; its keys are paths without positions, as ``app.match``.
    """
    details = error.errors(include_url=False)
    unknown = [tuple(one["loc"]) for one in details if one["type"] == "extra_forbidden"]
    misspelt = {(*path[:-1], nearest(str(path[-1]), _keys_at(path, known))) for path in unknown}
    for one in details:
        path = tuple(one["loc"])
        if one["type"] != "missing" or path not in misspelt:
            yield path, _problem(one, path, known)


def _keys_at(path: Path, known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The keys that may stand beside the last one of a path."""
    return known.get(".".join(p for p in path[:-1] if isinstance(p, str)), ())


def _problem(details: ErrorDetails, path: Path, known: Mapping[str, tuple[str, ...]]) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key" + did_you_mean(str(path[-1]), _keys_at(path, known))
    if kind == "missing":
        return "missing key"
    if kind == "literal_error":
        return _not_one_of(details["input"], str(context["expected"]))
    if kind in _EXPECTED:
        return f"found {found(details['input'])}, expected {_EXPECTED[kind].format(**context)}"
    return details["msg"]


def _not_one_of(value: Any, expected: str) -> str:
    choices = expected.replace("'", "").replace(" or ", ", ").split(", ")
    close = nearest(value, choices) if isinstance(value, str) else None
    hint = f'; did you mean "{close}"?' if close else ""
    return f"found {found(value)}, expected one of {', '.join(choices)}{hint}"
