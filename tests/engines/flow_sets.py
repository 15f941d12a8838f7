"""Sets of flow files for the laws: where they are, how to count them, and the crowd among them."""

import random
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from v6share.jobs import cli

CROWD = 12_000
CROWD_DAY = date(2026, 1, 15)
REJECTED = {"zero_packets": 40, "no_time": 30, "no_sampling_interval": 20}
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS


@dataclass(frozen=True)
class Made:
    """Flow files with their catalog, and a workspace that counted all of them at once."""

    flows: Path
    catalog: Path
    root: Path

    @property
    def files(self) -> list[Path]:
        return sorted(self.flows.iterdir())


def count(root: Path, *arguments: object) -> int:
    """The command line, in this process."""
    return int(cli.call(["-q", "-C", str(root), "run", *map(str, arguments)]))


def crowd() -> pa.Table:
    """One day's flows of many clients, over windows and midnight, with rows to be rejected."""
    chance = random.Random(8)
    rows = [_flow(chance, client) for client in range(CROWD)]
    for reason, number in REJECTED.items():
        for client in range(number):
            row = _flow(chance, client)
            if reason == "zero_packets":
                row["packetDeltaCount"] = 0
            elif reason == "no_time":
                row["flowStartMilliseconds"] = row["flowEndMilliseconds"] = None
            else:
                row["exporterIPv4Address"], row["samplingInterval"] = "192.0.2.77", None
            rows.append(row)
    chance.shuffle(rows)
    text = ("sourceIPv6Address", "destinationIPv6Address", "exporterIPv4Address")
    return pa.Table.from_pylist(
        rows, pa.schema([(name, pa.string() if name in text else pa.int64()) for name in rows[0]])
    )


def _flow(chance: random.Random, client: int) -> dict[str, object]:
    """A client's /56 is its number; services are the apps of nobody."""
    start = DAY_MS * (CROWD_DAY - date(1970, 1, 1)).days + chance.randrange(DAY_MS)
    packets = chance.randint(1, 50)
    return {
        "flowStartMilliseconds": start,
        "flowEndMilliseconds": start + chance.choice((0, 1, 999, chance.randrange(10_000_000))),
        "sourceIPv6Address": f"2a0e:{client >> 8 & 0xFFFF:x}:1:{client << 8 & 0xFF00:x}::5",
        "destinationIPv6Address": f"2a0f::{chance.randrange(9) + 1:x}",
        "protocolIdentifier": 6,
        "sourceTransportPort": chance.randint(40_000, 60_000),
        "destinationTransportPort": chance.choice((80, 443)),
        "tcpControlBits": chance.choice((2, 16, 18)),
        "octetDeltaCount": packets * chance.randint(60, 1500),
        "packetDeltaCount": packets,
        "samplingInterval": chance.choice((1, 7, 1000)),
        "exporterIPv4Address": "192.0.2.3",
    }
