"""The commands: names, options and help. A command's module is imported when it runs, so that
``v6share --help`` needs nothing but typer.
"""

import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer

from v6share import __version__
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation, LogForm
from v6share.render.text import Form, SeveralForm
from v6share.schemas.errors import UserError
from v6share.schemas.reprocess import Reprocess

app = typer.Typer(
    name="v6share",
    help="""Measure a staged IPv6 rollout from flow logs: flow files in, KPIs out.

    Data goes to stdout, everything else to stderr.""",
    epilog="""\b
    Start here:
      v6share init mynet            a commented starter workspace
      v6share -C mynet run flows/   flow files to KPIs
      v6share -C mynet kpi          the KPIs of every stage

    'v6share COMMAND --help' has examples for each command.""",
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FormOption = Annotated[
    Form,
    typer.Option(
        "--format",
        "-f",
        help="How to print the data; jsonl is one object a line, parquet is binary.",
    ),
]
SeveralFormOption = Annotated[
    SeveralForm,
    typer.Option("--format", "-f", help="How to print the data; jsonl is one object a line."),
]


def _send_data_to(file: Path | None) -> Path | None:
    from v6share.jobs.terminal import stdout

    stdout.send_to(file)
    return file


# Beside every --format. What it asks for is done as soon as it is read.
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        callback=_send_data_to,
        help="Write the data into a file, whole or not at all, instead of to stdout.",
    ),
]
PathsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH",
        help="Files (always tried), directories (*.parquet and *.parq in them, recursively) "
        "or quoted globs.",
    ),
]
UnknownSamplingOption = Annotated[
    str | None,
    typer.Option(
        metavar="reject|unsampled|N",
        help="What to do with rows whose sampling interval nobody states; N counts them as 1 in N.",
    ),
]
DialectOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Read the files as this dialect; default: found from the columns."
    ),
]
RunnerOption = Annotated[
    str,
    typer.Option(
        metavar="local|spark",
        help="Where the work is done: by this process, or by the workers of a Spark session.",
    ),
]
SparkConfOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="A setting of Spark, such as spark.master=local[2]; may be given several times.",
    ),
]


WaitOption = Annotated[
    float, typer.Option(min=0, metavar="S", help="Wait S seconds for another run to end.")
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Threads; 0: one a core.")
]
PublishOption = Annotated[
    bool, typer.Option(help="Replace the published snapshot when the checks pass.")
]
GateOption = Annotated[
    bool | None,
    typer.Option(
        "--gate/--no-gate",
        help="Have Great Expectations judge whether the numbers are plausible; a run without says "
        "so in the published file.",
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict", help="Exit 1 while an input is quarantined that nobody has acknowledged."
    ),
]
RefusedArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="Paths, input ids (8 digits or more are enough), or base names that are unique.",
        show_default="",
    ),
]
AllRefusedOption = Annotated[
    bool, typer.Option("--all", help="All that nobody has acknowledged, in place of INPUT.")
]

IncludeForgottenOption = Annotated[
    bool, typer.Option("--include-forgotten", help="Count withdrawn inputs again.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"v6share {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Option("-C", metavar="DIR", help="The workspace.", show_default="here")
    ] = Path(),
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say more; show tracebacks.")
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "-q",
            "--quiet",
            help="Say only what went wrong; run and backfill leave one line on stdout.",
        ),
    ] = False,
    log: Annotated[
        LogForm, typer.Option(help="Form of the messages on stderr; json is one object a line.")
    ] = "text",
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Read the options that stand before the command."""
    if verbose and quiet:
        raise typer.BadParameter("-v and -q exclude each other")
    _refuse_lost_directory()
    verbosity = int(verbose) - int(quiet)
    invocation = replace(_invocation(context), root=directory, verbosity=verbosity, log=log)
    context.obj = invocation
    from v6share.jobs.terminal import messages

    messages.configure(invocation)


@app.command(
    epilog="""\b
    Examples:
      v6share init mynet
      v6share init            fill up the current directory"""
)
def init(
    context: typer.Context,
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The directory; default: the workspace.")
    ] = None,
    form: SeveralFormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Write a starter workspace: commented settings and catalog.

    Adds what is missing and overwrites nothing.
    """
    from v6share.jobs.commands import init as job

    return job.main(_invocation(context), directory, form=form)


