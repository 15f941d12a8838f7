"""The sample: reproducible, as committed, truthful to the byte, and honest about sampling.

The oracle here is independent: DuckDB and ``ipaddress`` over the written files and catalog; it
shares nothing with the generator but the files.
"""

import csv
import hashlib
import json
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from v6share.pipelines.kernels.aggregate.scale_counters import LAST_MS
from v6share.pipelines.kernels.normalise.times import FIRST_MS
from v6share.pipelines.sample import SampleReport, write_sample
from v6share.pipelines.sample.write import FIRST_DAY, LAST_DAY
from v6share.schemas.aggregates import DAY_MS
from v6share.schemas.catalog.parse import parse_catalog
from v6share.schemas.errors import UserError

REPOSITORY = Path(__file__).parents[2]
COMMITTED = REPOSITORY / "data" / "sample"
MOST_BYTES_IN_GIT = 15 * 2**20
REASONS = {
    "bad_address",
    "no_time",
    "end_before_start",
    "duration_too_long",
    "no_counters",
    "bad_counter",
    "zero_packets",
    "no_sampling_interval",
    "counter_overflow",
}


def digests(directory: Path) -> dict[str, str]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def truth_of(directory: Path, name: str) -> object:
    return json.loads((directory / "truth" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def default_sample(tmp_path_factory: pytest.TempPathFactory) -> SampleReport:
    return write_sample(tmp_path_factory.mktemp("default"))


@pytest.fixture(scope="module")
def small_sample(tmp_path_factory: pytest.TempPathFactory) -> SampleReport:
    return write_sample(tmp_path_factory.mktemp("small"), 20_000, 3, date(2024, 2, 1), 28)


def test_committed_sample_is_what_the_defaults_make(default_sample: SampleReport) -> None:
    made, committed = digests(default_sample.directory), digests(COMMITTED)
    assert made.keys() == committed.keys()
    one = next((COMMITTED / "flows").iterdir())
    writer = pq.read_metadata(one).created_by
    if f"version {pa.__version__}" in writer:
        assert made == committed
        return
    # Another Arrow may pack differently; the content must still be the same.
    for name in made:
        ours, theirs = default_sample.directory / name, COMMITTED / name
        if name.endswith(".parquet"):
            assert pq.read_table(ours).equals(pq.read_table(theirs)), name
        elif name != "truth/files.json":
            assert ours.read_bytes() == theirs.read_bytes(), name


def test_committed_sample_fits_into_git() -> None:
    assert sum(p.stat().st_size for p in COMMITTED.rglob("*") if p.is_file()) < MOST_BYTES_IN_GIT


def test_same_arguments_same_bytes_other_seed_other_flows(
    small_sample: SampleReport, tmp_path: Path
) -> None:
    again = write_sample(tmp_path / "again", 20_000, 3, date(2024, 2, 1), 28)
    other = write_sample(tmp_path / "other", 20_000, 4, date(2024, 2, 1), 28)
    first = digests(small_sample.directory)
    assert digests(again.directory) == first
    changed = digests(other.directory)
    assert all(changed[n] != first[n] for n in first if n.startswith("flows/"))
    assert all(changed[n] == first[n] for n in first if n.startswith("catalog/"))


@pytest.mark.parametrize(("flows", "days"), [(1, 1), (500, 5), (30_000, 400)])
def test_any_size_works(tmp_path: Path, flows: int, days: int) -> None:
    seen: list[tuple[int, int, str]] = []
    report = write_sample(
        tmp_path, flows, 1, date(2025, 1, 1), days, lambda *step: seen.append(step)
    )
    assert report.files == len(list((tmp_path / "flows").iterdir()))
    assert seen[-1][0] == seen[-1][1] == len(seen)
    assert bool(report.notes) == (days < 181)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flows": 0},
        {"flows": 10**12},
        {"seed": -1},
        {"days": 0},
        {"days": 3_661},
        {"start": date(1989, 12, 31)},
        {"start": date(9999, 12, 30)},
    ],
)
def test_impossible_arguments_are_named(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"^{next(iter(wrong))}: found"):
        write_sample(tmp_path / "new", **wrong)


def test_the_days_of_a_sample_are_those_that_the_rules_take() -> None:
    def start_of(day: date) -> int:
        return (day - date(1970, 1, 1)).days * DAY_MS

    assert (start_of(FIRST_DAY), start_of(LAST_DAY) + DAY_MS - 1) == (FIRST_MS, LAST_MS)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "apps.toml").write_text("mine")
    with pytest.raises(UserError, match="never overwrites"):
        write_sample(tmp_path, 100)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["apps.toml"]


def test_number_of_flows_is_about_what_was_asked(default_sample: SampleReport) -> None:
    assert default_sample.records == pytest.approx(300_000, rel=0.02)


