"""Seals of journal lines: each one vouches for its line and for all lines before it. Pure.

A seal is a hash over the seal before it and the line's own bytes. A line that is changed, moved,
repeated or taken out breaks the chain, there and not later. It shows accidents and careless hands;
who may write the file can also seal it anew.

Lines of versions that wrote no seals stand at the head of a journal. Their seals are computed and
not written; the first line that has one vouches for them too.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

# Of SHA-256, in hex: two lines with the same seal will not be met.
_DIGITS: Final = 32
_SEALED: Final = re.compile(rb', "seal": "([0-9a-f]{%d})"\}\Z' % _DIGITS)
# How much of the end of a sealed line shows its seal.
TAIL_BYTES: Final = _DIGITS + 13


@dataclass(frozen=True)
class Mark:
    """The end of a line: how many bytes of the journal end there, and the seal up to there.

    seal: empty before the first line, and where only the offset is known.
    """

    offset: int = 0
    seal: str = ""


BEGINNING: Final = Mark()


def seal_after(seal: str, body: bytes) -> str:
    """The seal of a line. seal: of the line before; body: the line as it is without its own."""
    return hashlib.sha256(seal.encode() + b"\n" + body).hexdigest()[:_DIGITS]


def put_seal(body: bytes, seal: str) -> bytes:
    """A JSON object with the seal as its last member."""
    return b'%s, "seal": "%s"}' % (body.removesuffix(b"}"), seal.encode())


def split_seal(line: bytes) -> tuple[bytes, str]:
    """A line, or the end of one, as it is without its seal, and the seal; empty where it has none.

    A newline at the end is of no account. Text inside a line cannot look like a seal: JSON escapes
    its quotes.
    """
    whole = line.removesuffix(b"\n")
    found = _SEALED.search(whole, max(0, len(whole) - TAIL_BYTES))
    if found is None:
        return whole, ""
    return whole[: found.start()] + b"}", found[1].decode()
