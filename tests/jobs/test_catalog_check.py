"""``catalog check``: all mistakes of all files without any flow, and doubts that stop nothing."""

import json
from pathlib import Path

import pytest
from calls import call, run

from v6share.jobs.terminal.exit_codes import ExitCode

FILES = {
    "v6share.toml": '[kpi]\nvantages = ["edge", "unlistd"]\n',
    "catalog/apps.toml": '[[app]]\nid = "shop"\nname = "Shop"\nmatch = [{ port = 443 }]\n',
    "catalog/networks.csv": "network,kind,client_prefix_v4,client_prefix_v6\nhome,fixed,,\n",
    "catalog/prefixes.csv": "prefix,region,network\n192.0.2.0/24,eu,home\n",
}


def write(root: Path, **changed: str) -> None:
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(changed.get(path.stem, text))


def check(
    capsys: pytest.CaptureFixture[str], root: Path
) -> tuple[ExitCode, dict[str, list[tuple[object, ...]]], str]:
    code, out, err = call(capsys, root, "catalog", "check", "--format", "json")
    found = {
        kind: [(row["file"], row["line"], row["key"]) for row in rows]
        for kind, rows in json.loads(out).items()
    }
    return code, found, err


def test_all_mistakes_of_all_files_at_once_as_a_run_says_them(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    write(
        root,
        v6share="[run]\nthraeds = 1\n[kpi]\nvantages = 3\n",
        apps="[app]\nid = 'shop'\n",
        prefixes="prefix,region,network\n192.0.2.1/24,eu,home\n10.0.0.0/8,eu,hmoe\n",
        networks="network,kind,client_prefix_v4,client_prefix_v6\nhome,fixd,,\n",
    )
    code, found, err = check(capsys, root)
    assert code is ExitCode.USAGE
    assert found == {
        "mistakes": [
            ("v6share.toml", 2, "run.thraeds"),
            ("v6share.toml", 4, "kpi.vantages"),
            ("apps.toml", 1, "app"),
            ("prefixes.csv", 2, "prefix"),
            ("prefixes.csv", 3, "network"),
            ("networks.csv", 2, "kind"),
        ],
        "doubts": [],
    }
    assert err.startswith("error: 6 mistakes: nothing is counted until they are mended")
    a_file = flows / "day0.parquet"
    for arguments in (("run", flows), ("stream", "--once", flows), ("explain", a_file, "--row", 0)):
        code, out, err = call(capsys, root, *arguments)
        assert (code, out) == (ExitCode.USAGE, ""), arguments
        places = [f"error: {file}:{line}: {key}: " for file, line, key in found["mistakes"]]
        assert [line for line in err.splitlines() if not line.startswith(tuple(places))] == []
        assert err.count("\n") == len(places)
    assert not (root / "state" / "client.key").exists()
    code, _, err = call(capsys, root, "doctor")
    (line,) = (line for line in err.splitlines() if "settings, catalog" in line)
    assert code is ExitCode.USAGE
    assert 'did you mean "threads"? (and 5 more: `v6share catalog check` lists all)' in line


def test_prefixes_that_only_compiling_finds_are_mistakes(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    rows = "192.0.2.0/24,eu,home\n192.0.2.0/24,us,home\n10.0.0.1/8,eu,home\n"
    write(root, prefixes=f"prefix,region,network\n{rows}")
    code, found, _ = check(capsys, root)
    assert (code, found["mistakes"]) == (
        ExitCode.USAGE,
        [("prefixes.csv", 3, "prefix"), ("prefixes.csv", 4, "prefix")],
    )
    code, _, err = call(capsys, root, "run", flows)
    assert (code, err.count("error: prefixes.csv:")) == (ExitCode.USAGE, 2)


def test_doubts_are_listed_and_stop_nothing(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    write(root)
    code, found, err = check(capsys, root)
    assert code is ExitCode.DONE
    assert found == {"mistakes": [], "doubts": [("v6share.toml", 2, "kpi.vantages[1]")]}
    assert err == "no mistakes, 1 doubt\n"
    said = call(capsys, root, "catalog", "check")[1]
    assert 'did you mean "unlisted"?' in said
    assert not (root / "state").exists(), "a check changes nothing"
    assert "no app and no prefix there" not in err
    # A run says that there are some, and not which.
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"]) == (ExitCode.DONE, 3)
    assert f"warning: 1 doubt about the catalog: v6share -C {root} catalog check\n" in err
    assert "unlistd" not in err


def test_lines_are_numbers_without_separators(
    capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    write(root, v6share="", apps="\n" * 5750 + "[[app]]\nid = 3\n")
    out = call(capsys, root, "catalog", "check")[1]
    assert "apps.toml  5752  app[0].id" in out


def test_an_empty_catalog_is_no_mistake_and_yet_of_no_use(
    capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    code, found, err = check(capsys, root)
    assert (code, found) == (ExitCode.DONE, {"mistakes": [], "doubts": []})
    assert "no app and no prefix there, so every flow is `unclassified`" in err


def test_a_sound_catalog(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    write(root, v6share="")
    assert check(capsys, root) == (
        ExitCode.DONE,
        {"mistakes": [], "doubts": []},
        "no mistakes, no doubts\n",
    )