def test_catalog_parses() -> None:
    texts = {path.name: path.read_bytes() for path in (COMMITTED / "catalog").iterdir()}
    catalog = parse_catalog(texts)
    assert len(catalog.apps) == 26
    assert len(catalog.products) == 27
    assert {m.product or a.product for a in catalog.apps for m in a.matches} == {
        p.id for p in catalog.products
    }
    assert sum(p.core for p in catalog.products) >= 5


# -- to the byte ----------------------------------------------------------------------------

FAMILY_OF_BINARY = """
  CASE WHEN sourceIPAddress IS NULL THEN 'unknown'
       WHEN hex(sourceIPAddress) LIKE '00000000000000000000FFFF%' THEN 'v4' ELSE 'v6' END
"""
FAMILY_OF_TEXT = "CASE WHEN destinationIPv4Address IS NOT NULL THEN 'v4' ELSE 'v6' END"
GOOD_TEXT_ROW = """coalesce(
  flowStartMilliseconds IS NOT NULL AND flowEndMilliseconds >= flowStartMilliseconds
  AND flowEndMilliseconds - flowStartMilliseconds <= INTERVAL 24 HOUR
  AND packetDeltaCount > 0 AND octetDeltaCount BETWEEN 0 AND 1e12
  AND exporterIPv4Address <> '192.0.2.66'
  AND coalesce(sourceIPv4Address, '1.1.1.1') LIKE '%.%.%.%'
  AND NOT regexp_matches(coalesce(sourceIPv6Address, '::'), '^([0-9a-f]+:){8}'), false)
"""
INTERVAL_OF = {
    "core": "(samplingPacketInterval + samplingPacketSpace) // samplingPacketInterval",
    "fixed": "coalesce(samplingInterval, 100)",
    "datacenter": "CASE exporterIPv4Address WHEN '192.0.2.8' THEN 256 ELSE samplingInterval END",
}


def sql_sums(path: Path, group: str) -> dict[str, dict[str, dict[str, int]]]:
    """Rows and counters per family, good and bad, by plain SQL over the file."""
    text = group in ("fixed", "datacenter")
    family = FAMILY_OF_TEXT if text else FAMILY_OF_BINARY
    interval = INTERVAL_OF.get(group, "samplingInterval")
    rows = duckdb.sql(
        f"""
        SELECT {family}, {GOOD_TEXT_ROW if text else "true"}, count(*),
          coalesce(sum(packetDeltaCount), 0)::BIGINT, coalesce(sum(octetDeltaCount), 0)::BIGINT,
          sum(packetDeltaCount * ({interval}))::HUGEINT,
          sum(octetDeltaCount * ({interval}))::HUGEINT
        FROM read_parquet('{path}') GROUP BY ALL
        """
    ).fetchall()
    sums: dict[str, dict[str, dict[str, int]]] = {"counted": {}, "rejected": {}}
    for name, good, count, packets, octets, scaled_packets, scaled_bytes in rows:
        cell = {"rows": count, "sampled_packets": packets, "sampled_bytes": octets}
        if good:
            cell |= {"packets": scaled_packets, "bytes": scaled_bytes}
        sums["counted" if good else "rejected"][name] = cell
    return sums


def test_every_file_holds_exactly_what_truth_says() -> None:
    entries = truth_of(COMMITTED, "files")
    assert isinstance(entries, list)
    assert {e["name"] for e in entries} == {p.name for p in (COMMITTED / "flows").iterdir()}
    assert 40 <= len(entries) <= 60
    for entry in entries:
        path = COMMITTED / "flows" / entry["name"]
        assert sql_sums(path, entry["group"]) == {
            "counted": entry["counted"],
            "rejected": entry["rejected"],
        }, entry["name"]
        assert entry["rows"] == pq.read_metadata(path).num_rows
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]


def test_every_reason_to_reject_is_planted() -> None:
    entries = truth_of(COMMITTED, "files")
    assert isinstance(entries, list)
    spoiled = [e for e in entries if e["reasons"]]
    assert len(spoiled) == 2
    for entry in spoiled:
        assert entry["reasons"].keys() == REASONS
        for sums in ("rows", "sampled_packets", "sampled_bytes"):
            by_family = sum(cell[sums] for cell in entry["rejected"].values())
            assert sum(cell[sums] for cell in entry["reasons"].values()) == by_family


