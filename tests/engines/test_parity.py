"""One set of flows, one set of tables: whatever counts them, in whatever pieces, order or mood.

Fragments are compared byte by byte, tables as Arrow after ORDER BY ALL. The tables come from the
published snapshot and are read by plain DuckDB.
"""

import csv
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from flow_sets import CROWD, CROWD_DAY, REJECTED, Made, count
from workspaces import (
    command,
    differing,
    fragments,
    journal,
    make_workspace,
    read,
    tables,
    v6share,
)

from v6share.jobs import cli
from v6share.pipelines.beam_pipeline import build, read_outcomes
from v6share.pipelines.find import find_inputs
from v6share.pipelines.work import Work
from v6share.schemas.outcome import FoundInput
from v6share.workspace.configured import configure

# Tables that say what the flows are, without a word of the files they came in.
OF_THE_FLOWS = (
    "traffic_5m",
    "traffic_1h",
    "traffic_1d",
    "clients_1d",
    "rtt_1h",
    "health_1h",
    "exporters_1h",
)
LEDGER_SUMS = {
    "ledger_families": "family, disposition",
    "rejects": "reason",
    "ledger_findings": "exporter, finding",
}

Copy = Callable[[Made], Path]


def flow_tables(root: Path) -> dict[str, pa.Table]:
    """The tables of the flows, and the ledger added up over the files."""
    found = {name: table for name, table in tables(root).items() if name in OF_THE_FLOWS}
    with read(root) as connection:
        for name, keys in LEDGER_SUMS.items():
            sums = "sum(rows)"
            if name != "ledger_findings":
                sums += ", sum(sampled_packets), sum(sampled_bytes)"
            found[name] = connection.sql(
                f"SELECT {keys}, {sums} FROM {name} GROUP BY {keys} ORDER BY ALL"
            ).to_arrow_table()
    return found


def same_tables(root: Path, wanted: Made | Path) -> None:
    other = wanted.root if isinstance(wanted, Made) else wanted
    assert differing(tables(root), tables(other)) == []


# -- what the flows are: the laws would hold for an empty warehouse, too --------------------------


def test_the_flows_are_worth_counting(made: Made) -> None:
    with read(made.root) as connection:
        for name in OF_THE_FLOWS:
            ((rows,),) = connection.execute(f"SELECT count(*) FROM {name}").fetchall()
            assert rows > 100, name
        rejected = dict(connection.execute("SELECT reason, rows FROM rejects").fetchall())
        ((theta, kept),) = connection.execute(
            """SELECT theta, len(client_hashes) FROM clients_1d
            WHERE scope = 'all' AND family = 'v6' AND unit = 'prefix' AND day = ?
            ORDER BY 2 DESC LIMIT 1""",
            [CROWD_DAY],
        ).fetchall()
    assert rejected == REJECTED
    assert kept == 4096
    assert kept / (theta / 2**64) == pytest.approx(CROWD, rel=0.05)
    groups = {path.name: pq.read_metadata(path).num_row_groups for path in made.files}
    assert min(groups.values()) >= 2, groups


# -- machines and pieces --------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_any_number_of_threads(made: Made, fresh: Path, threads: int) -> None:
    assert count(fresh, "--threads", threads, made.flows) == 0
    assert fragments(fresh) == fragments(made.root)
    same_tables(fresh, made)


@pytest.mark.parametrize("rows", [64, 1000, 65_536])
def test_any_batch_size(
    made: Made, fresh: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V6SHARE_RUN__BATCH_ROWS", str(rows))
    assert count(fresh, made.flows) == 0
    assert fragments(fresh) == fragments(made.root)
    same_tables(fresh, made)


def test_any_row_groups(made: Made, fresh: Path, tmp_path: Path) -> None:
    for path in made.files:
        table = pq.read_table(path)
        (tmp_path / "flows").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "flows" / path.name, row_group_size=len(table))
    assert count(fresh, tmp_path / "flows") == 0
    assert differing(flow_tables(fresh), flow_tables(made.root)) == []
    assert fragments(fresh).keys().isdisjoint(fragments(made.root))


