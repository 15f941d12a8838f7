"""``v6share explain``: how one row is classified."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from v6share.jobs.steps.head_start import say_if_cold
from v6share.jobs.steps.one_file import looking_at
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.pipelines.compile_plan import compile_plan
from v6share.pipelines.flow_file import open_flow_file
from v6share.pipelines.row_trace import ExplainedFlow, explain_row
from v6share.render.text import SeveralForm
from v6share.schemas.catalog.suggest import catalog_advice
from v6share.schemas.text.plain import printable
from v6share.workspace.configured import Configured, configure_for_reading

_ROW_STEP = "row"


def main(
    invocation: Invocation,
    file: Path,
    *,
    row: int,
    dialect: str | None,
    unknown_sampling: str | None,
    form: SeveralForm,
) -> ExitCode:
    """Print every decision about a row, and the windows that it is split over."""
    with looking_at(file):
        configured = configure_for_reading(
            invocation.root, {"--unknown-sampling": unknown_sampling}
        )
        flows = _explained(configured, file, row, dialect)
    if form == "table":
        # As a cell, the row's own columns would make the table too wide to read.
        shown = [s.decision for s in flows[0].steps if s.step == _ROW_STEP] if flows else []
        stdout.write(printable("\n".join([f"Row {row} of {file}", *shown, "", ""])))
    stdout.write_tables(
        {"steps": _steps(flows, with_row=form != "table"), "windows": _windows(flows)}, form
    )
    return ExitCode.DONE


def _explained(
    configured: Configured, file: Path, row: int, dialect: str | None
) -> Sequence[ExplainedFlow]:
    advice = catalog_advice(configured.catalog, configured.workspace.catalog)
    if advice is not None:
        messages.warn(advice)
    say_if_cold()
    plan = compile_plan(configured.catalog, configured.settings, configured.client_key)
    read_at_ms = time.time_ns() // 1_000_000
    opened = open_flow_file(str(file), dialect)
    return explain_row(opened, row, configured.catalog, plan, read_at_ms)


def _steps(flows: Sequence[ExplainedFlow], *, with_row: bool) -> pa.Table:
    rows = [
        (number, step.step, step.decision, step.because)
        for number, flow in enumerate(flows)
        for step in flow.steps
        if with_row or step.step != _ROW_STEP
    ]
    names = ("flow", "step", "decision", "because")
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


def _windows(flows: Sequence[ExplainedFlow]) -> pa.Table:
    rows = [
        (number, datetime.fromtimestamp(w.start_ms / 1000, UTC), w.packets, w.bytes)
        for number, flow in enumerate(flows)
        for w in flow.windows
    ]
    types = {
        "flow": pa.int64(),
        "window_start": pa.timestamp("us", "UTC"),
        "packets": pa.int64(),
        "bytes": pa.int64(),
    }
    return pa.table(
        {n: pa.array([r[i] for r in rows], t) for i, (n, t) in enumerate(types.items())}
    )
