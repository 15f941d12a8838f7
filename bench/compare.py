"""Run the job on every engine, side by side, and print the table.

    python -m bench.compare --flows 8 --runs 3

Whole processes, from start to the end of the result's commit, in turn (A B C A B C ...), the flow
files read into the page cache before each. First a small slice, which compiles what v6share
compiles once per machine, and shows that all engines give the same sums. Exit code 1 when sums
differ or an engine fails.

This process stays small on purpose: on Linux a child's peak memory starts with its parent's.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

OURS: Final = "v6share"
LIMIT: Final = "decode"
SLICE_ONLY: Final = "beam_rows"
MILLION: Final = 1_000_000


@dataclass(frozen=True)
class Run:
    """What an engine is asked: a generated set, a folder of it, a scratch folder, threads."""

    data: Path
    flows: str
    scratch: Path
    threads: int
    program: Path


@dataclass(frozen=True)
class Peer:
    """An engine: how to start it afresh, and where its result is (None: it has none)."""

    name: str
    title: str
    command: Callable[[Run], list[str]]
    result: Callable[[Run], Path | None]


@dataclass
class Measured:
    """One engine's whole processes."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)


class PeerFailed(Exception):  # noqa: N818 - the process failed, not we
    """An engine's process did not end well."""


def _module(name: str, module: str, title: str, suffix: str, *more: str) -> Peer:
    def result(run: Run) -> Path:
        return run.scratch / f"{name}.{suffix}"

    def command(run: Run) -> list[str]:
        words = [sys.executable, "-m", f"bench.peers.{module}", str(run.data)]
        words += ["--flows", run.flows, "--result", str(result(run))]
        return [*words, "--threads", str(run.threads), *more]

    return Peer(name, title, command, result if suffix else lambda _: None)


def _workspace(run: Run) -> Path:
    return run.scratch / "workspace"


def _v6share(run: Run) -> list[str]:
    """``v6share run`` in a fresh workspace with the generated catalog."""
    workspace = _workspace(run)
    shutil.rmtree(workspace, ignore_errors=True)
    shutil.copytree(run.data / "catalog", workspace / "catalog")
    words = [str(run.program), "-C", str(workspace), "run", "--format", "json"]
    return [*words, "--threads", str(run.threads), str((run.data / run.flows).absolute())]


PEERS: Final = (
    Peer(
        OURS,
        "`v6share run`",
        _v6share,
        lambda run: _workspace(run) / "published" / "v6share.duckdb",
    ),
    _module("chdb", "clickhouse", "ClickHouse embedded, `ip_trie`, plain", "parquet"),
    _module(
        "chdb_tuned", "clickhouse", "ClickHouse embedded, `ip_trie`, tuned", "parquet", "--tuned"
    ),
    _module("duckdb", "duckdb_asof", "DuckDB, `ASOF JOIN`, plain", "duckdb"),
    _module("duckdb_tuned", "duckdb_asof", "DuckDB, `ASOF JOIN`, tuned", "duckdb", "--tuned"),
    _module(LIMIT, "decode", "bare Parquet decode (no job)", ""),
    _module(SLICE_ONLY, "beam_rows", "Beam, a row an element (slice)", "parquet"),
)


def warm(folder: Path) -> None:
    """Read the files once, so that every engine finds them in the page cache."""
    buffer = bytearray(1 << 20)
    for path in sorted(folder.glob("*.parquet")):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def measure(peer: Peer, run: Run, into: Measured) -> None:
    """One whole process: wall time, processor time, peak memory, and what it reported."""
    command = peer.command(run)
    run.scratch.mkdir(parents=True, exist_ok=True)
    log = run.scratch / f"{peer.name}.log"
    said = run.scratch / f"{peer.name}.json"
    warm(run.data / run.flows)
    with log.open("wb") as err, said.open("wb") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = (said.read_text() + log.read_text())[-2000:]
        raise PeerFailed(f"{peer.name}: exit code {process.returncode}: {command}\n{tail}")
    into.seconds.append(seconds)
    into.cpu_seconds.append(usage.ru_utime + usage.ru_stime)
    # Kibibytes on Linux, bytes on macOS.
    into.peak_mib.append(usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10))
    into.reports.append(_report(said))


def _report(said: Path) -> dict[str, Any]:
    lines = said.read_text().strip()
    try:
        report = json.loads(lines)
    except json.JSONDecodeError:
        return {}
    return report if isinstance(report, dict) else {}


def same_sums(peers: list[Peer], run: Run) -> bool:
    """Whether all results agree. In a process of its own, to keep this one small."""
    results = {peer.name: peer.result(run) for peer in peers}
    named = [f"{name}={path}" for name, path in results.items() if path]
    if len(named) < 2:
        say("sums not compared: fewer than two engines with a result")
        return True
    command = [sys.executable, "-m", "bench.sums", *named]
    return subprocess.run(command, check=False, stdout=sys.stderr).returncode == 0


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def run_slice(peers: list[Peer], run: Run) -> tuple[dict[str, Measured], bool]:
    """Every engine once on the slice."""
    measured = {peer.name: Measured() for peer in peers}
    for peer in peers:
        measure(peer, run, measured[peer.name])
        say(f"slice: {peer.name} {measured[peer.name].seconds[-1]:.2f} s")
    return measured, same_sums(peers, run)


