"""Great Expectations: the only module that knows it. To import it takes seconds.

Suites and evidence go in, verdicts come out; nothing of it is kept between two calls but what was
imported.
"""

import operator
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from html import escape
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

# Before it is imported: it would tell its makers what it is used for.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import pyarrow as pa
import pyarrow.compute as pc
from great_expectations.checkpoint.actions import UpdateDataDocsAction
from great_expectations.compatibility.pydantic import ValidationError
from great_expectations.core import ExpectationSuite
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.data_context.store.store import DataDocsSiteConfigTypedDict
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.exceptions.exceptions import ExpectationNotFoundError
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metadata_types import FailureSeverity

from v6share.quality.messages import Outcome, Verdict
from v6share.schemas.evidence import Evidence

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VERSION: Final = gx.__version__
_SAMPLE_ROWS: Final = 5
_SITE: Final = "docs"
# What is written in a row condition, as Arrow has it.
_COMBINED: Final[Mapping[str, Callable[..., Any]]] = {"and": operator.and_, "or": operator.or_}
_COMPARED: Final[Mapping[str, Callable[..., Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SEVERITIES: Final = {"fail": FailureSeverity.CRITICAL, "warn": FailureSeverity.WARNING}
Suites = Mapping[str, Sequence[Mapping[str, Any]]]


def load_expectations(file: Path) -> None:
    """Run a file that defines expectations: to define one makes it known by its name."""
    name = f"v6share_expectations_{file.stem}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file}: cannot be loaded as Python")
    sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


class Judge:
    """Judges evidence with pandas, or in a Spark session where one is given."""

    def __init__(self, session: "SparkSession | None" = None) -> None:
        """Judge nothing yet."""
        self._session = session

    def validate(
        self, suites: Suites, frames: Mapping[str, Evidence], docs: Path | None = None
    ) -> list[Verdict]:
        """What became of each expectation, in order. docs: a folder for Data Docs.

        Raises ValueError where a suite cannot be made of what it was given.
        """
        context = gx.get_context(mode="ephemeral")
        if docs is not None:
            context.add_data_docs_site(_SITE, _site_in(docs))
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        sources = context.data_sources
        add = sources.add_pandas if self._session is None else sources.add_spark
        source: Any = add("evidence")
        found: list[Verdict] = []
        for name, frame in frames.items():
            expectations = suites[name]
            if not expectations:
                continue
            suite = context.suites.add(_suite(name, expectations))
            batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
            definition = gx.ValidationDefinition(data=batch, suite=suite, name=name)
            result_format = {
                "result_format": "SUMMARY",
                "partial_unexpected_count": _SAMPLE_ROWS,
                "unexpected_index_column_names": list(frame.key),
            }
            rows = _with_days_as_text(frame.rows)
            # Pages show values as they stand, and a name of a flow file may be any text.
            shown = rows if docs is None else _without_markup(rows)
            parameters = {"dataframe": self._frame_of(shown)}
            if docs is None:
                result = definition.run(batch_parameters=parameters, result_format=result_format)
            else:
                context.validation_definitions.add(definition)
                checkpoint = gx.Checkpoint(
                    name=name,
                    validation_definitions=[definition],
                    actions=[UpdateDataDocsAction(name="docs", site_names=[_SITE])],
                    result_format=result_format,
                )
                (result,) = checkpoint.run(batch_parameters=parameters).run_results.values()
            found += _verdicts(name, expectations, result.results, rows)
        return found

    def _frame_of(self, rows: pa.Table) -> Any:
        """The rows as what the source of evidence takes."""
        return rows.to_pandas() if self._session is None else self._session.createDataFrame(rows)


def _with_days_as_text(rows: pa.Table) -> pa.Table:
    """The rows with days as ``2026-01-05``: a suite is JSON, which has no other form for them."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_date(field.type):
            rows = rows.set_column(place, field.name, rows.column(place).cast(pa.string()))
    return rows


def _without_markup(rows: pa.Table) -> pa.Table:
    """The rows with `<` and `>` of their text written as HTML writes them."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_string(field.type):
            text = pc.replace_substring(rows.column(place), "<", "&lt;")
            rows = rows.set_column(place, field, pc.replace_substring(text, ">", "&gt;"))
    return rows


def _site_in(folder: Path) -> DataDocsSiteConfigTypedDict:
    """Data Docs in a folder: pages of HTML, which load fonts and styles from the net."""
    return {
        "class_name": "SiteBuilder",
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder),
        },
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }


def _suite(name: str, expectations: Sequence[Mapping[str, Any]]) -> ExpectationSuite:
    # Not added one by one: one of the same kind for the same column would replace the other.
    return ExpectationSuite(
        name=name, expectations=[_expectation(f"quality/{name}.json", one) for one in expectations]
    )


def _expectation(file: str, one: Mapping[str, Any]) -> Expectation:
    """One expectation of a suite. Raises ValueError, with the file, where it cannot be made."""
    configuration = ExpectationConfiguration(
        type=one["type"],
        kwargs=dict(one["kwargs"]),
        meta={"name": one["name"]},
        notes=escape(one["what"]),
        severity=_SEVERITIES[one["severity"]],
    )
    try:
        return configuration.to_domain_obj()
    except ExpectationNotFoundError:
        raise ValueError(
            f"{file}: {one['name']}: no expectation is called {one['type']}; one of your own is "
            "known once [quality] python in the settings names its file"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(("kwargs", *map(str, first["loc"])))
        raise ValueError(f"{file}: {one['name']}: {place}: {first['msg']}") from None


def _verdicts(
    suite: str,
    expectations: Sequence[Mapping[str, Any]],
    results: Sequence[ExpectationValidationResult],
    rows: pa.Table,
) -> Iterator[Verdict]:
    configs = [(one.expectation_config, one) for one in results]
    by_name = {config.meta["name"]: one for config, one in configs if config is not None}
    for expectation in expectations:
        name = expectation["name"]
        result = by_name.get(name)
        if result is None:
            yield Verdict(suite, name, "errored", 0, 0, "no result came back for it")
        else:
            yield _verdict(suite, expectation, result, rows)


def _rows_in_question(rows: pa.Table, expectation: Mapping[str, Any]) -> int:
    """How many rows meet the row condition of an expectation: not each one counts them itself."""
    condition = expectation["kwargs"].get("row_condition")
    return int((rows if condition is None else rows.filter(_meeting(condition))).num_rows)


def _meeting(condition: Mapping[str, Any]) -> pc.Expression:
    if condition["type"] in _COMBINED:
        return reduce(_COMBINED[condition["type"]], map(_meeting, condition["conditions"]))
    column = pc.field(condition["column"]["name"])
    if condition["type"] == "nullity":
        return column.is_null() if condition["is_null"] else column.is_valid()
    return _COMPARED[condition["operator"]](column, condition["parameter"])


def _verdict(
    suite: str,
    expectation: Mapping[str, Any],
    result: ExpectationValidationResult,
    rows: pa.Table,
) -> Verdict:
    name, error = expectation["name"], _error_in(result.exception_info)
    if error:
        return Verdict(suite, name, "errored", 0, 0, error)
    try:
        asked = _rows_in_question(rows, expectation)
    except pa.ArrowException as unfit:
        problem = f"kwargs.row_condition: {str(unfit).splitlines()[0]}"
        return Verdict(suite, name, "errored", 0, 0, problem)
    found = result.result
    # Of no row at all Spark gives no count.
    judged = _count(found, "element_count", asked) - _count(found, "missing_count", 0)
    outcome: Outcome = "passed" if result.success else "failed"
    if result.success and judged <= 0:
        outcome = "not judged"
    unexpected = _count(found, "unexpected_count", int(not result.success))
    return Verdict(
        suite, name, outcome, max(judged, 0), unexpected, _observed(found), tuple(_sample(found))
    )


def _count(found: Mapping[str, Any], name: str, otherwise: int) -> int:
    """A count of a result; otherwise: where the expectation gives none."""
    return int(found.get(name, otherwise) or 0)


def _error_in(info: Mapping[str, Any]) -> str:
    """The message of what was raised while the expectation was carried out, or empty."""
    infos = [info] if "raised_exception" in info else list(info.values())
    for one in infos:
        if one.get("raised_exception"):
            return str(one.get("exception_message") or "an exception")
    return ""


def _observed(found: Mapping[str, Any]) -> str:
    if "observed_value" in found:
        observed = found["observed_value"]
        return f"{observed:.6g}" if isinstance(observed, float) else str(observed)
    values = [str(value) for value in found.get("partial_unexpected_list", [])]
    return ", ".join(values[:_SAMPLE_ROWS])


def _sample(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in found.get("partial_unexpected_index_list") or []:
        yield {
            name: value if isinstance(value, int | float) else str(value)
            for name, value in row.items()
        }