def test_any_partition_in_any_order(made: Made, split: Made) -> None:
    assert len(split.files) == 4 * len(made.files)
    assert differing(flow_tables(split.root), flow_tables(made.root)) == []


def test_one_by_one_or_all_at_once(made: Made, fresh: Path) -> None:
    files = made.files
    random.Random(2).shuffle(files)
    for path in files[:-1]:
        assert count(fresh, "--no-publish", path) == 0
    assert count(fresh, files[-1]) == 0
    assert fragments(fresh) == fragments(made.root)
    same_tables(fresh, made)


# -- engines --------------------------------------------------------------------------------------


class TwiceAndBackwards(beam.PTransform):
    """A source that gives every input twice, the last one first: at least once is enough."""

    def __init__(self, found: tuple[FoundInput, ...]) -> None:
        super().__init__()
        self.found = found

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[FoundInput]:
        return (
            pipeline
            | beam.Create(range(len(self.found) - 1, -1, -1))
            | beam.FlatMap(lambda number, found: [found[number]] * 2, found=self.found)
        )


def test_another_runner_and_source_make_the_same_bytes(made: Made, fresh: Path) -> None:
    configured = configure(fresh)
    found, *_ = find_inputs([str(made.flows)])
    work = Work(
        workspace=configured.workspace,
        run_id="elsewhere",
        settings=configured.settings,
        catalog_version=configured.catalog_version,
        threads=2,
    )
    with beam.Pipeline(runner=BundleBasedDirectRunner()) as pipeline:
        build(pipeline, TwiceAndBackwards(found), work)
    assert fragments(fresh) == fragments(made.root)
    outcomes = read_outcomes(work.outcomes)
    assert [outcome.path for outcome in outcomes] == sorted(map(str, made.files))
    assert {outcome.status for outcome in outcomes} == {"fragment"}
    # What the other engine left behind is what our own makes anew.
    assert count(fresh, made.flows) == 0
    assert fragments(fresh) == fragments(made.root)
    same_tables(fresh, made)


