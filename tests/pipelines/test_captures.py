"""Conservation on real exports: rows, packets and bytes as a plain SQL query counts them.

The query reads the raw Parquet with DuckDB and knows nothing of dialects: addresses with a colon
(or of 16 bytes) are IPv6. Where a file's columns show an outer header, the family is the outer one.
"""

import json
from collections import Counter
from decimal import Decimal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shared_files import CAPTURES, needs_captures

from v6share.pipelines.flow_file import open_flow_file
from v6share.pipelines.kernels.flow_batch import Coded
from v6share.schemas.aggregates import FAMILIES, UNDERLAYS
from v6share.schemas.ledger import REJECT_REASONS

pytestmark = needs_captures

FOLDERS = {"goflow2": "goflow2", "goflow2-bin": "goflow2", "pmacct": "pmacct"}
FILES = sorted(
    str(p.relative_to(CAPTURES))
    for folder in FOLDERS
    for p in (CAPTURES / folder).glob("*.parquet")
)
# Columns that show inner addresses with the outer ones beside them (trap 3): rows and bytes
# that the manifest books by the inner address and we by the outermost header.
INNER_V4_IN_V6 = {"pmacct/pmexp_400.parquet": (26, 3495968), "pmacct/pmexp_500.parquet": (4, 18988)}
# raw_reference knows more than the columns do, or counts differently.
BEYOND_THE_COLUMNS = {
    "all-zero pair (trap 6): etype says IPv4": {"ls_nf9_nprobe"},
    "SRv6 with both families, of which collectors keep the inner (trap 3)": {
        "pm400_a_srv6",
        "pm400_a_srv6__duckdb",
        "pm500_srv6",
    },
    "only total or out counters, which the file shows as 0 (trap 9)": {
        "ls_nf9_asa1",
        "ls_nf9_fortigate521",
        "ls_ipfix_yaf",
        "tg_ipfix_example",
    },
    "scaled already, or misread, by pmacct renormalize (traps 7, 8)": {
        "pm104_iosxr_ipfix_v6_sampling__renorm",
        "zk_teredo_sd9s4__renorm",
    },
    "rows merged by pmacct's aggregation": {"ip_mixed_sd10", "ip_mixed_sd10b"},
}

SQL = """
with flows as (
    select {v4} as is_v4, {v6} as is_v6, {hint} as hint, packets, bytes from '{path}'
)
select case
    when is_v4 and not is_v6 then 'v4' when is_v6 and not is_v4 then 'v6'
    when is_v4 and is_v6 then 'unknown' else hint end as family,
  count(*), sum(packets)::hugeint, sum(bytes)::hugeint
from flows group by family
"""
TEXT = {
    "v4": "(({s} like '%.%' and {s} <> '0.0.0.0') or ({d} like '%.%' and {d} <> '0.0.0.0'))",
    "v6": "(({s} like '%:%' and {s} <> '::') or ({d} like '%:%' and {d} <> '::'))",
}
BINARY = {
    "v4": "(octet_length(src_addr) = 4 or octet_length(dst_addr) = 4)",
    "v6": "(octet_length(src_addr) = 16 or octet_length(dst_addr) = 16)",
}


def by_sql(file: str) -> dict[str, tuple[int, int, int]]:
    folder = file.split("/")[0]
    s, d = ("ip_src", "ip_dst") if folder == "pmacct" else ("src_addr", "dst_addr")
    shapes = BINARY if folder == "goflow2-bin" else TEXT
    values = ("800", "86dd") if folder == "pmacct" else ("IPv4", "IPv6")
    etype = "etype::varchar" if "etype" in columns_of(file) else "''"
    hint = (
        f"case {etype} when '{values[0]}' then 'v4' when '{values[1]}' then 'v6' else 'unknown' end"
    )
    query = SQL.format(
        v4=shapes["v4"].format(s=s, d=d),
        v6=shapes["v6"].format(s=s, d=d),
        hint=hint,
        path=CAPTURES / file,
    )
    return {f: (r, p, b) for f, r, p, b in duckdb.sql(query).fetchall()}


def columns_of(file: str) -> tuple[str, ...]:
    return open_flow_file(str(CAPTURES / file)).columns


