"""``v6share backfill``: which inputs it takes, what becomes of them, and how it is broken off."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, spoil, write_flows
from workspaces import command, differing, fragments, journal, make_workspace, tables

from v6share.jobs.steps import slices
from v6share.jobs.steps.choose import LedgerTimes
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.pipelines.find import find_inputs
from v6share.pipelines.timespan import parse_span
from v6share.schemas.dialects import builtin_dialects, choose_dialect, dialect_named
from v6share.schemas.fragment import RULES_VERSION
from v6share.schemas.outcome import FoundInput
from v6share.warehouse.commit import record
from v6share.warehouse.ledger.changes import plan_changes
from v6share.warehouse.ledger.journal import Quarantine, read
from v6share.warehouse.ledger.known_inputs import KnownInputs, known_inputs
from v6share.warehouse.ledger.times import counted_times
from v6share.warehouse.open import open_warehouse
from v6share.workspace.configured import configure
from v6share.workspace.lock import hold, is_wanted
from v6share.workspace.paths import Workspace

APP = '[[app]]\nid = "{0}"\nname = "{0}"\nmatch = [{{ port = 443 }}]\n'
ALL_TIME = ("--since", "2026-01-01", "--until", "2027-01-01")
SECOND_DAY = ("--since", "2026-01-02", "--until", "2026-01-03")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with the key that all tests share: equal flows give equal fragments."""
    return make_workspace(tmp_path / "ws")


def backfill(
    capsys: pytest.CaptureFixture[str], root: Path, *words: object
) -> tuple[ExitCode, dict[str, Any], str]:
    """``v6share backfill ... --format json``: exit code, the summary, stderr."""
    code, out, err = call(capsys, root, "backfill", *words, "--format", "json")
    return code, json.loads(out)["run"], err


def planned(
    capsys: pytest.CaptureFixture[str], root: Path, *words: object
) -> dict[str, dict[str, Any]]:
    """What a dry run lists: rows by the name of the file."""
    code, out, _ = call(capsys, root, "backfill", *words, "--dry-run", "--format", "json")
    assert code is ExitCode.DONE
    return {Path(row["path"]).name: row for row in json.loads(out)["inputs"]}


def whys(capsys: pytest.CaptureFixture[str], root: Path, *words: object) -> dict[str, str]:
    return {name: row["why"] for name, row in planned(capsys, root, *words).items()}


def declare(root: Path, app: str) -> None:
    """A catalog in which the one service has this name: another name is another version."""
    (root / "catalog").mkdir(exist_ok=True)
    (root / "catalog" / "apps.toml").write_text(APP.format(app))


def refuse(root: Path, flow_file: Path) -> None:
    """Let a good file be quarantined, as by an earlier release that had a mistake in it."""
    status = flow_file.stat()
    workspace = Workspace(root)
    entry = Quarantine(
        run_id="earlier",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        input_id=hashlib.sha256(flow_file.read_bytes()).hexdigest(),
        path=str(flow_file),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        dialect="",
        rules_version=RULES_VERSION,
        catalog_version=configure(root).catalog_version,
        reason="unexpected",
        detail="a mistake of ours",
    )
    with hold(workspace, "test"), closing(open_warehouse(workspace)) as connection:
        record(connection, workspace, [entry])


