# ruff: noqa: DTZ001 - times here are UTC without zone, as in the tables
"""``v6share prune``: what goes, what stays, and what becomes of files that come again."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, spoil, write_flows

from v6share.jobs import cli
from v6share.jobs.commands import prune as command
from v6share.jobs.steps import run_context
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.warehouse import prune as pruning
from v6share.warehouse.ledger import journal
from v6share.workspace import storage
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace

DAYS = 6
OLD_DAY = date(2025, 9, 23)
OLD_MS = JANUARY_1 - 100 * DAY_MS
# Enough for a day of data, beside those of a record a minute.
OLD_ROWS = 100
# The last day is not final: 2026-01-05 is the last one that is.
RETENTION = """
[retention]
five_minute_days = 2
hourly_days = 3
sketch_days = 62
quarantine_days = 30
fragment_days = 1
"""


@contextmanager
def days_ago(days: int) -> Iterator[None]:
    """Commands within are called so long ago."""

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - timedelta(days=days)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run_context, "datetime", Earlier)
        yield


@pytest.fixture(scope="module")
def counted_long_ago(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a file a day, an older one and a bad one, counted 100 days ago; one now.

    The one of now has a record of every minute of the six days. The older file and four days lie
    before the last final one: the fragments of these five files are to go.
    """
    base = tmp_path_factory.mktemp("long_ago")
    (base / "ws").mkdir()
    (base / "ws/v6share.toml").write_text(RETENTION)
    write_flows(base / "flows/old.parquet", start_ms=OLD_MS, rows=OLD_ROWS)
    for day in range(DAYS):
        write_flows(
            base / f"flows/day{day}.parquet",
            start_ms=JANUARY_1 + day * DAY_MS + 2 * 3_600_000,
            octets=1000 + day,
        )
    spoil(base / "flows/bad.parquet")
    run_all = ["-q", "-C", str(base / "ws"), "run", str(base / "flows")]
    with days_ago(100):
        assert cli.call(run_all) is ExitCode.INPUT_FAILED
    write_flows(base / "flows/now.parquet", rows=6 * 1440, octets=7)
    assert cli.call(run_all) is ExitCode.DONE
    return base


@pytest.fixture
def base(counted_long_ago: Path) -> Iterator[Path]:
    """The same, as it was: the workspace is put back afterwards."""
    root, kept = counted_long_ago / "ws", counted_long_ago / "kept"
    if not kept.exists():
        shutil.copytree(root, kept)
    yield counted_long_ago
    shutil.rmtree(root)
    shutil.copytree(kept, root)
    for file in ("copy.parquet", "late.parquet"):
        (counted_long_ago / "flows" / file).unlink(missing_ok=True)


