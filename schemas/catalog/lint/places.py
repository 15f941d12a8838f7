"""Where things stand in the catalog's files, so that a doubt can name its line. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from v6share.schemas.catalog.models import ENDPOINT_COLUMNS, EXPORTER_COLUMNS, NETWORK_COLUMNS
from v6share.schemas.errors import CatalogError
from v6share.schemas.text.csv_files import CsvColumns, CsvRow, read_csv, row_line
from v6share.schemas.text.toml_files import TomlText, read_toml
from v6share.schemas.text.toml_lines import Path


@dataclass(frozen=True)
class Places:
    """The valid files of a catalog, read again where a line is asked for, and not before."""

    texts: Mapping[str, bytes]
    _read: dict[str, TomlText] = field(default_factory=dict)

    def toml(self, file: str) -> TomlText:
        """A TOML file, read once; an empty one where it is missing."""
        if file not in self._read:
            self._read[file] = read_toml(file, self.texts.get(file, b""))
        return self._read[file]

    def in_apps(self, path: Path, problem: str) -> CatalogError:
        """A doubt about a key of apps.toml."""
        return self.toml("apps.toml").error(path, problem)

    def line_of_app(self, app: int) -> int | None:
        """The line on which an app begins."""
        return self.toml("apps.toml").line_of(("app", app))

    @staticmethod
    def in_prefixes(prefixes: pa.Table, row: int, column: str, problem: str) -> CatalogError:
        """A doubt about a cell of prefixes.csv."""
        return CatalogError("prefixes.csv", row_line(prefixes, row), column, problem)

    @cached_property
    def endpoints(self) -> list[CsvRow]:
        """The rows of endpoints.csv, one an endpoint of the catalog."""
        return self._rows("endpoints.csv", ENDPOINT_COLUMNS)

    @cached_property
    def exporters(self) -> list[CsvRow]:
        """The rows of exporters.csv."""
        return self._rows("exporters.csv", EXPORTER_COLUMNS)

    @cached_property
    def networks(self) -> list[CsvRow]:
        """The rows of networks.csv."""
        return self._rows("networks.csv", NETWORK_COLUMNS)

    def _rows(self, file: str, columns: CsvColumns) -> list[CsvRow]:
        return read_csv(file, self.texts[file], columns) if file in self.texts else []
