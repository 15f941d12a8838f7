"""``make audit`` ends well only where every locked package was judged."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.audit import main, merge, read_audit, say

GOOD = {"name": "duckdb", "version": "1.5.4", "vulns": []}
BAD = {
    "name": "old",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": "text"}],
}
SKIPPED = {"name": "odd", "skip_reason": "Dependency not found on PyPI"}


def report(*packages: Any) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    ("packages", "good", "said"),
    [
        ([GOOD], True, "1 locked packages, none with a known vulnerability."),
        ([GOOD, BAD], False, "old 1.0: PYSEC-1, mended in 1.1"),
        ([GOOD, SKIPPED], False, "1 packages were not judged (odd: Dependency not found on PyPI)"),
        ([], False, "no package was judged"),
    ],
)
def test_what_was_not_judged_is_not_good(
    packages: list[dict[str, Any]], good: bool, said: str
) -> None:
    audit = read_audit(report(*packages))
    assert audit.is_good == good
    assert said in say(audit)


def stand_in(folder: Path, name: str, script: str) -> None:
    tool = folder / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


def test_a_service_that_cannot_be_reached_fails_with_a_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stand_in(tmp_path, "pip-audit", "echo 'ConnectionError: no route' >&2; exit 1")
    stand_in(tmp_path, "cyclonedx-py", "exit 0")
    assert main(tmp_path) == 1
    said = capfd.readouterr().err
    assert "audit.txt was not judged, as pip-audit failed: ConnectionError: no route." in said
    assert said.count("\n") == 1


def test_each_lock_file_is_judged_and_has_its_bill(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = tmp_path / "words"
    stand_in(tmp_path, "pip-audit", f"echo \"$@\" >> {words}; echo '{report(GOOD)}'")
    stand_in(tmp_path, "cyclonedx-py", f'echo "$@" >> {words}')
    assert main(tmp_path) == 0
    said = words.read_text()
    for name in ("run", "test", "bench", "spark", "audit"):
        assert f"/locks/{name}.txt" in said
        assert f"/build/bills/{name}.cdx.json" in said
    assert "none with a known vulnerability" in capfd.readouterr().out


def test_what_several_lock_files_hold_is_said_once() -> None:
    assert say(merge([read_audit(report(BAD))] * 2)).count("PYSEC-1") == 1
