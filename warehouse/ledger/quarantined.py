"""Inputs that are refused now: which they are, and whether anybody has looked at them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb

from v6share.warehouse.ledger.changes import REFUSED, Status
from v6share.workspace import storage

_IS_REFUSED: Final = f"status IN {REFUSED}"
# One row an input: what was said of it last. What the same rules and catalog count by another
# dialect is none of them.
REFUSED_INPUTS: Final = f"""
    WITH refused AS (
      SELECT * FROM main.ledger_files WHERE {_IS_REFUSED}
    ),
    counted AS (
      SELECT input_id, rules_version, catalog_version FROM main.ledger_files
      WHERE status = 'committed' AND input_id IN (SELECT input_id FROM refused)
    )
    SELECT input_id, path, reason, size, dialect, status, committed_at
    FROM refused ANTI JOIN counted USING (input_id, rules_version, catalog_version)
    QUALIFY 1 = row_number() OVER (PARTITION BY input_id ORDER BY committed_at DESC, dialect)
    ORDER BY path, input_id"""  # noqa: S608 - words of ours


@dataclass(frozen=True)
class RefusedInput:
    """An input that is not counted. at: when it was refused, or it was decided of it; UTC."""

    input_id: str
    path: str
    reason: str
    size: int
    dialect: str
    status: Status
    at: datetime

    @property
    def is_acknowledged(self) -> bool:
        """Whether somebody has said that it stays out."""
        return self.status == "accepted"

    @property
    def is_present(self) -> bool:
        """Whether a file is at its path still; asks the disk. True where the disk does not say."""
        try:
            return storage.exists(Path(self.path))
        except OSError:
            return True


def refused_inputs(connection: duckdb.DuckDBPyConnection) -> list[RefusedInput]:
    """The refused inputs of a warehouse or a published file, by path."""
    return [RefusedInput(*row) for row in connection.execute(REFUSED_INPUTS).fetchall()]


def refused_places(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The paths at which refused inputs were last found, each with the id of the input."""
    # Mostly there are none, and it is many paths that are known.
    refused = connection.execute(
        f"SELECT DISTINCT input_id FROM main.ledger_files WHERE {_IS_REFUSED}"  # noqa: S608 - as above
    ).fetchall()
    if not refused:
        return {}
    rows = connection.execute(
        "SELECT path, input_id FROM private.seen "
        "WHERE input_id IN (SELECT unnest(CAST(? AS VARCHAR[])))",
        [[input_id for (input_id,) in refused]],
    ).fetchall()
    return dict(rows)
