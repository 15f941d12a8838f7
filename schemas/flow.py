"""The canonical flow: the one table of its columns, whatever collector wrote them.

``Columns`` is the table: a field is a column, and says all that the project knows of it. From it
come the keys of ``[columns]`` and ``[reverse]`` in a dialect file, the types that a source column
may have, how normalise reads a plain column and what the reverse direction has in it, and the
tables of ``docs/dialects.md``.

The table is a pydantic class, not a list of rows from which classes are built: it reads like any
other class, and it is what a dialect file is read into. So pydantic finds unknown keys, and the
type checker knows what ``columns.start`` is. What pydantic has no use for stands beside each
type, in ``Annotated``.

The arrays that kernels read are typed fields of ``FlowBatch`` (``kernels/flow_batch.py``), which
cannot be made from here: a type checker must see them, and nothing here may load numpy. The two
cannot drift: normalise fills the fields of the plain columns from this table, which fails where
one of either is missing, and a test compares the types.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated, Final

from v6share.schemas.source_kinds import (
    Addresses,
    AppIds,
    DialectPart,
    Exporters,
    Families,
    Flags,
    Form,
    Hosts,
    Numbers,
    Protocols,
    Texts,
    Times,
)

# A larger number is garbage; and two that are not can be added in 64 bits.
_NO_GARBAGE: Final = 2**62


class InReverse(Enum):
    """What a column holds for the other direction of a record that counts both (a biflow).

    The values are what the page of dialects says. OWN and REQUIRED columns are the keys of
    ``[reverse]``.
    """

    SAME = "the same"
    SWAPPED = "that of the other end"
    OWN = "`[reverse]`"
    REQUIRED = "`[reverse]`, required"
    NOTHING = "nothing"


# Short, so that a row of the table is a line.
_SAME: Final = InReverse.SAME
_SWAPPED: Final = InReverse.SWAPPED
_OWN: Final = InReverse.OWN
_REQUIRED: Final = InReverse.REQUIRED
_NOTHING: Final = InReverse.NOTHING


@dataclass(frozen=True)
class FlowColumn:
    """What is said of a column.

    unit: of its values in a batch, whatever it is in the file.
    largest: a number above it, or below 0, counts as absent; of flags, higher bits are dropped.
    name, form: filled in from the field at which this stands.
    """

    meaning: str
    reverse: InReverse
    unit: str = ""
    largest: int | None = None
    name: str = ""
    form: Form = Form.TEXT

    @property
    def limit(self) -> int:
        """``largest``, for whoever reads numbers. Raises ValueError where nothing is said."""
        if self.largest is None:
            raise ValueError(f"{self.name}: expected `largest`, to tell numbers from garbage")
        return self.largest


@dataclass(frozen=True)
class Special(FlowColumn):
    """A column that has a step of its own in normalise."""


@dataclass(frozen=True)
class Plain(FlowColumn):
    """A column that becomes the field of its name in ``FlowBatch``, with no step of its own.

    An absent number is -1, an absent text null. In a file without such a column the field is
    None; with ``always`` it is -1, or the text "", in every row, so that kernels need not ask.
    """

    always: bool = False

    @property
    def bits(self) -> int:
        """The width of its numbers: of 16, 32 and 64 bits, the smallest that holds them signed."""
        return next(bits for bits in (16, 32, 64) if self.limit < 2 ** (bits - 1))

    @property
    def other_end(self) -> str:
        """The column that says the same of the other end of the flow: ``dst_x`` for ``src_x``."""
        here, there = ("src_", "dst_") if self.name.startswith("src_") else ("dst_", "src_")
        return there + self.name.removeprefix(here)


class Columns(DialectPart):
    """Every canonical column, and the sources that one dialect has for it.

    Sources stand best first; the first with a value wins, row by row.
    """

    start: Annotated[Times, Special("start of the flow", _OWN, "ms")] = ()
    end: Annotated[Times, Special("end of the flow", _OWN, "ms")] = ()
    duration: Annotated[
        Times, Special("from start to end, where one of these is missing", _OWN, "ms")
    ] = ()
    export: Annotated[
        Times, Special("when the record was exported, else received", _SAME, "ms")
    ] = ()
    received: Annotated[Times, Special("when the collector received it", _SAME, "ms")] = ()
    src: Annotated[Addresses, Special("source address", _SWAPPED)] = ()
    dst: Annotated[Addresses, Special("destination address", _SWAPPED)] = ()
    outer_src: Annotated[Addresses, Special("source in the outer header", _SAME)] = ()
    outer_dst: Annotated[Addresses, Special("destination in the outer header", _NOTHING)] = ()
    outer_protocol: Annotated[
        Protocols, Special("protocol of the outer header", _SAME, largest=255)
    ] = ()
    family: Annotated[Families, Special("IP version, where addresses leave it open", _SAME)] = ()
    protocol: Annotated[
        Protocols, Special("IP protocol; 0 is missing but in IPv6", _SAME, largest=255)
    ] = ()
    src_port: Annotated[Numbers, Plain("source port", _SWAPPED, largest=0xFFFF, always=True)] = ()
    dst_port: Annotated[
        Numbers, Plain("destination port", _SWAPPED, largest=0xFFFF, always=True)
    ] = ()
    tcp_flags: Annotated[Flags, Plain("TCP flags", _OWN, largest=0x1FF, always=True)] = ()
    packets: Annotated[Numbers, Special("packets of this record", _REQUIRED, "packets")] = ()
    octets: Annotated[Numbers, Special("bytes of this record", _REQUIRED, "bytes")] = ()
    total_packets: Annotated[
        Numbers, Special("packets since the flow began", _NOTHING, "packets")
    ] = ()
    total_octets: Annotated[Numbers, Special("bytes since the flow began", _NOTHING, "bytes")] = ()
    active_timeout: Annotated[
        Numbers,
        Special("after how long a connection is reported anew", _SAME, "s", largest=604_800),
    ] = ()
    forwarding_status: Annotated[
        Numbers, Special("IPFIX 89: dropped, forwarded or consumed", _SAME, largest=255)
    ] = ()
    src_as: Annotated[Numbers, Plain("AS of the source", _SWAPPED, largest=2**32 - 1)] = ()
    dst_as: Annotated[Numbers, Plain("AS of the destination", _SWAPPED, largest=2**32 - 1)] = ()
    exporter: Annotated[
        Exporters, Plain("router or collector that made the record", _SAME, always=True)
    ] = ()
    server_name: Annotated[Hosts, Plain("server name that the client asked for", _SAME)] = ()
    app_name: Annotated[Texts, Plain("application, as the exporter names it", _SAME)] = ()
    app_id: Annotated[AppIds, Plain("application, as the exporter numbers it", _SAME)] = ()
    subscriber: Annotated[Texts, Plain("subscriber behind the client", _SAME)] = ()
    rtt_client_us: Annotated[
        Numbers, Plain("round-trip time to the client", _NOTHING, "us", largest=_NO_GARBAGE)
    ] = ()
    rtt_server_us: Annotated[
        Numbers, Plain("round-trip time to the server", _NOTHING, "us", largest=_NO_GARBAGE)
    ] = ()
    retransmits: Annotated[
        Numbers, Plain("TCP packets sent again", _NOTHING, "packets", largest=_NO_GARBAGE)
    ] = ()


def _rows() -> Iterator[FlowColumn]:
    for name, field in Columns.model_fields.items():
        (column,) = (said for said in field.metadata if isinstance(said, FlowColumn))
        (form,) = (said for said in field.metadata if isinstance(said, Form))
        yield replace(column, name=name, form=form)


# The table by the names of its columns, in order.
FLOW_COLUMNS: Final = {column.name: column for column in _rows()}
PLAIN_COLUMNS: Final = tuple(c for c in FLOW_COLUMNS.values() if isinstance(c, Plain))
