"""What a run says: what looks wrong before it, what needs a look after it, and what it did.

Data goes to stdout, everything else to stderr; nothing here changes anything.
"""

import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from shlex import quote
from typing import Any, Final

from v6share.jobs.steps.mass_rejects import described
from v6share.jobs.steps.recount import Recounted
from v6share.jobs.steps.run_context import RunContext
from v6share.jobs.terminal import messages, stdout
from v6share.pipelines.find import Found
from v6share.render.text import SeveralForm
from v6share.render.values import Record, bytes_for_people, json_value, shown_hash
from v6share.schemas.aggregates import CLIENTS_1D
from v6share.schemas.catalog.suggest import directions_advice, interval_advice
from v6share.schemas.ledger import NO_OP
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.schemas.text.counts import counted
from v6share.schemas.text.plain import storable
from v6share.warehouse.ledger.journal import Run
from v6share.warehouse.ledger.known_inputs import KnownInputs
from v6share.warehouse.ledger.outcomes import Rewritten, Sorted, rewritten_inputs
from v6share.warehouse.ledger.quarantined import refused_inputs
from v6share.warehouse.ledger.rerun import Fate
from v6share.warehouse.merge.horizons import Horizons, read_horizons
from v6share.warehouse.publish import why_unpublished
from v6share.warehouse.status import (
    both_directions,
    findings_to_tell,
    mass_rejects,
    new_overlaps,
    rejects_of_run,
)
from v6share.workspace import storage
from v6share.workspace.catalog_files import read_exporters_header
from v6share.workspace.configured import Configured

_NAMED: Final = 10


@dataclass(frozen=True)
class Done:
    """What came of a run, apart from publishing. outside: inputs without flows in the span.

    again: None where no input was to be counted again that counts already.
    """

    found: Found
    fates: Mapping[Fate, Sequence[FoundInput]]
    opened: Sequence[FoundInput]
    outside: Sequence[FoundInput]
    entry: Run
    result: Sorted
    again: Recounted | None = None

    @property
    def is_whole(self) -> bool:
        """Whether no input is missing. What lies in a folder that cannot be read is missing as
        much as a file that cannot.
        """
        return not (self.result.refused or self.result.failed or self.found.closed)


def say_what_looks_wrong(configured: Configured) -> None:
    """Before a run: whether there are doubts about the catalog, and who may read the key."""
    doubts = len(configured.doubts)
    if doubts:
        place = place_option(configured.workspace.root)
        messages.warn(
            f"{counted(doubts, 'doubt')} about the catalog: v6share{place} catalog check",
            doubts=doubts,
        )
    key = configured.workspace.client_key
    found = storage.status(key)
    mode = 0 if found is None else stat.S_IMODE(found.mode)
    if mode & 0o077:
        messages.warn(
            f"{key}: found the mode {mode:04o}, expected 0600: whoever reads the "
            "key can tell from the hashes which clients were active"
        )


def say_what_needs_a_look(run: RunContext, done: Done) -> None:
    """After the commit: inputs that are missing, odd, or counted twice."""
    header = read_exporters_header(run.workspace)
    result = done.result
    _warn_of_refused(result)
    if done.again is not None:
        _warn_of_other_bytes(done.again)
    _warn_of_rewritten(_rewritten(run, done), run.known)
    _say_what_stays(run, done)
    _say_what_is_late(run)
    advice = interval_advice(result.committed, run.configured.catalog.exporters, header)
    is_told = advice is not None
    said = _warn_of_mass_rejects(run, told_of_intervals=is_told)
    lost = [one for one in result.committed if storable(one.path) not in said]
    _warn_of_each(
        [
            (
                f"{one.path}: not one of its {one.rows_in:,} rows was counted; the rejects say why",
                {"path": one.path},
            )
            for one in lost
            if _lost_all(one, told_of_intervals=is_told)
        ],
        "more files, of which not one row was counted",
    )
    _warn_of_each(
        [
            (f"{one.path}: {one.detail}; tried again at the next run", {"path": one.path})
            for one in result.failed
        ],
        "more files failed",
    )
    for one in result.busy:
        messages.say(f"{one.path}: still being written, left for the next run", path=one.path)
    if advice is not None:
        messages.warn(advice)
    if result.committed:
        _warn_of_findings(run)
        _warn_of_overlaps(run, result)
        twice = directions_advice(both_directions(run.connection).to_pylist(), header)
        if twice is not None:
            messages.warn(twice)