@app.command(
    epilog="""\b
    Examples:
      v6share sample mysample
      v6share sample mysample --flows 1000000 --days 120 --seed 7"""
)
def sample(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; made if new.")],
    flows: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="About how many flow records.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="S", help="The same seed gives the same bytes.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="DATE", help="First day, such as 2026-01-01.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, metavar="D", help="How many days.")] = None,
    form: SeveralFormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Write made-up flow files, their catalog and the planted truth."""
    from v6share.jobs.commands import sample as job

    return job.main(
        _invocation(context), directory, flows=flows, seed=seed, start=start, days=days, form=form
    )


@app.command(
    epilog="""\b
    Examples:
      v6share inspect flows/router1.parquet
      v6share inspect flows/router1.parquet --format json"""
)
def inspect(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A flow file.")],
    dialect: DialectOption = None,
    form: SeveralFormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Show what a flow file holds and how it would be read.

    Dialect, column mapping, rows, families, time range, sampling, exporters, first rows. Reads
    only what it needs, changes nothing and needs no workspace.
    """
    from v6share.jobs.commands import inspect as job

    return job.main(_invocation(context), file, dialect=dialect, form=form)


@app.command(
    epilog="""\b
    Examples:
      v6share -C mynet explain flows/router1.parquet --row 0"""
)
def explain(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A flow file.")],
    row: Annotated[int, typer.Option(min=0, metavar="N", help="The row, counted from 0.")],
    dialect: DialectOption = None,
    unknown_sampling: UnknownSamplingOption = None,
    form: SeveralFormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Show how one row is classified, and by which rule or prefix.

    Every decision in order, then the windows that the row is split over. Give the options that
    the run had: they decide, too.
    """
    from v6share.jobs.commands import explain as job

    return job.main(
        _invocation(context),
        file,
        row=row,
        dialect=dialect,
        unknown_sampling=unknown_sampling,
        form=form,
    )


@app.command(
    epilog="""\b
    Examples:
      v6share -C mynet run flows/
      v6share -C mynet run 'flows/2026-01-*.parquet' --unknown-sampling unsampled
      v6share -C mynet run flows/ --since 2026-01-01 --until 2026-02-01 --wait 60
      v6share -C mynet run flows/ --strict
      v6share -C mynet run /data/flows/ --runner spark --spark-conf spark.master=yarn

    A file that is known already is not opened again: running twice changes nothing."""
)
def run(
    context: typer.Context,
    paths: PathsArgument,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="Only inputs with flows at or after T (UTC, 2026-01-31 or 2026-01-31T12:00). "
            "Chooses inputs, never rows.",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="T", help="Only inputs with flows before T.")
    ] = None,
    dialect: DialectOption = None,
    runner: RunnerOption = "local",
    spark_conf: SparkConfOption = None,
    unknown_sampling: UnknownSamplingOption = None,
    wait: WaitOption = 0,
    threads: ThreadsOption = None,
    publish: PublishOption = True,
    gate: GateOption = None,
    include_forgotten: IncludeForgottenOption = False,
    strict: StrictOption = False,
    form: SeveralFormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Count flow files: read, commit, check, publish."""
    _refuse_odd_span(since, until)
    _leave_if_held(context, wait)
    from v6share.jobs.commands import run as job
    from v6share.jobs.steps.begin import Request

    request = Request(
        paths=tuple(paths),
        since=since,
        until=until,
        dialect=dialect,
        runner=runner,
        spark_conf=tuple(spark_conf or ()),
        unknown_sampling=unknown_sampling,
        wait=wait,
        threads=threads,
        publish=publish,
        gate=gate,
        include_forgotten=include_forgotten,
        form=form,
    )
    return job.main(_invocation(context), request, strict=strict)


@app.command(
    epilog="""\b
    Examples:
      v6share -C mynet backfill --since 2026-01-01 --until 2026-02-01 flows/
      v6share -C mynet backfill --since 2026-01-05 --until 2026-01-06 flows/ --dry-run
      v6share -C mynet backfill --since 2026-01-05 --until 2026-01-06 flows/ --reprocess all

    What is counted is committed in slices of at most 500 inputs and published at the end. Where it
    was broken off, the same command goes on from the last slice; only what --reprocess all counts
    again although it is whole is then counted again from the beginning."""
)
def backfill(
    context: typer.Context,
    paths: PathsArgument,
    since: Annotated[
        str,
        typer.Option(
            metavar="T",
            help="Only inputs with flows at or after T (UTC, 2026-01-31 or 2026-01-31T12:00). "
            "Chooses inputs, never rows.",
        ),
    ],
    until: Annotated[str, typer.Option(metavar="T", help="Only inputs with flows before T.")],
    reprocess: Annotated[
        Reprocess,
        typer.Option(
            help="Which of them: missing - not counted by the present rules and catalog; failed - "
            "also quarantined ones; all - also those that count already: a fragment that is lost "
            "or damaged is made good, one that is whole stays."
        ),
    ] = "missing",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show which inputs would be counted, and why; change nothing, and do not wait.",
        ),
    ] = False,
    dialect: DialectOption = None,
    runner: RunnerOption = "local",
    spark_conf: SparkConfOption = None,
    unknown_sampling: UnknownSamplingOption = None,
    wait: WaitOption = 0,
    threads: ThreadsOption = None,
    publish: PublishOption = True,
    gate: GateOption = None,
    include_forgotten: IncludeForgottenOption = False,
    form: SeveralFormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Count the flow files of a span of time anew.

    What older rules or an older catalog counted is replaced, and files outside the span keep what
    they gave.
    """
    _refuse_odd_span(since, until)
    if not dry_run:
        _leave_if_held(context, wait)
    from v6share.jobs.commands import backfill as job
    from v6share.jobs.steps.begin import Request

    request = Request(
        paths=tuple(paths),
        since=since,
        until=until,
        dialect=dialect,
        runner=runner,
        spark_conf=tuple(spark_conf or ()),
        unknown_sampling=unknown_sampling,
        wait=wait,
        threads=threads,
        publish=publish,
        gate=gate,
        include_forgotten=include_forgotten,
        form=form,
    )
    return job.main(_invocation(context), request, reprocess=reprocess, dry_run=dry_run)


@app.command(
    epilog="""\b
    Examples:
      v6share -C mynet stream flows/
      v6share -C mynet --log json stream flows/ 'other/*.parquet' --interval 2
      v6share -C mynet stream flows/ --once      one sweep, for cron and tests

    Write a file elsewhere and rename it into the folder: a file that is seen half written is
    left alone until it has rested. SIGTERM and Ctrl-C end the stream after the batch that it is
    at, a second one at once."""
)
def stream(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH", help="Directories, files or quoted globs, as for run.", show_default=""
        ),
    ] = None,
    from_outcomes: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Commit what a pipeline on another runner has counted, see docs/beam.md.",
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Sweep the paths once, and end; no input: exit 5.")
    ] = False,
    interval: Annotated[
        int | None,
        typer.Option(min=1, metavar="S", help="Seconds between two looks, and two batches."),
    ] = None,
    most_files: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Files in one batch at most.")
    ] = None,
    full_check_minutes: Annotated[
        int | None,
        typer.Option(min=1, metavar="M", help="Check all days so often, not only changed ones."),
    ] = None,
    dialect: DialectOption = None,
    unknown_sampling: UnknownSamplingOption = None,
    wait: Annotated[
        float,
        typer.Option(
            min=0, metavar="S", help="With --once: wait S seconds for another run to end."
        ),
    ] = 0,
    threads: ThreadsOption = None,
    gate: GateOption = None,
    form: SeveralFormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Follow folders, and publish files as they arrive.

    Each batch is counted, committed, checked and published. Others get their turn of the workspace
    between two batches, with --wait. What it did is printed at its end.
    """
    if once:
        _leave_if_held(context, wait)
    from v6share.jobs.commands import stream as job

    request = job.Request(
        paths=tuple(paths or ()),
        from_outcomes=from_outcomes,
        once=once,
        interval=interval,
        most_files=most_files,
        full_check_minutes=full_check_minutes,
        dialect=dialect,
        unknown_sampling=unknown_sampling,
        wait=wait,
        threads=threads,
        gate=gate,
        form=form,
    )
    return job.main(_invocation(context), request)


@app.command(
    epilog="""\b
    Examples:
      v6share -C mynet kpi                          the board of all stages
      v6share -C mynet kpi 2                        the views of stage 2
      v6share -C mynet kpi kpi_stage3_apps --format csv > apps.csv
      v6share -C mynet kpi kpi_headline --format json"""
)
def kpi(
    context: typer.Context,
    view: Annotated[
        str | None,
        typer.Argument(
            metavar="[STAGE or VIEW]", help="1, 2, 3, or the name of a view; default: the board."
        ),
    ] = None,
    form: FormOption = "table",
    output: OutputOption = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="At most N rows a view; 0: all. Default: 40 on a terminal, else all.",
        ),
    ] = None,
) -> ExitCode:
    """Print the KPIs from the published snapshot."""
    from v6share.jobs.commands import kpi as job

    return job.main(_invocation(context), view, form=form, limit=limit)