def test_one_file_is_late_and_one_comes_twice() -> None:
    entries = truth_of(COMMITTED, "files")
    assert isinstance(entries, list)
    kinds = {e["kind"]: e for e in entries}
    assert kinds.keys() == {"regular", "late", "copy"}
    same = [e["name"] for e in entries if e["sha256"] == kinds["copy"]["sha256"]]
    assert len(same) == 2
    late = kinds["late"]["name"]
    query = "SELECT min(flowStartMilliseconds), max(flowEndMilliseconds) FROM read_parquet('{}')"
    first, last = duckdb.sql(query.format(COMMITTED / "flows" / late)).fetchall()[0]
    regular = late.replace("-late", "")
    start, end = duckdb.sql(query.format(COMMITTED / "flows" / regular)).fetchall()[0]
    assert start < first < last < end


# -- the story, recovered from the sampled records --------------------------------------------


class Naive:
    """The catalog, applied by the words of the contract with ``ipaddress``: an oracle."""

    def __init__(self, catalog: Path) -> None:
        with (catalog / "apps.toml").open("rb") as file:
            apps = tomllib.load(file)["app"]
        self.matches = [
            (ip_network(m["prefix"]), m.get("port"), m.get("server_name"), app["id"])
            for app in apps
            for m in app["match"]
        ]
        lines = (catalog / "prefixes.csv").read_text().splitlines()
        rows = csv.DictReader(line for line in lines if not line.startswith("#"))
        # By version and number of free bits, the fewest first: the fixed bits, with their network.
        networks: dict[tuple[int, int], dict[int, str]] = defaultdict(dict)
        for row in rows:
            prefix = ip_network(row["prefix"])
            free = prefix.max_prefixlen - prefix.prefixlen
            networks[prefix.version, free][int(prefix.network_address) >> free] = row["network"]
        self.prefixes = sorted(networks.items())
        self.nat64 = [ip_network("64:ff9b::/96"), ip_network("2001:db8:64:64::/96")]

    @cache  # noqa: B019 - one short-lived oracle
    def network(self, address: IPv4Address | IPv6Address) -> str:
        for (version, free), networks in self.prefixes:
            if version == address.version and int(address) >> free in networks:
                return networks[int(address) >> free]
        return "unknown"

    @cache  # noqa: B019
    def app(self, address: IPv4Address | IPv6Address, port: int, name: str | None) -> str:
        found = self._direct(address, port, name)
        if found == "" and address.version == 6 and any(address in n for n in self.nat64):
            return self._direct(IPv4Address(int(address) & 0xFFFFFFFF), port, name)
        return found

    def _direct(self, address: IPv4Address | IPv6Address, port: int, name: str | None) -> str:
        for prefix, wanted_port, wanted_name, app in self.matches:
            if wanted_port in (None, port) and wanted_name in (None, name) and address in prefix:
                return str(app)
        return ""


