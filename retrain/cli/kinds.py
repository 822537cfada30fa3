"""Kinds of values that options take."""

from typing import Any

import click

from tuner.errors import UsageError

__all__ = ["PREVIOUS", "AtLeast", "Duration", "Size", "VersionNumber"]

PREVIOUS = "previous"


class AtLeast(click.ParamType[int]):
    """A whole number, `least` or more, that a registry can store."""

    name = "integer"

    def __init__(self, least: int) -> None:
        self.least = least

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """Return the number; a usage error where it is none."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number.", parameter, context)
        if number < self.least:
            self.fail(f"it must be at least {self.least}, but got {number}.", parameter, context)
        if number >= 2**63:
            self.fail(f"it must fit into 64 bits, but got {number}.", parameter, context)
        return number


class Duration(click.ParamType[float]):
    """Seconds: `90`, `90s`, `10m` or `1h`.

    Args:
        zero: whether no time at all means something.
    """

    name = "duration"

    def __init__(self, *, zero: bool = False) -> None:
        self.zero = zero

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """Return the seconds; a usage error where it is no duration."""
        from retrain.durations import parse_duration

        if isinstance(value, float):
            return value
        try:
            seconds = parse_duration(str(value), "it")
        except UsageError as error:
            self.fail(str(error), parameter, context)
        if not seconds and not self.zero:
            self.fail(
                f"it must be more than 0, since nothing is done in no time, but got {value!r}.",
                parameter,
                context,
            )
        return seconds


class Size(click.ParamType[int]):
    """An amount of memory in bytes: `500MB`, `2GB` or `2GiB`."""

    name = "size"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """Return the bytes; a usage error where it is no amount of memory."""
        from retrain.sizes import parse_size

        try:
            return value if isinstance(value, int) else parse_size(str(value), "it")
        except UsageError as error:
            self.fail(str(error), parameter, context)


class VersionNumber(click.ParamType[int | str]):
    """`3`, `v3` or `000003`; None for the one before the present one."""

    name = "version"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> int | str:
        """Return the number, or the word for the version before; a usage error for anything else."""
        if value == PREVIOUS:
            return PREVIOUS
        digits = str(value).removeprefix("v")
        if not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 2**63):
            self.fail(f"{value!r} is not the number of a version, such as 3.", parameter, context)
        return int(digits)