@app.command(
    epilog="""\b
    Examples:
      v6share -C mynet status
      v6share -C mynet status --format json"""
)
def status(
    context: typer.Context, form: SeveralFormOption = "table", output: OutputOption = None
) -> ExitCode:
    """Show runs, files, rejected rows, exporters and versions.

    It warns of fragments that are missing or cut off.
    """
    from v6share.jobs.commands import status as job

    return job.main(_invocation(context), form=form)


@app.command(
    epilog="""\b
    Examples:
      v6share -C mynet forget flows/wrong-clock.parquet
      v6share -C mynet forget flows/rewritten.parquet --older
      v6share -C mynet forget 3f1a9c02... --reason 'repeats router2'"""
)
def forget(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Paths, input ids (8 digits or more are enough), or base names that are unique.",
        ),
    ],
    older: Annotated[
        bool,
        typer.Option(
            "--older",
            help="Of files that were rewritten in place: what they held before, not what they "
            "hold now.",
        ),
    ] = False,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; stands in the ledger.")
    ] = "withdrawn by the operator",
    wait: WaitOption = 0,
    publish: PublishOption = True,
    gate: GateOption = None,
    form: SeveralFormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Withdraw inputs, such as a file of a wrong clock.

    A copy needs none of it: equal bytes count once, and are withdrawn together. Inputs whose
    fragments are damaged are withdrawn by their whole ids even where the warehouse cannot be
    opened.
    """
    _leave_if_held(context, wait)
    from v6share.jobs.commands import forget as job

    return job.main(
        _invocation(context),
        tuple(inputs),
        older=older,
        reason=reason,
        wait=wait,
        publish=publish,
        gate=gate,
        form=form,
    )


@app.command(
    epilog="""\b
    Examples:
      v6share -C mynet rebuild"""
)
def rebuild(
    context: typer.Context,
    wait: WaitOption = 0,
    publish: PublishOption = True,
    gate: GateOption = None,
    form: SeveralFormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Make the warehouse anew from fragments and journal.

    The tables come out the same; no flow file is read.
    """
    _leave_if_held(context, wait)
    from v6share.jobs.commands import rebuild as job

    return job.main(_invocation(context), wait=wait, publish=publish, gate=gate, form=form)


