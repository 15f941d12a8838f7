"""``v6share kpi``: the board, the views of a stage, or one view, from the published snapshot."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

import pyarrow as pa

from v6share.jobs.steps.age import age_in_words, age_record, say_if_stale
from v6share.jobs.steps.published_file import (
    open_published,
    say_unjudged,
    say_what_is_missing,
)
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.render.board import BOARD_VIEWS, board, for_people, notes, titles
from v6share.render.text import Form, SeveralForm
from v6share.render.units import title_of, with_facts, with_header
from v6share.schemas.errors import UserError
from v6share.schemas.published import PUBLIC_TABLES
from v6share.schemas.text.wording import nearest
from v6share.warehouse.age import DataAge, data_age
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.database.views import read_views
from v6share.warehouse.kept.snapshot import went_unjudged
from v6share.warehouse.relations import list_relations, select
from v6share.warehouse.status import published_runs
from v6share.workspace.find import find_workspace

_STAGE: Final = re.compile(r"(?:stage[-_ ]?)?(\d)", re.IGNORECASE)
_STAGES: Final = ("stage1", "stage2", "stage3")
_UNITS_OF_TABLES: Final = {
    table.name: {column.name: column.unit for column in table.columns if column.unit}
    for table in PUBLIC_TABLES
}


def main(invocation: Invocation, view: str | None, *, form: Form, limit: int | None) -> ExitCode:
    """Print the board, a stage or a view."""
    workspace = find_workspace(invocation.root)
    # Opened once: all that is printed is of one snapshot, whatever is published meanwhile.
    with open_published(workspace) as connection:
        age = data_age(connection, datetime.now(UTC))
        snapshot = _Snapshot(connection, dict(list_relations(connection)), age)
        # Read before anything is printed: a damaged file is said alone.
        runs, is_unjudged = published_runs(connection), went_unjudged(connection)
        _print(snapshot, view, form, limit)
        say_what_is_missing(workspace, runs)
        if is_unjudged:
            say_unjudged()
        say_if_stale(age, workspace)
    return ExitCode.DONE


def _print(snapshot: "_Snapshot", view: str | None, form: Form, limit: int | None) -> None:
    stage = _STAGE.fullmatch(view) if view is not None else None
    if view is None:
        _print_board(snapshot, form)
    elif stage is not None:
        _print_stage(snapshot, stage[1], form, limit)
    else:
        name = _view_name(snapshot.abouts, view)
        stdout.write_table(snapshot.read(name), form, title=snapshot.title(name), limit=limit)


@dataclass(frozen=True)
class _Snapshot:
    """The published file. abouts: what each of its views and tables is about, views first. age:
    how old its newest record is.
    """

    connection: Connection
    abouts: Mapping[str, str]
    age: DataAge

    def read(self, name: str) -> pa.Table:
        """All rows; the columns carry what the schema of a table or a view's header says."""
        units = _UNITS_OF_TABLES.get(name, {})
        rows = select(self.connection, name, self.abouts)
        return with_header(with_facts(rows, "unit", units), self.abouts[name])

    def title(self, name: str) -> str:
        """What stands above it."""
        return title_of(name, self.abouts[name])


def _print_board(snapshot: _Snapshot, form: Form) -> None:
    """The whole board where several tables can stand together; else the headline."""
    if form in ("csv", "parquet"):
        stdout.write_table(snapshot.read("kpi_headline"), form)
        messages.say(f"kpi_headline alone: {form} holds one view; `v6share kpi NAME` gives others")
        return
    views = {name: snapshot.read(name) for name in BOARD_VIEWS}
    sections, headings = board(views), titles(views)
    several = cast("SeveralForm", form)
    if form in ("json", "jsonl"):
        stdout.write_tables({**sections, "data": age_record(snapshot.age)}, several)
        return
    shown = for_people(sections)
    stdout.write_tables({"headline": shown.pop("headline")}, several, titles=headings)
    remarks = [*notes(sections["headline"]), f"data: {age_in_words(snapshot.age)}"]
    stdout.write_lines(["", *(f"- {remark}" for remark in remarks), ""])
    stdout.write_tables(shown, several, titles=headings)


def _print_stage(snapshot: _Snapshot, stage: str, form: Form, limit: int | None) -> None:
    prefix = f"kpi_stage{stage}_"
    names = [name for name in snapshot.abouts if name.startswith(prefix)]
    if not names:
        raise UserError(f"there is no stage {stage}; stages are 1, 2 and 3")
    if form in ("csv", "parquet"):
        raise UserError(
            f"stage {stage} has several views and {form} holds one; name one of {', '.join(names)}"
        )
    several = cast("SeveralForm", form)
    stdout.write_tables(
        {name: snapshot.read(name) for name in names},
        several,
        titles={name: snapshot.title(name) for name in names},
        limit=limit,
        whole="kpi {name} --format csv",
    )


def _view_name(known: Collection[str], wanted: str) -> str:
    """The view of that name, with or without ``kpi_``. Raises UserError with the nearest names."""
    for name in (wanted, f"kpi_{wanted}"):
        if name in known:
            return name
    if {wanted, f"kpi_{wanted}"} & {view.name for view in read_views()}:
        raise UserError(
            f'the published file has no view "{wanted}": an earlier version of v6share wrote it. '
            "The next `v6share run` publishes it anew, with all views"
        )
    close = nearest(wanted, [*_STAGES, *known])
    hint = f'did you mean "{close}"?' if close else f"there are: {', '.join(known)}"
    raise UserError(f'no stage or view is called "{wanted}"; {hint}')
