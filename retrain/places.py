"""The place in a text that something is asked of, marked within the text: it goes where the text goes."""

from collections.abc import Sequence

from retrain.spans import tokens

__all__ = ["SIDES", "beside", "mark", "unmark"]

SIDES = ("before", "after")

_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
"""Code points that Unicode keeps from being characters of any text."""


def mark(text: str, start: int, end: int) -> str:
    """Mark the characters from `start` to before `end`; below 0 where the place is unknown."""
    text = text.replace(_OPEN, " ").replace(_CLOSE, " ")
    return text if start < 0 else f"{text[:start]}{_OPEN}{text[start:end]}{_CLOSE}{text[end:]}"


def unmark(marked: str) -> tuple[str, int, int]:
    """Return the text, and the start and end of its place; -1 and -1 where there is none."""
    before, _, rest = marked.partition(_OPEN)
    inside, closed, after = rest.partition(_CLOSE)
    if not closed:  # either alone was there before anything was marked
        return marked, -1, -1
    return before + inside + after, len(before), len(before) + len(inside)


def beside(marked: str, side: str, reach: int) -> str:
    """The nearest `reach` words and signs on one of `SIDES`, with spaces between; "" without a place."""
    text, start, end = unmark(marked)
    if start < 0:
        return ""
    part = text[:start] if side == "before" else text[end:]
    words: Sequence[str] = [part[first:last] for first, last in tokens(part)]
    return " ".join(words[-reach:] if side == "before" else words[:reach])
