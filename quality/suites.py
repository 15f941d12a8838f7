"""Suites: what is expected of the evidence, as data that people edit.

A suite is a file ``quality/NAME.json`` of a workspace, where NAME is the evidence that it judges
(``sql/evidence/NAME.sql``, and ``flows``). Where a workspace has no such file, the one that comes
with v6share holds. A file lists expectations::

    {"expectations": [
      {"name": "silent", "severity": "warn",
       "what": "no exporter is silent for longer than six of its usual pauses",
       "type": "expect_column_values_to_be_between",
       "kwargs": {"column": "pauses", "max_value": 6,
                  "row_condition": {"type": "comparison", "column": {"name": "silent_hours"},
                                    "operator": ">=", "parameter": 24}}}]}

type and kwargs are those of Great Expectations. A row condition is given in parts and not as text:
text would be run as code, and so would a column's name that is more than a name.
"""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from v6share.schemas.errors import UserError
from v6share.schemas.text.wording import did_you_mean
from v6share.warehouse.checks import Severity
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

_NAME: Final = r"^[a-z][a-z0-9_]{0,63}$"
_COLUMN_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
# They would run SQL of their own, ask the net for a schema, or look at another table.
_NOT_TAKEN: Final = (
    "expect_query_results_to_match_comparison",
    "expect_column_values_to_match_json_schema",
    "expect_table_row_count_to_equal_other_table",
)
# They would have code run, or change the form of what comes back.
_NOT_GIVEN: Final = ("condition_parser", "result_format", "catch_exceptions", "batch_id", "meta")


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Column(_Closed):
    # Nothing but a name: it becomes a part of an expression, and a backtick would end its quotes.
    name: Annotated[StrictStr, Field(pattern=_COLUMN_NAME)]


class Comparison(_Closed):
    """The rows of which a column compares so with a value."""

    type: Literal["comparison"]
    column: _Column
    operator: Literal["==", "!=", "<", ">", "<=", ">="]
    parameter: StrictInt | StrictFloat | StrictStr | StrictBool


class Nullity(_Closed):
    """The rows of which a column has no value, or has one."""

    type: Literal["nullity"]
    column: _Column
    is_null: StrictBool


class Combined(_Closed):
    """The rows that meet all conditions, or one of them."""

    type: Literal["and", "or"]
    conditions: Annotated[tuple["Condition", ...], Field(min_length=1, max_length=100)]


Condition = Annotated[Comparison | Nullity | Combined, Field(discriminator="type")]
_CONDITION: Final = TypeAdapter[Condition](Condition)


class Expectation(_Closed):
    """One expectation. what: a sentence that holds where all is well."""

    name: Annotated[StrictStr, Field(pattern=_NAME)]
    severity: Severity
    what: Annotated[StrictStr, Field(min_length=1, max_length=500)]
    type: Annotated[StrictStr, Field(pattern=r"^expect_[a-z0-9_]+$")]
    kwargs: dict[StrictStr, JsonValue]

    @model_validator(mode="after")
    def _is_data_alone(self) -> "Expectation":
        if self.type in _NOT_TAKEN:
            raise ValueError(f"type: found {self.type}, which looks at more than the evidence")
        for name in _NOT_GIVEN:
            if name in self.kwargs:
                raise ValueError(f"kwargs.{name}: found one, expected none; v6share sets it")
        if "row_condition" in self.kwargs:
            try:
                _CONDITION.validate_python(self.kwargs["row_condition"])
            except ValidationError as error:
                raise ValueError(f"kwargs.row_condition: {_first(error)}") from None
        return self


class Suite(_Closed):
    """The expectations of one kind of evidence, in the order of the file."""

    expectations: tuple[Expectation, ...]

    @model_validator(mode="after")
    def _names_differ(self) -> "Suite":
        names = [one.name for one in self.expectations]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"name: found {name} twice, expected a name of its own for each")
        return self


def default_suites() -> dict[str, bytes]:
    """The texts of the suites that come with v6share, by file name."""
    files = resources.files("v6share.quality").joinpath("suites").iterdir()
    found = {one.name: one.read_bytes() for one in files if one.name.endswith(".json")}
    return dict(sorted(found.items()))


def read_suites(workspace: Workspace) -> dict[str, Suite]:
    """The suites of a workspace by the name of their evidence. Raises UserError."""
    defaults = default_suites()
    known = [name.removesuffix(".json") for name in defaults]
    texts: dict[str, bytes] = dict(defaults)
    for path in storage.list_files(workspace.quality, ".json"):
        if path.name not in defaults:
            raise UserError(
                f"{path}: there is no such evidence, expected one of {', '.join(known)}"
                + did_you_mean(path.stem, known)
            )
        texts[path.name] = storage.read(path)
    return {
        name.removesuffix(".json"): parse_suite(_place(workspace, name, defaults, text), text)
        for name, text in texts.items()
    }


def _place(workspace: Workspace, name: str, defaults: Mapping[str, bytes], text: bytes) -> str:
    return str(workspace.quality / name) if text != defaults[name] else name


def parse_suite(place: str, text: bytes) -> Suite:
    """The suite of a file's text. place: of the file, for messages. Raises UserError."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: cannot be read as JSON: {error}") from None
    try:
        return Suite.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{place}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first mistake, with where it is."""
    first: Mapping[str, Any] = error.errors(include_url=False)[0]
    where = ".".join(_where(first["loc"]))
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _where(parts: tuple[int | str, ...]) -> Iterator[str]:
    for part in parts:
        yield f"[{part}]" if isinstance(part, int) else part