# -- again ----------------------------------------------------------------------------------------


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of change of every file: what was replaced shows, equal bytes or not."""
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_rerun_touches_nothing(made: Made, copy_of: Copy) -> None:
    root = copy_of(made)
    before = stamps(root / "state" / "fragments") | stamps(root / "published")
    entries = journal(root)
    assert count(root, made.flows) == 0
    assert stamps(root / "state" / "fragments") | stamps(root / "published") == before
    added = journal(root)[len(entries) :]
    assert journal(root)[: len(entries)] == entries
    assert [(entry["type"], entry["outcome"]) for entry in added] == [("run", "no-op")]


def test_a_rerun_does_not_even_open_a_known_file(made: Made, fresh: Path, tmp_path: Path) -> None:
    flows = Path(shutil.copytree(made.flows, tmp_path / "flows"))
    victim = flows / "crowd.parquet"
    assert count(fresh, victim) == 0
    before = victim.stat()
    victim.write_bytes(b"?" * before.st_size)
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert count(fresh, victim) == 0
    assert journal(fresh)[-1]["outcome"] == "no-op"


def test_a_copy_and_a_rename_change_nothing(made: Made, copy_of: Copy, tmp_path: Path) -> None:
    root = copy_of(made)
    other = tmp_path / "elsewhere"
    other.mkdir()
    for path in made.files:
        shutil.copy(path, other / f"renamed-{path.name}")
    assert count(root, other, made.flows) == 0
    assert fragments(root) == fragments(made.root)
    same_tables(root, made)


def test_a_rebuild_is_equal(made: Made, copy_of: Copy) -> None:
    root = copy_of(made)
    shutil.rmtree(root / "published")
    (root / "state" / "warehouse.duckdb").unlink()
    assert cli.call(["-q", "-C", str(root), "rebuild"]) == 0
    of_the_run = ("check_results",)  # says when it was checked
    assert differing(tables(root, of_the_run), tables(made.root, of_the_run)) == []
    assert fragments(root) == fragments(made.root)


# -- catalog --------------------------------------------------------------------------------------


def edit_csv(path: Path, change: Callable[[list[dict[str, str]]], None]) -> None:
    text = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(text))
    change(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_a_catalog_change_replaces_what_was_counted(
    made: Made, copy_of: Copy, tmp_path: Path
) -> None:
    """The sampling interval of an exporter whose records name none: three times the traffic."""

    def triple(rows: list[dict[str, str]]) -> None:
        (row,) = (row for row in rows if row["exporter"] == "192.0.2.5")
        assert row["sampling_interval"] == "100"
        row["sampling_interval"] = "300"

    root = copy_of(made)
    original = (root / "catalog" / "exporters.csv").read_bytes()
    edit_csv(root / "catalog" / "exporters.csv", triple)
    anew = make_workspace(tmp_path / "anew", root / "catalog")
    assert count(anew, made.flows) == 0
    assert count(root, made.flows) == 0
    same_tables(root, anew)
    assert fragments(root).items() >= fragments(anew).items()

    def carried(place: Path) -> tuple[int, int]:
        with read(place) as connection:
            (sums,) = connection.execute(
                """SELECT sum(records)::BIGINT, sum(bytes)::BIGINT FROM exporters_1h
                WHERE exporter = '192.0.2.5'"""
            ).fetchall()
            return sums

    (records, octets), (same_records, three_times) = carried(made.root), carried(root)
    assert records == same_records > 0
    assert three_times == 3 * octets
    # And back: nothing of the other version stays.
    (root / "catalog" / "exporters.csv").write_bytes(original)
    assert count(root, made.flows) == 0
    same_tables(root, made)


def test_endpoints_show_without_counting_again(made: Made, copy_of: Copy) -> None:
    key = ("video", "cdn", "europe")

    def put_off(rows: list[dict[str, str]]) -> None:
        (row,) = (row for row in rows if (row["app"], row["product"], row["region"]) == key)
        assert row["enabled_on"]
        row["enabled_on"] = ""

    root = copy_of(made)
    edit_csv(root / "catalog" / "endpoints.csv", put_off)
    before = stamps(root / "state" / "fragments")
    entries = len(journal(root))
    assert count(root, made.flows) == 0
    assert stamps(root / "state" / "fragments") == before
    # Traffic of final days was enabled and is not now: these days are not as they were published.
    assert [entry["type"] for entry in journal(root)[entries:]] == ["run", "final"]
    changed = differing(tables(root), tables(made.root))
    assert [line.partition(":")[0] for line in changed] == ["dim_endpoints"]

    def state(place: Path) -> tuple[object, object, object]:
        with read(place) as connection:
            ((enabled_on,),) = connection.execute(
                "SELECT enabled_on FROM dim_endpoints WHERE (app, product, region) = (?, ?, ?)",
                key,
            ).fetchall()
            ((status,),) = connection.execute(
                """SELECT status FROM kpi_stage1_enablement WHERE level = 'endpoint'
                  AND (app, product, region) = (?, ?, ?)""",
                key,
            ).fetchall()
            ((dual,),) = connection.execute(
                "SELECT dual_stacked FROM kpi_stage1_enablement WHERE level = 'app' AND app = ?",
                key[:1],
            ).fetchall()
            return enabled_on is None, status, dual

    assert state(made.root) == (False, "carrying", True)
    assert state(root) == (True, "carrying, not enabled by the catalog", False)


def test_forgotten_is_as_if_never_there(made: Made, copy_of: Copy, tmp_path: Path) -> None:
    root = copy_of(made)
    never = make_workspace(tmp_path / "never", made.catalog)
    gone, *kept = (path for path in sorted(made.files, key=lambda p: p.name != "crowd.parquet"))
    assert count(never, *kept) == 0
    assert cli.call(["-q", "-C", str(root), "forget", str(gone)]) == 0
    same_tables(root, never)
    assert differing(tables(root), tables(made.root)) != []
    assert count(root, made.flows) == 0
    same_tables(root, never)
    assert count(root, "--include-forgotten", made.flows) == 0
    same_tables(root, made)


# -- broken off -----------------------------------------------------------------------------------


@contextmanager
def running(root: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own, killed at the end where it still runs."""
    with subprocess.Popen(
        command(root, "run", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def until(
    process: subprocess.Popen[str], happened: Callable[[], bool], seconds: float = 60
) -> None:
    """Wait for something that the process does; its end ends the waiting, too."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and not happened():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def made_fragments(root: Path) -> int:
    return sum(1 for _ in (root / "state" / "fragments").rglob("*.parquet"))


def test_ctrl_c_leaves_nothing_half_done(split: Made, fresh: Path) -> None:
    with running(fresh, split.flows) as process:
        until(process, lambda: made_fragments(fresh) >= 1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "nothing is half done" in err
    assert not (fresh / "published").exists()
    assert count(fresh, split.flows) == 0
    assert fragments(fresh) == fragments(split.root)
    same_tables(fresh, split)


def test_a_run_killed_at_any_moment_is_made_good_by_the_next(split: Made, fresh: Path) -> None:
    """Killed at any moment, then at those that matter: one workspace lives through all of them."""
    state, published = fresh / "state", fresh / "published"
    chance = random.Random(3)
    ends: Counter[int] = Counter()
    for _ in range(2):
        with running(fresh, split.flows) as process:
            time.sleep(chance.uniform(0.5, 3.0))
            process.kill()
            process.communicate(timeout=60)
    moments: list[Callable[[], bool]] = [
        lambda: made_fragments(fresh) >= 1,
        lambda: (state / "journal.jsonl").exists(),
        lambda: published.exists() and any(published.iterdir()),
    ]
    for happened in moments:
        with running(fresh, split.flows) as process:
            until(process, happened)
            process.kill()
            process.communicate(timeout=60)
        ends[process.returncode] += 1
    assert ends[-signal.SIGKILL] >= 2
    assert count(fresh, split.flows) == 0
    assert fragments(fresh) == fragments(split.root)
    same_tables(fresh, split)
    committed = [
        one["input_id"]
        for entry in journal(fresh)
        if entry["type"] == "commit"
        for one in entry["inputs"]
    ]
    assert len(committed) == len(set(committed)) == len(split.files)


def test_what_a_killed_run_left_is_cleared_away_and_what_others_write_is_not(
    made: Made, copy_of: Copy
) -> None:
    """The next run that counts removes old drafts and old runs' outcomes.

    A draft of this hour may be another worker's; the outcomes of a pipeline beside the runs, of any
    age, wait for whoever commits them.
    """
    root = copy_of(made)
    folder = next((root / "state" / "fragments").rglob("*.parquet")).parent
    hours_old = time.time() - 2 * 3600
    torn, written = folder / ".torn.parquet.0.draft", folder / ".written.parquet.0.draft"
    for draft in (torn, written):
        draft.write_bytes(b"PAR1")
    os.utime(torn, (hours_old, hours_old))
    outcomes = root / "state" / "outcomes"
    today = f"{datetime.now(UTC) - timedelta(hours=23):%Y%m%dT%H%M%SZ}-0123abcd"
    for name in ("20250101T000000Z-0123abcd", today, "follow", "2025"):
        (outcomes / name).mkdir(parents=True)
        (outcomes / name / "one.jsonl").write_bytes(b"{}")
        os.utime(outcomes / name, (0, 0))
    declared = root / "catalog" / "exporters.csv"
    lines = declared.read_text().splitlines(keepends=True)
    declared.write_text(next(line for line in lines if not line.startswith("#")))
    assert count(root, made.flows) == 0
    assert not torn.exists()
    assert written.exists()
    # And its own folder is gone.
    assert sorted(path.name for path in outcomes.iterdir()) == ["2025", today, "follow"]


def test_two_runs_at_once(split: Made, fresh: Path) -> None:
    with running(fresh, split.flows) as first:
        assert first.stderr is not None
        assert any("counting" in line for line in first.stderr)
        first.send_signal(signal.SIGSTOP)  # it holds the workspace for as long as this test needs
        code, out, err = v6share(fresh, "run", split.flows)
        first.send_signal(signal.SIGCONT)
        assert code == 4
        assert out == ""
        assert str(first.pid) in err
        assert f"'v6share -C {fresh} run " in err  # a long command is cut behind its beginning
        first.communicate(timeout=120)
    assert first.returncode == 0
    same_tables(fresh, split)
