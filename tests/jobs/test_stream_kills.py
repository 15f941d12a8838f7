"""Streams that are killed at any moment, while others read: none lost, none doubled, no error seen.

V6SHARE_TEST_KILLS sets how often a stream is killed; 20 times, unless it says more.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flow_files import DAY_MS, JANUARY_1, write_flows
from workspaces import differing, make_workspace, run_json, tables, v6share

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("V6SHARE_TEST_KILLS", "20"))
READERS = 8

# Lives and deaths of streams. Each is a fork of one process that has loaded everything, so that
# its life is at work and not at loading.
LIVES = """
import os, random, signal, sys, time
from pathlib import Path
from v6share.jobs import cli
from v6share.jobs.commands import stream
from v6share.jobs.terminal import interrupt
from v6share.pipelines import beam_pipeline, session

root, landing, source, kills = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
chance, files = random.Random(5), sorted(source.iterdir())
for life in range(int(kills)):
    child = os.fork()
    if not child:
        os._exit(cli.call(["-q", "-C", str(root), "stream", str(landing)]))
    for file in files[2 * life : 2 * life + 2]:
        file.rename(landing / file.name)
        time.sleep(chance.random() / 2)
    time.sleep(chance.random() * 1.5)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "a stream ended by itself"
    print("killed", life, flush=True)
"""
# Opens the published file again and again and holds it: what it reads stays as it is, is whole, and
# is never less than what was read before.
READER = """
import random, sys, time
from pathlib import Path
import duckdb
path, ended, longest = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
chance, before, opens = random.Random(int(sys.argv[4])), 0, 0
query = (
    "SELECT (SELECT count(*) FROM ledger_files), (SELECT count(DISTINCT input_id) FROM "
    "ledger_families), (SELECT sum(records) FROM traffic_1d), (SELECT sum(rows_counted) FROM "
    "ledger_files), (SELECT sum(records) FROM traffic_5m)"
)
while not ended.exists():
    if not path.exists():
        time.sleep(0.05)
        continue
    with duckdb.connect(str(path), read_only=True) as published:
        found = published.execute(query).fetchall()
        time.sleep(chance.random() * longest if chance.random() < 0.3 else 0)
        assert published.execute(query).fetchall() == found, "changed while it was open"
    ((files, inputs, records, rows, fine),) = found
    assert files == inputs and records == rows == fine, found
    assert files >= before, (files, before)
    before, opens = files, opens + 1
    time.sleep(0.02)
print(opens, before)
"""


def test_a_killed_stream_loses_nothing_and_readers_see_no_error(tmp_path: Path) -> None:
    for number in range(2 * KILLS):
        day = number % 5
        write_flows(
            tmp_path / "source" / f"{number:04}.parquet",
            start_ms=JANUARY_1 + day * DAY_MS + number * 60_000,
            octets=1000 + number,
            rows=20,
        )
    root, landing, ended = make_workspace(tmp_path / "ws"), tmp_path / "landing", tmp_path / "end"
    landing.mkdir()
    published = root / "published" / "v6share.duckdb"
    arguments = [str(published), str(ended), str(min(30, KILLS * 3 / 20))]
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, *arguments, str(number)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(READERS)
    ]  # fmt: skip
    lives = [sys.executable, "-c", LIVES, str(root), str(landing), str(tmp_path / "source")]
    done = subprocess.run(
        [*lives, str(KILLS)], capture_output=True, text=True, check=False, timeout=60 * KILLS
    )
    assert done.returncode == 0, done.stderr
    assert v6share(root, "stream", landing, "--once")[0] == 0
    time.sleep(0.5)
    ended.touch()
    opens = []
    for reader in readers:
        out, err = reader.communicate(timeout=120)
        assert reader.returncode == 0, err
        opens.append(int(out.split()[0]))
    assert min(opens) > 1
    assert sum(opens) > 2 * KILLS, opens
    other = make_workspace(tmp_path / "other")
    assert run_json(other, landing)[0] == 0
    assert not differing(tables(root), tables(other))
    code, out, err = v6share(root, "check", "--results")
    assert code == 0, out + err