def say_what_needs_a_look_in_batch(run: RunContext, result: Sorted) -> None:
    """The same after a batch of a stream: only what is about its own files."""
    _warn_of_refused(result)
    _warn_of_rewritten(rewritten_inputs(result, (), run.known), run.known)
    _warn_of_overlaps(run, result)
    _say_what_is_late(run)
    _warn_of_each(
        [
            (f"{one.path}: {one.detail}; tried again in a minute", {"path": one.path})
            for one in result.failed
        ],
        "more files failed",
    )
    _warn_of_each(
        [
            (f"{one.path}: {one.detail}; looked at again soon", {"path": one.path})
            for one in result.busy
        ],
        "more files are busy",
        messages.say,
    )


def write_summary(run: RunContext, done: Done, form: SeveralForm, *, published: bool) -> None:
    """What the run did, as data. With ``-q`` stdout gets one line of it, in every form."""
    is_quiet = messages.current().verbosity < 0
    # Nobody reads the warnings then, and the next run does not say them again.
    unread = {"warnings": messages.warnings_so_far()} if is_quiet else {}
    summary = {**_summary(run, done, published=published), **unread}
    if not is_quiet or stdout.is_sent_to_file():
        rejects = rejects_of_run(run.connection, run.run_id)
        stdout.write_tables({"run": summary, "rejects": rejects}, form)
    if is_quiet:
        is_json = form in ("json", "jsonl")
        stdout.write_out((json_value(summary) if is_json else _in_a_line(summary)) + "\n")


def _in_a_line(summary: Record) -> str:
    """For people: what a scheduler shows of a run."""
    names = ("inputs_committed", "inputs_known", "inputs_quarantined", "inputs_failed")
    inputs = ", ".join(f"{summary[name]:,} {name.removeprefix('inputs_')}" for name in names)
    rows = ", ".join(f"{summary[f'rows_{name}']:,} {name}" for name in ("counted", "rejected"))
    published = "nothing new" if summary["outcome"] == NO_OP else "not published"
    published = "published" if summary["published"] else published
    line = f"{summary['run_id']}: inputs: {inputs}; rows: {rows}; {published}"
    hidden = messages.warnings_so_far()
    return f"{line}; {counted(hidden, 'warning')} not shown" if hidden else line


def say_what_next(run: RunContext, done: Done, *, published: bool) -> None:
    """What there is to do now, or why there is nothing."""
    if done.entry.outcome == NO_OP and published:
        messages.say("nothing new to count; published what readers did not see yet")
    elif done.entry.outcome == NO_OP and done.opened:
        messages.say("nothing new was counted; the numbers are as before")
    elif done.entry.outcome == NO_OP:
        messages.say("nothing new was counted, and no file was opened")
    elif why_unpublished(run.connection):
        messages.say(
            "next: the same again without --no-publish, which publishes it; readers see none of it "
            "until then"
        )
    else:
        messages.say("next: `v6share kpi`")


def place_option(root: Path) -> str:
    """What stands behind ``v6share`` in a command for this workspace; empty for the one here."""
    return "" if root.samefile(".") else f" -C {quote(str(root))}"


def _summary(run: RunContext, done: Done, *, published: bool) -> Record:
    entry, fates, result = done.entry, done.fates, done.result
    return {
        "run_id": entry.run_id,
        "outcome": entry.outcome,
        "inputs_found": len(done.found.inputs),
        "inputs_committed": entry.inputs_committed,
        "inputs_rewritten": len(_rewritten(run, done)),
        "inputs_known": len(fates["known"]) + len(fates["sealed"]) + len(result.copies),
        "inputs_quarantined": entry.inputs_quarantined,
        "inputs_quarantined_copies": len(result.refused_copies),
        "inputs_quarantined_before": len(fates["refused"]) + len(result.refused_again),
        "inputs_forgotten": len(fates["forgotten"]) + len(result.forgotten),
        "inputs_outside_the_span": len(done.outside),
        "inputs_still_being_written": len(result.busy),
        "inputs_failed": len(result.failed),
        **_summary_of_again(done.again),
        "paths_left_out": len(done.found.closed),
        "rows_in": entry.rows_in,
        "rows_counted": entry.rows_counted,
        "rows_rejected": entry.rows_rejected,
        "quarantined_unacknowledged": _unacknowledged(run),
        "seconds": round(time.monotonic() - run.clock, 2),
        "published": published,
    }


