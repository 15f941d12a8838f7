"""How many there are of something, in words for people."""


def counted(number: int, word: str) -> str:
    """``1 file``, ``1,234 files``. word: in the singular, of those that take an s."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
