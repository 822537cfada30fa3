"""What parameters have to do with one another: Sum, Increasing, Forbid. Declarations only.

How they are kept is in `sums`, `ordering` and `forbids`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuner.errors import SpaceError
from tuner.space.declaring import listed
from tuner.space.values import brief, is_number, plain, show

__all__ = ["Constraint", "Forbid", "Increasing", "Sum"]


def _checked_names(what: str, names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise SpaceError(f"`{what}` must list names of parameters, but got {brief(names)}.")
    checked = tuple(names)
    if len(checked) < 2 or not all(isinstance(name, str) for name in checked):
        raise SpaceError(f"`{what}` must name at least two parameters, but got [{show(checked)}].")
    if len(set(checked)) != len(checked):
        raise SpaceError(f"`{what}` must name each parameter once, but got [{show(checked)}].")
    return checked


@dataclass(frozen=True)
class Sum:
    """The parameters `names` add up to `equals`, within 1e-9 (relative where the total exceeds 1).

    Raises:
        SpaceError: fewer than two names, one twice, or a total that is no finite number.
    """

    names: Sequence[str]
    equals: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", _checked_names("sum", self.names))
        total = plain(self.equals)
        if not is_number(total) or not abs(total) <= 1e100:
            raise SpaceError(
                f"`equals` of the sum of {show(self.names)} must be a finite number, but got {brief(total)}."
            )
        object.__setattr__(self, "equals", float(total) + 0.0)

    def __str__(self) -> str:
        return f"{' + '.join(self.names)} = {self.equals!r}"


@dataclass(frozen=True)
class Increasing:
    """The parameters `names` strictly increase in the order given.

    Raises:
        SpaceError: fewer than two names, or one twice.
    """

    names: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", _checked_names("increasing", self.names))

    def __str__(self) -> str:
        return " < ".join(self.names)


@dataclass(frozen=True)
class Forbid:
    """Not all of these at once: `{name: value or [values]}`. A parameter that is inactive never matches.

    Raises:
        SpaceError: it names nothing, or a name has no value.
    """

    values: Mapping[str, Any] = field(hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.values, Mapping) or not self.values:
            raise SpaceError(
                "`forbid` must be a table such as {solver = 'x', penalty = ['y', 'z']}, "
                f"but got {brief(self.values)}."
            )
        checked = {name: listed(values) for name, values in self.values.items()}
        for name, values in checked.items():
            if not values:
                raise SpaceError(
                    f"`forbid` must list a value of {brief(name)}, but the list is empty.",
                    f"Name at least one value of {brief(name)}.",
                )
        object.__setattr__(self, "values", checked)

    def __str__(self) -> str:
        shown = (
            f"{name} = {brief(values[0])}" if len(values) == 1 else f"{name} in [{show(values)}]"
            for name, values in self.values.items()
        )
        return f"forbid {', '.join(shown)}"


Constraint = Sum | Increasing | Forbid
"""Any constraint."""