def _unacknowledged(run: RunContext) -> int:
    """How many inputs of the workspace are refused, by now, that nobody has acknowledged."""
    return sum(not one.is_acknowledged for one in refused_inputs(run.connection))


def _summary_of_again(again: Recounted | None) -> Record:
    if again is None:
        return {}
    return {
        "counted_again_the_same": len(again.same),
        "counted_again_otherwise": len(again.kept) + len(again.replaced),
        "fragments_made_good": again.made_good,
    }


def _rewritten(run: RunContext, done: Done) -> list[Rewritten]:
    unchanged = [*done.fates["known"], *done.fates["sealed"]]
    return rewritten_inputs(done.result, unchanged, run.known)


def _warn_of_findings(run: RunContext) -> None:
    """What no input had before this run: one that is counted anew has nothing new."""
    _warn_of_each(
        [
            (_described_finding(one), one)
            for one in findings_to_tell(run.connection).to_pylist()
            if (one["finding"], one["exporter"]) not in run.findings
        ],
        "more new findings; `v6share status` shows them",
    )


def _described_finding(one: Mapping[str, Any]) -> str:
    exporter = f" of {one['exporter']}" if one["exporter"] else ""
    size = bytes_for_people(one["bytes"] or 0)
    return (
        f"new finding{exporter}: {one['finding']}, {one['rows']:,} rows of {size}; the first is "
        f"{one['example']} of {one['input']}. docs/findings.md says what to do"
    )


def _warn_of_overlaps(run: RunContext, result: Sorted) -> None:
    """Which rows of the new inputs count twice, as others hold them as well."""
    new = {one.key.input_id for one in result.committed if one.key is not None}
    if not new:
        return
    _warn_of_each(
        [(_described_overlap(one), one) for one in new_overlaps(run.connection, new).to_pylist()],
        "more pairs of inputs hold the same rows; the table ledger_overlaps lists them",
    )


def _described_overlap(one: Mapping[str, Any]) -> str:
    is_exact = one["first_row"] is not None
    rows = f"{one['rows']:,} rows" if is_exact else f"about {one['rows']:,} rows, scattered,"
    where = f", from row {one['first_row']:,} on," if is_exact else ""
    return (
        f"{one['path']}: {rows} of {bytes_for_people(one['bytes'])}{where} stand in "
        f"{one['other']} as well and count twice. docs/findings.md says what to do"
    )


def _say_what_stays(run: RunContext, done: Done) -> None:
    """Say how many inputs would be counted otherwise now, and are not, as they are sealed."""
    sealed = done.fates["sealed"]
    ids = (run.known.input_of(one.path, one.size, one.mtime_ns) for one in sealed)
    live = (run.known.committed[input_id] for input_id in ids if input_id is not None)
    odd = len(sealed) if done.again is not None else sum(not run.versions.count(k) for k in live)
    if odd:
        messages.say(
            f"{odd:,} inputs stay as they were counted, for their fragments were pruned",
            inputs_sealed=odd,
        )


def _say_what_is_late(run: RunContext) -> None:
    """Say which inputs have records of days of which finer rows were pruned before they came."""
    horizons = read_horizons(run.connection)
    if not horizons:
        return
    newest = max(horizons.values())
    late = [one for changes in run.recorded for one in changes.first_days if one[1] < newest]
    _warn_of_each(
        [(f"{path}: {_described_late(day, horizons)}", {"path": path}) for path, day in late],
        "more files have records of days that were pruned",
        messages.say,
    )


