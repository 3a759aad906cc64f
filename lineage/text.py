"""Text of others, such as keys of objects, as people may be shown it."""

__all__ = ["visible"]


def visible(text: str) -> str:
    r"""On one line, with what ends it, hides, turns letters or steers a terminal spelled out.

    >>> visible("raw/a\nb\x1b.csv")
    'raw/a\\nb\\x1b.csv'
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
