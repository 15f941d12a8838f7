"""A run over small files that stand for far more: each is counted or refused, within 2 GiB."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bombs import COUNTED, REFUSED

pytestmark = pytest.mark.long

# The kernel lends a process that has just been started the peak of the one that started it, here
# a worker of the tests with all it ever held. So a small one lies between, which tells the peak
# of what it started.
TELL_THE_PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
MOST_BYTES = 2 << 30
LONG_AGO = 1_600_000_000


def test_no_file_takes_more_memory_than_the_bound(tmp_path: Path) -> None:
    """All of them in one run, two at a time: the peak is that of the process, as the kernel has
    it. What is refused says why.
    """
    flows, root = tmp_path / "flows", tmp_path / "ws"
    flows.mkdir()
    root.mkdir()
    for bomb in (*REFUSED, *COUNTED):
        path = flows / f"{bomb.__name__}.parquet"
        bomb(path)
        os.utime(path, (LONG_AGO, LONG_AGO))
    command = (
        *(sys.executable, "-c", TELL_THE_PEAK),
        *(sys.executable, "-m", "v6share", "-C", root, "run", flows),
        *("--threads", "2", "--unknown-sampling", "1", "--format", "json"),
    )
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    said = json.loads(run.stdout)
    assert said["run"]["rows_in"] == sum(COUNTED.values())
    assert said["run"]["inputs_committed"] == len(COUNTED)

    kept = [json.loads(p.read_text()) for p in (root / "state/quarantine").glob("*.json")]
    refused = {Path(one["path"]).stem: (one["reason"], one["detail"]) for one in kept}
    assert set(refused) == {bomb.__name__ for bomb in REFUSED}
    for bomb, (reason, words) in REFUSED.items():
        assert refused[bomb.__name__][0] == reason
        assert words in refused[bomb.__name__][1]

    told = int(run.stderr.splitlines()[-1])
    peak = told * (1 if sys.platform == "darwin" else 1024)
    assert peak < MOST_BYTES, f"{peak >> 20} MiB"
