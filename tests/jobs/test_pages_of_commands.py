"""What two pages say of commands is so: docs/status.md and docs/ipfix.md."""

import json
import re
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from calls import call, run

from v6share.jobs.steps.stream_state import StreamState
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.schemas.dialects import builtin_dialects, dialect_named
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.status import status_report
from v6share.workspace.paths import Workspace

DOCS = Path(__file__).parents[2] / "docs"


def documented() -> dict[str, set[str]]:
    """The columns that the page of status explains, by part."""
    parts = re.split(r"^## `(\w+)`$", (DOCS / "status.md").read_text(), flags=re.M)
    return {
        name: set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]*) \|", text, re.M))))
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_page_of_status_explains_every_part_and_column(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    page = documented()
    assert run(capsys, root, flows)[0] is ExitCode.DONE
    connection = open_warehouse(Workspace(root))
    parts = status_report(connection, {}).tables
    connection.close()
    for name, table in parts.items():
        assert page.pop(name) == set(table.column_names), name
    shown = json.loads(call(capsys, root, "status", "--format", "json")[1])
    assert page.pop("data") == shown["data"].keys()
    assert page.pop("growth") == shown["growth"][0].keys()
    assert page.pop("stream") == {"at_work", "process", *StreamState.__dataclass_fields__}
    assert page.pop("damaged_fragments") == {"path", "input_id", "fragment", "problem"}
    assert page == {}
    order = re.findall(r"^## `(\w+)`$", (DOCS / "status.md").read_text(), flags=re.M)
    assert [name for name in order if name != "stream"] == list(shown)


PAGE = (DOCS / "ipfix.md").read_text()
LEAST = re.findall(r"^\| (`[^|]+) \| [^|]+ \| [^|]+ \| ([^|]+) \|$", PAGE, re.M)


def test_the_page_of_ipfix_names_columns_of_the_dialect() -> None:
    known = dialect_named("ipfix", builtin_dialects()).source_columns
    named = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]+) \|", PAGE, re.M)))
    assert len(named) > 25
    assert set(named) - set(known) == set()


def test_the_least_columns_are_enough_and_each_is_needed(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (query,) = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    duckdb.sql(query)
    least = pq.read_table("least.parquet")
    columns = [name for cell, _ in LEAST for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(columns) == sorted(least.column_names)
    for number, (cell, _) in enumerate(LEAST):
        without = least.drop_columns(re.findall(r"`(\w+)`", cell))
        (tmp_path / "without").mkdir(exist_ok=True)
        pq.write_table(without, f"without/{number}.parquet")
    code, done, _ = run(capsys, root, "least.parquet")
    assert (code, done["rows_counted"], done["rows_rejected"]) == (ExitCode.DONE, 10, 0)
    run(capsys, root, "without")
    files = json.loads(call(capsys, root, "kpi", "ledger_files", "--format", "json")[1])
    rejects = json.loads(call(capsys, root, "kpi", "rejects", "--format", "json")[1])
    for number, (_, said) in enumerate(LEAST):
        (file,) = (one for one in files if one["path"].endswith(f"/without/{number}.parquet"))
        reasons = {row["reason"] for row in rejects if row["input_id"] == file["input_id"]}
        found = reasons or {file["reason"]}
        assert found == {re.findall(r"\(`(\w+)`\)", said)[0]}, said
        assert file["rows_counted"] == 0
