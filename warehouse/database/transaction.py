"""One transaction as a block: all of it, or nothing."""

import contextlib
from collections.abc import Iterator

import duckdb


@contextlib.contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit when the block ends, roll back when it raises."""
    connection.begin()
    try:
        yield
    except BaseException:
        # A connection that failed for good cannot even roll back; the first error matters.
        with contextlib.suppress(duckdb.Error):
            connection.rollback()
        raise
    connection.commit()
