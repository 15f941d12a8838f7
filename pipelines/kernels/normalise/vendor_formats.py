"""How collectors write TCP flags, application ids and exporters."""

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa

from v6share.pipelines.kernels.normalise.column_values import decimal_number, is_bytes, plain_text
from v6share.schemas.source_kinds import NOBODY
from v6share.schemas.text.host_names import bare_address, host_of

_FLAGS: Final = {
    "fin": 1,
    "syn": 2,
    "rst": 4,
    "psh": 8,
    "ack": 16,
    "urg": 32,
    "ece": 64,
    "cwr": 128,
    "ns": 256,
}
_FLAG_LETTERS: Final = {name[0]: bit for name, bit in _FLAGS.items() if name != "ns"}


def flag_bit(name: str) -> int:
    """The bit of a TCP flag's name; 0 for a name that nobody knows."""
    return _FLAGS.get(name.strip().lower(), 0)


def flags_of(text: str) -> int | None:
    """TCP flags in decimal, in hexadecimal with 0x, or as letters: ``...AP.SF``."""
    number = decimal_number(text)
    if number is not None:
        return number
    word = text.strip().lower()
    if word.startswith("0x"):
        try:
            return int(word, 16)
        except ValueError:
            return None
    if word.strip(".fsrpauec"):
        return None
    return sum(_FLAG_LETTERS[letter] for letter in set(word) - {"."})


def sparing(
    read: Callable[[Any], str | None], missing: Sequence[int | str]
) -> Callable[[Any], str | None]:
    """``read``, but None for the texts that mean "none"."""
    nothing = {str(m) for m in missing}

    def spared(value: Any) -> str | None:
        text = read(value)
        return None if text in nothing else text

    return spared if nothing else read


def text_reader(_: pa.DataType) -> Callable[[Any], str | None]:
    """How text is read that collectors write in one way only, whatever its type."""
    return _somebody


def _somebody(value: Any) -> str | None:
    """A text, but for those that stand for nobody."""
    text = plain_text(value)
    return None if text is None or text.strip().casefold() in NOBODY else text


def host_reader(_: pa.DataType) -> Callable[[Any], str | None]:
    """How names of hosts are read."""
    return _host


def _host(value: Any) -> str | None:
    text = _somebody(value)
    return None if text is None else host_of(text) or None


def app_id_reader(kind: pa.DataType) -> Callable[[Any], str | None]:
    """How application ids of this type are read."""
    return _app_id_of_bytes if is_bytes(kind) else plain_text


def _app_id_of_bytes(value: bytes) -> str | None:
    """RFC 6759: one byte of engine, then the selector, as ``13:1234``."""
    if not any(value):
        return None
    return f"{value[0]}:{int.from_bytes(value[1:], 'big')}"


def exporter_reader(kind: pa.DataType) -> Callable[[Any], str | None]:
    """How exporters of this type are read."""
    return _exporter_of_bytes if is_bytes(kind) else _exporter_text


def _exporter_of_bytes(value: bytes) -> str | None:
    if len(value) not in (4, 16):
        return plain_text(value)
    # No router has the address of a whole prefix, nor one below ::1:0 but for the loopback: these
    # are IPv4 addresses in a column of 16 bytes, with zeros behind them or before them.
    if len(value) == 16 and any(value[:4]) and not any(value[4:]):
        value = value[:4]
    elif len(value) == 16 and not any(value[:12]) and any(value[12:14]):
        value = value[12:]
    return _shortest(ipaddress.ip_address(value))


def _exporter_text(value: Any) -> str | None:
    """An exporter as the catalog writes it: an address in its shortest form, else the text."""
    if isinstance(value, int):
        return _shortest(ipaddress.IPv4Address(value & 0xFFFFFFFF))
    text = plain_text(value)
    try:
        return _shortest(ipaddress.ip_address(bare_address(text or "")))
    except ValueError:
        return text


def _shortest(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return None if int(address) == 0 else str(address)
