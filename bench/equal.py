"""Do two versions of v6share give the same tables, fragments and views?

    python -m bench.equal OLD NEW [--captures DIR] [--out DIR]

OLD and NEW are the ``v6share`` programs of two installations. Each counts the sample and every
capture in workspaces with the same catalog, settings and client key; then the fragments, the tables
of warehouse and published file, and the views are compared. Prints a table and the first
differences. Exit code 1 when anything differs, or a run fails.

Nothing is imported from either version: both are looked at from outside.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from bench.differences import Compared, compare_parquet, compare_tables

ROOT: Final = Path(__file__).parents[1]
SAMPLE: Final = ROOT / "data" / "sample"
# The folder of the tests that are not in this repository; see CONTRIBUTING.md.
SHARED: Final = Path(os.environ.get("V6SHARE_SHARED") or ROOT.parent / "shared")

# Where a workspace has what is compared.
FRAGMENTS: Final = Path("state", "fragments")
WAREHOUSE: Final = Path("state", "warehouse.duckdb")
PUBLISHED: Final = Path("published", "v6share.duckdb")

# Fragments and sketches hold hashes of clients: equal ones need equal keys.
CLIENT_KEY: Final = bytes(range(16))

# What depends on when and where a run was, or on its version's name, and on no flow. Inputs are in
# the same place for both, so their paths are compared.
OF_THE_RUN: Final = frozenset(
    {"run_id", "command", "code_version", "started_at", "finished_at", "committed_at", "since"}
)
# Notes that a version keeps about its own files and work: offsets, digests, migrations, what
# changed; and what says which snapshot a published file is.
OF_THE_VERSION: Final = frozenset(
    {
        "private.state",
        "private.migrations",
        "private.fragments",
        "private.touched",
        "private.unchecked",
        "private.kept",
        "results.snapshot",
    }
)

# Good files are committed, and some were not; see the exit codes in README.md.
_RAN: Final = (0, 1)
_DIFFERENCES_SHOWN: Final = 5


@dataclass(frozen=True)
class Run:
    """One run that both versions do, each in a workspace of its own."""

    name: str
    flows: Path
    catalog: Path | None
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What a version made of a run."""

    root: Path
    exit_code: int


class RunFailed(Exception):  # noqa: N818 - the process failed, not we
    """A run that did not end as a run over some good files does."""


def runs(captures: Path | None) -> Iterator[Run]:
    """The sample, and the captures twice: with rows of unknown sampling counted, and rejected."""
    yield Run("sample", SAMPLE / "flows", SAMPLE / "catalog")
    if captures:
        options = ("--unknown-sampling", "unsampled")
        yield Run("captures", captures, None, options)
        yield Run("captures, strict", captures, SAMPLE / "catalog")


def count(program: Path, run: Run, root: Path) -> Result:
    """Do a run in a fresh workspace. Raises RunFailed."""
    shutil.rmtree(root, ignore_errors=True)
    make_workspace(root, run.catalog)
    words = [str(program), "-C", str(root), "run", *run.options, str(run.flows)]
    # Settings may come from the environment, and these would not be the same elsewhere.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("V6SHARE_")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in _RAN:
        raise RunFailed(f"exit code {done.returncode}: {' '.join(words)}\n{done.stderr[-2000:]}")
    return Result(root, done.returncode)


def make_workspace(root: Path, catalog: Path | None) -> None:
    """A workspace with the shared client key, a copy of a catalog, and the default settings."""
    key = root / "state" / "client.key"
    key.parent.mkdir(parents=True)
    key.touch(mode=0o600)
    key.write_bytes(CLIENT_KEY)
    if catalog:
        shutil.copytree(catalog, root / "catalog")


