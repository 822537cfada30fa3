"""What every declaration of a parameter has: a name, and perhaps a condition."""

import re
from collections.abc import Mapping
from typing import Any

from tuner.errors import SpaceError
from tuner.experiment import Value
from tuner.space.values import brief, plain

__all__ = ["When", "check_name", "checked_when", "listed"]

When = Mapping[str, Any]
"""`{parent: [values]}`: active when every parent is active and holds one of its values.

A single value needs no list. Once checked, each entry is a tuple of plain values.
"""

_NAME = re.compile(r"[^\W\d][\w.\-:/]*")


def check_name(name: object) -> None:
    """Refuse what could not stand in a file, a flag or a table as a name.

    Raises:
        SpaceError: it does not start with a letter, or holds more than letters, digits and _ . - : /
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpaceError(
            "A parameter's name must start with a letter and hold only letters, digits and _ . - : /, "
            f"but got {brief(name)}."
        )


def listed(values: object) -> tuple[Value, ...]:
    """Return one value, or a list of them, as a tuple of plain values."""
    several = values if isinstance(values, list | tuple | set | frozenset) else (values,)
    return tuple(plain(value) for value in several)


def checked_when(name: str, when: When | None) -> dict[str, tuple[Value, ...]] | None:
    """Return a condition in its one form, or None where there is none.

    Raises:
        SpaceError: it is no table, or lists no value of a parent.
    """
    if when is None:
        return None
    if not isinstance(when, Mapping):
        raise SpaceError(
            f"`when` of {name!r} must be a table such as {{parent = [values]}}, but got {brief(when)}."
        )
    checked = {parent: listed(values) for parent, values in when.items()}
    for parent, values in checked.items():
        if not values:
            raise SpaceError(
                f"`when` of {name!r} must list a value of {parent!r}: {name!r} would never be active.",
                f"Name at least one value of {parent!r}.",
            )
    return checked or None
