"""The gate process: what it answers, and that whatever goes wrong with it is never a pass."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from v6share.quality import gate as under_test
from v6share.quality.gate import Gate, GateFailed
from v6share.quality.suites import Suite, parse_suite
from v6share.schemas.errors import UserError
from v6share.schemas.evidence import Evidence

pytestmark = pytest.mark.long

ROWS = Evidence(
    pa.table({"exporter": ["r1", "r2", "r3"], "pauses": [1, 20, None], "hours": [1, 30, 9]}),
    ("exporter",),
)
WITHIN = {"column": "pauses", "max_value": 12}
LONG = {"type": "comparison", "column": {"name": "hours"}, "operator": ">=", "parameter": 6}


def suite(**kwargs: object) -> Suite:
    """Expectations of one column each, by name: its arguments, and "type" where it is another."""
    found = [
        {
            "name": name,
            "severity": "warn",
            "what": "all is well",
            "type": given.pop("type", "expect_column_values_to_be_between"),
            "kwargs": given,
        }
        for name, given in ((name, dict(value)) for name, value in kwargs.items())  # type: ignore[call-overload]
    ]
    return Suite.model_validate({"expectations": found})


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    with Gate() as opened:
        yield opened


def test_each_expectation_has_a_verdict_of_its_own(gate: Gate) -> None:
    suites = {
        "exporters": suite(
            silent=WITHIN,
            fine={"column": "pauses", "max_value": 99},
            nothing={**WITHIN, "row_condition": {**LONG, "parameter": 99}},
            gone={"column": "nosuch", "max_value": 1},
            table={"type": "expect_table_row_count_to_be_between", "max_value": 2},
        )
    }
    found = gate.validate(suites, {"exporters": ROWS})
    assert [(one.name, one.outcome, one.judged, one.unexpected) for one in found] == [
        ("silent", "failed", 2, 1),
        ("fine", "passed", 2, 0),
        ("nothing", "not judged", 0, 0),
        ("gone", "errored", 0, 0),
        ("table", "failed", 3, 1),
    ]
    assert found[0].sample == ({"pauses": 20.0, "exporter": "r2"},)
    assert "nosuch" in found[3].observed


def test_a_suite_that_cannot_be_made_is_no_pass_and_said_with_file_and_key(gate: Gate) -> None:
    for kwargs, said in (
        ({"column": "pauses", "max_valu": 6}, "kwargs.max_valu: extra fields not permitted"),
        ({"column": "pauses", "max_value": "six"}, "kwargs.max_value: value is not a valid float"),
        (
            {"type": "expect_column_values_to_be_in_set", "column": "pauses", "value_set": "a"},
            "kwargs.value_set: value is not a valid list",
        ),
        ({}, "kwargs.column: field required"),
        ({"type": "expect_nothing_at_all"}, "no expectation is called expect_nothing_at_all"),
    ):
        suites = {"exporters": suite(fine=WITHIN, odd=kwargs)}
        with pytest.raises(GateFailed, match=re.escape(f"quality/exporters.json: odd: {said}")):
            gate.validate(suites, {"exporters": ROWS})
    # It goes on with the next one.
    assert gate.validate({"exporters": suite(fine=WITHIN)}, {"exporters": ROWS})


@pytest.mark.parametrize(
    "condition",
    [{"column": {"name": "nosuch"}}, {"parameter": "six"}, {"column": {"name": "exporter"}}],
    ids=["no such column", "text for a number", "a number for text"],
)
def test_a_row_condition_that_does_not_fit_is_said_of_its_expectation(
    gate: Gate, condition: dict[str, object]
) -> None:
    suites = {"exporters": suite(odd={**WITHIN, "row_condition": LONG | condition}, fine=WITHIN)}
    odd, fine = gate.validate(suites, {"exporters": ROWS})
    assert (odd.name, odd.outcome, fine.outcome) == ("odd", "errored", "failed")
    assert odd.observed


def test_one_row_of_one_day_can_be_left_out(gate: Gate) -> None:
    days = [date(2026, 1, 26), date(2026, 1, 27)]
    rows = Evidence(pa.table({"day": days, "errors": [9.0, 7.0]}), ("day",))
    other = {"type": "comparison", "column": {"name": "day"}, "operator": "!="}
    asked = {"column": "errors", "max_value": 6}
    one_left = {**asked, "row_condition": {**other, "parameter": "2026-01-26"}}
    whole, left = gate.validate({"moves": suite(whole=asked, left=one_left)}, {"moves": rows})
    assert (whole.judged, left.judged, left.unexpected) == (2, 1, 1)
    assert left.sample == ({"errors": 7.0, "day": "2026-01-27"},)


def test_a_process_that_dies_is_no_pass_and_is_started_again(gate: Gate) -> None:
    suites = {"exporters": suite(fine=WITHIN)}
    gate.validate(suites, {"exporters": ROWS})
    assert gate._process is not None
    os.kill(gate._process.pid, signal.SIGKILL)
    with pytest.raises(GateFailed, match="its process ended with -9"):
        gate.validate(suites, {"exporters": ROWS})
    assert gate.validate(suites, {"exporters": ROWS})


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; sys.exit('no such module')", "its process ended with 1: no such module"),
        ("import sys; sys.exit(0)", "its process ended with 0: it said nothing"),
        ("print('something else', flush=True)", "it answered something else"),
        ("import time; time.sleep(60)", "it did not answer within 1 s"),
        (
            'import sys; print(\'{"ready": "1"}\', flush=True); sys.stdin.buffer.readline(); '
            "print('{\"verdicts\": []}', flush=True); sys.stdin.buffer.read()",
            "it answered 0 of 1 expectations",
        ),
    ],
)
def test_another_process_in_its_place_is_no_pass(
    monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    popen = under_test.subprocess.Popen

    def other(words: list[str], **how: object) -> object:
        return popen([words[0], "-c", script], **how)  # type: ignore[call-overload]

    monkeypatch.setattr(under_test.subprocess, "Popen", other)
    began = time.monotonic()
    with Gate(start_seconds=1, answer_seconds=10) as gate, pytest.raises(GateFailed, match=said):
        gate.validate({"exporters": suite(fine=WITHIN)}, {"exporters": ROWS})
    assert time.monotonic() - began < 30


OWN = """
from great_expectations.expectations.core import ExpectColumnValuesToBeInSet

