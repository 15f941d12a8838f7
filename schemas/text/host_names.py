"""Names of hosts, as clients and collectors write them: brought to one form.

A Host header has a port, a name may have the root's dot, userinfo, capitals, or letters beyond
ASCII (IDNA, RFC 3490). What cannot be read so stays as it is, in lower case.
"""

from urllib.parse import urlsplit


def host_of(text: str) -> str:
    """The host that a text names: lower case, IDNA in ASCII, no port, userinfo or last dot."""
    text = text.strip()
    if text.count(":") > 1 and not any(mark in text for mark in ("[", "@", "/")):
        return text.lower()  # an address, whose last part is no port
    try:
        named = urlsplit(text if "://" in text else f"//{text}").hostname
    except ValueError:  # brackets that do not close
        named = None
    host = (named or text).lower().rstrip(".")
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def bare_address(text: str) -> str:
    """The address in a text: without brackets, a zone, or the length of a prefix of one host."""
    text = text.strip().removeprefix("[").removesuffix("]")
    text, _, _ = text.partition("%")
    length = "/128" if ":" in text else "/32"
    return text.removesuffix(length)
