"""``v6share kpi``: the board, the views of a stage, or one view, from the published snapshot."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, cast

import pyarrow as pa

from v6share.jobs import console, later, output
from v6share.jobs.board import BOARD_VIEWS, board, for_people, notes, titles
from v6share.jobs.configure import find_workspace
from v6share.jobs.exits import ExitCode
from v6share.jobs.header import title_of, with_facts, with_header
from v6share.jobs.invocation import Invocation
from v6share.jobs.output import iso_time
from v6share.schemas.errors import UserError
from v6share.schemas.mistakes import nearest
from v6share.schemas.workspace import Workspace
from v6share.warehouse.publish import PUBLIC_TABLES
from v6share.warehouse.reads import list_relations, published_runs, select, unpublished_run

_STAGE: Final = re.compile(r"(?:stage[-_ ]?)?(\d)", re.IGNORECASE)
_STAGES: Final = ("stage1", "stage2", "stage3")
_UNITS_OF_TABLES: Final = {
    table.name: {column.name: column.unit for column in table.columns if column.unit}
    for table in PUBLIC_TABLES
}


def main(
    invocation: Invocation, view: str | None, *, form: output.Form, limit: int | None
) -> ExitCode:
    """Print the board, a stage or a view."""
    workspace = find_workspace(invocation.root)
    published = workspace.published
    stage = _STAGE.fullmatch(view) if view is not None else None
    if view is None:
        _print_board(published, form)
    elif stage is not None:
        _print_stage(published, stage[1], form, limit)
    else:
        name = _view_name(published, view)
        title = title_of(name, _abouts(published)[name])
        output.write_table(_read(published, [name])[name], form, title=title, limit=limit)
    _say_what_is_missing(workspace)
    return ExitCode.DONE


def _say_what_is_missing(workspace: Workspace) -> None:
    """A word where a run is committed that these numbers do not hold."""
    try:
        run = unpublished_run(workspace, published_runs(workspace.published))
    except OSError:
        return  # who may read the published file need not be one who may read the state
    if run is not None:
        console.warn(
            f"run {run.run_id}, committed at {iso_time(run.finished_at)}, is not in these "
            "numbers: it is not published. `v6share status` says why",
            run_id=run.run_id,
        )


def _print_board(published: Path, form: output.Form) -> None:
    """The whole board where several tables can stand together; else the headline."""
    if form in ("csv", "parquet"):
        output.write_table(_read(published, ["kpi_headline"])["kpi_headline"], form)
        return
    views = _read(published, BOARD_VIEWS)
    sections, headings = board(views), titles(views)
    if form == "json":
        output.write_tables(sections, "json")
        return
    several = cast("output.SeveralForm", form)
    shown = for_people(sections)
    output.write_tables({"headline": shown.pop("headline")}, several, titles=headings)
    output.write_lines(["", *(f"- {note}" for note in notes(sections["headline"])), ""])
    output.write_tables(shown, several, titles=headings)


def _print_stage(published: Path, stage: str, form: output.Form, limit: int | None) -> None:
    prefix = f"kpi_stage{stage}_"
    names = [name for name, _ in list_relations(published) if name.startswith(prefix)]
    if not names:
        raise UserError(f"there is no stage {stage}; stages are 1, 2 and 3")
    if form in ("csv", "parquet"):
        raise UserError(
            f"stage {stage} has several views and {form} holds one; name one of {', '.join(names)}"
        )
    several = cast("output.SeveralForm", form)
    output.write_tables(
        _read(published, names),
        several,
        titles={name: title_of(name, about) for name, about in _abouts(published).items()},
        limit=limit,
        whole="kpi {name} --format csv",
    )


def _read(published: Path, names: Iterable[str]) -> dict[str, pa.Table]:
    """Whole views and tables; their columns carry what schema and header say of them."""
    abouts = _abouts(published)
    return {
        name: with_header(
            with_facts(select(published, name), "unit", _UNITS_OF_TABLES.get(name, {})),
            abouts.get(name, ""),
        )
        for name in names
    }


def _abouts(published: Path) -> dict[str, str]:
    return dict(list_relations(published))


def _view_name(published: Path, wanted: str) -> str:
    """The view of that name, with or without ``kpi_``. Raises UserError with the nearest names."""
    known = [name for name, _ in list_relations(published)]
    for name in (wanted, f"kpi_{wanted}"):
        if name in known:
            return name
        if name in later.VIEWS:
            raise UserError(f"{later.not_yet(name)}. There are: {', '.join(known)}")
    close = nearest(wanted, [*_STAGES, *known])
    hint = f'did you mean "{close}"?' if close else f"there are: {', '.join(known)}"
    raise UserError(f'no stage or view is called "{wanted}"; {hint}')