def native_rows(directory: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Columns of every edge file, each as NumPy or lists, copies left out."""
    for path in sorted((directory / "flows").iterdir()):
        group = path.name.split("-")[0]
        if group == "core" or "copy" in path.name:
            continue
        if group in ("fixed", "datacenter"):
            yield (
                group,
                duckdb.sql(
                    f"""SELECT coalesce(sourceIPv4Address, sourceIPv6Address) AS src,
                  coalesce(destinationIPv4Address, destinationIPv6Address) AS dst,
                  epoch_ms(flowStartMilliseconds) AS start, {INTERVAL_OF[group]} AS n, *
                FROM read_parquet('{path}') WHERE {GOOD_TEXT_ROW}"""
                )
                .to_arrow_table()
                .to_pydict(),
            )
        else:
            yield (
                group,
                duckdb.sql(
                    f"""SELECT sourceIPAddress AS src, destinationIPAddress AS dst,
                  flowStartMilliseconds AS start, samplingInterval AS n, *
                FROM read_parquet('{path}')"""
                )
                .to_arrow_table()
                .to_pydict(),
            )


@cache
@cache
def parsed(address: str | bytes) -> IPv4Address | IPv6Address:
    plain = ip_address(address)
    return (isinstance(plain, IPv6Address) and plain.ipv4_mapped) or plain


def test_sampled_estimates_meet_the_planted_truth() -> None:
    """Per week, app and family: scaled bytes against true bytes, by the variance of kpis.md."""
    naive = Naive(COMMITTED / "catalog")
    # Per cell: estimated bytes and their variance.
    cells: dict[tuple[int, str, str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for _, rows in native_rows(COMMITTED):
        columns = (
            "src",
            "dst",
            "sourceTransportPort",
            "destinationTransportPort",
            "protocolIdentifier",
            "tlsServerName",
            "start",
            "n",
            "packetDeltaCount",
            "octetDeltaCount",
        )
        for src, dst, sport, dport, proto, name, start, n, k, o in zip(
            *(rows[c] for c in columns),
            strict=True,  # type: ignore[call-overload]
        ):
            if proto not in (6, 17):
                continue
            source, target = parsed(src), parsed(dst)
            # Client ports are no service ports in the sample, but for media and VPN: ask both.
            app, client = naive.app(target, dport, name), source
            if not app:
                app, client = naive.app(source, sport, name), target
            if not app:
                continue
            network = naive.network(client)
            smallest = 40 if source.version == 4 else 60
            spread = max(o * (smallest + 1500) - k * smallest * 1500, o * o / k)
            week = (start // 86_400_000 - 4) // 7
            cell = cells[week, app, network, f"v{source.version}"]
            cell[0] += n * o
            cell[1] += n * (n - 1) * (o * o if k == 1 else spread)
    true: dict[tuple[int, str, str, str], int] = defaultdict(int)
    traffic = pq.read_table(COMMITTED / "truth" / "traffic.parquet").to_pydict()
    epoch = date(1970, 1, 1)
    for day, app, network, family, octets in zip(
        *(traffic[c] for c in ("day", "app", "network", "family", "bytes")), strict=True
    ):
        if app != "unclassified":
            true[((day - epoch).days - 4) // 7, app, network, family] += octets
    assert cells.keys() <= true.keys()
    exact = [key for key in true if key[2] == "fixed-c"]
    assert exact
    off = sum(abs(cells[key][0] - true[key]) for key in exact)
    # The probe samples nothing: only flows across the week's midnight may differ.
    assert off / sum(true[key] for key in exact) < 0.002
    sampled = [
        (cells[key], octets)
        for key, octets in true.items()
        if key[2] != "fixed-c" and cells[key][1] > 0 and cells[key][0] ** 2 / cells[key][1] >= 30
    ]
    assert len(sampled) >= 200
    z = np.array([(cell[0] - octets) / cell[1] ** 0.5 for cell, octets in sampled])
    assert 0.93 <= float((np.abs(z) <= 1.96).mean()) <= 0.99
    total = sum(cell[0] for cell in cells.values()) / sum(true.values())
    assert total == pytest.approx(1, abs=0.01)


def test_exported_clients_are_counted_exactly() -> None:
    """Distinct subscribers per day and family, from the raw files."""
    paths = str(COMMITTED / "flows" / "mobile-*.parquet")
    rows = duckdb.sql(
        f"""
        WITH seen AS (
          SELECT subscriberId AS id, {FAMILY_OF_BINARY} AS family,
            unnest(range(flowStartMilliseconds // 86400000,
              greatest(flowEndMilliseconds - 1, flowStartMilliseconds) // 86400000 + 1)) AS day
          FROM read_parquet('{paths}')
        )
        SELECT DATE '1970-01-01' + day::INTEGER, family, count(DISTINCT id) FROM seen GROUP BY ALL
        """
    ).fetchall()
    truth = pq.read_table(COMMITTED / "truth" / "clients_1d.parquet").to_pylist()
    planted = {
        (r["day"], r["family"]): r["clients"]
        for r in truth
        if r["unit"] == "subscriber" and r["network"] == ""
    }
    assert {(day, family): clients for day, family, clients in rows} == planted
    assert max(planted.values()) < 4096


def test_every_hour_of_the_last_weeks_is_covered() -> None:
    """No exporter that feeds the KPIs may look incomplete by thinness alone."""
    seen: dict[str, set[int]] = defaultdict(set)
    last = datetime(2026, 2, 28, tzinfo=UTC).timestamp() // 3600
    for _, rows in native_rows(COMMITTED):
        for exporter, start in zip(rows["exporterIPv4Address"], rows["start"], strict=True):  # type: ignore[call-overload]
            if start // 3_600_000 >= last:
                seen[exporter].add(start // 3_600_000)
    hours = datetime(2026, 3, 30, tzinfo=UTC).timestamp() // 3600 - last
    assert len(seen) == 9
    for exporter, covered in seen.items():
        assert len(covered) / hours > 0.97, exporter
    assert sum(map(len, seen.values())) / (len(seen) * hours) > 0.99


def test_the_story_ends_well() -> None:
    story = truth_of(COMMITTED, "story")
    assert isinstance(story, dict)
    weeks = [week["top_apps_ipv6_share"] for week in story["weeks"]]
    assert len(weeks) >= 20
    assert weeks[0] < 0.1
    assert all(0.915 < share < 0.94 for share in weeks[-4:])
    assert story["last_28_days"]["unclassified_part"] < 0.005
    assert story["ranking_quarter"] == ["2025-10-01", "2025-12-31"]
    assert set(story["stage1"]["pilot_apps"]) < {row["app"] for row in story["ranking"][:20]}
    assert story["stage1"]["products_planned"] == 27
    assert story["stage1"]["products_enabled"] == 26
    assert story["last_28_days"]["apps"]["drive"] < 0.9