def by_batches(file: str, batch_rows: int = 65536) -> dict[str, tuple[int, int, int]]:
    sums: dict[str, tuple[int, int, int]] = {}
    flow_file = open_flow_file(str(CAPTURES / file))
    for flows in flow_file.read(range(flow_file.row_groups), batch_rows):
        for i, family in enumerate(FAMILIES):
            rows = flows.family == i
            if rows.any():
                old = sums.get(family, (0, 0, 0))
                new = (
                    int(rows.sum()),
                    int(flows.packets[rows].sum()),
                    int(flows.octets[rows].sum()),
                )
                sums[family] = tuple(a + b for a, b in zip(old, new, strict=True))
    return sums


def all_flows(name: str):
    flow_file = open_flow_file(str(CAPTURES / name))
    (flows,) = flow_file.read(range(flow_file.row_groups), 1 << 20)
    return flows


def reasons(flows) -> Counter[str]:
    return Counter(
        REJECT_REASONS[(bits & -bits).bit_length() - 1] for bits in flows.faults.tolist() if bits
    )


def renamed(by_family: dict[str, int]) -> Counter[str]:
    return Counter({"unknown" if f == "none" else f: n for f, n in by_family.items()})


@pytest.fixture(scope="module")
def manifest():
    return {e["file"]: e for e in json.loads((CAPTURES / "MANIFEST.json").read_text())}


def test_all_files_are_here(manifest):
    listed = {f for f, e in manifest.items() if e["dialect"] in FOLDERS}
    assert set(FILES) == listed
    assert len(FILES) == 148


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_lost(file, manifest):
    assert open_flow_file(str(CAPTURES / file)).dialect == FOLDERS[file.split("/")[0]]
    found, want = by_batches(file), by_sql(file)
    assert [sum(x) for x in zip(*found.values(), strict=True)] == [
        sum(x) for x in zip(*want.values(), strict=True)
    ]
    assert sum(r for r, _, _ in found.values()) == manifest[file]["rows"]
    if file not in INNER_V4_IN_V6:
        assert found == want
    assert by_batches(file, 7) == found


@pytest.mark.parametrize("file", FILES)
def test_families_are_the_manifest_s(file, manifest):
    entry = manifest[file]
    moved_rows, moved_bytes = INNER_V4_IN_V6.get(file, (0, 0))
    rows = Counter({"unknown" if k == "none" else k: n for k, n in entry["rows_by_family"].items()})
    octets = Counter(
        {"unknown" if k == "none" else k: n for k, n in entry["bytes_by_family"].items()}
    )
    rows += Counter({"v6": moved_rows})
    octets += Counter({"v6": moved_bytes})
    rows -= Counter({"v4": moved_rows})
    octets -= Counter({"v4": moved_bytes})
    found = by_batches(file)
    assert Counter({f: r for f, (r, _, _) in found.items()}) == rows
    assert {f: b for f, (_, _, b) in found.items() if b} == {f: b for f, b in octets.items() if b}


def test_families_are_the_raw_elements_but_for_known_exceptions(manifest):
    known = {name for names in BEYOND_THE_COLUMNS.values() for name in names}
    differing = set()
    for file in FILES:
        raw = manifest[file].get("raw_reference")
        if raw is None:
            continue
        want = {
            "unknown" if f == "none" else f: (r, raw["bytes_by_family"][f])
            for f, r in raw["rows_by_family"].items()
        }
        if {f: (r, b) for f, (r, _, b) in by_batches(file).items()} != want:
            differing.add(file.split("/")[1].removesuffix(".parquet"))
    assert differing == known


@pytest.mark.parametrize(
    ("kind", "number"),
    [(pa.string(), str), (pa.decimal128(20, 0), Decimal)],
    ids=["text", "decimals"],
)
@pytest.mark.parametrize("file", ["goflow2/all_goflow2.parquet", "pmacct/all_pmacct.parquet"])
def test_a_file_says_the_same_whatever_type_its_numbers_have(file, kind, number, tmp_path):
    """Collectors type one column in many ways: what is counted hangs on the values alone."""
    table = pq.read_table(CAPTURES / file)
    columns = [
        pa.array([None if v is None else number(v) for v in c.to_pylist()], kind)
        if pa.types.is_integer(c.type)
        else c
        for c in table.columns
    ]
    pq.write_table(pa.table(columns, names=table.schema.names), tmp_path / "retyped.parquet")
    assert said_by(all_flows(str(tmp_path / "retyped.parquet"))) == said_by(all_flows(file))