def read_relations(file: Path, kind: str) -> dict[str, pa.Table]:
    """Every table, or every view, of a DuckDB file, ORDER BY ALL; less what is of the run.

    kind: ``table`` or ``view``.
    """
    with duckdb.connect(str(file), read_only=True) as connection:
        # Sums of floating point numbers depend on how threads share the rows.
        connection.execute("SET threads = 1")
        names = connection.execute(
            f"SELECT schema_name, {kind}_name FROM duckdb_{kind}s() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        found = {name if schema == "main" else f"{schema}.{name}" for schema, name in names}
        return {name: _ordered(connection, name) for name in sorted(found - OF_THE_VERSION)}


def _ordered(connection: duckdb.DuckDBPyConnection, relation: str) -> pa.Table:
    columns = connection.sql(f"SELECT * FROM {relation} LIMIT 0").columns
    kept = ", ".join(f'"{name}"' for name in columns if name not in OF_THE_RUN)
    query = f"SELECT {kept} FROM {relation} ORDER BY ALL"
    return connection.sql(query).to_arrow_table().combine_chunks()


def compare(old: Result, new: Result) -> dict[str, Compared]:
    """Compare all that two versions made of one run, by what it is."""
    return {
        "exit code": compare_codes(old.exit_code, new.exit_code),
        "fragments": compare_parquet(old.root / FRAGMENTS, new.root / FRAGMENTS),
        "tables of the warehouse": compare_file(old, new, WAREHOUSE, "table"),
        "tables of the published file": compare_file(old, new, PUBLISHED, "table"),
        "views of the published file": compare_file(old, new, PUBLISHED, "view"),
    }


def compare_codes(old: int, new: int) -> Compared:
    """Compare two exit codes."""
    return Compared(1, {} if old == new else {"exit code": f"{old} -> {new}"}, f"{old}")


def compare_file(old: Result, new: Result, file: Path, kind: str) -> Compared:
    """Compare all tables, or all views, of a DuckDB file in two workspaces."""
    found = (read_relations(result.root / file, kind) for result in (old, new))
    return compare_tables(*found)


def inputs_line(result: Result) -> str:
    """How many inputs a run committed and refused: of nothing all versions are equal."""
    files = read_relations(result.root / PUBLISHED, "table")["ledger_files"]
    counts = pc.value_counts(files["status"]).to_pylist()
    return ", ".join(f"{one['counts']:,} {one['values']}" for one in counts)


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def table(found: dict[tuple[str, str], Compared]) -> list[str]:
    """The lines of the table, one a run and kind of thing."""
    rows = [("run", "what", "compared", "equal", "different", "")]
    for (run, what), compared in found.items():
        different = len(compared.different)
        equal = compared.names - different
        rows.append((run, what, str(compared.names), str(equal), str(different), compared.note))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def difference_lines(found: dict[tuple[str, str], Compared]) -> Iterator[str]:
    """The first differences of each kind, and how many more there are."""
    for (run, what), compared in found.items():
        named = sorted(compared.different.items())
        for name, said in named[:_DIFFERENCES_SHOWN]:
            yield f"{run}, {what}, {name}: {said}"
        if len(named) > _DIFFERENCES_SHOWN:
            yield f"{run}, {what}: and {len(named) - _DIFFERENCES_SHOWN:,} more"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.equal", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("old", type=Path, help="the v6share program of one version")
    parser.add_argument("new", type=Path, help="that of the other")
    parser.add_argument(
        "--captures",
        type=Path,
        default=SHARED / "captures",
        help="folder of flow files of any dialect (default %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("bench/out/equal"),
        help="where the workspaces are made anew, and stay (default %(default)s)",
    )
    return parser.parse_args()


def _captures(folder: Path) -> Path | None:
    if folder.is_dir():
        return folder.absolute()
    say(f"no captures in {folder}: only the sample is compared; name their folder by --captures")
    return None


def main() -> int:
    """Let both versions count everything, compare what they made, and print what was found."""
    options = _options()
    found: dict[tuple[str, str], Compared] = {}
    try:
        for number, run in enumerate(runs(_captures(options.captures))):
            # The same length of path on both sides, lest a text be cut elsewhere.
            old = count(options.old.absolute(), run, options.out / f"run{number}" / "old")
            new = count(options.new.absolute(), run, options.out / f"run{number}" / "new")
            say(f"{run.name}: {inputs_line(old)}")
            found |= {(run.name, what): one for what, one in compare(old, new).items()}
    except RunFailed as failed:
        say(str(failed))
        return 1
    differences = list(difference_lines(found))
    print("\n".join([*table(found), "", *(differences or ["No difference."])]))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
