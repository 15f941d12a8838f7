"""The canonical flow batch: what every dialect becomes and every later kernel reads.

Arrays of equal length, one entry a flow. Addresses are 128 bits in two uint64 halves, host
order; IPv4 is held as ``::ffff:a.b.c.d`` (RFC 4291, 2.5.5.2), so 0.0.0.0 is ``::ffff:0:0``; an
absent address is ``::``. Where a column is unknown for the whole batch it is None.

Numbers by which kernels look things up (rows, places, groups, exporters, clients) are unsigned: a
negative index counts from the end, and to ask for it at every access halves a kernel's speed.

A compiled kernel does not check an index: one that is too large reads or writes other memory. So
nothing that a file holds is an index as it stands. What a row is looked up by is either given out
by this program (rows, places, groups, exporters, clients, verdicts, classes), or in bounds because
of where it is made:

- ``Coded.codes``: ``bounds.check_batch`` compares the codes of a file with their dictionaries when
  a batch is read; all other codes are made here, value by value.
- ``family``, ``underlay``: written from addresses and from the rules of dialects, never copied.
- ``protocol``, ``tcp_flags``: narrowed to 255 and to nine bits, or -1; a kernel masks a protocol.
- offsets of text: in ``bounds.check_batch``, too, so that there is one a row and one more; and
  each kernel compares them with the bytes there are.
- times: days and windows are computed only for rows that ``measure`` counts, whose times lie
  between 1990 and 9999 and whose duration has a limit; tables grow with them.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

U8: TypeAlias = NDArray[np.uint8]
U16: TypeAlias = NDArray[np.uint16]
U32: TypeAlias = NDArray[np.uint32]
U64: TypeAlias = NDArray[np.uint64]
I16: TypeAlias = NDArray[np.int16]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
Bool: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Coded:
    """Text as codes into distinct values; code -1 is null. Values are distinct within a batch."""

    codes: I32
    values: tuple[str, ...]


@dataclass(frozen=True)
class FlowBatch:
    """One batch of flows in canonical form.

    The fields named as plain columns of the canonical flow are described where those stand, in
    ``schemas/flow.py``; so are the columns that the others come from.

    family: index into ``FAMILIES``, of the outermost IP header.
    underlay: index into ``UNDERLAYS``: the outer header's family where the record shows an outer
        and an inner header; addresses, protocol and ports are then the inner ones.
    outer_protocol: protocol number of that outer header; -1 unknown.
    outer_dst_hi, outer_dst_lo: its destination, as the other addresses.
    start_ms, end_ms: Unix milliseconds, [start, end); start = end is a moment.
    faults: bit i set = ``REJECT_REASONS[i]`` applies; the lowest set bit is the reason. A batch
        carries what the record alone shows; settings and catalog add theirs later.
    packets, octets: as exported; 0 where absent or not a number, negative as found.
    packets_beyond, octets_beyond: those from 2^63 to 2^64 - 1, which stand as 0 in the former; 0
        elsewhere.
    layer2_octets: bytes per packet to subtract for layer-3 bytes.
    sampling_num, sampling_den: the interval N = num / den, reduced; num = 0 is unknown. Without
        a den it is 1.
    pre_scaled: counters are scaled already by whoever wrote the file.
    protocol: -1 is absent.
    exported_ms, received_ms: when the record was; MISSING (``times``) where not said.
    continued: the start is that of a connection, and the counters are those since it was last
        reported. active_timeout_ms: how long ago that may be, 0 where the record does not tell.
    consumed: the router itself consumed the packet (forwardingStatus 11......).
    segment_routing: a segment routing header is shown (IANA elements 492-502).
    egress: observed on its way out (flowDirection (61) = 1).
    first_row, source_rows: where the flows stand in the file, rows counted from 0: one behind the
        other, or each where ``source_rows`` says.
    findings: named masks of rows that a reader should know of.
    input_findings: what a reader should know of the whole input.
    """

    src_hi: U64
    src_lo: U64
    dst_hi: U64
    dst_lo: U64
    family: U8
    start_ms: I64
    end_ms: I64
    faults: U16
    packets: I64
    octets: I64
    protocol: I16
    # The plain columns. None has a default: one that stands only here, or only in the table, is
    # then an error at the first batch.
    src_port: I32
    dst_port: I32
    tcp_flags: I16
    exporter: Coded
    server_name: Coded | None
    app_name: Coded | None
    app_id: Coded | None
    subscriber: Coded | None
    src_as: I64 | None
    dst_as: I64 | None
    rtt_client_us: I64 | None
    rtt_server_us: I64 | None
    retransmits: I64 | None
    # What few files show.
    underlay: U8 | None = None
    outer_protocol: I16 | None = None
    outer_dst_hi: U64 | None = None
    outer_dst_lo: U64 | None = None
    packets_beyond: U64 | None = None
    octets_beyond: U64 | None = None
    layer2_octets: I64 | None = None
    sampling_num: I64 | None = None
    sampling_den: I64 | None = None
    pre_scaled: Bool | None = None
    exported_ms: I64 | None = None
    received_ms: I64 | None = None
    continued: Bool | None = None
    active_timeout_ms: I64 | None = None
    consumed: Bool | None = None
    segment_routing: Bool | None = None
    egress: Bool | None = None
    first_row: int = 0
    source_rows: I64 | None = None
    findings: tuple[tuple[str, Bool], ...] = ()
    input_findings: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many flows."""
        return len(self.start_ms)

    def rows_in_file(self, flows: NDArray[np.intp]) -> I64:
        """The rows of the file that flows stand in, counted from 0."""
        return flows + self.first_row if self.source_rows is None else self.source_rows[flows]


def or_empty(column: NDArray[np.generic] | None, dtype: type) -> np.ndarray:
    """A column as a kernel takes it, which knows no None: shape (0,) where it is unknown."""
    return np.empty(0, dtype) if column is None else column
