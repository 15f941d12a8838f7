"""``v6share reconcile``: raw files, counted by plain SQL, beside ledger and tables."""

from collections.abc import Iterator
from dataclasses import asdict

import pyarrow as pa

from v6share.jobs.steps.find import find
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.pipelines.flow_file import open_flow_file
from v6share.pipelines.identity import Identities
from v6share.render.text import Form
from v6share.schemas.errors import InputRefused
from v6share.schemas.outcome import FoundInput
from v6share.schemas.text.plain import storable
from v6share.warehouse.database.connect import Connection, open_snapshot
from v6share.warehouse.reconcile import count_in_ledger, count_raw, differences
from v6share.workspace.find import find_workspace

_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("what", pa.string()),
        ("family", pa.string()),
        ("in_file", pa.decimal128(38, 0)),
        ("in_ledger", pa.decimal128(38, 0)),
    ]
)


def main(invocation: Invocation, paths: tuple[str, ...], *, form: Form) -> ExitCode:
    """Count the files again, another way, and print what the published ledger says otherwise."""
    workspace = find_workspace(invocation.root)
    inputs = find(paths, workspace).inputs
    rows: list[dict[str, object]] = []
    same = uncounted = 0
    with open_snapshot(workspace.published) as connection:
        for one in inputs:
            found = list(_differences(connection, one))
            uncounted += any(row["what"] == "not counted" for row in found)
            same += not found
            rows += found
    stdout.write_table(pa.Table.from_pylist(rows, _SCHEMA), form, title="Differences", limit=0)
    odd = len(inputs) - same - uncounted
    messages.say(
        f"{same:,} of {len(inputs):,} inputs are in the ledger as plain SQL counts them; "
        f"{odd:,} differ, {uncounted:,} are not counted",
        same=same,
        differing=odd,
        uncounted=uncounted,
    )
    return ExitCode.GATE if odd or uncounted else ExitCode.DONE


def _differences(connection: Connection, found: FoundInput) -> Iterator[dict[str, object]]:
    path = storable(found.path)
    ledger = count_in_ledger(connection, Identities().of(found).input_id)
    try:
        raw = count_raw(found.path, open_flow_file(found.path).definition)
    except InputRefused as refused:
        if ledger is not None:
            yield {"path": path, "what": f"cannot be read: {refused.reason}", "family": ""}
        return
    if ledger is None:
        yield {"path": path, "what": "not counted", "family": ""}
        return
    for one in differences(raw, ledger):
        yield {"path": path, **asdict(one)}