def said_by(flows) -> dict:
    """Every column as plain values; codes as what they stand for."""
    found = {}
    for name, value in vars(flows).items():
        if isinstance(value, Coded):
            found[name] = [value.values[c] if c >= 0 else None for c in value.codes.tolist()]
        elif name == "findings":
            found[name] = {finding: mask.tolist() for finding, mask in value}
        else:
            found[name] = value.tolist() if isinstance(value, np.ndarray) else value
    return found


def test_text_and_protobuf_of_goflow2_agree():
    """The two runs differ in receive times only, so in nothing that a flow is."""
    for path in sorted((CAPTURES / "goflow2-bin").glob("*.parquet")):
        text, binary = all_flows(f"goflow2/{path.name}"), all_flows(f"goflow2-bin/{path.name}")

        def keys(flows):
            names = (
                "src_hi",
                "src_lo",
                "dst_hi",
                "dst_lo",
                "family",
                "packets",
                "octets",
                "protocol",
                "src_port",
                "dst_port",
                "tcp_flags",
            )
            return Counter(zip(*(getattr(flows, n).tolist() for n in names), strict=True))

        assert keys(text) == keys(binary)


@pytest.mark.parametrize("name", ["tg_sflow_15918", "ip_mixed_sf", "zk_6in4_sf", "zk_4in6_sf"])
def test_sflow_counts_frames_in_both_collectors(name):
    for folder in ("goflow2", "pmacct"):
        assert set(all_flows(f"{folder}/{name}.parquet").layer2_octets.tolist()) == {18}
    flow = all_flows("goflow2/zk_6in4_sf.parquet")
    assert (int(flow.octets[0] - flow.layer2_octets[0]), int(flow.protocol[0])) == (72, 41)


@pytest.mark.parametrize("name", ["ls_nf5_juniper_mx80", "ip_mixed_sd9", "pm400_a_srv6"])
def test_netflow_counts_packets(name):
    for folder in ("goflow2", "pmacct"):
        assert all_flows(f"{folder}/{name}.parquet").layer2_octets is None


def test_sampling_as_the_columns_show_it():
    mx80 = all_flows("goflow2/ls_nf5_juniper_mx80.parquet")
    assert set(mx80.sampling_num.tolist()) == {1000}
    assert set(all_flows("goflow2/ix_example_flows.parquet").sampling_num.tolist()) == {0}
    assert all_flows("pmacct/pmexp_400.parquet").sampling_num is None


def test_an_srv6_row_has_its_inner_addresses_and_an_ipv6_underlay():
    flows = all_flows("pmacct/pmexp_400.parquet")
    tunnelled = flows.underlay > 0
    assert tunnelled.sum() == 38
    assert set(flows.underlay[tunnelled].tolist()) == {UNDERLAYS.index("v6")}
    assert Counter(flows.outer_protocol[tunnelled].tolist()) == {4: 26, 41: 12}
    assert (flows.src_hi[tunnelled] == 0).sum() == 26
    assert set(flows.outer_protocol[~tunnelled].tolist()) == {-1}


def test_rows_without_addresses_are_unknown_never_ipv4():
    for folder in ("goflow2", "goflow2-bin"):
        flows = all_flows(f"{folder}/ls_nf9_wlc.parquet")
        assert set(flows.family.tolist()) == {FAMILIES.index("unknown")}
        assert int(flows.octets.sum()) == 142_991_108
        assert reasons(flows) == {}


def test_protocols_and_flags_are_numbers_in_both_collectors():
    text, pmacct = all_flows("goflow2/all_goflow2.parquet"), all_flows("pmacct/all_pmacct.parquet")
    assert (text.protocol == 58).sum() == 145
    assert (text.protocol == 63).sum() == 13
    assert (pmacct.protocol == 58).sum() == 144
    assert (pmacct.protocol == 63).sum() == 9
    assert set(all_flows("pmacct/pmexp_101.parquet").tcp_flags.tolist()) >= {16, 24}


def test_rejects_and_fallbacks():
    assert reasons(all_flows("goflow2/all_goflow2.parquet")) == {"zero_packets": 77, "future": 70}
    assert reasons(all_flows("pmacct/all_pmacct.parquet")) == {"zero_packets": 45, "future": 9}
    srv6 = all_flows("pmacct/pm400_a_srv6.parquet")
    assert int(dict(srv6.findings)["time fallback"].sum()) == 657
    assert reasons(srv6) == {}
    assert all_flows("goflow2/tg_issue14370.parquet").start_ms.min() > 1_700_000_000_000
