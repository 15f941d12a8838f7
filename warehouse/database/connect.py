"""Opening the private warehouse and the published snapshot.

The connection is set up for a bounded run: 512 MiB of memory, spilling below ``state/``, and no
download of extensions.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Final

import duckdb

from v6share.schemas.errors import DENIED, NO_ROOM, UserError, line_that_says, says_damage
from v6share.warehouse.database.blank import NO_DOWNLOADS, Config, put_blank
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

MEMORY_LIMIT: Final = "512MiB"

Connection = duckdb.DuckDBPyConnection


class DamagedFile(UserError):  # noqa: N818 - a name for what is found
    """A DuckDB file whose bytes are damaged, wholly or in parts. ``found`` says how that shows."""

    def __init__(self, found: str) -> None:
        self.found = found
        super().__init__(
            f"{found}. The file is damaged; `v6share rebuild` makes it again from the journal and "
            "the fragments"
        )


class UnopenedFile(UserError):  # noqa: N818 - a name for what is found
    """A DuckDB file that cannot be read, and nothing says that its bytes are damaged."""


def connect(path: Path, workspace: Workspace, threads: int) -> Connection:
    """A connection to a warehouse file that this process may write, made if need be."""
    if not storage.exists(path):
        # A log without its file is of no use: what it holds is in the journal.
        storage.remove_log(path)
        put_blank(path)
    spill = workspace.state / "tmp"
    # What a killed run spilled is of no use: nobody else is at work while we hold the workspace.
    storage.remove_folder(spill)
    config: Config = {
        **NO_DOWNLOADS,
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(spill),
        "preserve_insertion_order": False,
        # A commit of more goes into the file at once; else it would go into the log first, and
        # into the file when it is closed a moment later.
        "checkpoint_threshold": "1MiB",
    }
    if threads:
        config["threads"] = threads
    with clear_errors(path):
        return duckdb.connect(path, config=config)


@contextmanager
def open_snapshot(path: Path) -> Iterator[Connection]:
    """A read-only connection to a published file.

    Raises UserError where there is none, and DamagedFile or UnopenedFile where it cannot be read.
    """
    with clear_errors(path):
        try:
            connection = _connect_to_read(path)
        except FileNotFoundError:
            raise UserError(
                f"{path}: not there, so nothing is published; use `v6share run PATH...`. Where a "
                "run has ended already, `v6share status` says why"
            ) from None
        try:
            yield connection
        finally:
            connection.close()


def _connect_to_read(path: Path) -> Connection:
    while True:
        meant = storage.status(path)
        if meant is None:
            raise FileNotFoundError(path)
        try:
            return duckdb.connect(path, read_only=True, config=NO_DOWNLOADS)
        except duckdb.Error:
            # DuckDB opens a path several times, and it may have been replaced in between.
            if storage.status(path) == meant:
                raise


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """DuckDB's errors about a file as errors that say what to do."""
    try:
        yield
    except duckdb.Error as error:
        if isinstance(error, duckdb.IOException) and "set lock on" in str(error):
            raise UserError(
                f"{path} is open in another process: {_first_line(error)}. Close it there; to "
                "look at the numbers, open the published file instead, read-only"
            ) from error
        if says_damage(error):
            raise DamagedFile(f"{path} cannot be read: {_first_line(error)}") from error
        if not _is_about_file(error):
            raise
        raise UnopenedFile(
            f"{path} cannot be opened or read: {_first_line(error)}. That does not say that the "
            "file is damaged. Where the system failed, mend that and run the same again; where a "
            "newer version of DuckDB or v6share wrote the file, use that version. Where neither "
            f"helps, give the file up: `mv {quote(str(path))} {quote(f'{path}.unread')}`, and "
            "then `v6share rebuild`"
        ) from error


def _is_about_file(error: duckdb.Error) -> bool:
    """Whether DuckDB speaks of the file, not of a query, and nobody else has words for it."""
    if line_that_says(error, (*NO_ROOM, *DENIED)):
        return False
    return isinstance(
        error,
        duckdb.IOException
        | duckdb.SerializationException
        | duckdb.InternalException
        | duckdb.FatalException,
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
