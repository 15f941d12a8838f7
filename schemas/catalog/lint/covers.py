"""Which earlier matches take all that another one would match. Pure.

A match *covers* another one when every flow that meets the other meets it as well: each of its
conditions follows from one of the other's.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import Final, NamedTuple, TypeAlias

from v6share.schemas.catalog.models import Match

Network: TypeAlias = IPv4Network | IPv6Network
Ports: TypeAlias = tuple[tuple[int, int], ...]
_Condition: TypeAlias = tuple[str, str | int]

_EXACT: Final = ("app_id", "app_name", "asn")
_NONE: Final[_Condition] = ("", 0)
# A doubt is not worth more of a run than so many comparisons, which take a second or two.
_MOST_COMPARED: Final = 500_000


class Placed(NamedTuple):
    """A match and its place: the number of its app, and its own in that app."""

    app: int
    number: int
    match: Match


class Earlier:
    """The matches that stand before others; each is found by its prefix and one more condition.

    So many apps behind one prefix, each with a name, are not compared with each other. After
    500,000 comparisons nothing is found any more.
    """

    def __init__(self) -> None:
        self._by_key: defaultdict[tuple[Network | None, _Condition], list[Placed]]
        self._by_key = defaultdict(list)
        self._lengths: dict[int, set[int]] = {4: set(), 6: set()}
        self._begins: dict[int, list[int]] = {4: [], 6: []}
        self._compared = 0

    def add(self, one: Placed) -> None:
        """Let a match stand before those that are asked about from now on."""
        prefix = one.match.prefix
        self._by_key[prefix, next(_conditions(one.match))].append(one)
        if prefix is None:
            return
        self._lengths[prefix.version].add(prefix.prefixlen)
        begins, begin = self._begins[prefix.version], int(prefix.network_address)
        place = bisect_left(begins, begin)
        if begins[place : place + 1] != [begin]:
            begins.insert(place, begin)

    def covering(self, match: Match) -> tuple[Placed, ...]:
        """The matches that cover this one: one alone, or several together. Empty where none do."""
        alone = next((one for one in self._candidates(match) if covers(one.match, match)), None)
        if alone is not None:
            return (alone,)
        parts = [self.covering(part) for part in self._parts(match)]
        if not parts or not all(parts):
            return ()
        return tuple(dict.fromkeys(one for part in parts for one in part))

    def _candidates(self, match: Match) -> Iterator[Placed]:
        """The matches that may cover this one by what they were put under."""
        implied = [*_implied(match)]
        for prefix in self._around(match.prefix):
            for condition in implied:
                for one in self._by_key.get((prefix, condition), ()):
                    self._compared += 1
                    if self._compared > _MOST_COMPARED:
                        return
                    yield one

    def _around(self, prefix: Network | None) -> Iterator[Network | None]:
        """No prefix, and what may lie around this one."""
        yield None
        if prefix is not None:
            for length in sorted(self._lengths[prefix.version]):
                if length <= prefix.prefixlen:
                    yield prefix.supernet(new_prefix=length)

    def _parts(self, match: Match) -> Iterator[Match]:
        """What a match is made of: its ports, else its protocols, else the halves of its prefix."""
        for key in ("ports", "protocols"):
            values = getattr(match, key)
            if len(values) > 1:
                yield from (match.model_copy(update={key: (value,)}) for value in values)
                return
        prefix = match.prefix
        if prefix is None or prefix.prefixlen == prefix.max_prefixlen:
            return
        begins = self._begins[prefix.version]
        middle = int(prefix.network_address) + prefix.num_addresses // 2
        place = bisect_left(begins, middle)
        # Prefixes that make up the whole without being it: one of them begins in the middle.
        if begins[place : place + 1] == [middle]:
            halves = prefix.subnets(prefixlen_diff=1)
            yield from (match.model_copy(update={"prefix": half}) for half in halves)


def covers(one: Match, other: Match) -> bool:
    """Whether every flow that meets the other match meets this one."""
    return (
        (one.prefix is None or _lies_in(other.prefix, one.prefix))
        and (not one.ports or _are_within(other.ports, one.ports))
        and (not one.protocols or _are_among(other.protocols, one.protocols))
        and (one.server_name is None or _is_below(other.server_name, one.server_name))
        and all(_value(one, key) in (None, _value(other, key)) for key in _EXACT)
    )


def may_share_flows(one: Match, other: Match) -> bool:
    """Whether a flow may meet both: nothing that they ask for contradicts."""
    prefixes, names = (one.prefix, other.prefix), (one.server_name, other.server_name)
    values = [(_value(one, key), _value(other, key)) for key in _EXACT]
    return (
        (None in prefixes or _lies_in(*prefixes) or _lies_in(*prefixes[::-1]))
        and (not one.ports or not other.ports or _meet(one.ports, other.ports))
        and (
            not one.protocols
            or not other.protocols
            or not set(one.protocols).isdisjoint(other.protocols)
        )
        and (None in names or _is_below(*names) or _is_below(*names[::-1]))
        and all(None in pair or pair[0] == pair[1] for pair in values)
    )


def _value(match: Match, key: str) -> str | int | None:
    value: str | int | None = getattr(match, key)
    return value.lower() if isinstance(value, str) else value


def _conditions(match: Match) -> Iterator[_Condition]:
    """What a match asks for beside prefix, ports and protocols; at the end that it need not."""
    for key in ("server_name", *_EXACT):
        value = _value(match, key)
        if value is not None:
            yield key, value
    yield _NONE


def _implied(match: Match) -> Iterator[_Condition]:
    """The conditions that every flow of a match meets: its own, and those of names above."""
    for key, value in _conditions(match):
        yield key, value
        if key == "server_name" and isinstance(value, str):
            name = value.removeprefix("*.")
            if name != value:
                yield key, name
            while name:
                name = name.partition(".")[2]
                yield from ((key, above) for above in (name, f"*.{name}") if name)


def _lies_in(inner: Network | None, outer: Network | None) -> bool:
    if inner is None or outer is None or inner.version != outer.version:
        return False
    return inner.subnet_of(outer)  # type: ignore[arg-type]


def _is_below(name: str | None, above: str | None) -> bool:
    """Whether what meets a server name meets another one; ``*.`` fits names below alone."""
    if name is None or above is None:
        return False
    base = above.removeprefix("*.")
    is_below = name.removeprefix("*.").endswith(f".{base}")
    return name == above or is_below or name == f"*.{base}"


def _are_among(inner: tuple[int, ...], outer: tuple[int, ...]) -> bool:
    return bool(inner) and set(inner) <= set(outer)


def _are_within(inner: Ports, outer: Ports) -> bool:
    return bool(inner) and all(any(a <= low and high <= b for a, b in outer) for low, high in inner)


def _meet(one: Ports, other: Ports) -> bool:
    return any(a <= high and low <= b for a, b in one for low, high in other)
