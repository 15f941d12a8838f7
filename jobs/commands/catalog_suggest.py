"""``v6share catalog suggest``: rules for the largest destinations of unclassified flows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from v6share.jobs.steps.find import find
from v6share.jobs.steps.head_start import compile_now, say_if_cold
from v6share.jobs.steps.report import place_option
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.pipelines.destinations import Destinations
from v6share.pipelines.flow_file import open_flow_file
from v6share.render.text import SeveralForm
from v6share.render.values import bytes_for_people, share_for_people
from v6share.schemas.catalog.propose import Proposal, app_text, propose
from v6share.schemas.errors import InputRefused, UserError
from v6share.schemas.text.counts import counted
from v6share.schemas.text.plain import storable
from v6share.schemas.text.wording import did_you_mean
from v6share.warehouse.database.connect import open_snapshot
from v6share.warehouse.unclassified import newest_inputs, unclassified_bytes
from v6share.workspace import storage
from v6share.workspace.catalog_files import append_to_apps
from v6share.workspace.configured import Configured, configure_for_reading
from v6share.workspace.paths import Workspace

# Networks whose addresses are clients': no service is looked for there.
_OF_CLIENTS: Final = ("mobile", "fixed", "relay")
# Of the inputs that were counted, so much is read again where none is named.
_MOST_FILES: Final = 200
_MOST_BYTES: Final = 1 << 30
_SCHEMA: Final = pa.schema(
    [
        ("number", pa.int64()),
        ("id", pa.string()),
        ("asn", pa.int64()),
        ("port", pa.int64()),
        ("prefixes", pa.list_(pa.string())),
        ("bytes", pa.int64()),
        ("ipv6_bytes", pa.int64()),
        ("share", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Request:
    """The options, as given. only: numbers or ids of proposals, with commas; None: all."""

    paths: tuple[str, ...]
    only: str | None
    accept: bool
    dialect: str | None
    unknown_sampling: str | None
    form: SeveralForm


def main(invocation: Invocation, request: Request) -> ExitCode:
    """Print the apps that would classify most of what is unclassified; append them if accepted."""
    flags = {"--unknown-sampling": request.unknown_sampling}
    configured = configure_for_reading(invocation.root, flags)
    workspace = configured.workspace
    inputs = _inputs(workspace, request)
    found, unread = _read(configured, inputs)
    proposals = propose(found.largest(), found.total, [app.id for app in configured.catalog.apps])
    chosen = _chosen(proposals, request.only)
    if request.form == "table":
        stdout.write("\n".join(_text(one, found.total, f"{one.number}:") for one in chosen))
    else:
        stdout.write_tables({"proposals": _as_table(chosen, found.total)}, request.form)
    _say_how_much(chosen, found.total, len(inputs) - unread)
    if chosen and request.accept:
        text = "\n".join(_text(one, found.total, "Proposed:") for one in chosen)
        append_to_apps(workspace, text)
        messages.say(
            f"{workspace.catalog / 'apps.toml'}: appended {len(chosen)}. Give them names and "
            "owners, and join what is one service; the next run counts again what it finds"
        )
    elif chosen:
        place = place_option(workspace.root)
        messages.say(
            f"next: v6share{place} catalog suggest --accept; --only 1 takes the first alone"
        )
    return ExitCode.INPUT_FAILED if unread else ExitCode.DONE


def _inputs(workspace: Workspace, request: Request) -> list[tuple[str, str | None]]:
    """Paths and dialects of what is to be read: what is named, else the newest counted inputs.

    Raises UserError where nothing is named and no counted input is there any more.
    """
    if request.paths:
        return [(one.path, request.dialect) for one in find(request.paths, workspace).inputs]
    with open_snapshot(workspace.published) as snapshot:
        of_no_app, whole = unclassified_bytes(snapshot)
        counted = newest_inputs(snapshot, _MOST_FILES, _MOST_BYTES)
    if whole:
        messages.say(
            f"unclassified in the last 30 final days: {bytes_for_people(of_no_app)}, "
            f"{share_for_people(of_no_app / whole)} of the traffic"
        )
    present: list[tuple[str, str | None]] = [
        (path, request.dialect or dialect)
        for path, dialect in counted
        if storage.is_file(Path(path))
    ]
    if not present:
        raise UserError(
            "the tables hold no prefix, port or AS number of a service, and no counted input is "
            "where it was; name flow files: v6share catalog suggest PATH..."
        )
    return present


def _read(
    configured: Configured, inputs: Sequence[tuple[str, str | None]]
) -> tuple[Destinations, int]:
    """The destinations of some files, and how many of the files could not be read."""
    say_if_cold()
    settings, networks = configured.settings, configured.catalog.networks
    found = Destinations(
        compile_now(configured),
        settings.kpi.vantages,
        [one.network for one in networks if one.kind in _OF_CLIENTS],
    )
    unread = 0
    messages.say(f"reading {counted(len(inputs), 'file')}")
    for path, dialect in inputs:
        try:
            file = open_flow_file(path, dialect)
            for batch in file.read(range(file.row_groups), settings.run.batch_rows):
                found.add(batch)
        except (InputRefused, OSError) as error:
            messages.warn(f"{storable(path)}: left out: {error}", path=storable(path))
            unread += 1
    return found, unread


def _chosen(proposals: Sequence[Proposal], only: str | None) -> list[Proposal]:
    """The proposals that were asked for. Raises UserError for a number or id that is none."""
    if only is None:
        return list(proposals)
    by_name = {name: one for one in proposals for name in (str(one.number), one.id)}
    chosen: dict[str, Proposal] = {}
    for name in (part.strip() for part in only.split(",")):
        if name not in by_name:
            hint = did_you_mean(name, by_name)
            raise UserError(f'--only: found "{name}", which is no number or id of a proposal{hint}')
        chosen[by_name[name].id] = by_name[name]
    return list(chosen.values())


def _text(one: Proposal, total: int, opening: str) -> str:
    share, ipv6 = share_for_people(one.bytes / total), share_for_people(one.ipv6_bytes / one.bytes)
    comment = (
        f"{opening} {bytes_for_people(one.bytes)}, {share} of what is unclassified; "
        f"{ipv6} of it IPv6"
    )
    return app_text(one, comment, [bytes_for_people(part.bytes) for part in one.destinations])


def _as_table(chosen: Sequence[Proposal], total: int) -> pa.Table:
    rows = [
        {
            "number": one.number,
            "id": one.id,
            "asn": one.destinations[0].asn or None,
            "port": one.destinations[0].port,
            "prefixes": [str(part.prefix) for part in one.destinations],
            "bytes": one.bytes,
            "ipv6_bytes": one.ipv6_bytes,
            "share": one.bytes / total,
        }
        for one in chosen
    ]
    return pa.Table.from_pylist(rows, _SCHEMA)


def _say_how_much(chosen: Sequence[Proposal], total: int, files: int) -> None:
    """How much of the unclassified traffic the proposals are, or why there is none."""
    where = f"in {counted(files, 'file')}"
    if not total:
        messages.say(f"nothing is unclassified {where}")
    elif not chosen:
        messages.say(
            f"unclassified {where}: {bytes_for_people(total)}, and no destination has 1 % of it: a "
            "rule would not help"
        )
    else:
        share = share_for_people(sum(one.bytes for one in chosen) / total)
        messages.say(
            f"unclassified {where}: {bytes_for_people(total)}, of which these {len(chosen)} would "
            f"classify {share}"
        )
