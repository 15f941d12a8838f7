"""What ``make demo`` prints at its end: ``python -m tools.demo_words WORKSPACE``.

Where the numbers are, four queries that are worth trying, and what to run next.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

from v6share.jobs.terminal import stdout
from v6share.workspace.paths import Workspace

QUERIES: Final = {
    "How did the headline share move, week by week?": (
        "SELECT week_end, share, ci_low, ci_high FROM kpi_stage3_concentration "
        "WHERE basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict' ORDER BY week_end"
    ),
    "How far is each client region? (There is no filter to forget.)": (
        "SELECT client_region, sum(numerator) / sum(denominator_value) AS share "
        "FROM share_headline_1d WHERE final GROUP BY ALL ORDER BY share"
    ),
    "Which apps and client regions still send the most IPv4, in the last 28 days?": (
        "SELECT app, client_region, sum(bytes) AS ipv4_bytes FROM traffic_1d "
        "JOIN dim_vantages USING (vantage) WHERE feeds_kpis AND ip_class = 'native_v4' "
        "AND window_start > (SELECT max(window_start) FROM traffic_1d) - INTERVAL 28 DAY "
        "GROUP BY ALL ORDER BY ipv4_bytes DESC LIMIT 10"
    ),
    "Is every row of every file accounted for?": (
        "SELECT path, rows_in, rows_counted, rows_rejected FROM ledger_files "
        "ORDER BY rows_rejected DESC LIMIT 10"
    ),
}


def closing_words(workspace: Path) -> str:
    """The text, for a workspace as the user would name it."""
    published = Workspace(workspace).published
    command, python = _as_typed("v6share"), _as_typed("python")
    queries = "\n".join(f"  -- {question}\n  {sql};\n" for question, sql in QUERIES.items())
    return f"""
The numbers are in {published}
(any DuckDB client opens it read-only: duckdb -readonly {published}
 or {python}, and there: import duckdb
 duckdb.connect("{published}", read_only=True).sql("...").show())

Worth trying:
{queries}
Next:
  {command} -C {workspace} kpi 1
      one stage in full; also 2, 3, and any view by name
  {command} -C {workspace} status
      files, rejected rows, exporters
  {command} init mynet
      your own network: edit mynet/catalog/, then
  {command} -C mynet run YOUR_FLOWS/
"""


def _as_typed(program: str) -> str:
    """How a user calls a program of this environment: by name where that finds it."""
    here = Path(sys.executable).parent / program
    if shutil.which(program) == str(here):
        return program
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)


if __name__ == "__main__":
    stdout.write(closing_words(Path(sys.argv[1])))
