"""Text that can be stored and shown, whatever a file's name or a record holds.

The system allows paths whose bytes are no UTF-8, and control characters in names. Text in files
and tables must be UTF-8, and a name must not write to the terminal.
"""


def is_utf8(path: str) -> bool:
    """Whether a path, as the system gives it, is text that can be stored."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(path: str) -> str:
    """A path as text that is valid UTF-8: bytes that are not show as backslash escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def printable(text: str) -> str:
    """Escape control characters, all but line feeds: a name must not write to the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def cut(text: str, width: int) -> str:
    """The text, or as much of its beginning as ``width`` characters hold, and three dots."""
    return text if len(text) <= width else f"{text[: width - 3]}..."
