"""The options that a user of another tool gives to one of our methods."""

from collections.abc import Mapping
from typing import Any

from tuner.errors import UsageError

__all__ = ["check_options"]


def check_options(tool: str, options: Mapping[str, Any], elsewhere: Mapping[str, str]) -> None:
    """Insist that no option says what the tool says itself.

    Args:
        tool: its name.
        options: what the user gave.
        elsewhere: what is said by the tool, each with what to write there.

    Raises:
        UsageError: one does.
    """
    for name, remedy in elsewhere.items():
        if name in options:
            raise UsageError(f"`{name}` is no option here, since {tool} says it.", remedy)
