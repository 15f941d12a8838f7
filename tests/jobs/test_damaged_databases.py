"""Databases that a disk or a person spoiled: it is said, and they are made again."""

from pathlib import Path
from typing import NoReturn

import duckdb
import pytest
from calls import call, run
from flow_files import write_flows

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.warehouse.checks import CheckResult
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    third = len(content) // 3
    damaged = {
        "empty": b"",
        "cut": content[:third],
        "zeros": content[:third] + bytes(third) + content[2 * third :],
        "zeros in the head": bytes(12_288) + content[12_288:],
        "no database": b"something else" * 1000,
    }
    path.write_bytes(damaged[how])


@pytest.mark.parametrize("how", ["empty", "cut", "zeros", "zeros in the head"])
def test_a_damaged_snapshot_is_said_and_published_again(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, how: str
) -> None:
    run(capsys, root, flows)
    before = call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1]
    damage(Workspace(root).published, how)
    codes = set()
    for relation in ("traffic_5m", "ledger_files", "clients_1d", "kpi_headline", "dim_ip_class"):
        code, out, err = call(capsys, root, "kpi", relation, "--format", "csv")
        codes.add(code)
        if code is not ExitCode.DONE:
            assert (code, out) == (ExitCode.USAGE, "")
            assert "v6share.duckdb cannot be read" in err
            assert "`v6share rebuild` makes it again" in err
            assert err.count("\n") == 1
    assert ExitCode.USAGE in codes
    code, done, err = run(capsys, root, flows)
    assert (code, done["outcome"], done["published"]) == (ExitCode.DONE, "no-op", True)
    assert "not the file that was published here" in err
    assert call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1] == before
    assert run(capsys, root, flows)[1]["published"] is False


@pytest.mark.parametrize("how", ["cut", "zeros", "no database"])
def test_a_damaged_warehouse_is_said_and_made_again(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, how: str
) -> None:
    run(capsys, root, flows)
    before = call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1]
    damage(Workspace(root).warehouse, how)
    write_flows(flows / "day1.parquet", octets=5)
    code, _, err = call(capsys, root, "run", flows)
    assert code is ExitCode.USAGE
    assert "`v6share rebuild` makes it again" in err
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1] == before


BLOCK = "Corrupt database file: computed checksum 12 does not match stored checksum 0 in block at"
SAID = [
    duckdb.Error(f"{BLOCK} location 12288"),
    duckdb.FatalException(
        f"FATAL Error: Failed to create checkpoint because of error: {BLOCK} location 274432"
    ),
    duckdb.TransactionException(
        f"TransactionContext Error: Failed to commit: could not append: {BLOCK} location 12288"
    ),
]


@pytest.mark.parametrize("error", SAID, ids=lambda error: type(error).__name__)
def test_a_damaged_block_is_said_whatever_duckdb_calls_it(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: duckdb.Error,
) -> None:
    """A commit meets it itself, or the checkpoint that comes with the commit does."""

    def meet(*_: object, **__: object) -> NoReturn:
        raise type(error)(*error.args)  # a new one: it keeps what is open where it was raised

    with monkeypatch.context() as patch:
        patch.setattr("v6share.warehouse.commit.write_refusals", meet)
        code, _, err = call(capsys, root, "run", flows)
    assert code is ExitCode.USAGE
    assert "the warehouse is damaged" in err
    assert "Corrupt database file" in err
    assert "`v6share rebuild` makes it again" in err
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (duckdb.FatalException, ExitCode.USAGE),
        (duckdb.InternalException, ExitCode.USAGE),
        (duckdb.IOException, ExitCode.USAGE),
        (duckdb.SerializationException, ExitCode.USAGE),
        (duckdb.ConversionException, ExitCode.INTERNAL),
    ],
)
def test_no_error_of_a_database_ends_without_what_mends_it(
    capsys: pytest.CaptureFixture[str],
    counted: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[duckdb.Error],
    expected: ExitCode,
) -> None:
    """DuckDB says many things of bytes that make no sense. What it said first is what helps."""

    def meet(*_: object, **__: object) -> NoReturn:
        try:
            raise duckdb.InternalException("INTERNAL Error: no such metadata pointer")
        finally:
            raise kind("the database has been invalidated because of a previous error")

    monkeypatch.setattr("v6share.jobs.commands.check.run_checks", meet)
    code, _, err = call(capsys, counted, "check")
    assert code is expected
    assert "the database failed: InternalException: INTERNAL Error: no such metadata pointer" in err
    assert "`v6share doctor` says whether the warehouse is damaged; `v6share rebuild`" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("met", ["in the checks", "in publishing"])
def test_status_says_what_mends_damage_that_was_met_on_the_way(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    monkeypatch: pytest.MonkeyPatch,
    met: str,
) -> None:
    def meet(*_: object, **__: object) -> NoReturn:
        raise duckdb.Error(f"{BLOCK} location 12288")

    places = {
        "in the checks": "v6share.jobs.steps.check_and_publish.run_checks",
        "in publishing": "v6share.warehouse.publish._refuse_damage",
    }
    with monkeypatch.context() as patch:
        patch.setattr(places[met], meet)
        code, _, err = call(capsys, root, "run", flows)
    assert code is ExitCode.USAGE
    assert "`v6share rebuild` makes it again" in err
    err = call(capsys, root, "status")[2]
    assert "not published (the warehouse is damaged)" in err
    assert "`v6share rebuild` makes the warehouse again and publishes" in err
    assert "v6share check" not in err
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert "not published" not in call(capsys, root, "status")[2]


def test_status_says_what_publishes_where_a_check_failed_or_nobody_wanted_it(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = CheckResult("name", "what", "{day}", "fail", 1, ({"day": "today"},))
    with monkeypatch.context() as patch:
        patch.setattr("v6share.jobs.steps.check_and_publish.run_checks", lambda *_: [failed])
        assert call(capsys, root, "run", flows)[0] is ExitCode.GATE
    err = call(capsys, root, "status")[2]
    assert "not published (failed checks: name)" in err
    assert "`v6share check` shows what fails; `v6share rebuild` makes the tables anew" in err
    assert call(capsys, root, "run", flows, "--no-publish")[0] is ExitCode.DONE
    err = call(capsys, root, "status")[2]
    assert "(--no-publish was given)" in err
    assert "The next `v6share run` publishes" in err
    assert "v6share check" not in err