def published(root: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every table, view and kept result of the published file, in an order of its own."""
    left_out = {"ledger_runs", "checks", "check_results", "snapshot"}
    with duckdb.connect(root / "published" / "v6share.duckdb", read_only=True) as connection:
        names = connection.execute(
            "SELECT schema_name || '.' || table_name, table_name FROM duckdb_tables() UNION ALL "
            "SELECT 'main.' || view_name, view_name FROM duckdb_views() "
            "WHERE NOT internal AND schema_name = 'main' ORDER BY ALL"
        ).fetchall()
        return {
            place: connection.execute(f"FROM {place} ORDER BY ALL").fetchall()
            for place, name in names
            if name not in left_out
        }


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if one[name] != other[name]]


def sum_of(days: list[tuple[Any, ...]]) -> int:
    """The bytes of rows of traffic_1d."""
    return sum(row[14] for row in days)


def fragments(root: Path) -> list[Path]:
    return sorted((root / "state" / "fragments").rglob("*.parquet"))


def test_what_goes_and_what_stays(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, flows = base / "ws", base / "flows"
    before = published(root)
    lines = Workspace(root).journal.read_bytes()
    code, out, told = call(capsys, root, "prune", "--dry-run", "--format", "json")
    assert code is ExitCode.DONE
    dry = {one["part"]: one for one in json.loads(out)}
    assert dry.keys() == {"traffic_5m", "traffic_1h", "clients_1d", "quarantine", "fragments"}
    assert (dry["traffic_5m"]["kept_from"], dry["traffic_1h"]["kept_from"]) == (
        "2026-01-04",
        "2026-01-03",
    )
    # 62 days to the last final one, 2026-01-05.
    assert dry["clients_1d"]["kept_from"] == "2025-11-05"
    assert (dry["fragments"]["files"], dry["quarantine"]["files"]) == (5, 1)
    # How large rows of tables are is not known; that is not 0.
    for one in dry.values():
        assert (one["bytes"] is None) == (one["rows"] is not None) == (one["files"] is None), one
    assert "by `v6share rebuild`" in told
    assert Workspace(root).journal.read_bytes() == lines
    assert (len(fragments(root)), published(root)) == (8, before)

    code, out, err = call(capsys, root, "prune", "--format", "json")
    assert code is ExitCode.DONE
    assert {one["part"]: one for one in json.loads(out)} == dry
    assert "5 files of state are removed" in err
    assert len(fragments(root)) == 3
    assert not list((root / "state" / "quarantine").iterdir())
    after = published(root)
    # No KPI, no view, no table by the day: what changed is what was to go, and the ledger of it.
    # And the view of hours, which covers 28 days as far as these are kept.
    assert differing(before, after) == [
        "main.client_counts_1d",
        "main.clients_1d",
        "main.ledger_files",
        "main.ledger_pruned",
        "main.share_by_hour",
        "main.traffic_1h",
        "main.traffic_5m",
    ]
    assert len(after["main.kpi_headline"]) == 4
    assert {row[0] for row in after["main.client_counts_1d"]} == {OLD_DAY}
    assert any(row[0] == OLD_DAY for row in after["main.kpi_stage2_daily_clients"])
    for table, first in (("traffic_5m", 4), ("traffic_1h", 3)):
        rows = [row for row in before[f"main.{table}"] if row[0] >= datetime(2026, 1, first)]
        assert after[f"main.{table}"] == rows

    code, out, err = call(capsys, root, "prune", "--format", "json")
    assert (code, json.loads(out), "nothing to prune" in err) == (ExitCode.DONE, [], True)
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert differing(published(root), after) == []
    for asked in (["check", "--results"], ["doctor"], ["reconcile", flows / "day0.parquet"]):
        assert call(capsys, root, *asked)[0] is ExitCode.DONE, asked


def test_what_comes_again_counts_once(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, flows = base / "ws", base / "flows"
    assert call(capsys, root, "prune")[0] is ExitCode.DONE
    _, done, _ = run(capsys, root, flows)
    assert (done["outcome"], done["inputs_known"], done["inputs_quarantined_before"]) == (
        "no-op",
        8,
        1,
    )
    shutil.copy(flows / "day0.parquet", flows / "copy.parquet")
    (root / "catalog").mkdir()
    (root / "catalog/apps.toml").write_text(
        '[[app]]\nid = "web"\nname = "Web"\nmatch = [{ port = 443 }]\n'
    )
    write_flows(flows / "late.parquet", start_ms=OLD_MS, octets=9)
    before = published(root)
    _, done, err = run(capsys, root, flows)
    assert "5 inputs stay as they were counted, for their fragments were pruned" in err
    assert (done["inputs_committed"], done["inputs_known"]) == (4, 6)
    assert "now.parquet: has records since 2026-01-01, of days that were pruned of traffic_" in err
    assert "before 2025-11-05 stays as it is" in err
    after = published(root)
    assert after["main.client_counts_1d"] == before["main.client_counts_1d"]
    days = after["main.traffic_1d"]
    assert sum_of(days) == sum_of(before["main.traffic_1d"]) + 4 * 9 * 100
    assert {row[2] for row in days if row[0].day == 6} == {"web"}
    assert {row[2] for row in days if row[0].day == 2} == {"unclassified", "web"}
    clients = "main.kpi_stage2_daily_clients"
    old = [[row for row in one[clients] if row[0] == OLD_DAY] for one in (before, after)]
    assert old[0] == old[1] != []
    code, out, _ = call(capsys, root, "status", "--format", "json")
    told = json.loads(out)
    assert (code, sum(one["sealed"] for one in told["versions"])) == (ExitCode.DONE, 5)
    assert {one["part"] for one in told["growth"]} >= {"fragments", "base", "warehouse", "journal"}

    code, _, err = call(capsys, root, "forget", flows / "day1.parquet")
    assert code is ExitCode.USAGE
    assert "can no longer be withdrawn, for its fragment was pruned" in err
    # Their days are made again, from the base and from what is left.
    code, _, err = call(capsys, root, "forget", flows / "late.parquet", flows / "now.parquet")
    assert (code, "before 2025-11-05 stays as it is" in err) == (ExitCode.DONE, True)
    left = published(root)["main.traffic_1d"]
    assert sum(row[11] for row in left) == DAYS * 4 + OLD_ROWS
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert published(root)["main.traffic_1d"] == left


def test_a_lost_row_of_a_pruned_day_is_found(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = base / "ws"
    assert call(capsys, root, "prune")[0] is ExitCode.DONE
    with duckdb.connect(root / "state" / "warehouse.duckdb") as warehouse:
        warehouse.execute("DELETE FROM traffic_1d WHERE window_start = '2026-01-01'")
    code, _, err = call(capsys, root, "check")
    assert code is ExitCode.GATE
    assert "failed: conservation" in err
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    base_file = next((root / "state" / "bases").iterdir())
    base_file.write_bytes(base_file.read_bytes()[:-1])
    code, _, err = call(capsys, root, "check")
    assert code is ExitCode.GATE
    assert "the base was altered" in err
    assert call(capsys, root, "doctor")[0] is ExitCode.USAGE


def test_without_settings_nothing_goes(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = base / "ws"
    (root / "v6share.toml").unlink()
    code, _, err = call(capsys, root, "prune")
    assert code is ExitCode.DONE
    assert "the settings keep all for ever" in err
    assert len(fragments(root)) == 8
    with hold(Workspace(root), "another"):
        assert call(capsys, root, "prune")[0] is ExitCode.LOCKED
    (root / "v6share.toml").write_text("[retention]\nsketch_days = 30\n")
    code, _, err = call(capsys, root, "prune")
    assert code is ExitCode.USAGE
    assert "v6share.toml:2: retention.sketch_days" in err


def test_notes_of_refused_inputs_make_no_file_late(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They go by the clock, and no table loses a day with them."""
    root, flows = base / "ws", base / "flows"
    (root / "v6share.toml").write_text("[retention]\nquarantine_days = 30\n")
    out = call(capsys, root, "prune", "--format", "json")[1]
    assert [one["part"] for one in json.loads(out)] == ["quarantine"]
    write_flows(flows / "late.parquet", start_ms=OLD_MS, octets=9)
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"]) == (ExitCode.DONE, 1)
    assert "pruned" not in err


def test_what_went_does_not_come_back(
    base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do rows of 5 minutes stand where the hours that they add up to do not."""
    root = base / "ws"
    for fine, hourly, kept in ((1, 3, (5, 3)), (5, 2, (5, 4)), (9, 9, (5, 4))):
        monkeypatch.setenv("V6SHARE_RETENTION__FIVE_MINUTE_DAYS", str(fine))
        monkeypatch.setenv("V6SHARE_RETENTION__HOURLY_DAYS", str(hourly))
        assert call(capsys, root, "prune")[0] is ExitCode.DONE
        horizons = {row[0]: row[1].day for row in published(root)["main.ledger_pruned"]}
        assert (horizons["traffic_5m"], horizons["traffic_1h"]) == kept
        assert call(capsys, root, "check")[0] is ExitCode.DONE


def test_days_after_today_are_no_reason_to_let_others_go(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where an exporter's clock is ahead, so that the last final day is one to come."""
    with days_ago((datetime.now(UTC) - datetime(2026, 1, 4, tzinfo=UTC)).days):
        out = call(capsys, base / "ws", "prune", "--dry-run", "--format", "json")[1]
    kept_from = {one["part"]: one["kept_from"] for one in json.loads(out)}
    assert (kept_from["traffic_5m"], kept_from["traffic_1h"]) == ("2026-01-03", "2026-01-02")


class Killed(BaseException):
    """Stands for a kill: nobody catches it."""


def dying(function: Callable[..., Any], *, after: bool, call_number: int = 1) -> Any:
    calls = 0

    def wrapped(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call_number and not after:
            raise Killed
        result = function(*args, **named)
        if calls == call_number:
            raise Killed
        return result

    return wrapped


def test_whatever_breaks_it_off_the_next_call_ends_it(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = base / "ws"
    shutil.copytree(root, base / "start")
    assert call(capsys, root, "prune")[0] is ExitCode.DONE
    wanted = published(root)
    points: list[tuple[Any, str, dict[str, Any]]] = [
        (pruning, "known_by", {"after": True}),
        (journal, "append", {"after": True}),
        (command, "compact", {"after": False}),
        (storage, "remove", {"after": True, "call_number": 2}),
    ]
    for place, name, how in points:
        shutil.rmtree(root)
        shutil.copytree(base / "start", root)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(command, "is_worthwhile", lambda _: True)
            patched.setattr(place, name, dying(getattr(place, name), **how))
            with pytest.raises(Killed):
                call(capsys, root, "prune")
        assert call(capsys, root, "prune")[0] is ExitCode.DONE, name
        found = published(root)
        odd = differing(found, wanted)
        # When and by which run it was done.
        assert set(odd) <= {"main.ledger_files", "main.ledger_pruned"}, (name, how, odd)
        assert len(fragments(root)) == 3
        assert len(list((root / "state" / "bases").iterdir())) == 1
        assert call(capsys, root, "doctor")[0] is ExitCode.DONE