def run_rounds(peers: list[Peer], run: Run, rounds: int) -> tuple[dict[str, Measured], bool]:
    """Every engine in turn, ``rounds`` times; the sums are compared after each round."""
    measured = {peer.name: Measured() for peer in peers}
    same = True
    for number in range(1, rounds + 1):
        for peer in peers:
            into = measured[peer.name]
            measure(peer, run, into)
            say(
                f"round {number}/{rounds}: {peer.name} {into.seconds[-1]:.2f} s,"
                f" {into.peak_mib[-1]:,.0f} MiB"
            )
        same = same_sums(peers, run) and same
    return measured, same


def table(peers: list[Peer], measured: dict[str, Measured], flows: int) -> list[str]:
    """The Markdown table: medians over the rounds, and the range of the times."""
    ours = statistics.median(measured[OURS].seconds) if OURS in measured else None
    # CPU s stands beside the time: where the two part, the machine was busy with other work.
    lines = [
        "| engine | seconds (least - most) | million flows/s | v6share is | peak memory | CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for peer in peers:
        m = measured[peer.name]
        seconds = statistics.median(m.seconds)
        ratio = f"{seconds / ours:.2f}x as fast" if ours and peer.name != OURS else ""
        lines.append(
            f"| {peer.title} | {seconds:.2f} ({min(m.seconds):.2f} - {max(m.seconds):.2f})"
            f" | {flows / seconds / MILLION:.2f} | {ratio}"
            f" | {max(m.peak_mib):,.0f} MiB | {statistics.median(m.cpu_seconds):.1f} |"
        )
    return lines


def slice_line(measured: dict[str, Measured], whole: dict[str, Measured], flows: int) -> list[str]:
    """The row-at-a-time pipeline: the rate of its pipeline phase alone, on the slice."""
    if SLICE_ONLY not in measured:
        return []
    report = measured[SLICE_ONLY].reports[-1]
    rate = report["flows"] / report["seconds"]["pipeline"]
    line = (
        f"Beam with a row an element, on {report['flows']:,} flows, start and table loading not"
        f" counted: {rate / MILLION:.3f} million flows/s, on one thread"
    )
    if OURS in whole:
        ours = flows / statistics.median(whole[OURS].seconds)
        line += f"; v6share, start and commit counted, is {ours / rate:,.0f}x as fast"
    return ["", f"{line}."]


def phase_lines(peers: list[Peer], measured: dict[str, Measured]) -> list[str]:
    """Where the time went, as each engine reports it (last round)."""
    lines = ["", "Seconds by phase, last round:"]
    for peer in peers:
        seconds = measured[peer.name].reports[-1].get("seconds")
        if isinstance(seconds, dict):
            lines.append(f"- {peer.name}: " + ", ".join(f"{k} {v}" for k, v in seconds.items()))
    return lines if len(lines) > 2 else []


def verdict(peers: list[Peer], same: bool) -> str:
    """What was found about the sums, of the engines that have any."""
    names = [peer.name for peer in peers if peer.name != LIMIT]
    if len(names) < 2:
        return "Sums not compared: only one engine."
    return f"The same sums from {', '.join(names)}." if same else "THE SUMS DIFFER."


def machine() -> str:
    """What this ran on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [n for n in cpuinfo.read_text().splitlines() if n.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    packages = ("chdb", "duckdb", "pyarrow", "apache-beam", "numba", "numpy")
    found = [f"{name} {v}" for name in packages if (v := _version(name))]
    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()}"
        f" {platform.release()}, Python {platform.python_version()}, {', '.join(found)}."
        f" Load before the run: {os.getloadavg()[0]:.1f}."
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def generate(millions: int, rate: int, out: Path) -> Path:
    """Make the set, in a process of its own, and give its folder."""
    words = ["--flows", str(millions), "--rate", str(rate), "--out", str(out)]
    command = [sys.executable, "-m", "bench.generate", *words]
    made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Path(made.stdout.strip())


def _options() -> argparse.Namespace:
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--flows", type=int, default=8, help="million flows (default 8)")
    parser.add_argument(
        "--rate", type=int, default=10_000, help="flow records a second (default 10000)"
    )
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="per engine (default 2)")
    parser.add_argument("--out", type=Path, default=Path("bench/out"), help="where the sets are")
    parser.add_argument(
        "--v6share",
        type=Path,
        default=Path(sys.executable).with_name("v6share"),
        help="the command to measure (default: of this environment)",
    )
    parser.add_argument("--peers", nargs="+", choices=names, default=names, help="which engines")
    return parser.parse_args()


def main() -> int:
    """Generate, compare on the slice, compare on everything, print and keep the table."""
    options = _options()
    intro = machine()
    program = options.v6share.absolute()
    data = generate(options.flows, options.rate, options.out)
    peers = [peer for peer in PEERS if peer.name in options.peers]
    large = [peer for peer in peers if peer.name != SLICE_ONLY]
    try:
        on_slice, slice_same = run_slice(
            peers, Run(data, "slice", data / "run-slice", options.threads, program)
        )
        if not slice_same:
            say("the engines disagree on the slice: not going on")
            return 1
        whole, same = run_rounds(
            large, Run(data, "flows", data / "run", options.threads, program), options.runs
        )
    except PeerFailed as failed:
        say(str(failed))
        return 1
    flows = options.flows * MILLION
    made = json.loads((data / "made.json").read_text())
    lines = [
        f"{flows:,} flows at {options.rate:,} a second, {made['prefixes']:,} prefixes"
        f" ({made['intervals']:,} intervals), {options.threads} threads, {options.runs} rounds in"
        f" turn, medians. {intro}",
        "",
        *table(large, whole, flows),
        *slice_line(on_slice, whole, flows),
        *phase_lines(large, whole),
        "",
        verdict(large, same),
    ]
    report = "\n".join(lines) + "\n"
    print(report, end="")
    (data / "report.md").write_text(report)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
