"""A damaged block of the warehouse must not be published over what is good."""

import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import duckdb
import pyarrow as pa
import pytest
from fragment_maker import (
    assert_equal,
    commit,
    contents,
    make_fragment,
    quarantine,
    workspace_at,
)

from v6share.schemas.errors import UserError
from v6share.schemas.published import PUBLIC_TABLES
from v6share.warehouse import publish as publishing
from v6share.warehouse.commit import record
from v6share.warehouse.database.blocks import BLOCK_BYTES, HEADER_BYTES, HEADERS, all_as_written
from v6share.warehouse.database.connect import DamagedFile, open_snapshot
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.publish import needs_publish, publish, why_unpublished
from v6share.warehouse.rebuild import rebuild
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

HEAD_BYTES = HEADERS * HEADER_BYTES
# By these the blocks of two tables are found, and blocks that were given up.
USED = b"/flows/f0.parquet"
FREE = b"of no use any more"


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A published workspace of many blocks, some of them free, as a long life leaves it."""
    workspace = workspace_at(tmp_path_factory.mktemp("grown"))
    connection = open_warehouse(workspace, threads=1)
    connection.execute("SET force_compression = 'uncompressed'")
    connection.execute(
        "CREATE TABLE private.junk AS SELECT ? || repeat('x', 2000) AS text FROM range(2500)",
        [FREE.decode()],
    )
    connection.execute("CHECKPOINT")
    made = [make_fragment(workspace, f"f{i}", i, rows=1500, hashes=900) for i in range(3)]
    record(connection, workspace, [commit(*made)])
    connection.execute("DROP TABLE private.junk")
    publish(connection, workspace)
    connection.close()
    return workspace


@pytest.fixture
def workspace(grown: Workspace, tmp_path: Path) -> Workspace:
    return copied(grown, tmp_path / "w")


def copied(workspace: Workspace, root: Path) -> Workspace:
    """With the times of its files, which say that the published file is its own."""
    shutil.copytree(workspace.root, root, copy_function=shutil.copy2)
    return Workspace(root)


def flip(path: Path, at: int, bit: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def flip_used(path: Path) -> None:
    """Where a path stands: of two tables one is private and not published."""
    for found in re.finditer(re.escape(USED), path.read_bytes()):
        flip(path, found.start())


def refuse_one_more(workspace: Workspace) -> None:
    """What a run does that finds one bad file, so that DuckDB reads next to nothing.

    Without the checks: they read much, and publishing must not rest on that.
    """
    connection = open_warehouse(workspace, threads=1)
    try:
        record(connection, workspace, [quarantine("bad")])
        publish(connection, workspace)
    finally:
        connection.close()


def why_stopped(workspace: Workspace) -> str:
    """With which words that was refused; empty where it is not."""
    try:
        refuse_one_more(workspace)
    except (UserError, duckdb.Error) as error:
        return str(error)
    return ""


def published(workspace: Workspace) -> dict[str, pa.Table]:
    with open_snapshot(workspace.published) as snapshot:
        return contents(snapshot, PUBLIC_TABLES)


def places(path: Path, count: int) -> list[tuple[int, int]]:
    """Bytes and bits all over a file: every stretch gets its share, headers more than that."""
    rng = random.Random(7)
    size = path.stat().st_size
    spread = [rng.randrange(size * i // count, size * (i + 1) // count) for i in range(count)]
    return [(at, rng.randrange(8)) for at in (*spread, *rng.sample(range(HEAD_BYTES), count // 8))]


@pytest.mark.parametrize(("layout", "count"), [("known", 24), ("another", 8)])
def test_a_flipped_bit_is_noticed_or_harms_nobody(
    grown: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, count: int
) -> None:
    if layout == "another":  # as a later DuckDB may have it: then values are read instead
        monkeypatch.setattr(publishing, "all_as_written", lambda _: False)
    whole = copied(grown, tmp_path / "whole")
    refuse_one_more(whole)
    wanted, before = published(whole), grown.published.read_bytes()
    came = Counter[str]()
    for number, (at, bit) in enumerate(places(grown.warehouse, count)):
        workspace = copied(grown, tmp_path / str(number))
        flip(workspace.warehouse, at, bit)
        said = why_stopped(workspace)
        if said:
            assert "rebuild" in said or said.startswith("Corrupt database file"), said
            assert workspace.published.read_bytes() == before
        else:
            assert_equal(published(workspace), wanted)
        came["noticed" if said else "harmless"] += 1
        shutil.rmtree(workspace.root)
    assert came["noticed"] >= count // 2
    assert came["harmless"] >= 1  # a free block is nobody's loss


def bad_copies(monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]) -> None:
    """From now on the disk spoils each copy of the warehouse."""
    copy = storage.copy_held

    def spoiled(warehouse: Path, draft: Path) -> None:
        copy(warehouse, draft)
        damage(draft)

    monkeypatch.setattr(storage, "copy_held", spoiled)


def test_a_copy_that_differs_is_not_published(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warehouse is good and all of it is in memory: the copy itself is what counts."""
    before = workspace.published.read_bytes()
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(make_fragment(workspace, "new", 99))])
    contents(connection, PUBLIC_TABLES)
    with monkeypatch.context() as patch:
        bad_copies(patch, flip_used)
        with pytest.raises(DamagedFile, match="v6share rebuild"):
            publish(connection, workspace)
    assert workspace.published.read_bytes() == before
    beside = {file.name for file in workspace.published.parent.iterdir()}
    assert beside == {"v6share.duckdb", workspace.held_back.name}
    assert "the warehouse is damaged" in why_unpublished(connection)
    assert needs_publish(connection, workspace)
    publish(connection, workspace)
    assert why_unpublished(connection) == ""
    connection.close()