KNOWN = ["r1", "r2"]


class ExpectExportersOfOurs(ExpectColumnValuesToBeInSet):
    column: str = "exporter"
    value_set: list = KNOWN
"""


def test_a_file_may_define_an_expectation_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    suites = {"exporters": suite(ours={"type": "expect_exporters_of_ours"})}
    with Gate([tmp_path / "own.py"]) as gate:
        (found,) = gate.validate(suites, {"exporters": ROWS})
    assert (found.outcome, found.unexpected) == ("failed", 1)
    assert found.sample == ({"exporter": "r3"},)
    (tmp_path / "own.py").write_text("import nosuch")
    said = "No module named 'nosuch'"
    with Gate([tmp_path / "own.py"]) as gate, pytest.raises(GateFailed, match=said):
        gate.validate(suites, {"exporters": ROWS})


def test_nothing_is_left_of_it() -> None:
    with Gate() as gate:
        gate.begin()
        assert gate._process is not None
        process = gate._process
    assert process.poll() is not None


# Python runs a module of this name before all others. What a process asks of the net is noted as it
# asks, also while it loads, from any thread, and by processes that it starts.
NOTING = """
import os, sys

ASKS = {"connect", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr"}

def note(event, arguments):
    module, _, name = event.partition(".")
    if module == "socket" and name in ASKS:
        with open(os.environ["V6SHARE_TEST_ASKED"], "a") as file:
            file.write(f"{event} {arguments[-1] if name == 'connect' else arguments[0]}\\n")

sys.addaudithook(note)
"""
ASKING = """
import socket, threading

def ask():
    with socket.socket() as one:
        one.settimeout(1)
        one.connect_ex(("127.0.0.1", 9))

thread = threading.Thread(target=ask)
thread.start()
thread.join()
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where that stands which processes ask of the net that are started from now on."""
    (tmp_path / "noting").mkdir()
    (tmp_path / "noting" / "sitecustomize.py").write_text(NOTING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "noting"))
    file = tmp_path / "asked.txt"
    file.touch()
    monkeypatch.setenv("V6SHARE_TEST_ASKED", str(file))
    return file


def test_it_asks_nobody_on_the_net(asked: Path, tmp_path: Path) -> None:
    """Not while it loads, judges and writes pages; nor has it a socket open then."""
    with Gate() as gate:
        for docs in (None, tmp_path / "docs"):
            gate.validate({"exporters": suite(fine=WITHIN)}, {"exporters": ROWS}, docs)
        assert gate._process is not None
        folder = Path(f"/proc/{gate._process.pid}/fd")
        kinds = {str(one.readlink()).partition(":")[0] for one in folder.iterdir()}
    assert "socket" not in kinds
    assert (tmp_path / "docs" / "index.html").exists()
    assert asked.read_text() == ""


def test_one_that_asks_and_hangs_up_would_be_seen(asked: Path, tmp_path: Path) -> None:
    (tmp_path / "asking.py").write_text(ASKING)
    with Gate([tmp_path / "asking.py"]) as gate:
        gate.validate({"exporters": suite(fine=WITHIN)}, {"exporters": ROWS})
    assert asked.read_text() == "socket.connect ('127.0.0.1', 9)\n"


# pandas would run each of them; the backtick ends the quotes that a name is put into.
CODE = "@pd.io.common.os.system('x')"
OUT_OF_QUOTES = {"name": f"hours` > 0 or {CODE} or `hours"}


@pytest.mark.parametrize(
    "condition",
    [
        "@__import__('os').system('x')",
        {"type": "pass_through", "pass_through_filter": CODE},
        {**LONG, "column": OUT_OF_QUOTES},
        {**LONG, "operator": f"> 0 or {CODE} or hours >"},
        {"type": "nullity", "column": OUT_OF_QUOTES, "is_null": True},
        {"type": "and", "conditions": [LONG, {**LONG, "column": OUT_OF_QUOTES}]},
    ],
)
def test_a_row_condition_is_data(condition: object) -> None:
    text = json.dumps({"expectations": [
        {"name": "a", "severity": "warn", "what": "b", "type": "expect_column_values_to_be_between",
         "kwargs": {"column": "c", "row_condition": condition}}
    ]})  # fmt: skip
    with pytest.raises(UserError, match=r"quality/exporters.json: .*row_condition"):
        parse_suite("quality/exporters.json", text.encode())


@pytest.mark.parametrize(
    "answer",
    ["{}", '{"verdicts": 3}', '{"verdicts": [{}]}', '{"verdicts": [{"outcome": "maybe"}]}'],
)
def test_an_answer_of_another_form_is_no_pass(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    said = f"import sys; print('{{\"ready\": \"1\"}}', flush=True); print('{answer}', flush=True)"
    popen = under_test.subprocess.Popen

    def other(words: list[str], **how: object) -> object:
        return popen([words[0], "-c", f"{said}; sys.stdin.read()"], **how)  # type: ignore[call-overload]

    monkeypatch.setattr(under_test.subprocess, "Popen", other)
    with Gate() as gate, pytest.raises(GateFailed, match="something else"):
        gate.validate({"exporters": suite(fine=WITHIN)}, {"exporters": ROWS})


def test_a_process_that_died_while_idle_is_started_anew(gate: Gate) -> None:
    suites = {"exporters": suite(fine={"column": "pauses", "max_value": 99})}
    gate.validate(suites, {"exporters": ROWS})
    assert gate._process is not None
    os.kill(gate._process.pid, signal.SIGKILL)
    gate._process.wait()
    (found,) = gate.validate(suites, {"exporters": ROWS})
    assert found.outcome == "passed"


def test_nothing_is_imported_from_the_folder_that_one_is_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "scipy.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    with Gate() as gate:
        gate.validate({"exporters": suite(fine=WITHIN)}, {"exporters": ROWS})
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("expect_column_sum_to_be_between", {"min_value": 0}),
        ("expect_column_unique_value_count_to_be_between", {"min_value": 0}),
        ("expect_column_distinct_values_to_be_in_set", {"value_set": [1, 20]}),
    ],
)
def test_what_looks_at_a_whole_column_counts_the_rows_that_it_looked_at(
    gate: Gate, kind: str, more: dict[str, object]
) -> None:
    judged = {}
    for hours in (6, 99):
        condition = {**LONG, "parameter": hours}
        both = {"type": "and", "conditions": [condition, {**LONG, "parameter": 0}]}
        given = suite(one={"type": kind, "column": "pauses", "row_condition": both, **more})
        (found,) = gate.validate({"exporters": given}, {"exporters": ROWS})
        judged[hours] = (found.outcome, found.judged)
    assert judged == {6: ("passed", 2), 99: ("not judged", 0)}


def test_pages_show_names_as_text(gate: Gate, tmp_path: Path) -> None:
    rows = pa.table({"exporter": ["<script>alert(3)</script>"]})
    given = suite(ours={"type": "expect_column_values_to_be_in_set", "column": "exporter",
                        "value_set": ["r1"]})  # fmt: skip
    gate.validate({"exporters": given}, {"exporters": Evidence(rows, ("exporter",))}, tmp_path)
    pages = "".join(page.read_text() for page in tmp_path.rglob("*.html"))
    assert "alert(3)" in pages
    assert "<script>alert(3)" not in pages


@pytest.mark.parametrize(
    "kind",
    ["expect_query_results_to_match_comparison", "expect_column_values_to_match_json_schema"],
)
def test_what_would_look_elsewhere_is_refused(kind: str) -> None:
    text = json.dumps({"expectations": [
        {"name": "one", "severity": "warn", "what": "it", "type": kind, "kwargs": {}}
    ]})  # fmt: skip
    with pytest.raises(UserError, match="looks at more than the evidence"):
        parse_suite("quality/inputs.json", text.encode())
