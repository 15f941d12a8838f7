"""Matches that never decide, because of what stands before them. Pure.

The first app of which a match fits is the flow's app, so a match that one of an earlier app covers
never decides.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from operator import itemgetter
from typing import Final

from v6share.schemas.catalog.lint.covers import Earlier, Placed, covers, may_share_flows
from v6share.schemas.catalog.lint.places import Places
from v6share.schemas.catalog.models import App, Catalog, Match
from v6share.schemas.errors import CatalogError

# See _width.
_WIDEST: Final = 2
# Comparisons of wide matches with narrower ones: they take a second.
_MOST_COMPARED: Final = 500_000


def apps_without_match(places: Places, catalog: Catalog) -> Iterator[CatalogError]:
    """Apps with an empty list of matches."""
    for i, app in enumerate(catalog.apps):
        if not app.matches:
            problem = "found no match, so no flow is of this app; add one, or remove the app"
            yield places.in_apps(("app", i, "match"), problem)


def hidden_matches(places: Places, catalog: Catalog) -> Iterator[CatalogError]:
    """Apps, and matches of others, all of whose flows are taken by matches of earlier apps.

    Where a match of the same app takes them, that is harmless, unless the two stand for different
    products or regions.
    """
    earlier = Earlier()
    for i, app in enumerate(catalog.apps):
        by = [earlier.covering(match) for match in app.matches]
        if by and all(by):
            who = _who(places, catalog, [one for ones in by for one in ones])
            problem = f"hidden: {who} all that this app matches; put it before, or remove it"
            yield places.in_apps(("app", i), problem)
        else:
            for j, ones in enumerate(by):
                if ones:
                    problem = f"hidden: {_who(places, catalog, ones)} all that this matches"
                    yield places.in_apps(("app", i, "match", j), problem)
            yield from _labels_never_given(places, i, app, [bool(ones) for ones in by])
        for j, match in enumerate(app.matches):
            earlier.add(Placed(i, j, match))


def _who(places: Places, catalog: Catalog, by: Sequence[Placed]) -> str:
    """The apps that take what another one would, as the beginning of a sentence."""
    numbers = dict.fromkeys(one.app for one in by)
    apps = [f'"{catalog.apps[n].id}" in line {places.line_of_app(n)}' for n in numbers]
    verbs = "comes first and takes" if len(apps) == 1 else "come first and take"
    return f"{' and '.join(apps)} {verbs}"


def _labels_never_given(
    places: Places, i: int, app: App, hidden: Collection[bool]
) -> Iterator[CatalogError]:
    """Matches behind others of the same app that stand for another product or region."""
    if len({_labels(match, app) for match in app.matches}) < 2:
        return
    earlier = Earlier()
    for (j, match), is_hidden in zip(enumerate(app.matches), hidden, strict=True):
        by = () if is_hidden else earlier.covering(match)
        if any(_labels(one.match, app) != _labels(match, app) for one in by):
            numbers = " and ".join(f"match[{one.number}]" for one in by)
            problem = f"hidden: {numbers} of this app fits first, with another product or region"
            yield places.in_apps(("app", i, "match", j), problem)
        earlier.add(Placed(i, j, match))


def _labels(match: Match, app: App) -> tuple[str | None, str | None]:
    return match.product or app.product, match.region


def wide_matches(places: Places, catalog: Catalog) -> Iterator[CatalogError]:
    """Matches by a port, a protocol or an AS number alone that stand before narrower ones.

    They take what meets them from apps whose prefixes or names say more. What they take whole has a
    doubt of its own, see ``hidden_matches``. Nobody says of which AS a prefix is: an AS number
    takes flows of matches that name the same one, and of apps of which no prefix and no AS is
    known.
    """
    placed = [
        Placed(i, j, match)
        for i, app in enumerate(catalog.apps)
        for j, match in enumerate(app.matches)
    ]
    narrow = [(n, one) for n, one in enumerate(placed) if _width(one.match) < _WIDEST]
    located = {one.app for one in placed if one.match.prefix or one.match.asn}
    anywhere = [(n, one) for n, one in narrow if one.app not in located]
    of_as: defaultdict[int, list[tuple[int, Placed]]] = defaultdict(list)
    for n, near in narrow:
        if near.match.asn is not None:
            of_as[near.match.asn].append((n, near))
    budget = iter(range(_MOST_COMPARED))
    for n, wide in enumerate(placed):
        if _width(wide.match) == 0:
            continue
        asn = wide.match.asn
        affected = (
            one
            for ones in ((narrow,) if asn is None else (of_as[asn], anywhere))
            for _, one in ones[bisect_right(ones, n, key=itemgetter(0)) :]
            if next(budget, None) is not None and _takes_from(wide, one)
        )
        one = next(affected, None)
        if one is not None:
            app, line = catalog.apps[one.app].id, places.line_of_app(one.app)
            problem = (
                "found no prefix and no name, before narrower matches such as those of "
                f'"{app}" in line {line}, from which it takes flows; put it behind them'
            )
            yield places.in_apps(("app", wide.app, "match", wide.number), problem)


def _takes_from(wide: Placed, one: Placed) -> bool:
    """Whether a match takes some flows of a narrower one of another app, and not all."""
    return (
        one.app != wide.app
        and _width(one.match) < _width(wide.match)
        and may_share_flows(wide.match, one.match)
        and not covers(wide.match, one.match)
    )


def _width(match: Match) -> int:
    """0: with a prefix or a name, 1: by an AS number, 2: by port or protocol alone."""
    if match.prefix or match.server_name or match.app_name or match.app_id:
        return 0
    return 1 if match.asn is not None else _WIDEST