@app.command(
    epilog="""\b
    Examples:
      v6share -C mynet check
      v6share -C mynet check --results
      v6share -C mynet check --docs reports/
      v6share -C mynet check --max-age 2h --strict
      v6share -C mynet check --format json"""
)
def check(
    context: typer.Context,
    results: Annotated[
        bool,
        typer.Option("--results", help="Compare every kept result with its definition as well."),
    ] = False,
    gate: GateOption = None,
    docs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write Data Docs of the gate into a folder: pages for people, which load fonts "
            "and styles from the net.",
        ),
    ] = None,
    max_age: Annotated[
        str | None,
        typer.Option(
            metavar="D",
            help="Exit 6 where the newest record is older: 90m, 2h, 1d. Default: [check] max_age "
            "of the settings.",
        ),
    ] = None,
    strict: StrictOption = False,
    form: FormOption = "table",
    output: OutputOption = None,
    wait: WaitOption = 0,
) -> ExitCode:
    """Check tables, fragments, journal; exit 3 when a check fails.

    The fragment of every input that counts must be as it was written. A damaged journal ends it
    with 2. With --max-age it also notices that no data come any more.
    """
    _leave_if_held(context, wait)
    from v6share.jobs.commands import check as job

    return job.main(
        _invocation(context),
        results=results,
        gate=gate,
        docs=docs,
        max_age=max_age,
        strict=strict,
        form=form,
        wait=wait,
    )


