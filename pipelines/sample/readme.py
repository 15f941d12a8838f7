"""The README that lies in every sample."""

from collections.abc import Collection
from datetime import date
from textwrap import fill

from v6share.pipelines.sample import story


def readme_text(
    flows: int, seed: int, start: date, days: int, kinds: Collection[str], reasons: int
) -> str:
    """What is in the directory and how it was made.

    kinds: of its files. reasons: for how many rows of it must be rejected.
    """
    apps, products, networks = len(story.APPS), len(story.PRODUCTS), len(story.NETWORKS)
    return f"""# A rollout in small

Made by `v6share sample DIR --flows {flows} --seed {seed} --start {start} --days {days}`.
The same arguments give the same bytes. Everything in here is fictional.

| folder | what it is |
|---|---|
| `flows/` | flow records as routers export them: Parquet, IPFIX names (dialect `ipfix`) |
| `catalog/` | what the operator knows: {apps} apps, {products} products, {networks} networks |
| `truth/` | what was planted, to compare the KPIs with |

Look at it: `v6share inspect flows/NAME.parquet`. Count it: `v6share run flows/` in this folder.

## The story
Five pilot apps first, then product after product and region after region, then the share of the
top apps climbs over 90 %. On the way: an endpoint enabled late (mail in Europe), one never
(archive in South America, so 26 of 27 products), one enabled but silent (identity in the Middle
East), one not due yet (GPU training in Europe), an app whose IPv6 breaks for two weeks and
recovers only partly (Attic Drive), an app whose catalog rules forgot IPv6 (Margin Notes), a
network without IPv6 (fixed-old), NAT64 and 464XLAT (mobile-b), and small amounts of tunnels,
overlays, RDMA and SRv6.

## The files
One file per exporter group and about three weeks. Two forms: `mobile`, `probe` and `core` hold
addresses as 16 bytes and times as integers, `fixed` and `datacenter` as text and timestamps.
{_odd(kinds, reasons)}

| exporter group | samples | shows |
|---|---|---|
| mobile | 1 in 1000 | subscriber ids |
| fixed | 1 in 1000, 4000 and 100 | the last one says its interval only in the catalog |
| probe | every packet | round-trip times, retransmissions, unanswered opens |
| datacenter | 1 in 100 and 256 | the partner's records say 1, which the catalog overrides |
| core | 1 in 4000 | part of the mobile traffic again; vantage `core` feeds no KPI |

Sampling is real: packets were drawn one by one, flows without a drawn packet are missing.

## The truth
- `files.json`: per file, exactly: rows, sampled packets and bytes, scaled ones, per family;
  rejected rows per reason; SHA-256.
- `traffic.parquet`: true flows, opens, packets, bytes at the edge, before sampling, per day, app,
  client region, network, family and class. Compare within the interval of the KPI.
- `endpoints.parquet`: the same per month, app, product, service region, family and class.
- `clients_1d.parquet`, `clients_30d.parquet`: distinct clients among the exported records,
  exactly (network empty: all networks together; 30 days ending at `as_of`).
- `story.json`: the last final day, ranking, IPv6 share per week, stage 1 as planted.
"""


def _odd(kinds: Collection[str], reasons: int) -> str:
    """What is odd about the files. A short or small sample has no room for all of it."""
    late = "`*-late` was held back by a broken link" if "late" in kinds else ""
    copy = "`*-copy` is the same file twice (counted once)" if "copy" in kinds else ""
    different = "reason" if reasons == 1 else "different reasons"
    lost = f"some rows must be rejected, for {reasons} {different}" if reasons else ""
    *before, last = list(filter(None, (late, copy, lost))) or ["Nothing about them is odd"]
    return fill(f"{', '.join(before)}{', and ' if before else ''}{last}.", 96)
