"""Workspaces for acceptance tests: made, run by the real command line, and looked at from outside.

What is read here is read by plain DuckDB and file names: nothing of v6share takes part.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

# Fragments hold hashes of clients: equal bytes need equal keys.
CLIENT_KEY = bytes(range(16))
# When and by which run is no property of the flows; a path is where a file happened to be.
_TABLES_OF_THE_RUN = ("ledger_runs", "ledger_final_days", "checks", "check_results")
_OF_THE_RUN = {"ledger_files": ("run_id", "committed_at", "path"), "ledger_keys": ("since",)}


def make_workspace(root: Path, catalog: Path | None = None) -> Path:
    """A workspace with a copy of a catalog and the key that all tests share."""
    (root / "state").mkdir(parents=True)
    key = root / "state" / "client.key"
    key.write_bytes(CLIENT_KEY)
    key.chmod(0o600)
    if catalog is not None:
        shutil.copytree(catalog, root / "catalog")
    return root


def command(root: Path, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "v6share", "-C", str(root), *map(str, arguments)]


def v6share(
    root: Path, *arguments: object, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run the command line in a process of its own; exit code, stdout, stderr."""
    done = subprocess.run(
        command(root, *arguments),
        capture_output=True,
        text=True,
        env=os.environ | dict(env or {}),
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def run_json(root: Path, *arguments: object) -> tuple[int, dict[str, Any], str]:
    """``v6share run ... --format json``: exit code, the data, stderr."""
    code, out, err = v6share(root, "run", *arguments, "--format", "json")
    return code, json.loads(out) if out else {}, err


def read(root: Path) -> duckdb.DuckDBPyConnection:
    """The published snapshot, as any reader opens it."""
    return duckdb.connect(str(root / "published" / "v6share.duckdb"), read_only=True)


def tables(root: Path, leave_out: Sequence[str] = _TABLES_OF_THE_RUN) -> dict[str, pa.Table]:
    """Every table of the snapshot, ORDER BY ALL, as Arrow; of the ledger only what counts now."""
    with read(root) as connection:
        names = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' ORDER BY 1"
        ).fetchall()
        return {name: _ordered(connection, name) for (name,) in names if name not in leave_out}


def _ordered(connection: duckdb.DuckDBPyConnection, name: str) -> pa.Table:
    columns = ", ".join(_OF_THE_RUN.get(name, ()))
    kept = f"* EXCLUDE ({columns})" if columns else "*"
    live = "WHERE status = 'committed'" if name == "ledger_files" else ""
    query = f"SELECT {kept} FROM {name} {live} ORDER BY ALL"
    return connection.sql(query).to_arrow_table().combine_chunks()


def differing(found: Mapping[str, pa.Table], wanted: Mapping[str, pa.Table]) -> list[str]:
    """What two sets of tables differ in, in words; empty when they are equal."""
    odd = [f"{name}: only on one side" for name in found.keys() ^ wanted.keys()]
    return odd + [
        f"{name}: {found[name].num_rows} rows, expected {wanted[name].num_rows} (or values differ)"
        for name in sorted(found.keys() & wanted.keys())
        if not found[name].equals(wanted[name])
    ]


def fragments(root: Path) -> dict[str, str]:
    """SHA-256 of every fragment's bytes, by its path below ``state/fragments``."""
    folder = root / "state" / "fragments"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def journal(root: Path) -> list[dict[str, Any]]:
    """The entries of the journal."""
    text = (root / "state" / "journal.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
