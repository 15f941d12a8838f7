"""``catalog suggest``: rules for what is unclassified, and that nothing but apps.toml changes."""

import json
from pathlib import Path
from typing import Any

import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, write_flows
from workspaces import read

from v6share.jobs.terminal.exit_codes import ExitCode

# The services of ``write_flows``, of which half of the bytes go over each family.
V4, V6 = "198.51.100.0/24", "2001:db8:1::/48"
CLIENTS = ("203.0.113", "2001:db8:2")
OWN = b"# mine \xe2\x80\x94 keep\r\n[[app]]\r\nid='dns' # ours\r\nname=\"DNS\"\r\nmatch=[{port=53}]"


def suggest(
    capsys: pytest.CaptureFixture[str], root: Path, *arguments: object
) -> tuple[ExitCode, list[dict[str, Any]], str]:
    code, out, err = call(capsys, root, "catalog", "suggest", *arguments, "--format", "json")
    return code, json.loads(out)["proposals"] if out else [], err


def own_apps(root: Path) -> Path:
    file = root / "catalog" / "apps.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(OWN)
    return file


def test_what_is_proposed_and_accepted_is_classified_by_the_next_run(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    for day in range(3):
        write_flows(tmp_path / f"flows/{day}.parquet", start_ms=JANUARY_1 + day * DAY_MS)
    file = own_apps(root)
    file.chmod(0o664)
    assert run(capsys, root, tmp_path / "flows")[0] is ExitCode.DONE
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    # Without paths: the inputs that were counted. 2 records of 1,000 bytes, 1 in 100, 3 days.
    code, found, err = suggest(capsys, root)
    assert (code, [(one["prefixes"], one["port"]) for one in found]) == (
        ExitCode.DONE,
        [([V4], 443), ([V6], 443)],
    )
    assert [(one["bytes"], one["ipv6_bytes"], one["share"]) for one in found] == [
        (600_000, 0, 0.5),
        (600_000, 600_000, 0.5),
    ]
    assert "unclassified in 3 files: 1.2 MB, of which these 2 would classify 100.0 %" in err
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    # Of one file, named; as text to read.
    code, out, err = call(capsys, root, "catalog", "suggest", tmp_path / "flows/0.parquet")
    assert (code, out.count("[[app]]")) == (ExitCode.DONE, 2)
    assert out.startswith("# 1: 200 kB, 50.0 % of what is unclassified; 0.0 % of it IPv6\n[[app]]")
    assert not any(client in out + err for client in CLIENTS)
    # The second one alone.
    code, out, err = call(capsys, root, "catalog", "suggest", "--only", "2", "--accept")
    assert (code, f'prefix = "{V6}"' in out, V4 in out) == (ExitCode.DONE, True, False)
    assert "appended 1" in err
    appended = file.read_bytes()
    assert appended.startswith(OWN + b"\r\n\r\n# Proposed: 600 kB, ")
    assert appended.replace(b"\r\n", b"").count(b"\n") == 0, "line ends are as they were"
    assert file.stat().st_mode & 0o777 == 0o664
    assert call(capsys, root, "catalog", "check")[0] is ExitCode.DONE
    code, done, _ = run(capsys, root, tmp_path / "flows")
    assert (code, done["inputs_committed"]) == (ExitCode.DONE, 3)
    with read(root) as connection:
        assert connection.execute(
            "SELECT app, family, sum(bytes) FROM traffic_1d GROUP BY ALL ORDER BY 1"
        ).fetchall() == [("2001-db8-1-48-443", "v6", 600_000), ("unclassified", "v4", 600_000)]
    # What is left comes first now; all of it, and nothing is left.
    assert [one["prefixes"] for one in suggest(capsys, root, "--accept")[1]] == [[V4]]
    code, found, err = suggest(capsys, root, tmp_path / "flows")
    assert (code, found) == (ExitCode.DONE, [])
    assert "nothing is unclassified in 3 files" in err
    assert suggest(capsys, root, tmp_path / "flows", "--accept")[1] == []


def test_apps_toml_that_is_a_link_stays_one_and_a_missing_one_is_made(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, tmp_path: Path
) -> None:
    file = root / "catalog" / "apps.toml"
    code, found, _ = suggest(capsys, root, flows, "--only", "2001-db8-1-48-443", "--accept")
    assert (code, len(found), file.read_text().count("[[app]]")) == (ExitCode.DONE, 1, 1)
    kept = tmp_path / "elsewhere.toml"
    file.replace(kept)
    file.symlink_to(kept)
    assert suggest(capsys, root, flows, "--accept")[0] is ExitCode.DONE
    assert (file.is_symlink(), kept.read_text().count("[[app]]")) == (True, 2)


def test_where_the_catalog_would_be_none_it_stays_as_it_is(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    """To a list in braces no table can be appended."""
    file = own_apps(root)
    file.write_text('app = [{ id = "a", name = "A", match = [{ port = 1 }] }]\n')
    before = file.read_bytes()
    code, _, err = suggest(capsys, root, flows, "--accept")
    assert (code, file.read_bytes()) == (ExitCode.USAGE, before)
    assert "error: apps.toml:" in err
    file.write_text("[app]\n")
    assert call(capsys, root, "catalog", "suggest", flows)[0] is ExitCode.USAGE


def test_what_cannot_be_asked(capsys: pytest.CaptureFixture[str], root: Path, flows: Path) -> None:
    code, out, err = call(capsys, root, "catalog", "suggest")
    assert (code, out, "nothing is published" in err) == (ExitCode.USAGE, "", True)
    code, out, err = call(capsys, root, "catalog", "suggest", flows, "--only", "1,7")
    assert (code, out) == (ExitCode.USAGE, "")
    assert '--only: found "7", which is no number or id of a proposal; known: 1, 198.51' in err
    assert call(capsys, root, "catalog", "suggest", flows / "none.parquet")[0] is ExitCode.NO_INPUT
    assert not (root / "state").exists(), "nothing is made"


def test_files_that_are_gone_or_broken(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert run(capsys, root, flows)[0] is ExitCode.DONE
    (flows / "day0.parquet").write_bytes(b"PAR1")
    code, found, err = suggest(capsys, root, flows)
    assert (code, len(found)) == (ExitCode.INPUT_FAILED, 2)
    assert "day0.parquet: left out: unreadable" in err
    for path in flows.iterdir():
        path.unlink()
    code, out, err = call(capsys, root, "catalog", "suggest")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "name flow files: v6share catalog suggest PATH..." in err