def state_of(root: Path) -> dict[str, tuple[int, int, str]]:
    """Every file of a workspace: inode, time of change, digest."""
    return {
        str(file.relative_to(root)): (
            file.stat().st_ino,
            file.stat().st_mtime_ns,
            hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for file in sorted(root.rglob("*"))
        if file.is_file()
    }


# Choosing by time


@pytest.mark.parametrize("is_known", [True, False], ids=["from the ledger", "from the file"])
@pytest.mark.parametrize(
    ("since", "until", "wanted"),
    [
        # Of each day the first flow starts at 00:00 and the last one ends at 00:03:01.
        ("2026-01-01T00:03:01", "2026-01-02", ["day0"]),
        ("2026-01-01T00:03:01.001", "2026-01-02", []),
        ("2026-01-01T12:00", "2026-01-02T00:00:00.001", ["day1"]),
        ("2026-01-02", "2026-01-03", ["day1"]),
        ("2026-01-02T09:00+09:00", "2026-01-03T09:00+09:00", ["day1"]),
        ("2025-01-01", "2027-01-01", ["day0", "day1", "day2"]),
    ],
)
def test_a_span_is_half_open(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    since: str,
    until: str,
    wanted: list[str],
    is_known: bool,
) -> None:
    if is_known:
        run(capsys, root, flows)
    span = ("--since", since, "--until", until, "--reprocess", "all")
    found = planned(capsys, root, *span, flows)
    assert list(found) == [f"{day}.parquet" for day in wanted]
    firsts = [row["first"] for row in found.values()]
    assert firsts == [
        f"2026-01-0{int(day[3]) + 1}T00:00:00Z" if is_known else None for day in wanted
    ]
    done = backfill(capsys, root, *span, flows)[1]
    again = done["counted_again_the_same"] if is_known else done["inputs_committed"]
    assert (again, done["inputs_outside_the_span"]) == (len(wanted), 3 - len(wanted))


def test_the_ledger_tells_the_times_of_known_inputs_unopened(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    """A file that cannot be opened would be chosen, whatever its times: here all are gone."""
    run(capsys, root, flows)
    declare(root, "mail")
    found = find_inputs([str(flows)]).inputs
    shutil.rmtree(flows)
    with hold(Workspace(root), "test"), closing(open_warehouse(Workspace(root))) as connection:
        times = LedgerTimes(known_inputs(connection), counted_times(connection))
    span = parse_span("2026-01-02", "2026-01-03")
    chosen, outside = times.choose(found, span, None)
    assert [Path(one.path).name for one in chosen] == ["day1.parquet"]
    assert [Path(one.path).name for one in outside] == ["day0.parquet", "day2.parquet"]
    # By another dialect the same rows may have other times.
    assert times.choose(found, span, "goflow2") == (list(found), [])
    changed = [FoundInput(one.path, one.size + 1, one.mtime_ns) for one in found]
    assert times.choose(changed, span, None) == (changed, [])


def test_rows_that_may_yet_count_belong_to_the_time_of_an_input(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    """The ledger has the times of counted rows. Others wait for an interval in exporters.csv."""
    first = pq.read_table(write_flows(tmp_path / "1.parquet"))
    later = write_flows(tmp_path / "2.parquet", start_ms=JANUARY_1 + 5 * DAY_MS, interval=None)
    both = tmp_path / "both.parquet"
    pq.write_table(pa.concat_tables([first, pq.read_table(later)]), both)
    run(capsys, root, both, later)
    (root / "catalog").mkdir()
    (root / "catalog" / "exporters.csv").write_text(
        "exporter,vantage,role,sampling_interval,white_box\n192.0.2.1,edge,,100,false\n"
    )
    span = ("--since", "2026-01-06", "--until", "2026-01-07")
    assert set(planned(capsys, root, *span, both, later)) == {"both.parquet", "2.parquet"}
    assert backfill(capsys, root, *span, both, later)[1]["rows_counted"] == 12


# What is reprocessed


def test_each_value_of_reprocess(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    bad = spoil(flows / "bad.parquet")
    run(capsys, root, flows / "day0.parquet", flows / "day1.parquet", bad)
    write_flows(flows / "day1.parquet", start_ms=JANUARY_1 + DAY_MS, octets=7)
    missing = {"day1.parquet": "changed", "day2.parquet": "new"}
    failed = missing | {"bad.parquet": "quarantined: unreadable"}
    every = failed | {"day0.parquet": "asked for again"}
    assert whys(capsys, root, *ALL_TIME, flows) == missing
    assert whys(capsys, root, *ALL_TIME, flows, "--reprocess", "failed") == failed
    assert whys(capsys, root, *ALL_TIME, flows, "--reprocess", "all") == every

    code, done, _ = backfill(capsys, root, *ALL_TIME, flows)
    assert code is ExitCode.DONE
    assert (done["inputs_committed"], done["inputs_rewritten"]) == (2, 1)
    assert (done["inputs_known"], done["inputs_quarantined_before"]) == (1, 1)
    code, done, _ = backfill(capsys, root, *ALL_TIME, flows)  # what a scheduler gives again
    assert (code, done["outcome"], done["published"]) == (ExitCode.DONE, "no-op", False)
    for value in ("failed", "all"):  # the same bytes are refused again, which is nothing new
        code, done, _ = backfill(capsys, root, *ALL_TIME, flows, "--reprocess", value)
        assert (code, done["inputs_quarantined_before"]) == (ExitCode.DONE, 1)
        assert (done["inputs_known"], done["inputs_quarantined"]) == (3, 0)


def test_what_older_versions_counted_is_named_so(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    bad = spoil(flows / "bad.parquet")
    declare(root, "mail")
    run(capsys, root, flows)
    declare(root, "post")
    run(capsys, root, flows / "day0.parquet")
    older = "counted by an older catalog"
    assert whys(capsys, root, *ALL_TIME, flows) == {
        "day1.parquet": older,
        "day2.parquet": older,
        bad.name: "quarantined by other versions: unreadable",
    }


def test_a_quarantined_input_is_tried_again_only_when_asked_for(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, tmp_path: Path
) -> None:
    refuse(root, flows / "day1.parquet")
    noted = Workspace(root).quarantine
    assert len(list(noted.glob("*.json"))) == 1
    words = (*ALL_TIME, "--reprocess", "failed", flows)
    assert whys(capsys, root, *words)["day1.parquet"] == "quarantined: unexpected"
    assert backfill(capsys, root, *ALL_TIME, flows)[1]["inputs_quarantined_before"] == 1
    code, done, _ = backfill(capsys, root, *words)
    assert (code, done["inputs_committed"], done["inputs_known"]) == (ExitCode.DONE, 1, 2)
    assert not list(noted.glob("*.json"))
    plain = make_workspace(tmp_path / "plain")
    run(capsys, plain, flows)
    assert not differing(tables(root), tables(plain))


def test_what_was_withdrawn_stays_so(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows)
    call(capsys, root, "forget", flows / "day1.parquet")
    words = (*ALL_TIME, flows, "--reprocess", "all")
    assert set(planned(capsys, root, *words)) == {"day0.parquet", "day2.parquet"}
    done = backfill(capsys, root, *words)[1]
    assert (done["inputs_forgotten"], done["inputs_committed"]) == (1, 0)
    assert whys(capsys, root, *words, "--include-forgotten")["day1.parquet"] == "withdrawn"
    done = backfill(capsys, root, *words, "--include-forgotten")[1]
    assert (done["inputs_forgotten"], done["inputs_committed"]) == (0, 1)


# Tables


def test_another_catalog_for_a_part_of_the_time(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, tmp_path: Path
) -> None:
    declare(root, "mail")
    run(capsys, root, flows)
    declare(root, "post")
    code, done, _ = backfill(capsys, root, *SECOND_DAY, flows)
    assert (code, done["inputs_committed"], done["inputs_outside_the_span"]) == (
        ExitCode.DONE,
        1,
        2,
    )

    parts = make_workspace(tmp_path / "parts")
    declare(parts, "mail")
    run(capsys, parts, flows / "day0.parquet", flows / "day2.parquet")
    declare(parts, "post")
    run(capsys, parts, flows / "day1.parquet")
    assert not differing(tables(root), tables(parts))
    apps = tables(root)["traffic_1d"].to_pylist()
    assert {(row["window_start"].day, row["app"]) for row in apps} == {
        (1, "mail"),
        (2, "post"),
        (3, "mail"),
    }

    assert backfill(capsys, root, *ALL_TIME, flows)[1]["inputs_committed"] == 2
    once = make_workspace(tmp_path / "once")
    declare(once, "post")
    run(capsys, once, flows)
    assert not differing(tables(root), tables(once))


def test_slices_give_what_one_commit_gives(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """New, changed catalog, copies in another slice, and files of one day in several slices."""
    monkeypatch.setattr(slices, "SLICE_INPUTS", 2)
    flows = many_flows(tmp_path / "flows", 7)
    (flows / "copy.parquet").write_bytes((flows / "4.parquet").read_bytes())
    declare(root, "mail")
    run(capsys, root, *(flows / f"{number}.parquet" for number in range(4)))
    declare(root, "post")
    before = len(journal(root))
    code, done, err = backfill(capsys, root, *ALL_TIME, flows)
    assert (code, done["inputs_committed"], done["inputs_known"]) == (ExitCode.DONE, 7, 1)
    assert done["rows_counted"] == 7 * 4
    new = journal(root)[before:]
    assert [len(entry["inputs"]) for entry in new if entry["type"] == "commit"] == [2, 2, 2, 1]
    rows = [entry for entry in new if entry["type"] == "run"]
    assert [row["inputs_committed"] for row in rows] == [2, 4, 6, 7]
    assert {row["run_id"] for row in rows} == {done["run_id"]}
    assert err.count("published ") == 1
    runs = json.loads(call(capsys, root, "kpi", "ledger_runs", "--format", "json")[1])
    (row,) = (row for row in runs if row["run_id"] == done["run_id"])
    assert (row["inputs_committed"], row["rows_counted"]) == (7, 28)
    once = make_workspace(tmp_path / "once")
    declare(once, "post")
    run(capsys, once, flows)
    assert not differing(tables(root), tables(once))
    assert fragments(once).items() <= fragments(root).items()


def many_flows(folder: Path, files: int) -> Path:
    """Files of two a day, all different."""
    for number in range(files):
        start = JANUARY_1 + number // 2 * DAY_MS
        write_flows(folder / f"{number}.parquet", start_ms=start, octets=1000 + number)
    return folder


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ([], []),
        ([1, 1, 1, 1], [[1, 1, 1], [1]]),
        ([5, 5, 1, 20, 1], [[5, 5], [1, 20], [1]]),
    ],
)
def test_slices_are_cut_by_inputs_and_by_bytes(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], wanted: list[list[int]]
) -> None:
    monkeypatch.setattr(slices, "SLICE_INPUTS", 3)
    monkeypatch.setattr(slices, "SLICE_BYTES", 10)
    found = [FoundInput(str(place), size, 0) for place, size in enumerate(sizes)]
    cut = list(slices.slices_of(found))
    assert [[one.size for one in some] for some in cut] == wanted
    assert [one for some in cut for one in some] == found


# Broken off, and waiting


SLICED = (
    "import sys\n"
    "from v6share.jobs import cli\n"
    "from v6share.jobs.steps import slices\n"
    "slices.SLICE_INPUTS = 2\n"
    "sys.exit(cli.call(sys.argv[1:]))\n"
)


def committed_lines(root: Path) -> int:
    file = Workspace(root).journal
    return file.read_bytes().count(b'"type": "commit"') if file.exists() else 0


def kill_when(words: Sequence[object], is_time: Callable[[], bool]) -> None:
    """Start a backfill in slices of two inputs, and kill it at a moment."""
    child = subprocess.Popen(
        [sys.executable, "-c", SLICED, *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not is_time() and child.poll() is None:
        time.sleep(0.002)
    child.kill()
    assert child.wait() == -signal.SIGKILL


def test_a_kill_loses_at_most_a_slice(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    flows = many_flows(tmp_path / "flows", 20)
    declare(root, "mail")
    run(capsys, root, *(flows / f"{number}.parquet" for number in range(0, 20, 3)))
    declare(root, "post")
    words = ("-C", root, "backfill", *ALL_TIME, flows)
    begun = len(fragments(root))
    # In the middle of counting, then right after a commit, then while the next slice is counted.
    kill_when(words, lambda: len(fragments(root)) > begun)
    first = committed_lines(root)
    kill_when(words, lambda: committed_lines(root) >= first + 2)
    second = committed_lines(root)
    counted = len(fragments(root))
    kill_when(words, lambda: len(fragments(root)) > counted + 2)
    assert first <= 2
    assert first + 2 <= second <= 10  # of which one is the first run's, and ten would be all
    left = len(planned(capsys, root, *ALL_TIME, flows))
    assert 0 < left <= 20 - 2 * (second - 1)
    code, done, _ = backfill(capsys, root, *ALL_TIME, flows)
    assert (code, done["inputs_committed"], done["published"]) == (ExitCode.DONE, left, True)
    once = make_workspace(tmp_path / "once")
    declare(once, "post")
    run(capsys, once, flows)
    assert not differing(tables(root), tables(once))
    assert call(capsys, root, "check")[0] is ExitCode.DONE


def test_a_kill_takes_back_nothing_of_what_is_made_good(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    flows = many_flows(tmp_path / "flows", 12)
    run(capsys, root, flows)
    harmed = [fragment_of(root, flows / f"{number}.parquet") for number in (7, 11)]
    for file in harmed:
        file.unlink()
    words = (*ALL_TIME, flows, "--reprocess", "all")
    kill_when(("-C", root, "backfill", *words), lambda: all(file.exists() for file in harmed))
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    done = backfill(capsys, root, *words)[1]
    assert (done["counted_again_the_same"], done["fragments_made_good"]) == (12, 0)
    assert not Workspace(root).recounting.fragments.exists()


def test_it_waits_its_turn(capsys: pytest.CaptureFixture[str], root: Path, flows: Path) -> None:
    workspace = Workspace(root)
    words = ("backfill", *ALL_TIME, flows)
    with hold(workspace, "v6share run elsewhere"):
        code, _, err = call(capsys, root, *words)
        assert (code, "v6share run elsewhere" in err) == (ExitCode.LOCKED, True)
        waiting = subprocess.Popen(
            command(root, *words, "--wait", 120),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not is_wanted(workspace):
            assert waiting.poll() is None
            time.sleep(0.01)
        assert not workspace.journal.exists()
    assert waiting.wait(300) == ExitCode.DONE
    assert tables(root)["ledger_files"].num_rows == 3


# The dry run


def test_the_journal_tells_what_the_warehouse_knows(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    """A dry run reads the one, and what it is to foretell the other."""
    spoil(flows / "bad.parquet")
    declare(root, "mail")
    run(capsys, root, flows)
    call(capsys, root, "forget", flows / "day0.parquet")
    declare(root, "post")
    (flows / "copy.parquet").write_bytes((flows / "day1.parquet").read_bytes())
    run(capsys, root, flows / "day1.parquet", flows / "copy.parquet", flows / "bad.parquet")
    told = KnownInputs({}, {}, set(), set())
    told.follow(plan_changes((), (entry for entry, _ in read(Workspace(root).journal))))
    with hold(Workspace(root), "test"), closing(open_warehouse(Workspace(root))) as connection:
        known = known_inputs(connection)
    assert told == known
    assert (len(known.files), len(known.committed), len(known.forgotten)) == (5, 2, 1)
    assert len(known.quarantined) == 2


@pytest.mark.parametrize("value", ["missing", "failed", "all"])
def test_a_dry_run_changes_no_byte_and_needs_no_turn(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, value: str
) -> None:
    spoil(flows / "bad.parquet")
    run(capsys, root, flows / "day0.parquet", flows / "bad.parquet")
    run(capsys, root, flows / "day1.parquet", "--no-publish")
    declare(root, "mail")
    with hold(Workspace(root), "v6share run elsewhere"):
        before = state_of(root)
        found = planned(capsys, root, *SECOND_DAY, flows, "--reprocess", value)
        assert state_of(root) == before
    # Nothing published knows day1, so that it was opened; what cannot be read lies in every span.
    assert found["day1.parquet"]["why"] == "counted by an older catalog"
    assert found["day1.parquet"]["first"] is None
    assert set(found) == {"day1.parquet", "bad.parquet"}


def test_a_dry_run_in_a_new_workspace_makes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flows: Path
) -> None:
    root = tmp_path / "new"
    root.mkdir()
    assert whys(capsys, root, *SECOND_DAY, flows) == {"day1.parquet": "new"}
    assert not list(root.iterdir())


@pytest.mark.parametrize("form", ["table", "json", "markdown"])
def test_a_dry_run_is_data_in_every_form(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, form: str
) -> None:
    words = ("backfill", *SECOND_DAY, flows, "--dry-run", "--format", form)
    code, out, err = call(capsys, root, *words)
    assert code is ExitCode.DONE
    assert str(flows / "day1.parquet") in out
    assert "1 of 3 inputs would be counted" in err
    assert "2 have no flows in the span" in err


# Counting again what counts


def fragment_of(root: Path, flow_file: Path) -> Path:
    """The fragment of a flow file: the one that names the digest of its bytes."""
    input_id = hashlib.sha256(flow_file.read_bytes()).hexdigest()
    files = Workspace(root).fragments.rglob("*.parquet")
    (found,) = (file for file in files if said_by(file, "input_id") == input_id)
    return found


def said_by(fragment: Path, column: str) -> str:
    return str(pq.read_table(fragment, columns=[column])[column][0])


def flip(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 4
    file.write_bytes(whole)


HARMS: dict[str, Callable[[Path], Any]] = {
    "missing": Path.unlink,
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-10]),
    "altered": flip,
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_harmed_fragment_is_made_good_and_whole_ones_stay(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, harm: str
) -> None:
    run(capsys, root, flows)
    wanted, whole = tables(root), fragments(root)
    before = state_of(Workspace(root).fragments)
    harmed = fragment_of(root, flows / "day1.parquet")
    HARMS[harm](harmed)
    assert call(capsys, root, "check")[0] is ExitCode.GATE
    backfill(capsys, root, *ALL_TIME, flows)
    assert call(capsys, root, "check")[0] is ExitCode.GATE  # only who asks for all is looked after
    code, done, err = backfill(capsys, root, *ALL_TIME, flows, "--reprocess", "all")
    assert code is ExitCode.DONE
    assert (done["counted_again_the_same"], done["counted_again_otherwise"]) == (3, 0)
    assert (done["fragments_made_good"], done["inputs_known"]) == (1, 3)
    assert (done["outcome"], done["published"]) == ("no-op", False)
    assert "the fragments of 1 of them are lost or damaged" in err
    assert err.index("counting 1 input\n") < err.index("counting 2 inputs")  # the harmed one first
    assert fragments(root) == whole
    after = state_of(Workspace(root).fragments)
    name = str(harmed.relative_to(Workspace(root).fragments))
    assert {k: v for k, v in after.items() if k != name} == {
        k: v for k, v in before.items() if k != name
    }
    assert not Workspace(root).recounting.fragments.exists()
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert not differing(tables(root), wanted)


def test_where_nothing_is_harmed_all_changes_nothing_but_the_list_of_runs(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    (flows / "copy.parquet").write_bytes((flows / "day1.parquet").read_bytes())
    run(capsys, root, flows)
    before, entries = state_of(Workspace(root).fragments), len(journal(root))
    code, done, _ = backfill(capsys, root, *ALL_TIME, flows, "--reprocess", "all")
    assert (code, done["fragments_made_good"]) == (ExitCode.DONE, 0)
    # Of the two files with the same bytes one is counted.
    assert (done["counted_again_the_same"], done["inputs_known"]) == (3, 4)
    assert state_of(Workspace(root).fragments) == before
    assert [entry["type"] for entry in journal(root)[entries:]] == ["run"]


def test_made_good_before_anything_needs_the_fragment(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    """To replace one file of a day, the fragment of the other must be whole."""
    flows = many_flows(tmp_path / "flows", 2)
    declare(root, "mail")
    run(capsys, root, flows)
    declare(root, "post")
    run(capsys, root, flows / "0.parquet")
    version = configure(root).catalog_version
    files = Workspace(root).fragments.rglob("*.parquet")
    (harmed,) = (file for file in files if said_by(file, "catalog_version") == version)
    harmed.unlink()
    assert call(capsys, root, "backfill", *ALL_TIME, flows)[0] is ExitCode.USAGE
    code, done, _ = backfill(capsys, root, *ALL_TIME, flows, "--reprocess", "all")
    assert (code, done["fragments_made_good"], done["inputs_committed"]) == (ExitCode.DONE, 1, 1)
    once = make_workspace(tmp_path / "once")
    declare(once, "post")
    run(capsys, once, flows)
    assert not differing(tables(root), tables(once))


@pytest.fixture
def written_otherwise(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A workspace whose fragments were written as by another release: same rows, other bytes."""
    write_table = pq.write_table

    def other(table: pa.Table, where: Any, **options: Any) -> None:
        write_table(table, where, **{**options, "compression": "zstd"})

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", other)
        run(capsys, root, flows)
    return root


def test_a_whole_fragment_stays_whatever_comes_out(
    capsys: pytest.CaptureFixture[str], written_otherwise: Path, flows: Path
) -> None:
    root = written_otherwise
    before = state_of(Workspace(root).fragments)
    code, done, err = backfill(capsys, root, *ALL_TIME, flows, "--reprocess", "all")
    assert code is ExitCode.DONE
    assert (done["counted_again_the_same"], done["counted_again_otherwise"]) == (0, 3)
    assert err.count("came out in other bytes; the one that counts is whole, so it stays") == 3
    assert state_of(Workspace(root).fragments) == before
    assert call(capsys, root, "check")[0] is ExitCode.DONE


def test_a_lost_fragment_that_comes_out_in_other_bytes_is_committed_anew(
    capsys: pytest.CaptureFixture[str], written_otherwise: Path, flows: Path
) -> None:
    root = written_otherwise
    wanted = tables(root)
    for day in range(2):
        fragment_of(root, flows / f"day{day}.parquet").unlink()
    words = (*ALL_TIME, flows, "--reprocess", "all")
    code, done, err = backfill(capsys, root, *words)
    assert (code, done["fragments_made_good"]) == (ExitCode.DONE, 2)
    assert (done["counted_again_otherwise"], done["inputs_committed"]) == (3, 2)
    assert err.count("the new one counts now") == 2
    for command_ in ("check", "rebuild", "check"):
        assert call(capsys, root, command_)[0] is ExitCode.DONE
    assert not differing(tables(root), wanted)
    done = backfill(capsys, root, *words)[1]
    assert (done["counted_again_the_same"], done["counted_again_otherwise"]) == (2, 1)


def test_a_flow_file_that_was_altered_in_secret_is_not_counted_beside_the_old_one(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows)
    wanted = tables(root)
    file = flows / "day1.parquet"
    status = file.stat()
    write_flows(file, start_ms=JANUARY_1 + DAY_MS, octets=1002)
    assert file.stat().st_size == status.st_size
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    code, done, err = backfill(capsys, root, *ALL_TIME, flows, "--reprocess", "all")
    assert code is ExitCode.INPUT_FAILED
    assert (done["inputs_failed"], done["counted_again_the_same"]) == (1, 2)
    assert (done["inputs_known"], done["inputs_committed"]) == (2, 0)
    assert "day1.parquet: its bytes are not those that were counted" in err
    assert not differing(tables(root), wanted)


def test_a_dialect_that_was_named_need_not_be_named_again(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    """By itself the file would be read as another dialect, of which it has more columns."""
    file = write_flows(tmp_path / "flows.parquet")
    table = pq.read_table(file)
    goflow2 = dialect_named("goflow2", builtin_dialects())
    for name in sorted(goflow2.source_columns):
        kind = pa.string() if name.endswith("_addr") else pa.int64()
        table = table.append_column(name, pa.nulls(table.num_rows, kind))
    pq.write_table(table, file)
    assert choose_dialect(table.column_names, builtin_dialects()) == goflow2
    code, done, _ = run(capsys, root, file, "--dialect", "ipfix")
    assert (code, done["rows_counted"]) == (ExitCode.DONE, 4)
    done = backfill(capsys, root, *ALL_TIME, file, "--reprocess", "all")[1]
    assert (done["counted_again_the_same"], done["inputs_committed"]) == (1, 0)


# Usage


def test_usage(capsys: pytest.CaptureFixture[str], root: Path, flows: Path) -> None:
    for words, said in [
        (("--since", "2026-01-01", flows), "--until"),
        (("--until", "2026-01-01", flows), "--since"),
        (("--since", "2026-01-02", "--until", "2026-01-02", flows), "is not before"),
        (("--since", "soon", "--until", "2026-01-02", flows), "--since: found 'soon'"),
        ((*ALL_TIME, "--reprocess", "some", flows), "--reprocess"),
        ((*ALL_TIME, "--runner", "abacus", flows), "abacus"),
        ((*ALL_TIME, "--runner", "abacus", flows, "--dry-run"), "abacus"),
        ((*ALL_TIME, "--dialect", "none", flows), "none"),
    ]:
        code, out, err = call(capsys, root, "backfill", *words)
        assert (code, out) == (ExitCode.USAGE, "")
        assert said in err
    for more in ((), ("--dry-run",)):
        code, _, _ = call(capsys, root, "backfill", *ALL_TIME, flows / "none-*", *more)
        assert code is ExitCode.NO_INPUT


def test_no_publish(capsys: pytest.CaptureFixture[str], root: Path, flows: Path) -> None:
    code, done, err = backfill(capsys, root, *ALL_TIME, flows, "--no-publish")
    assert (code, done["inputs_committed"], done["published"]) == (ExitCode.DONE, 3, False)
    assert not Workspace(root).published.exists()
    assert "the same again without --no-publish" in err