@app.command(
    epilog="""\b
    Examples:
      v6share -C mynet doctor
      v6share -C mynet doctor --repair
      v6share -C mynet doctor --format json"""
)
def doctor(
    context: typer.Context,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Mend what can be mended without losing anything."),
    ] = False,
    wait: WaitOption = 0,
    form: SeveralFormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Look for damage in the workspace, and say what mends it.

    Reads every byte of journal, fragments, warehouse and published file, and the settings. Exit 2
    where something is damaged or lost.
    """
    _leave_if_held(context, wait)
    from v6share.jobs.commands import doctor as job

    return job.main(_invocation(context), repair=repair, wait=wait, form=form)


@app.command(
    epilog="""\b
    Examples:
      v6share -C mynet reconcile flows/
      v6share -C mynet reconcile 'flows/2026-01-05*.parquet' --format csv"""
)
def reconcile(
    context: typer.Context,
    paths: PathsArgument,
    form: FormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Count files by plain SQL; compare with ledger and tables.

    Rows, packets and bytes of each file, by family; and what the ledger counted of all inputs, with
    what the tables hold. Ledger and tables are those of the published file: what is committed and
    not published is not in them, which is said. Exit 3 where one differs or does not count, 1 where
    a file cannot be counted again. It shares nothing with the way of a run, so it is of use after
    an incident.
    """
    from v6share.jobs.commands import reconcile as job

    return job.main(_invocation(context), tuple(paths), form=form)


quarantine = typer.Typer(
    help="Inputs that are refused, and what becomes of them.", rich_markup_mode=None
)
app.add_typer(quarantine, name="quarantine")


@quarantine.command(
    "list",
    epilog="""\b
    Examples:
      v6share -C mynet quarantine list
      v6share -C mynet quarantine list --format json""",
)
def quarantine_list(
    context: typer.Context, form: FormOption = "table", output: OutputOption = None
) -> ExitCode:
    """Show which inputs are refused, why, and since when.

    An input that is counted by now, or all of whose files hold other content, is none of them.
    """
    from v6share.jobs.commands import quarantine as job

    return job.show(_invocation(context), form=form)


