"""The client key: another one is noticed, a new one is made on purpose, and keys do not mix."""

import json
import stat
from pathlib import Path

import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, write_flows
from streams import published_paths, put, streaming
from workspaces import journal, read, tables, v6share

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.warehouse import commit
from v6share.workspace.client_key import key_id
from v6share.workspace.paths import Workspace

OTHER = bytes(reversed(range(16)))
UNION = (
    "SELECT clients, clients_union, client_keys FROM kpi_stage2_active_clients "
    "WHERE period = '30_days' AND scope = 'all' AND family = 'v6'"
)
DAYS = (
    "SELECT day, clients, client_keys FROM kpi_stage2_daily_clients "
    "WHERE scope = 'all' AND family = 'v6' ORDER BY day"
)


def ask(root: Path, sql: str) -> list[tuple[object, ...]]:
    with read(root) as connection:
        return connection.execute(sql).fetchall()


def id_in_place(root: Path) -> str:
    return key_id(Workspace(root).client_key.read_bytes())


def noted(root: Path) -> list[str]:
    return [entry["key_id"] for entry in journal(root) if entry["type"] == "key"]


def keys(capsys: pytest.CaptureFixture[str], root: Path) -> list[tuple[str, int]]:
    """The ids of all keys and how many inputs count with each, as ``key show`` says."""
    code, out, err = call(capsys, root, "key", "show", "--format", "json")
    assert code is ExitCode.DONE, err
    return [(row["key_id"], row["inputs"]) for row in json.loads(out)]


def rotate(capsys: pytest.CaptureFixture[str], root: Path) -> str:
    code, _, err = call(capsys, root, "key", "rotate")
    assert code is ExitCode.DONE, err
    return err


def backfill_all(capsys: pytest.CaptureFixture[str], root: Path, *paths: Path) -> None:
    span = ("--since", "2026-01-01", "--until", "2027-01-01")
    code, _, err = call(capsys, root, "backfill", *span, "--reprocess", "all", *paths)
    assert code is ExitCode.DONE, err


def write_day(folder: Path, day: int) -> Path:
    start_ms = JANUARY_1 + day * DAY_MS + 2 * 3_600_000
    return write_flows(folder / f"{day}.parquet", start_ms=start_ms, octets=500 + day)


@pytest.fixture
def days(tmp_path: Path) -> list[Path]:
    """Files of three days with the same client, at two in the morning: the last is not final."""
    return [write_day(tmp_path / "flows", day) for day in range(3)]


def test_the_first_run_notes_its_key_once(
    capsys: pytest.CaptureFixture[str], root: Path, days: list[Path]
) -> None:
    run(capsys, root, days[0])
    run(capsys, root, days[1])
    assert noted(root) == [id_in_place(root)]
    assert keys(capsys, root) == [(id_in_place(root), 2)]
    code, out, _ = call(capsys, root, "status", "--format", "json")
    assert code is ExitCode.DONE
    assert [row["inputs"] for row in json.loads(out)["keys"]] == [2]


COUNTING = {
    "run": ("run", "flows"),
    "stream": ("stream", "--once", "flows"),
    "backfill": ("backfill", "--since", "2026-01-01", "--until", "2026-02-01", "flows"),
    "dry run": (
        "backfill", "--since", "2026-01-01", "--until", "2026-02-01", "flows", "--dry-run"
    ),
    "rebuild": ("rebuild",),
    "check": ("check",),
    "doctor": ("doctor",),
    "doctor --repair": ("doctor", "--repair"),
    "forget": ("forget", "flows/0.parquet"),
}  # fmt: skip


