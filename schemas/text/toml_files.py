"""A TOML file as text and values, with the line of every mistake."""

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from v6share.schemas.errors import CatalogError, joined
from v6share.schemas.text.toml_lines import Path, key_lines, line_of
from v6share.schemas.text.toml_slips import of_brackets, what_to_write
from v6share.schemas.text.wording import mistakes_in

Model = TypeVar("Model", bound=BaseModel)

_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_MOST_DIGITS: Final = 1000
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class TomlText:
    """One TOML file that parsed: its name, its text, its values (floats as Decimal)."""

    file: str
    text: str
    values: dict[str, Any]

    def error(self, path: Path, problem: str) -> CatalogError:
        """A mistake at a key path; of an absent key, the line is its table's."""
        return CatalogError(self.file, self.line_of(path), key_name(path), problem)

    def line_of(self, path: Path) -> int | None:
        """The line (from 1) of a key path, as ``toml_lines.line_of``."""
        return line_of(self._lines, path)

    @cached_property
    def _lines(self) -> dict[Path, int]:
        return key_lines(self.text)

    def validate(self, model: type[Model]) -> Model:
        """The values as a model. Only the file's own key names (aliases) are accepted.

        Raises CatalogError with line and key of each mistake.
        """
        try:
            return model.model_validate(self.values, by_alias=True, by_name=False)
        except ValidationError as error:
            mistakes = [self._mistake(*one) for one in mistakes_in(error, known_keys(model))]
            raise joined(sorted(mistakes, key=lambda one: one.line or 0)) from None

    def _mistake(self, path: Path, problem: str) -> CatalogError:
        line = self.line_of(path)
        header = self.text.split("\n")[line - 1] if line is not None else ""
        return self.error(path, of_brackets(header, problem) or problem)


def read_toml(file: str, data: bytes, lists: Collection[str] = ()) -> TomlText:
    """Parse TOML bytes (UTF-8, a byte order mark is tolerated). Raises CatalogError.

    lists: names of tables of which there may be several, for the words of mistakes.
    """
    text = decode(file, data)
    try:
        values = tomllib.loads(text, parse_float=_parse_number)
        _refuse_long(values)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(file, text, str(error), lists) from None
    except RecursionError:
        problem = "found lists or tables nested hundreds deep, expected a few levels"
        raise CatalogError(file, None, "", problem) from None
    except ValueError:  # the only one that is left: a number that is refused here, or by Python
        raise CatalogError(file, None, "", "found a number of thousands of digits") from None
    return TomlText(file, text, values)


def _parse_number(text: str) -> Decimal:
    """A number with a point or an exponent. Raises ValueError where either has too many digits."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None


def _refuse_long(value: Any) -> None:
    """Raise ValueError for a number, at any depth, that is too long for a message to repeat it.

    Python reads integers of thousands of digits where they are hexadecimal, octal or binary.
    """
    match value:
        case dict():
            for part in value.values():
                _refuse_long(part)
        case list():
            for part in value:
                _refuse_long(part)
        case int() if value.bit_length() > 4 * _MOST_DIGITS:
            raise ValueError(hex(value))
        case Decimal() if len(value.as_tuple().digits) > _MOST_DIGITS:
            raise ValueError(str(value))


def decode(file: str, data: bytes) -> str:
    """UTF-8 bytes as text, without byte order mark. Raises CatalogError with the line."""
    data = data.removeprefix(_BOM)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        problem = f"found the byte 0x{byte:02x}, expected UTF-8 text; save the file as UTF-8"
        raise CatalogError(file, line, "", problem) from None


def key_name(path: Path) -> str:
    """``("app", 2, "match", 0)`` as ``app[2].match[0]``."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}"
    return name.removeprefix(".")


def known_keys(model: type[BaseModel], place: str = "") -> dict[str, tuple[str, ...]]:
    """The keys that a model and the models below it accept, by place (``app.match``)."""
    names = {f.alias or n: f.annotation for n, f in model.model_fields.items()}
    keys = {place: tuple(names)}
    for name, annotation in names.items():
        below = _model_in(annotation)
        if below is not None:
            keys |= known_keys(below, f"{place}.{name}".removeprefix("."))
    return keys


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for part in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _syntax_error(file: str, text: str, message: str, lists: Collection[str]) -> CatalogError:
    place = _PLACE.search(message)
    if place is None:
        return CatalogError(file, None, "", f"not TOML: {message}")
    line, problem = what_to_write(
        text,
        int(place[1]) if place[1] else text.rstrip("\n").count("\n") + 1,
        int(place[2]) if place[2] else None,
        message[: place.start()],
        lists,
    )
    return CatalogError(file, line, "", f"not TOML: {problem}")
