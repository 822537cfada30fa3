"""What callers hand over is looked at before anything is done with it."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from tuner.errors import UsageError

__all__ = ["insist", "listed"]

T = TypeVar("T")


def insist(rule: str, kind: type[T], given: Any, remedy: str) -> T:
    """What was given, which is of this kind.

    Args:
        rule: what must hold, in the words of the message.
        kind: its class.
        given: what was handed over.
        remedy: what to write instead.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(given, kind):
        raise UsageError(f"{rule}, but got {_brief(given)}.", remedy)
    return given


def listed(rule: str, kind: type[T], given: Any, remedy: str) -> tuple[T, ...]:
    """The items of a list, or of anything else that can be iterated over, which are all of this kind.

    Raises:
        UsageError: it is no list, or one of its items is something else.
    """
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        raise UsageError(f"{rule}, but got {_brief(given)}.", remedy)
    items = tuple(given)
    for item in items:
        if not isinstance(item, kind):
            raise UsageError(f"{rule}, but one of them is {_brief(item)}.", remedy)
    return items


def _brief(given: object) -> str:
    from tuner.space.values import brief  # which needs what needs this module

    return brief(given)