@pytest.mark.parametrize("command", COUNTING)
def test_another_key_is_refused_with_both_ids_and_the_ways_out(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    days: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.chdir(days[0].parent.parent)
    run(capsys, root, days[0], days[1])
    right = Workspace(root).client_key.read_bytes()
    before, entries = tables(root), journal(root)
    Workspace(root).client_key.write_bytes(OTHER)
    code, _, err = call(capsys, root, *COUNTING[command])
    assert code is ExitCode.USAGE
    assert f"found the key {key_id(OTHER)}" in err
    assert f"counts with the key {key_id(right)}" in err
    assert "twice in every union" in err
    assert "Put the right key back from a backup" in err
    assert "`v6share key rotate`" in err
    assert (journal(root), tables(root)) == (entries, before)
    Workspace(root).client_key.write_bytes(right)
    assert call(capsys, root, *COUNTING[command])[0] is ExitCode.DONE


@pytest.mark.parametrize("damage", ["gone", "torn"])
def test_a_key_that_is_gone_is_not_made_anew_but_rotated(
    capsys: pytest.CaptureFixture[str], root: Path, days: list[Path], damage: str
) -> None:
    run(capsys, root, days[0])
    path = Workspace(root).client_key
    path.unlink() if damage == "gone" else path.write_bytes(b"torn")
    for command in COUNTING.values():
        if command[0] != "forget":
            arguments = [days[1] if one == "flows" else one for one in command]
            code, _, err = call(capsys, root, *arguments)
            assert code is ExitCode.USAGE
            assert "`v6share key rotate`" in err
    assert path.exists() == (damage == "torn")
    assert "`v6share key rotate`" in call(capsys, root, "key", "show")[2]
    first = noted(root)
    rotate(capsys, root)
    assert noted(root) == [*first, id_in_place(root)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    run(capsys, root, days[1])
    assert keys(capsys, root) == [(first[0], 1), (id_in_place(root), 1)]
    assert call(capsys, root, "doctor")[0] is ExitCode.DONE


def test_after_a_rotation_old_inputs_stay_and_unions_are_refused(
    capsys: pytest.CaptureFixture[str], root: Path, days: list[Path]
) -> None:
    run(capsys, root, days[0], days[1])
    old = Workspace(root).client_key.read_bytes()
    assert ask(root, UNION) == [(1.0, 1.0, 1)]
    said = rotate(capsys, root)
    assert "`v6share backfill --reprocess all" in said
    code, done, _ = run(capsys, root, *days)
    # The two files that were counted before are known, although they have another key.
    assert (code, done["inputs_committed"], done["inputs_known"]) == (ExitCode.DONE, 1, 2)
    assert keys(capsys, root) == [(key_id(old), 2), (id_in_place(root), 1)]
    assert ask(root, DAYS)[:3] == [
        (day, 1.0, 1) for (day,) in ask(root, "SELECT DISTINCT day FROM clients_1d ORDER BY day")
    ]
    # January 3 is not final yet, so the window is still of one key; with the fourth day it is not.
    fourth = write_day(days[0].parent, 3)
    run(capsys, root, fourth)
    assert ask(root, UNION) == [(1.0, None, 2)]
    (note,) = ask(root, "SELECT note FROM kpi_headline WHERE metric = 'active_ipv6_clients_30d'")
    assert "mean of" in str(note[0])
    for path in (Workspace(root).root).rglob("*"):
        assert not path.is_file() or old not in path.read_bytes(), path
    assert call(capsys, root, "check", "--results")[0] is ExitCode.DONE


def test_reprocessing_all_makes_it_whole_again(
    capsys: pytest.CaptureFixture[str], root: Path, days: list[Path]
) -> None:
    fourth = write_day(days[0].parent, 3)
    run(capsys, root, *days[:2])
    rotate(capsys, root)
    run(capsys, root, days[2], fourth)
    assert ask(root, UNION) == [(1.0, None, 2)]
    span = ("--since", "2026-01-01", "--until", "2026-02-01", "--reprocess", "all")
    out = call(capsys, root, "backfill", *span, days[0], "--dry-run", "--format", "json")[1]
    assert [row["why"] for row in json.loads(out)["inputs"]] == [
        "counted with an earlier client key"
    ]
    backfill_all(capsys, root, days[0].parent)
    assert [inputs for _, inputs in keys(capsys, root)] == [0, 4]
    assert ask(root, UNION) == [(1.0, 1.0, 1)]
    assert ask(root, "SELECT DISTINCT client_key FROM clients_1d") == [(1,)]


def test_a_day_of_two_keys_is_one_of_two_keys_after_a_rebuild_and_a_withdrawal(
    capsys: pytest.CaptureFixture[str], root: Path, days: list[Path]
) -> None:
    """Rows of both keys stand beside each other in a day, whoever makes it anew."""
    run(capsys, root, *days)
    rotate(capsys, root)
    late = write_flows(days[0].with_name("late.parquet"), octets=77)
    gone = write_flows(days[0].with_name("gone.parquet"), octets=78)
    run(capsys, root, late, gone)
    split = ask(root, DAYS)
    assert [row[1:] for row in split] == [(None, 2), (1.0, 1), (1.0, 1)]
    assert call(capsys, root, "forget", gone)[0] is ExitCode.DONE
    assert ask(root, DAYS) == split
    wanted = tables(root)
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert tables(root) == wanted
    assert call(capsys, root, "forget", late)[0] is ExitCode.DONE
    assert [row[1:] for row in ask(root, DAYS)] == [(1.0, 1)] * 3


def test_a_copy_of_what_an_earlier_key_counted_is_not_counted_again(
    capsys: pytest.CaptureFixture[str], root: Path, days: list[Path]
) -> None:
    run(capsys, root, *days)
    rotate(capsys, root)
    copy = days[0].with_name("renamed.parquet")
    days[0].rename(copy)
    done = run(capsys, root, copy)[1]
    assert (done["inputs_committed"], done["outcome"]) == (0, "no-op")
    assert [inputs for _, inputs in keys(capsys, root)] == [3, 0]


def test_where_nothing_is_counted_there_is_no_key_to_rotate(
    capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    for command in ("rotate", "show"):
        code, _, err = call(capsys, root, "key", command)
        assert code is ExitCode.USAGE
        assert "v6share run PATH..." in err
    assert list(root.iterdir()) == []


def test_a_rotation_that_fails_leaves_the_key(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    days: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(capsys, root, days[0])
    before = Workspace(root).client_key.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(commit.journal, "append", fail)
        assert call(capsys, root, "key", "rotate")[0] is ExitCode.INTERNAL
    assert Workspace(root).client_key.read_bytes() == before
    assert [path.name for path in Workspace(root).state.glob("*client.key*")] == ["client.key"]
    assert run(capsys, root, days[1])[0] is ExitCode.DONE


def test_a_rotation_that_is_cut_short_is_ended_by_the_same_command(
    capsys: pytest.CaptureFixture[str], root: Path, days: list[Path]
) -> None:
    """The journal has the new key, the file does not: nothing counts until there is a key again."""
    run(capsys, root, days[0])
    old = Workspace(root).client_key.read_bytes()
    rotate(capsys, root)
    Workspace(root).client_key.write_bytes(old)
    assert call(capsys, root, "run", days[1])[0] is ExitCode.USAGE
    rotate(capsys, root)
    assert run(capsys, root, days[1])[0] is ExitCode.DONE


def test_a_stream_goes_on_with_the_new_key(
    capsys: pytest.CaptureFixture[str], root: Path, days: list[Path], tmp_path: Path
) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    with streaming(root, landing, "--interval", 1) as stream:
        put(days[0], landing)
        stream.wait_until(lambda: published_paths(root) == {"0.parquet"})
        code, _, err = v6share(root, "key", "rotate", "--wait", 60)
        assert code == 0, err
        stream.wait_for("key")
        put(days[1], landing)
        stream.wait_until(lambda: published_paths(root) == {"0.parquet", "1.parquet"})
        assert stream.end() == 0
    assert [inputs for _, inputs in keys(capsys, root)] == [1, 1]
    code, _, err = v6share(root, "run", days[0], days[1])
    assert code == 0, err
    # A run with the key in place would have made the very same fragment.
    before = tables(root)
    backfill_all(capsys, root, landing / "1.parquet")
    assert tables(root) == before
