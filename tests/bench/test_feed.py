"""Flow files for a stream have the sums that they are said to have, and are all new."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from bench import feed
from bench.rollout import Size, write_catalog
from v6share.schemas.catalog.models import Catalog
from v6share.workspace.catalog_files import read_catalog
from v6share.workspace.paths import Workspace

SAMPLE = Path(__file__).parents[2] / "data/sample"
MINUTE = datetime.fromisoformat("2026-06-01T23:59")
ROWS = 400


@pytest.fixture(scope="module", params=["sample", "rollout"])
def catalog(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    if request.param == "sample":
        return read_catalog(Workspace(SAMPLE))
    root = tmp_path_factory.mktemp("rollout")
    write_catalog(root / "catalog", Size())
    return read_catalog(Workspace(root))


def addresses(column: pa.ChunkedArray) -> list[str]:
    """As text, by the standard library."""
    found = map(IPv6Address, column.to_pylist())
    return [str(address.ipv4_mapped or address) for address in found]


def clients(template: feed.Template, flows: pa.Table) -> list[str]:
    both = zip(
        template.up.tolist(),
        addresses(flows["sourceIPAddress"]),
        addresses(flows["destinationIPAddress"]),
        strict=True,
    )
    return [source if up else destination for up, source, destination in both]


def longest(address: str, prefixes: Sequence[str]) -> str:
    one = ip_address(address)
    networks = [net for net in map(ip_network, prefixes) if one in net]
    return str(max(networks, key=lambda net: net.prefixlen))


def test_every_file_has_the_sums_of_the_template(catalog: Catalog, tmp_path: Path) -> None:
    template = feed.draw_template(catalog, ROWS)
    for number in range(3):
        minute = MINUTE + timedelta(minutes=number)
        feed.write_flows(template, tmp_path / f"{number}.parquet", minute, number)
    sums = duckdb.execute(
        "SELECT count(*), sum(packetDeltaCount * samplingInterval)::HUGEINT, "
        "sum(octetDeltaCount * samplingInterval)::HUGEINT, sum(packetDeltaCount)::HUGEINT, "
        "sum(octetDeltaCount)::HUGEINT FROM read_parquet(?)",
        [f"{tmp_path}/*.parquet"],
    ).fetchall()
    assert feed.Sums(*sums[0]) == template.sums * 3
    assert template.sums.records == ROWS
    assert template.sums * 3 - template.sums == template.sums * 2


def test_flows_stay_in_their_minute(catalog: Catalog) -> None:
    flows = feed.flows_of(feed.draw_template(catalog, 50 * ROWS), MINUTE, 0)
    starts = flows["flowStartMilliseconds"].to_pylist()
    ends = flows["flowEndMilliseconds"].to_pylist()
    assert all(a <= b for a, b in zip(starts, ends, strict=True))
    assert min(starts) >= MINUTE
    assert max(ends) < MINUTE + timedelta(minutes=1)


def test_files_differ_by_their_clients_which_keep_their_prefixes(catalog: Catalog) -> None:
    template = feed.draw_template(catalog, ROWS)
    prefixes = catalog.prefixes["prefix"].to_pylist()
    first, other = (clients(template, feed.flows_of(template, MINUTE, n)) for n in (0, 7))
    assert len(set(first) & set(other)) < ROWS / 20
    assert [longest(one, prefixes) for one in first] == [longest(one, prefixes) for one in other]
    # A client of IPv6 is a /56 or a /64: those must differ, not only the addresses.
    v6 = [
        [IPv6Network((one, 56), strict=False) for one in some if ":" in one]
        for some in (first, other)
    ]
    assert len(v6[0]) > ROWS / 4
    assert len(set(v6[0]) & set(v6[1])) < ROWS / 20


def test_the_same_catalog_gives_the_same_files(catalog: Catalog) -> None:
    one, other = (feed.flows_of(feed.draw_template(catalog, ROWS), MINUTE, 5) for _ in range(2))
    assert one.equals(other)


def test_a_catalog_without_what_flows_need_is_refused() -> None:
    with pytest.raises(ValueError, match="no app with a prefix"):
        feed.draw_template(Catalog(), ROWS)
