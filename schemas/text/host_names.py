"""Names of hosts, as clients and collectors write them: brought to one form.

A Host header has a port, a name may have the root's dot, userinfo, capitals, or letters beyond
ASCII (IDNA, RFC 5891, mapped by UTS 46 as browsers do). What cannot be read so stays as it is, in
lower case.
"""

import re
from ipaddress import ip_address
from string import whitespace
from typing import Final
from urllib.parse import urlsplit

import idna

_LABELS: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_DOTS: Final = re.compile("[.\u3002\uff0e\uff61]")
_LONGEST: Final = 253
# An address with all that may stand around it.
_LONGEST_WITH_MORE: Final = 128
_IN_BRACKETS: Final = re.compile(r"\[([^\]]*)\](?::[0-9]{1,5}|(/[0-9]+))?")
_IPV4_AND_PORT: Final = re.compile(r"([0-9.]+):[0-9]{1,5}")
_WITH_ZONE: Final = re.compile(r"([^%/]*:[^%/]*)%[^%/]+")
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
        return ".".join(_label_in_ascii(label) for label in _DOTS.split(name))
    except UnicodeError:
        return name


def _label_in_ascii(label: str) -> str:
    return label if label.isascii() else idna.encode(label, uts46=True).decode("ascii")


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
    """The address in a text: without spaces, brackets, port, zone, or length of one address.

    ``[2001:db8::1]:443``, ``192.0.2.1:2055``, ``fe80::1%eth0``, ``192.0.2.1/32``. A port is one
    behind brackets or IPv4 alone, and with another length the text is a network; what is none of
    this stays as it is. The kernels for flows read by the same rules.
    """
    bare = text.strip(whitespace)
    if len(bare) > _LONGEST_WITH_MORE:
        return text
    in_brackets, with_port = _IN_BRACKETS.fullmatch(bare), _IPV4_AND_PORT.fullmatch(bare)
    if in_brackets and in_brackets[2] in (None, _host_length(in_brackets[1])):
        bare = in_brackets[1]
    elif with_port:
        return with_port[1]
    bare = bare.removesuffix(_host_length(bare))
    with_zone = _WITH_ZONE.fullmatch(bare)
    return with_zone[1] if with_zone else bare


def _host_length(address: str) -> str:
    return "/128" if ":" in address else "/32"
