"""Rules that are missing in the catalog: from what traffic went to, to text for apps.toml. Pure."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Final, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

# Rules that are proposed at once: the next ones are proposed when these are in.
_MOST_PROPOSED: Final = 10
# Prefixes of one rule: who has more of them writes their AS number, or a name.
_MOST_PREFIXES: Final = 16
# A destination with less of the unclassified bytes is not worth a rule.
_LEAST_SHARE: Final = 0.01


@dataclass(frozen=True)
class Destination:
    """Where unclassified traffic went: a service's prefix and port.

    asn: its AS number, 0 where no record says it. bytes: of layer 3, scaled, both ways.
    """

    prefix: Network
    port: int
    asn: int
    bytes: int


@dataclass(frozen=True)
class Proposal:
    """An app for apps.toml. number: from 1, the largest first. name: for people."""

    number: int
    id: str
    name: str
    destinations: tuple[Destination, ...]

    @property
    def bytes(self) -> int:
        """The unclassified bytes that it would classify."""
        return sum(one.bytes for one in self.destinations)

    @property
    def ipv6_bytes(self) -> int:
        """Those of them that went over IPv6."""
        return sum(one.bytes for one in self.destinations if one.prefix.version == 6)


def propose(
    destinations: Iterable[Destination], total: int, taken: Collection[str]
) -> list[Proposal]:
    """The apps that would classify most, largest first; ties by id.

    Destinations with one AS number and port are one app, so that it has both families; without an
    AS number each is an app. What is of no byte is none. total: all unclassified bytes. taken: ids
    that there are.
    """
    groups: defaultdict[tuple[int, int, Network | None], list[Destination]] = defaultdict(list)
    for one in destinations:
        groups[one.asn, one.port, None if one.asn else one.prefix].append(one)
    found = [
        Proposal(0, _id(largest), _name(largest), tuple(largest))
        for group in groups.values()
        if (largest := sorted(group, key=_by_bytes)[:_MOST_PREFIXES])
    ]
    worth = [one for one in found if one.bytes >= max(_LEAST_SHARE * total, 1)]
    worth.sort(key=lambda one: (-one.bytes, one.id))
    ids = set(taken)
    numbered: list[Proposal] = []
    for number, app in enumerate(worth[:_MOST_PROPOSED], 1):
        free = _free(app.id, ids)
        ids.add(free)
        numbered.append(replace(app, number=number, id=free))
    return numbered


def _by_bytes(one: Destination) -> tuple[int, int, int]:
    return -one.bytes, one.prefix.version, int(one.prefix.network_address)


def _id(group: Sequence[Destination]) -> str:
    of = group[0]
    whose = f"as{of.asn}" if of.asn else re.sub(r"[^0-9a-f.]+", "-", str(of.prefix))
    return f"{whose}-{of.port}"


def _name(group: Sequence[Destination]) -> str:
    of = group[0]
    return f"{f'AS {of.asn}' if of.asn else of.prefix}, port {of.port}"


def _free(name: str, taken: Collection[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def app_text(proposal: Proposal, comment: str, comments: Sequence[str]) -> str:
    """The app as it stands in apps.toml. comment: of the app; comments: of its matches."""
    lines = [
        f"# {comment}",
        "[[app]]",
        f'id = "{proposal.id}"',
        f'name = "{proposal.name}"',
        "match = [",
        *(
            f'  {{ prefix = "{one.prefix}", port = {one.port} }}, # {of_match}'
            for one, of_match in zip(proposal.destinations, comments, strict=True)
        ),
        "]",
    ]
    return "\n".join(lines) + "\n"


def with_text_behind(data: bytes, text: str) -> bytes:
    """A file with more text at its end, in its own line ends; what is there stays to the byte."""
    end = b"\r\n" if b"\r\n" in data else b"\n"
    gap = b"" if not data else end if data.endswith(b"\n") else 2 * end
    return data + gap + text.encode().replace(b"\n", end)