@quarantine.command(
    "retry",
    epilog="""\b
    Examples:
      v6share -C mynet quarantine retry flows/router1.parquet
      v6share -C mynet quarantine retry --all""",
)
def quarantine_retry(
    context: typer.Context,
    inputs: RefusedArgument = None,
    every: AllRefusedOption = False,
    wait: WaitOption = 0,
    form: FormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Have the next run try inputs again.

    Of use after an upgrade. A file that was mended or sent again needs none of it: its content is
    new, and is tried anyway. A rules or catalog change tries all again, too. --strict goes on
    minding them until they count.
    """
    _leave_if_held(context, wait)
    from v6share.jobs.commands import quarantine as job

    return job.decide(
        _invocation(context),
        inputs or (),
        "retry",
        every=every,
        reason="the next run tries it again",
        wait=wait,
        form=form,
    )


@quarantine.command(
    "accept",
    epilog="""\b
    Examples:
      v6share -C mynet quarantine accept flows/router1.parquet --reason 'a test of the collector'
      v6share -C mynet quarantine accept --all""",
)
def quarantine_accept(
    context: typer.Context,
    inputs: RefusedArgument = None,
    every: AllRefusedOption = False,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; the list shows it.")
    ] = "accepted by the operator",
    wait: WaitOption = 0,
    form: FormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Acknowledge inputs that stay refused until their bytes change.

    --strict no longer minds them. Nothing of them is counted, and no number changes.
    """
    _leave_if_held(context, wait)
    from v6share.jobs.commands import quarantine as job

    return job.decide(
        _invocation(context),
        inputs or (),
        "accept",
        every=every,
        reason=reason,
        wait=wait,
        form=form,
    )


key = typer.Typer(help="The key of the client hash.", rich_markup_mode=None)
app.add_typer(key, name="key")


@key.command(
    "rotate",
    epilog="""\b
    Examples:
      v6share -C mynet key rotate
      v6share -C mynet key rotate --wait 600""",
)
def key_rotate(
    context: typer.Context,
    wait: WaitOption = 0,
    form: FormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Make a new key; the old one is destroyed.

    What was counted stays. Under another key the same client has another hash, so distinct clients
    of 30 days are not known until all of them are counted with the new key: in 30 days, or when
    `v6share backfill --reprocess all` has counted the files of these days again. A stream gives way
    (--wait) and goes on with the new key.
    """
    _leave_if_held(context, wait)
    from v6share.jobs.commands import key as job

    return job.rotate(_invocation(context), wait=wait, form=form)


@key.command(
    "show",
    epilog="""\b
    Examples:
      v6share -C mynet key show""",
)
def key_show(
    context: typer.Context,
    wait: WaitOption = 0,
    form: FormOption = "table",
    output: OutputOption = None,
) -> ExitCode:
    """Say by their ids which keys counted, and since when."""
    _leave_if_held(context, wait)
    from v6share.jobs.commands import key as job

    return job.show(_invocation(context), wait=wait, form=form)


def _leave_if_held(context: typer.Context, wait: float) -> None:
    """Answer at once where another run is at work: loading a job takes far longer."""
    from v6share.workspace.lock import refuse_if_held
    from v6share.workspace.paths import Workspace

    if not wait:
        refuse_if_held(Workspace(_invocation(context).root))


def _refuse_odd_span(since: str | None, until: str | None) -> None:
    """Raise UserError for what is no span of time: a mistake is said before who holds what."""
    if since is not None or until is not None:
        from v6share.pipelines.timespan import parse_span

        parse_span(since, until)


def _refuse_lost_directory() -> None:
    """Raise UserError where the current directory is gone: no relative path means anything."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError(
            "the current directory is no longer there; change to one that is, and run it again"
        ) from None


def _invocation(context: typer.Context) -> Invocation:
    return cast("Invocation", context.obj)


def call(arguments: list[str]) -> ExitCode:
    """Run one command line and return its exit code; every error ends as a message on stderr."""
    from v6share.jobs.terminal import failures, interrupt, messages, process, stdout

    process.do_without_pandas()
    invocation = Invocation(
        command=shlex.join(["v6share", *arguments]), log=_log_asked_for(arguments)
    )
    messages.configure(invocation)
    interrupt.forget()
    command = typer.main.get_command(app)
    try:
        returned: Any = command.main(
            arguments or ["--help"], prog_name="v6share", standalone_mode=False, obj=invocation
        )
        stdout.finish()
        return ExitCode(returned or 0)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:  # the outermost frame: nothing may pass it
        # Beam turns an interrupt that reaches it into an error of its own.
        if interrupt.was_asked():
            return ExitCode.INTERRUPTED
        code = failures.report_failure(error)
        # What was printed before it failed, such as the summary of a run whose checks fail.
        with suppress(OSError):
            stdout.finish()
        return code
    finally:
        stdout.send_to(None)


def _log_asked_for(arguments: Sequence[str]) -> LogForm:
    """The form of messages until the options are read: a mistake in them is a message, too."""
    asked = "--log=json" in arguments or ("--log", "json") in pairwise(arguments)
    return "json" if asked else "text"


def main() -> NoReturn:
    """The ``v6share`` program."""
    from v6share.jobs.terminal import interrupt, process

    interrupt.install()
    process.fill_streams()
    process.tune()
    try:
        code = call(sys.argv[1:])
    except KeyboardInterrupt:  # before the command had begun
        code = ExitCode.INTERRUPTED
    if code is ExitCode.INTERRUPTED:
        interrupt.leave()
    process.end(code)
