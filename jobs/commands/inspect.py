"""``v6share inspect``: what a flow file holds and how it would be read."""

from pathlib import Path

from v6share.jobs.steps.one_file import looking_at
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.pipelines.flow_file import open_flow_file
from v6share.pipelines.survey import Survey, survey_file
from v6share.render.text import SeveralForm


def main(
    invocation: Invocation,  # noqa: ARG001 - every job takes one
    file: Path,
    *,
    dialect: str | None,
    form: SeveralForm,
) -> ExitCode:
    """Print what is found; changes nothing."""
    with looking_at(file):
        survey = survey_file(open_flow_file(str(file), dialect), file.stat().st_size)
    stdout.write_tables(survey.tables(), form)
    for warning in _warnings(survey):
        messages.warn(warning)
    return ExitCode.DONE


def _warnings(survey: Survey) -> list[str]:
    found = []
    if survey.rows_read < survey.file.rows:
        found.append(
            f"the figures are of the first {survey.rows_read:,} of {survey.file.rows:,} rows"
        )
    unknown = survey.exporters_with("unknown")
    if unknown:
        found.append(
            f"no sampling interval (0 is unknown, too) from {', '.join(unknown)}: such rows are "
            "rejected unless exporters.csv or --unknown-sampling says how to count them"
        )
    unsampled = survey.exporters_with("1")
    if unsampled:
        found.append(
            f"sampling interval 1 from {', '.join(unsampled)}: some devices say 1 although they "
            "sample. Where that is so, set sampling_interval and override in exporters.csv"
        )
    return found