def _described_late(first: date, horizons: Horizons) -> str:
    """What is left out of records since a day, which is before one of the horizons."""
    lost = sorted(name for name, day in horizons.items() if first < day)
    clients = (
        f"; how many clients there were on a day before {horizons[CLIENTS_1D.name]} stays as it is"
        if CLIENTS_1D.name in lost
        else ""
    )
    return (
        f"has records since {first}, of days that were pruned of {', '.join(lost)}; they count in "
        f"the tables that keep these days{clients}"
    )


def _warn_of_rewritten(rewritten: Sequence[Rewritten], known: KnownInputs) -> None:
    _warn_of_each(
        [_described_rewritten(one, known) for one in rewritten],
        "more files hold other content than before; of each, old and new count. The table "
        "ledger_files lists them under the same path",
    )


def _warn_of_refused(result: Sorted) -> None:
    _warn_of_each(
        [
            (
                f"{one.path}: quarantined, {one.reason}: {one.detail}",
                {"path": one.path, "reason": one.reason},
            )
            for one in result.refused
        ],
        "more inputs were quarantined",
    )
    _warn_of_each(
        [
            (f"{one.path}: quarantined with another file of the same bytes", {"path": one.path})
            for one in result.refused_copies
        ],
        "more copies of quarantined files",
    )
    if result.refused:
        messages.warn(
            "`v6share quarantine list` shows what is refused; `v6share quarantine retry` and "
            "`accept` decide what becomes of it"
        )


def _warn_of_mass_rejects(run: RunContext, *, told_of_intervals: bool) -> set[str]:
    """Warn of inputs of which much was rejected for one reason; their paths, as stored."""
    lost = [
        one
        for one in mass_rejects(run.connection, run.run_id)
        if not (told_of_intervals and one.reason == "no_sampling_interval")
    ]
    for one in lost[:_NAMED]:
        message, fields = described(run, one)
        messages.warn(message, **fields)
    if len(lost) > _NAMED:
        messages.warn(f"{len(lost) - _NAMED:,} more inputs of which much was rejected")
    return {one.path for one in lost}


def _warn_of_other_bytes(again: Recounted) -> None:
    """Say which inputs did not come out as they count, and what that means."""
    _warn_of_each(
        [
            (
                f"{one.path}: counted again, its fragment came out in other bytes; the one that "
                "counts is whole, so it stays",
                {"path": one.path},
            )
            for one in again.kept
        ],
        "more came out in other bytes, and keep their fragments",
    )
    _warn_of_each(
        [
            (
                f"{one.path}: its fragment was lost or damaged, and came out in other bytes; the "
                "new one counts now, and its days were made again",
                {"path": one.path},
            )
            for one in again.replaced
        ],
        "more with new fragments",
    )
    if again.kept or again.replaced:
        messages.warn(
            "other bytes come from another release of the library that writes Parquet than was "
            "installed when they were counted; where none was, please report it"
        )


def _warn_of_each(
    found: Sequence[tuple[str, Mapping[str, Any]]],
    others: str,
    say: Callable[..., None] = messages.warn,
) -> None:
    """Say the first ten messages, with their fields, and how many others there are: a log must
    stay readable.
    """
    for message, fields in found[:_NAMED]:
        say(message, **fields)
    if len(found) > _NAMED:
        say(f"{len(found) - _NAMED:,} {others}")


def _lost_all(one: Outcome, *, told_of_intervals: bool) -> bool:
    """Whether no row was counted, and the advice about intervals does not say so already."""
    explained = sum(one.rows_without_interval.values()) if told_of_intervals else 0
    return one.rows_in > explained and not one.rows_counted


def _described_rewritten(one: Rewritten, known: KnownInputs) -> tuple[str, Mapping[str, Any]]:
    before = shown_hash(one.before)
    way_out = (
        "The old one can no longer be withdrawn, for its fragment was pruned. Where the new one "
        f"repeats it, withdraw that: `v6share forget {shown_hash(one.now)}`"
        if one.before in known.sealed
        else f"Where the new content replaces the old: `v6share forget {before}`"
    )
    message = (
        f"{one.path}: other content than before; the old one counts as input {before}, and "
        f"both count now. {way_out}"
    )
    return message, {"path": one.path, "input_before": one.before, "input_now": one.now}
