"""``v6share sample``: made-up flow files with the catalog that fits."""

from datetime import date
from pathlib import Path
from shlex import quote
from typing import Any

from v6share.jobs.terminal import interrupt, messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.jobs.terminal.progress import Progress
from v6share.pipelines.sample import SampleReport, write_sample
from v6share.render.text import SeveralForm
from v6share.render.values import Record
from v6share.schemas.errors import UserError


def main(
    invocation: Invocation,  # noqa: ARG001 - every job takes one
    directory: Path,
    *,
    flows: int | None,
    seed: int | None,
    start: str | None,
    days: int | None,
    form: SeveralForm,
) -> ExitCode:
    """Write the sample and say what to do with it."""
    given: dict[str, Any] = {
        "flows": flows,
        "seed": seed,
        "start": None if start is None else _parse_day(start),
        "days": days,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory}: exists and is not a directory; give another name")
    left = (
        f"{directory}/flows, catalog and truth stay incomplete: remove them, or name another "
        "directory"
    )
    with Progress("writing", 1, 0) as progress, interrupt.leaving(left):

        def show(done: int, of: int, name: str) -> None:
            messages.detail(f"{name} written")
            progress.show(done, total=of)

        report = write_sample(directory, **asked, progress=show)
    if stdout.is_wanted(form):
        stdout.write_tables({"sample": _described(report)}, form)
    for note in report.notes:
        messages.warn(note)
    place = quote(str(report.directory))
    messages.say(
        f"next: v6share -C {place} run {quote(f'{report.directory}/flows')}\n"
        f"      v6share -C {place} kpi"
    )
    return ExitCode.DONE


def _described(report: SampleReport) -> Record:
    return {
        "directory": str(report.directory),
        "flow_files": report.files,
        "rows": report.records,
        "size": report.size_bytes,
    }


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UserError(f"--start: found {text!r}, expected a day such as 2026-01-01") from None
