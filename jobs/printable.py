"""Text that does to a terminal nothing but stand there."""


def printable(text: str) -> str:
    """Escape control characters, all but line feeds: a name must not write to the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
