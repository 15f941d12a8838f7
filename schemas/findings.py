"""What a reader should know of the rows of an input: the names, and what each of them means.

Dialects may add names of their own. What a finding does to which KPI, and what to do about it,
stands in docs/findings.md.
"""

from typing import Final

from v6share.schemas.ledger import REJECT_REASONS

# Of a whole input: it has no such column, so every record is rejected for want of a counter.
NO_PACKETS_FINDING: Final = "no column of packets"
NO_BYTES_FINDING: Final = "no column of bytes"
EGRESS_FINDING: Final = "egress record"
TIME_FALLBACK: Final = "time fallback"
UNREADABLE_TIME: Final = "unreadable time"
TWO_FAMILIES: Final = "two address families"
OTHER_FAMILY: Final = "addresses of another family than told"
DOCUMENTATION: Final = "documentation address"
FEW_BYTES: Final = "fewer bytes than headers"
ODD_UNICAST: Final = "IPv6 outside unicast"
LARGE_INTERVAL: Final = "sampling interval over the limit"
SWAPPED_INTERVAL: Final = "sampling interval with swapped bytes"
SINCE_CONNECTION_START: Final = "counters of a longer connection"
MANY_PREFIXES: Final = "subscriber with many prefixes"
ROLLED_OVER: Final = "uptime rolled over"
ROWS_OF_ANOTHER: Final = "rows of another input"
_REJECTED: Final = "rejected: "

# Of counted rows, but for those of whole inputs and the last ones.
FINDING_MEANINGS: Final = {
    NO_PACKETS_FINDING: "the input has no column of packets; all its rows are rejected",
    NO_BYTES_FINDING: "the input has no column of bytes; all its rows are rejected",
    EGRESS_FINDING: "a flow that was observed on its way out, and counted",
    TIME_FALLBACK: "start or end is missing, and the other or the export time took its place",
    UNREADABLE_TIME: "a time that cannot be read, and was taken as missing",
    TWO_FAMILIES: "addresses of both families, and nothing tells which is the outer one",
    OTHER_FAMILY: "the addresses are of another family than version or ethertype say; they win",
    DOCUMENTATION: "an address that is for documentation only (RFC 5737, RFC 3849, RFC 9637)",
    FEW_BYTES: "fewer bytes than the IP headers of the packets take",
    ODD_UNICAST: "an IPv6 address outside 2000::/3, fc00::/7 and the prefixes of the catalog",
    LARGE_INTERVAL: "a sampling interval over the setting sampling.max_interval",
    SWAPPED_INTERVAL: "a sampling interval that is a usual one with its bytes in reverse order",
    SINCE_CONNECTION_START: "the start is the connection's, the counters are those since the last "
    "export, and nothing tells when that was",
    MANY_PREFIXES: "a subscriber that had two dozen prefixes or more in one input, so a text that "
    "stands for many",
    ROWS_OF_ANOTHER: "rows that another input holds as well, so that they count twice",
    ROLLED_OVER: "a time that is wrong by a multiple of 2^32 ms: a counter of uptime began anew",
    **{
        f"{_REJECTED}{reason}": f"rejected rows: {reason}; bytes are as exported"
        for reason in REJECT_REASONS
    },
}

# What can make a share wrong: doubtful in the view findings. The note of kpi_headline names these.
DOUBTFUL: Final = (
    TWO_FAMILIES,
    OTHER_FAMILY,
    FEW_BYTES,
    ODD_UNICAST,
    LARGE_INTERVAL,
    SWAPPED_INTERVAL,
    SINCE_CONNECTION_START,
    ROWS_OF_ANOTHER,
)
# What a run tells as soon as it is there; status shows the others, too. Rows of another input are
# told of each pair.
TOLD_BY_RUN: Final = (
    *(one for one in DOUBTFUL if one != ROWS_OF_ANOTHER),
    MANY_PREFIXES,
    ROLLED_OVER,
    UNREADABLE_TIME,
)


def rejected_finding(reason: str) -> str:
    """The name under which rows are found that were rejected for a reason."""
    return f"{_REJECTED}{reason}"
