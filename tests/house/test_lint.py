"""The house rules: linter, formatter, strict types, import contracts."""

import sys
from pathlib import Path

from commands import run


def tool(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def test_linter() -> None:
    run(tool("ruff"), "check", ".")


def test_formatter() -> None:
    run(tool("ruff"), "format", "--check", ".")


def test_types() -> None:
    run(tool("mypy"))


def test_import_contracts() -> None:
    said = run(tool("lint-imports"))
    assert " 0 broken." in said, said
