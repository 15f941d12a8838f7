"""The version of a catalog: a hash of its parsed parts that can alter a counted row."""

import hashlib
import json
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from v6share.schemas.catalog.models import (
    PREFIX_COLUMNS,
    Catalog,
    Declared,
)
from v6share.schemas.settings import Settings

_FORMAT: Final = "v6share catalog 1"


def catalog_version(
    catalog: Catalog, settings: Settings, client_key_id: str, dialects_digest: str
) -> str:
    """SHA-256 (hex) of the parsed parts that can alter a counted row.

    Products, endpoints, targets, names, owners, roles, sites and declared facts of networks only
    describe, so they are left out. The order of apps and of their matches decides, so it stays;
    the order of all else does not, so it is sorted away.
    """
    parts = {
        "format": _FORMAT,
        "apps": [[a.id, a.product, [_plain(m) for m in a.matches]] for a in catalog.apps],
        "networks": sorted(
            [n.network, n.kind, n.client_prefix_v4, n.client_prefix_v6] for n in catalog.networks
        ),
        "exporters": sorted(
            [
                *(e.exporter, e.vantage, e.sampling_interval or 0, e.override, e.directions),
                *([] if e.active_timeout is None else [e.active_timeout]),
            ]
            for e in catalog.exporters
        ),
        "transition": {
            name: sorted({str(prefix) for prefix in prefixes})
            for name, prefixes in catalog.transition
        },
        "prefixes": _digest_of_rows(catalog.prefixes),
        "settings": [_plain(settings.sampling), _plain(settings.time)],
        "client_key": client_key_id,
        "dialects": dialects_digest,
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(model: Declared | Any) -> Any:
    return model.model_dump(mode="json")


def _digest_of_rows(prefixes: pa.Table) -> str:
    """SHA-256 over the rows in an order of their own: their order in the file does not matter."""
    columns = [prefixes[name].combine_chunks() for name in PREFIX_COLUMNS.required]
    # A prefix stands once, or in equal rows: its own text orders the rows.
    order = pa.array(np.argsort(_order_keys(columns[0])))
    rows = pc.binary_join_element_wise(*columns, "\x1f").take(order)
    text = pc.binary_join(pa.LargeListArray.from_arrays([0, len(rows)], rows), "\n")
    return hashlib.sha256(text.buffers()[2] or b"").hexdigest()


def _order_keys(texts: pa.StringArray) -> NDArray[np.uint64]:
    """One number a text, mixed from all its bytes; equal text, equal number.

    Any total order serves, and numbers sort five times faster than 650,000 texts. Should two
    different texts ever share a number, the file's order shows: a needless new version, no more.
    """
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    starts, lengths = offsets[:-1].astype(np.int64), np.diff(offsets)
    size = int(offsets[-1])
    padded = np.zeros(size + 8, np.uint8)
    if size:
        padded[:size] = np.frombuffer(texts.buffers()[2], np.uint8, size)
    words = np.ndarray((size + 1,), "<u8", padded, strides=(1,))
    masks = np.array([(1 << 8 * kept) - 1 for kept in range(9)], np.uint64)
    keys = np.zeros(len(texts), np.uint64)
    for at in range(0, int(lengths.max(initial=0)), 8):
        word = words[np.minimum(starts + at, size)] & masks[np.clip(lengths - at, 0, 8)]
        keys = (keys ^ word) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(32)
    return keys
