"""Spans of characters within texts: tokens, what tokens say put together, and how well spans are met."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["Span", "join_tokens", "match", "span_scores", "tokens"]

Span = tuple[int, int]
"""First character, and the one after the last."""

_TOKEN = re.compile(r"\w+|[^\w\s]")


def tokens(text: str) -> list[Span]:
    """The words and signs of a text, in order."""
    return [found.span() for found in _TOKEN.finditer(text)]


def join_tokens(found: Sequence[Span], inside: Iterable[bool]) -> tuple[Span, ...]:
    """Put neighbouring tokens that are inside together: the spans, in order."""
    spans: list[Span] = []
    open_span = False
    for (start, end), is_inside in zip(found, inside, strict=True):
        if is_inside:
            spans[-1:] = [(spans[-1][0], end)] if open_span else [*spans[-1:], (start, end)]
        open_span = bool(is_inside)
    return tuple(spans)


def match(truth: Sequence[Span], said: Sequence[Span]) -> tuple[float, float, float]:
    """Precision, recall and F1 of the characters of the spans of one text.

    Where there is nothing to find, all are 1 for who finds nothing, and else 0; who finds nothing of
    something has 0. This is the F1 of character offsets of Da San Martino et al. 2019 (Fine-Grained Analysis
    of Propaganda), as SemEval-2021 task 5 (Pavlopoulos et al. 2021, Toxic Spans Detection) took it.
    """
    true, found = _characters(truth), _characters(said)
    if not true or not found:
        same = float(true == found)
        return same, same, same
    n = len(true & found)
    return n / len(found), n / len(true), 2 * n / (len(true) + len(found))


def _characters(spans: Sequence[Span]) -> set[int]:
    return {character for start, end in spans for character in range(start, end)}


def span_scores(truth: Sequence[Sequence[Span]], said: Sequence[Sequence[Span]]) -> np.ndarray:
    """`match` of each of n >= 1 texts: (n, 3). Their means are the macro scores."""
    return np.array([match(*pair) for pair in zip(truth, said, strict=True)])