def test_rebuild_mends_what_was_refused(workspace: Workspace) -> None:
    flip_used(workspace.warehouse)
    with pytest.raises((UserError, duckdb.Error)):
        refuse_one_more(workspace)
    rebuild(workspace, None)
    connection = open_warehouse(workspace)
    publish(connection, workspace)
    wanted = contents(connection, PUBLIC_TABLES)
    connection.close()
    assert_equal(published(workspace), wanted)


def test_a_damaged_block_that_nothing_uses_is_no_reason_to_stop(workspace: Workspace) -> None:
    """A run that is killed while DuckDB writes leaves such blocks."""
    content = workspace.warehouse.read_bytes()
    # The last one: DuckDB takes the first ones again.
    block = (content.rindex(FREE) - HEAD_BYTES) // BLOCK_BYTES
    start = HEAD_BYTES + block * BLOCK_BYTES
    with workspace.warehouse.open("r+b") as file:
        os.pwrite(file.fileno(), bytes(BLOCK_BYTES // 2), start)
    refuse_one_more(workspace)
    assert not all_as_written(workspace.published)
    connection = open_warehouse(workspace)
    assert_equal(published(workspace), contents(connection, PUBLIC_TABLES))
    connection.close()


def test_no_value_is_read_where_every_block_is_as_written(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What DuckDB writes is what the checksums are compared for; else each publish took longer."""

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("tables were read")

    monkeypatch.setattr(publishing, "_read_draft", refuse)
    refuse_one_more(workspace)
    rebuild(workspace, None)
    connection = open_warehouse(workspace)
    publish(connection, workspace)
    connection.close()
    assert all_as_written(workspace.published)


def test_no_part_of_a_file_is_left_out(grown: Workspace, tmp_path: Path) -> None:
    content = grown.published.read_bytes()
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(content)
    assert all_as_written(copy)
    rng = random.Random(1)
    starts = [*range(0, HEAD_BYTES, HEADER_BYTES), *range(HEAD_BYTES, len(content), BLOCK_BYTES)]
    for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
        for at in (start, rng.randrange(start, end), end - 1):
            bit = rng.randrange(8)
            flip(copy, at, bit)
            assert not all_as_written(copy), at
            flip(copy, at, bit)
    assert all_as_written(copy)


@pytest.mark.parametrize("kept", [0, 1, HEADER_BYTES, HEAD_BYTES + 1, -1, -BLOCK_BYTES // 2])
def test_a_file_that_is_cut_is_not_as_written(grown: Workspace, tmp_path: Path, kept: int) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(grown.published.read_bytes()[:kept])
    assert not all_as_written(copy)
