"""What ended a command, in words for its user, and the exit code that goes with it."""

import errno
import traceback
from typing import TYPE_CHECKING, Final, cast

import typer

from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.jobs.terminal.messages import current, detail, fail
from v6share.schemas.errors import (
    DENIED,
    FAILING,
    NO_ROOM,
    CatalogError,
    UserError,
    line_that_says,
    says_damage,
)

if TYPE_CHECKING:
    from pydantic import ValidationError

_GLOBAL_OPTIONS: Final = ("-C", "-v", "--verbose", "-q", "--quiet", "--log")
_OF_A_PATH: Final = (
    *DENIED,
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),
)
# Classes of DuckDB that speak of a file, or of what was read from one, and not of a query.
_OF_A_DATABASE: Final = frozenset(
    {"FatalException", "InternalException", "IOException", "SerializationException"}
)


def report_failure(error: Exception) -> ExitCode:
    """Tell the user about an error that ended the command, and choose the exit code."""
    if current().verbosity > 0 and not isinstance(error, typer.TyperException):
        detail("".join(traceback.format_exception(error)).rstrip())
    from v6share.workspace.lock import WorkspaceBusy  # here: only a failure needs it

    match error:
        case CatalogError():
            for one in error.each:
                fail(str(one), file=one.file, line=one.line, key=one.key)
            return ExitCode.USAGE
        case UserError():
            fail(str(error))
            return ExitCode.USAGE
        case WorkspaceBusy():
            fail(str(error))
            return ExitCode.LOCKED
        case typer.TyperException():
            fail(_usage_message(error))
            return ExitCode.USAGE
        case JobStopped():
            fail(str(error))
            return error.code
    code = _report_of_a_disk(error)
    if code is None:
        code = _report_of_a_database(error)
    if code is not None:
        return code
    hint = "" if current().verbosity > 0 else " (-v shows where: v6share -v ...)"
    fail(f"unexpected {_described(error)}{hint}")
    return ExitCode.INTERNAL


def _report_of_a_disk(error: Exception) -> ExitCode | None:
    """Say what a disk or a path did not allow; None where it is another error."""
    full = line_that_says(error, NO_ROOM)
    if full:
        fail(f"no space left: {full}. Nothing is half done; make room and run the same again")
        return ExitCode.INTERNAL
    failing = line_that_says(error, FAILING)
    if failing:
        fail(
            f"a disk cannot be read or written: {failing}. That does not say that a file is "
            "damaged, and nothing is half done; run the same again when the disk works (the "
            "system's log says what is the matter with it)"
        )
        return ExitCode.USAGE
    denied = _path_refused(error)
    if denied:
        fail(
            f"{denied}. It cannot be made, read or written; give another place, or change the "
            "owner or the permissions of this one"
        )
        return ExitCode.USAGE
    return None


def _report_of_a_database(error: Exception) -> ExitCode | None:
    """Say what DuckDB said, and what helps; None where it is another error."""
    if _is_damage(error):
        fail(
            f"the warehouse is damaged: {_described(error)}. `v6share rebuild` makes it again from "
            "the journal and the fragments"
        )
        return ExitCode.USAGE
    if _is_of_duckdb(error):
        fail(
            f"the database failed: {_described(_first_of_duckdb(error))}. `v6share doctor` says "
            "whether the warehouse is damaged; `v6share rebuild` makes it again from the journal "
            "and the fragments"
        )
        return ExitCode.USAGE if type(error).__name__ in _OF_A_DATABASE else ExitCode.INTERNAL
    return None


def _path_refused(error: Exception) -> str:
    """What the system says of a path that a user has named or owns; empty for other errors."""
    if isinstance(error, OSError) and error.filename is not None and error.errno in _OF_A_PATH:
        return f"{error.filename}: {error.strerror}"
    return line_that_says(error, DENIED)


def _is_damage(error: Exception) -> bool:
    """Whether it is DuckDB that speaks of damage."""
    return _is_of_duckdb(error) and says_damage(error)


def _is_of_duckdb(error: BaseException) -> bool:
    """Whether DuckDB raised it; it must not be loaded to ask for its classes."""
    return type(error).__module__.rpartition(".")[2] in ("duckdb", "_duckdb")


def _first_of_duckdb(error: Exception) -> Exception:
    """What DuckDB said first: after an error that ends a connection, all that follows fails too."""
    first, link = error, error.__context__
    while isinstance(link, Exception):
        first, link = link if _is_of_duckdb(link) else first, link.__context__
    return first


def _described(error: Exception) -> str:
    first_line = str(error).strip().partition("\n")[0]
    name = type(error).__name__
    return f"{name}: {first_line}" if first_line else name


def _usage_message(error: typer.TyperException) -> str:
    """The message of the option parser, with the nearest names and where the help is."""
    _put_in_our_words(error)
    message = error.format_message().partition(" (Possible options:")[0]
    message = message.removesuffix(".").replace("Value error, ", "")
    option = getattr(error, "option_name", None)
    near = sorted(getattr(error, "possibilities", None) or ())
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "v6share"
    if option in _GLOBAL_OPTIONS and context is not None and context.parent is not None:
        place = f"{option} DIR" if option == "-C" else option
        message += f". It stands before the command: v6share {place} {context.info_name}"
    elif near:
        message += f". Did you mean {' or '.join(near)}?"
    joint = "" if message.endswith("?") else "."
    return f"{message}{joint} See: {command} --help"


def _put_in_our_words(error: typer.TyperException) -> None:
    """A value that is not allowed: what was found and expected, as for settings and catalog."""
    cause = error.__cause__
    if type(cause).__name__ == "ValidationError":
        from v6share.schemas.text.wording import mistakes_in  # here: loads pydantic, as typer has

        error.message = next(mistakes_in(cast("ValidationError", cause), {}))[1]
