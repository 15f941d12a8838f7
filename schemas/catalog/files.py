"""The files of the catalog, one by one: what is right in them as models, and what is wrong. Pure.

What one file says of another is judged in ``references``.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from v6share.schemas.catalog.models import PREFIX_COLUMNS, Declared
from v6share.schemas.errors import CatalogError, Mistakes
from v6share.schemas.text.csv_files import (
    CsvColumns,
    CsvRow,
    empty_columns,
    read_columns,
    read_rows,
    row_line,
)
from v6share.schemas.text.toml_files import TomlText, known_keys, read_toml
from v6share.schemas.text.wording import mistakes_in, nearest

CATALOG_FILES: Final = (
    "apps.toml",
    "products.toml",
    "prefixes.csv",
    "networks.csv",
    "exporters.csv",
    "endpoints.csv",
    "transition.toml",
    "targets.toml",
)
# Tables of which there may be several.
_LISTS: Final = ("app", "app.match", "product")

Row = TypeVar("Row", bound=Declared)
Place = TypeVar("Place")


@dataclass(frozen=True)
class Part(Generic[Place, Row]):
    """What could be read of a file. rows: those that are right, each with its place in the file.

    written: all rows as they are written, right or wrong, with their places. names: the ids of all
    rows; None where nobody can tell: then no name is unknown.
    """

    rows: list[tuple[Place, Row]]
    written: Sequence[tuple[Place, Mapping[str, Any]]]
    names: frozenset[str] | None

    @property
    def models(self) -> tuple[Row, ...]:
        """The rows without their places."""
        return tuple(row for _, row in self.rows)


@dataclass(frozen=True)
class Reader:
    """Reads file by file, and notes what is wrong with them."""

    texts: Mapping[str, bytes]
    mistakes: Mistakes

    def toml(self, file: str) -> TomlText | None:
        """A TOML file; an empty one where it is missing. None where it cannot be read."""
        if file not in self.texts and self._is_misspelt(file):
            return None
        with self.mistakes.gathered():
            return read_toml(file, self.texts.get(file, b""), _LISTS)
        return None

    def model(self, file: TomlText | None, model: type[Row]) -> Row:
        """All of a TOML file; the defaults where it is wrong."""
        with self.mistakes.gathered():
            return model() if file is None else file.validate(model)
        return model()

    def tables(
        self, file: TomlText | None, whole: type[Declared], model: type[Row], key: str
    ) -> Part[int, Row]:
        """The tables of a TOML file that has nothing but one list of them, with their positions.

        whole: the model of the file, with one field, whose key in the file is ``key``.
        """
        if file is None:
            return Part([], [], None)
        found = file.values.get(key, [])
        tables = found if isinstance(found, list) else [found]
        written = [(i, table) for i, table in enumerate(tables) if isinstance(table, dict)]
        try:
            ((_, rows),) = file.validate(whole)
            return Part(list(enumerate(rows)), written, frozenset(row.id for row in rows))
        except CatalogError as error:
            self.mistakes.add(error)
        right: list[tuple[int, Row]] = []
        for position, table in enumerate(tables):
            with suppress(ValidationError):
                right.append((position, model.model_validate(table, by_alias=True, by_name=False)))
        # Under a misspelt key, or where an id is none, there are ids that nobody knows of.
        ids = [table.get("id") for _, table in written]
        texts = frozenset(name.strip() for name in ids if isinstance(name, str))
        is_known = file.values.keys() <= {key} and isinstance(found, list)
        is_known &= len(ids) == len(tables) and all(isinstance(name, str) for name in ids)
        return Part(right, written, texts if is_known else None)

    def csv(self, file: str, columns: CsvColumns, model: type[Row], key: str) -> Part[CsvRow, Row]:
        """The rows of a CSV file. key: the column of their ids."""
        if file not in self.texts:
            return Part([], [], None if self._is_misspelt(file) else frozenset())
        try:
            found, others = read_rows(file, self.texts[file], columns, self.mistakes)
        except CatalogError as error:
            self.mistakes.add(error)
            return Part([], [], None)
        rows: list[tuple[CsvRow, Row]] = []
        for row in found:
            try:
                rows.append((row, model.model_validate(row.cells)))
            except ValidationError as error:
                for path, problem in mistakes_in(error, known_keys(model)):
                    self.mistakes.add(row.error(".".join(map(str, path)), problem))
        # Of a row with too few cells nobody knows which one is its id.
        names = None if others is None else others.union(row.cells[key] for row in found)
        return Part(rows, [(row, row.cells) for row in found], names)

    def prefixes(self) -> pa.Table:
        """The columns of prefixes.csv: the rows that have all cells, none where nothing is read."""
        if "prefixes.csv" not in self.texts:
            self._is_misspelt("prefixes.csv")
            return empty_columns(PREFIX_COLUMNS)
        try:
            data = self.texts["prefixes.csv"]
            table = read_columns("prefixes.csv", data, PREFIX_COLUMNS, self.mistakes)
        except CatalogError as error:
            self.mistakes.add(error)
            return empty_columns(PREFIX_COLUMNS)
        for name in PREFIX_COLUMNS.required:
            if pc.index(table[name], "").as_py() >= 0:
                rows = pc.indices_nonzero(pc.equal(table[name], "")).to_pylist()
                problem = f"found an empty cell, expected a {name}"
                self.mistakes.add(
                    *(
                        CatalogError("prefixes.csv", row_line(table, row), name, problem)
                        for row in rows
                    )
                )
        return table

    def _is_misspelt(self, file: str) -> bool:
        """Note a file whose name looks like a misspelt one of an absent file."""
        absent = [known for known in CATALOG_FILES if known not in self.texts]
        for name in self.texts:
            if name not in CATALOG_FILES and nearest(name, absent, cutoff=0.8) == file:
                problem = f'unknown file; did you mean "{file}"?'
                self.mistakes.add(CatalogError(name, None, "", problem))
                return True
        return False
