"""Regions where nothing stands, and regions that are spelt in two ways. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import pyarrow.compute as pc

from v6share.schemas.catalog.lint.places import Places
from v6share.schemas.catalog.models import Catalog
from v6share.schemas.errors import CatalogError
from v6share.schemas.text.wording import did_you_mean, is_one_slip, letters_of

# The files that name regions; of two spellings the one in the first file is the right one.
_FILES: Final = ("prefixes.csv", "apps.toml", "endpoints.csv")


class _Said(NamedTuple):
    """Where a file names a region first.

    at: the row of endpoints.csv; app and match; of prefixes.csv, how many regions come before.
    """

    file: int
    at: tuple[int, ...]


def regions_of_endpoints(places: Places, catalog: Catalog) -> Iterator[CatalogError]:
    """Regions where nothing stands, once each: of an enabled endpoint, or with a known name near.

    Others are planned, and their prefixes may follow.
    """
    known = {match.region for app in catalog.apps for match in app.matches if match.region}
    known |= set(pc.unique(catalog.prefixes["region"]).to_pylist())
    told = set(known)
    for row in places.endpoints:
        region = row.cells["region"]
        if region in told or not (row.cells["enabled_on"] or _is_near(region, known)):
            continue
        told.add(region)
        named = "which neither prefixes.csv nor a match of apps.toml names"
        hint = did_you_mean(region, sorted(known))
        yield row.error("region", f'found "{region}", {named}{hint}')


def _is_near(region: str, known: Iterable[str]) -> bool:
    return any(letters_of(region) == letters_of(one) or is_one_slip(region, one) for one in known)


def regions_spelt_twice(places: Places, catalog: Catalog) -> Iterator[CatalogError]:
    """Regions that differ by upper case, spaces and signs alone; and near names across files.

    Of two spellings the one that more files have is right, else that of the file which comes
    first. A near name is one that a single file has, a slip of the hand away from a name of another
    file; where both have prefixes, they are two regions. What endpoints.csv alone names and is near
    to another one has a doubt of its own.
    """
    said = _regions(catalog)
    ranked = sorted(said, key=lambda region: (-len(said[region]), said[region][0]))
    by_letters: dict[str, str] = {}
    of_others: list[list[str]] = [[] for _ in _FILES]
    for region in ranked:
        first = said[region][0]
        right = by_letters.setdefault(letters_of(region), region)
        if right == region and len(said[region]) == 1:
            near = (other for other in of_others[first.file] if is_one_slip(region, other))
            right = next(near, region)
        is_told = _FILES[first.file] == "endpoints.csv" and said[right][0].file != first.file
        if right != region and not is_told:
            other = _error(places, catalog, right, said[right][0], "")
            where = f"{other.file}:{other.line}"
            problem = f'found "{region}", and "{right}" in {where}; are these one region?'
            yield _error(places, catalog, region, first, problem)
        has_prefixes = first.file == 0
        for file, others in enumerate(of_others):
            if any(one.file != file for one in said[region]) and not (file == 0 and has_prefixes):
                others.append(region)


def _regions(catalog: Catalog) -> Mapping[str, Sequence[_Said]]:
    """Where each region stands first in each file that names it, in the order of the files."""
    said: defaultdict[str, dict[int, _Said]] = defaultdict(dict)
    for i, region in enumerate(pc.unique(catalog.prefixes["region"]).to_pylist()):
        said[region][0] = _Said(0, (i,))
    for i, app in enumerate(catalog.apps):
        for j, match in enumerate(app.matches):
            if match.region is not None:
                said[match.region].setdefault(1, _Said(1, (i, j)))
    for i, endpoint in enumerate(catalog.endpoints):
        said[endpoint.region].setdefault(2, _Said(2, (i,)))
    return {region: tuple(files.values()) for region, files in said.items()}


def _error(
    places: Places, catalog: Catalog, region: str, said: _Said, problem: str
) -> CatalogError:
    match _FILES[said.file]:
        case "prefixes.csv":
            row = int(pc.index(catalog.prefixes["region"], region).as_py())
            return places.in_prefixes(catalog.prefixes, row, "region", problem)
        case "apps.toml":
            return places.in_apps(("app", said.at[0], "match", said.at[1], "region"), problem)
        case _:
            return places.endpoints[said.at[0]].error("region", problem)
