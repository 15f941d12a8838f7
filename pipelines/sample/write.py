"""Writes a sample: period after period, so that memory does not grow with its length."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from v6share.pipelines.sample import story
from v6share.pipelines.sample.addresses import Bool
from v6share.pipelines.sample.catalog import catalog_files
from v6share.pipelines.sample.extras import extra_flows
from v6share.pipelines.sample.files import FlowFile, flow_table, write_flow_table
from v6share.pipelines.sample.flows import Flows, Span, exported_part, exporter_flows
from v6share.pipelines.sample.readme import readme_text
from v6share.pipelines.sample.rejects import Rejected, plant_rejects
from v6share.pipelines.sample.sampling import Records, join_records, sample_packets
from v6share.pipelines.sample.summary import summarise, undefined_kpis
from v6share.pipelines.sample.truth import (
    MOST_CLIENT_RECORDS,
    Truth,
    count_clients,
    file_sums,
    last_final_day,
    named,
)
from v6share.schemas.aggregates import DAY_MS
from v6share.schemas.errors import UserError

Progress: TypeAlias = Callable[[int, int, str], None]

FILE_DAYS: Final = 21
MOST_DAYS: Final = 3_660
# What the rules take for a time of a record.
FIRST_DAY: Final = date(1990, 1, 1)
LAST_DAY: Final = date(9999, 12, 30)
MOST_RECORDS_A_PERIOD: Final = 1_000_000
# A period has whole days, and its flows are made at once: 600 bytes of memory each.
MOST_RECORDS_A_DAY: Final = 4_000_000
# In tenths of the periods: where the planted oddities lie.
_REJECTS: Final = (("fixed", 4), ("datacenter", 7))
_LATE_IN: Final = 6
_COPY_OF: Final = 3
_LATE_DAYS: Final = 4
_CORE_TAKES: Final = 3


@dataclass(frozen=True)
class SampleReport:
    """What was written. records: rows in all files; notes: what the sample cannot show."""

    directory: Path
    files: int
    records: int
    size_bytes: int
    as_of: date
    notes: tuple[str, ...]


def write_sample(
    directory: Path,
    flows: int = story.DEFAULT_FLOWS,
    seed: int = story.DEFAULT_SEED,
    start: date = story.DEFAULT_START,
    days: int = story.DEFAULT_DAYS,
    progress: Progress | None = None,
) -> SampleReport:
    """Write ``flows/``, ``catalog/``, ``truth/`` and README.md; same arguments, same bytes.

    flows: about how many records all files hold together. progress: called with (periods done,
    periods, file written). Raises UserError for impossible arguments, and where ``directory``
    has flow files or a catalog already: nothing is overwritten.
    """
    _check(directory, flows, seed, start, days)
    for folder in ("flows", "catalog", "truth"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    ranges = _periods(flows, days)
    # Packing one period's files overlaps with making the next one's flows.
    with ThreadPoolExecutor(max_workers=1) as pool:
        writing = _Writing(directory, flows, seed, start, days, pool)
        for number, period in enumerate(ranges):
            writing.write_period(number, period, len(ranges))
            if progress is not None:
                progress(number + 1, len(ranges), str(writing.entries[-1]["name"]))
        return writing.finish()


def _check(directory: Path, flows: int, seed: int, start: date, days: int) -> None:
    for name, value, least in (("flows", flows, 1), ("seed", seed, 0), ("days", days, 1)):
        if value < least:
            raise UserError(f"{name}: found {value}, expected at least {least}")
    if days > MOST_DAYS:
        raise UserError(f"days: found {days:,}, expected at most {MOST_DAYS:,}, ten years")
    if start < FIRST_DAY or days > (LAST_DAY - start).days:
        raise UserError(
            f"start: found {start} and {days:,} days, expected all of them from {FIRST_DAY} to "
            f"{LAST_DAY}: records of other times are rejected"
        )
    if flows > days * MOST_RECORDS_A_DAY:
        raise UserError(
            f"flows: found {flows:,} over {days:,} days, expected at most "
            f"{MOST_RECORDS_A_DAY:,} a day, which are made in memory; give more days or fewer flows"
        )
    for folder in ("flows", "catalog"):
        place = directory / folder
        if place.exists() and any(place.iterdir()):
            raise UserError(
                f"{place} is not empty, and a sample never overwrites; name another directory"
            )


def _periods(flows: int, days: int) -> list[tuple[int, int]]:
    """Half-open ranges of days, one file per exporter group each."""
    most = min(days, max(1, round(days / FILE_DAYS), -(-flows // MOST_RECORDS_A_PERIOD)))
    edges = [days * i // most for i in range(most + 1)]
    return list(pairwise(edges))


class _Writing:
    """The state of one sample being written."""

    def __init__(
        self,
        directory: Path,
        flows: int,
        seed: int,
        start: date,
        days: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        midnight = datetime(start.year, start.month, start.day, tzinfo=UTC)
        self.directory, self.flows, self.seed, self.start = directory, flows, seed, start
        self.span = Span(int(midnight.timestamp()) * 1000, days, flows / story.DEFAULT_FLOWS)
        self.truth = Truth()
        self.entries: list[dict[str, object]] = []
        self.reasons: set[str] = set()
        self.pool = pool
        self.pending: list[tuple[dict[str, object], Future[dict[str, object]]]] = []
        self.with_clients = flows <= MOST_CLIENT_RECORDS

    def write_period(self, number: int, days: tuple[int, int], periods: int) -> None:
        """All files of one period: generate, sample, write, remember the truth."""
        older = len(self.pending)
        seen: dict[str, list[Records]] = {group: [] for group in story.GROUPS}
        exporters: dict[str, list[story.Exporter]] = {group: [] for group in story.GROUPS}
        for place, exporter in enumerate((*story.EXPORTERS, story.TRANSIT)):
            rng = _generator(self.seed, number, place)
            flows = self._true_flows(exporter, days, rng)
            self.truth.add_true_flows(flows)
            numbered = flows.of_exporter(len(exporters[exporter.group]))
            exporters[exporter.group].append(exporter)
            seen[exporter.group].append(sample_packets(numbered, exporter.interval, rng))
            if exporter.core_sees:
                again = flows.take(np.flatnonzero(flows.subscriber % _CORE_TAKES == 0))
                seen["core"].append(sample_packets(again, story.CORE.interval, rng))
        exporters["core"] = [story.CORE]
        tenth = number * 10 // periods
        first_of_tenth = number == 0 or (number - 1) * 10 // periods != tenth
        for group, parts in seen.items():
            records = join_records(parts)
            records = records.take(np.argsort(records.start_ms, kind="stable"))
            if group != "core":
                self.truth.add_records(records, with_clients=self.with_clients)
            oddity = tenth if first_of_tenth else -1
            self._write_group(group, records, tuple(exporters[group]), days, oddity)
        self._settle(older)

    def _settle(self, count: int) -> None:
        """Wait for the oldest files under way, so that few are in memory at once."""
        for entry, written in self.pending[:count]:
            entry.update(written.result())
        del self.pending[:count]

    def _true_flows(
        self, exporter: story.Exporter, days: tuple[int, int], rng: np.random.Generator
    ) -> Flows:
        n = self._true_count(exporter, days)
        if exporter is story.TRANSIT:
            return extra_flows(self.span, days, n, rng)
        return exporter_flows(exporter, self.span, days, n, rng)

    def _true_count(self, exporter: story.Exporter, days: tuple[int, int]) -> int:
        """True flows such that about the wanted number is exported; traffic grows with time."""

        def until(day: int) -> float:
            part = day / self.span.days
            return (part + 0.175 * part * part) / 1.175

        exported = self.flows * exporter.share * (until(days[1]) - until(days[0]))
        return max(1, round(exported / exported_part(exporter.reach, exporter.interval)))

    def _write_group(
        self,
        group: str,
        records: Records,
        exporters: tuple[story.Exporter, ...],
        days: tuple[int, int],
        oddity: int,
    ) -> None:
        name = f"{group}-{self.start + timedelta(days=days[0]):%Y%m%d}"
        kept = records
        if group == "fixed" and oddity == _LATE_IN:
            late = self._late(records, exporters, days)
            kept = records.take(np.flatnonzero(~late))
            self._write_file(
                f"{name}-late", group, "late", records.take(np.flatnonzero(late)), exporters
            )
        rejects = (group, oddity) in _REJECTS
        self._write_file(name, group, "regular", kept, exporters, rejects=rejects)
        if group == "datacenter" and oddity == _COPY_OF:
            self._copy_file(name)

    def _late(
        self, records: Records, exporters: tuple[story.Exporter, ...], days: tuple[int, int]
    ) -> Bool:
        """The records of one exporter that a broken link held back for some days."""
        number = next(i for i, e in enumerate(exporters) if e.network == "fixed-b")
        middle = (days[0] + days[1]) // 2
        since = self.span.start_ms + middle * DAY_MS
        inside = (records.start_ms >= since) & (records.start_ms < since + _LATE_DAYS * DAY_MS)
        return np.asarray(inside & (records.flows.exporter == number))

    def _write_file(
        self,
        name: str,
        group: str,
        kind: str,
        records: Records,
        exporters: tuple[story.Exporter, ...],
        *,
        rejects: bool = False,
    ) -> None:
        path = self.directory / "flows" / f"{name}.parquet"
        table = flow_table(FlowFile(name, story.GROUPS[group], records, exporters))
        rejected: list[Rejected] = []
        if rejects and table.num_rows >= 100:
            table, rejected = plant_rejects(table, _generator(self.seed, len(self.entries), 99))
            self.reasons.update(one.reason for one in rejected)
        entry: dict[str, object] = {
            "name": path.name,
            "group": group,
            "vantage": "core" if group == "core" else "edge",
            "kind": kind,
            **file_sums(records, rejected),
        }
        self.entries.append(entry)
        self.pending.append((entry, self.pool.submit(_write_and_digest, table, path)))

    def _copy_file(self, name: str) -> None:
        self._settle(len(self.pending))
        source = self.directory / "flows" / f"{name}.parquet"
        copy = source.with_name(f"{name}-copy.parquet")
        copy.write_bytes(source.read_bytes())
        self.entries.append(self.entries[-1] | {"name": copy.name, "kind": "copy"})

    def finish(self) -> SampleReport:
        """Catalog, truth and README; then the report."""
        self._settle(len(self.pending))
        days = self.span.days
        for name, text in catalog_files(self.start, days).items():
            (self.directory / "catalog" / name).write_text(text, encoding="utf-8")
        as_of = last_final_day(self.truth.newest_end_ms)
        traffic = named(self.truth.traffic_cells())
        tables = {"traffic": traffic, "endpoints": named(self.truth.endpoint_cells())}
        if self.with_clients:
            tables |= self._client_tables(as_of)
        for name, table in tables.items():
            _write_truth(table, self.directory / "truth" / f"{name}.parquet")
        notes = undefined_kpis(self.start, days)
        facts = summarise(traffic, self.start, days, as_of)
        self._write_json("story", facts | {"flows": self.flows, "seed": self.seed, "notes": notes})
        self._write_json("files", sorted(self.entries, key=lambda entry: str(entry["name"])))
        kinds = {str(entry["kind"]) for entry in self.entries}
        text = readme_text(self.flows, self.seed, self.start, days, kinds, len(self.reasons))
        (self.directory / "README.md").write_text(text, encoding="utf-8")
        return SampleReport(
            self.directory,
            files=len(self.entries),
            records=sum(int(str(entry["rows"])) for entry in self.entries),
            size_bytes=sum(int(str(entry["size"])) for entry in self.entries),
            as_of=as_of,
            notes=notes,
        )

    def _client_tables(self, as_of: date) -> dict[str, pa.Table]:
        keys = self.truth.client_keys()
        last = (as_of - date(1970, 1, 1)).days
        day = keys["day"].to_numpy()
        window = keys.filter(pa.array((day > last - 30) & (day <= last)))
        return {
            "clients_1d": count_clients(keys, by_day=True),
            "clients_30d": count_clients(window, by_day=False),
        }

    def _write_json(self, name: str, content: object) -> None:
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (self.directory / "truth" / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _generator(seed: int, period: int, place: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, period, place])))


def _write_and_digest(table: pa.Table, path: Path) -> dict[str, object]:
    write_flow_table(table, path)
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def _write_truth(table: pa.Table, path: Path) -> None:
    pq.write_table(
        table, path, compression="zstd", compression_level=12, version="2.6", store_schema=False
    )
