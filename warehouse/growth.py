"""How large the state is, and by how much a day of data makes it larger."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from v6share.warehouse.database.connect import Connection
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

SKETCHES: Final = "sketches"
_HASH_BYTES: Final = 8
_SCHEMA: Final = pa.schema(
    [
        ("part", pa.string()),
        ("files", pa.int64()),
        ("bytes", pa.int64()),
        ("days", pa.int64()),
        ("bytes_per_day", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Growth:
    """The size of one part of the state. days: those of the data in it.

    files: None for a part of another file.
    """

    part: str
    files: int | None
    bytes: int
    days: int

    @property
    def bytes_per_day(self) -> int:
        """Rounded up; 0 where there is no day of data yet."""
        return -(-self.bytes // self.days) if self.days else 0


def read_growth(connection: Connection, workspace: Workspace) -> list[Growth]:
    """The size of each part, as far as this user may look at it; from whatever of ours is open."""
    ((days,),) = connection.execute(
        "SELECT count(DISTINCT CAST(window_start AS DATE)) FROM main.traffic_1d"
    ).fetchall()
    ((live_days,),) = connection.execute(
        "SELECT count(DISTINCT day) FROM (SELECT unnest(generate_series("
        "date_trunc('day', first_start), last_end, INTERVAL 1 DAY)) AS day FROM ledger_files "
        "WHERE status = 'committed' AND sealed_at IS NULL)"
    ).fetchall()
    ((sketch_bytes, sketch_days),) = connection.execute(
        "SELECT CAST(coalesce(sum(len(client_hashes)), 0) AS BIGINT) * ?, count(DISTINCT day) "
        "FROM main.clients_1d",
        [_HASH_BYTES],
    ).fetchall()
    return [
        *_sized("fragments", _fragments(workspace), live_days),
        *_sized("base", _listed(workspace.bases), days),
        *_sized("warehouse", [workspace.warehouse], days),
        Growth(SKETCHES, None, sketch_bytes, sketch_days),
        *_sized("published", [workspace.published, workspace.standby], days),
        *_sized("journal", [workspace.journal], days),
        *_sized("quarantine", _listed(workspace.quarantine), days),
    ]


def growth_table(parts: Iterable[Growth]) -> pa.Table:
    """The same as a table. ``sketches`` stand in the files of warehouse, base and published."""
    rows = [asdict(one) | {"bytes_per_day": one.bytes_per_day} for one in parts]
    return pa.Table.from_pylist(rows, _SCHEMA)


def _sized(part: str, files: Iterable[Path], days: int) -> Iterator[Growth]:
    with suppress(PermissionError):
        sizes = [found.size for file in files if (found := storage.status(file)) is not None]
        yield Growth(part, len(sizes), sum(sizes), days)


def _fragments(workspace: Workspace) -> Iterator[Path]:
    for folder in storage.list_folders(workspace.fragments):
        yield from storage.list_files(folder)


def _listed(folder: Path) -> Iterator[Path]:
    yield from storage.list_files(folder)
