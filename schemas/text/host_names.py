"""Names of hosts, as clients and collectors write them: brought to one form.

A Host header has a port, a name may have the root's dot, userinfo, capitals, or letters beyond
ASCII (IDNA, RFC 3490). What cannot be read so stays as it is, in lower case.
"""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_LABELS: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_LONGEST: Final = 253
_PORT: Final = re.compile(r":(\d+)/?$", re.ASCII)


def host_of(text: str) -> str:
    """The host that a text names: lower case, IDNA in ASCII, no port, userinfo or last dot."""
    text = text.strip()
    if text.count(":") > 1 and not any(mark in text for mark in ("[", "@", "/")):
        return text.lower()  # an address, whose last part is no port
    try:
        named = urlsplit(text if "://" in text else f"//{text}").hostname
    except ValueError:  # brackets that do not close
        named = None
    return _in_ascii(named or text)


def _in_ascii(name: str) -> str:
    name = name.lower().rstrip(".")
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def host_pattern(text: str) -> str:
    """A host name that others are compared with, as ``host_of`` writes theirs; ``*.`` may lead.

    Raises ValueError for what no host can have, with what to write instead.
    """
    name = text.strip()
    star = "*." if name.startswith("*.") else ""
    pattern = _in_ascii(name.removeprefix(star))
    if _is_host(pattern):
        return star + pattern
    host = host_of(name)
    star = "*." if host.startswith(("*.", ".")) else ""
    host = host.removeprefix("*.").removeprefix(".")
    if "*" in host:
        raise ValueError('a * stands at the beginning alone, as in "*.example.com"')
    if host == pattern or not _is_host(host):
        raise ValueError('expected the name of a host, such as "www.example.com"')
    port = _PORT.search(name)
    raise ValueError(f'write "{star}{host}"' + (f" and port = {port[1]}" if port else ""))


def _is_host(name: str) -> bool:
    if len(name) <= _LONGEST and _LABELS.fullmatch(name):
        return True
    try:
        ip_address(name)  # of HTTP, where a client asked for no name
    except ValueError:
        return False
    return True


def bare_address(text: str) -> str:
    """The address in a text: without brackets, a zone, or the length of a prefix of one host."""
    text = text.strip().removeprefix("[").removesuffix("]")
    text, _, _ = text.partition("%")
    length = "/128" if ":" in text else "/32"
    return text.removesuffix(length)
