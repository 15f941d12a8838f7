"""Text that is longer than there is room for."""


def cut(text: str, width: int) -> str:
    """The text, or as much of its beginning as ``width`` characters hold, and three dots."""
    return text if len(text) <= width else f"{text[: width - 3]}..."
