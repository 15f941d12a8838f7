"""Paths whose bytes are no UTF-8: the system allows them, text in files and tables does not."""


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
