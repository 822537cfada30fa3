"""CategoricalParam: one of a few values that have no order."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tuner.errors import SpaceError, did_you_mean
from tuner.experiment import Value
from tuner.space.declaring import When, check_name, checked_when
from tuner.space.values import brief, is_array, is_number, plain, show, type_name, typed

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CategoricalParam"]


class _Unset:
    """The default that was not given; None cannot say so, since it may be a choice."""

    def __repr__(self) -> str:
        return "UNSET"


_UNSET = _Unset()


@dataclass(frozen=True)
class CategoricalParam:
    """One of `choices`: strings, numbers, booleans or None, told apart by type (1, 1.0, True and "1" differ).

    Args:
        name: what the pipeline calls it.
        choices: at least one, all different.
        default: the first choice when not given. None means None where that is a choice.
        when: `{parent: [values]}`: exists only where the parents hold these values.

    Raises:
        SpaceError: the choices are empty, repeated or not plain values, or the default is none of them.
    """

    name: str
    choices: Sequence[Value]
    _: KW_ONLY
    default: Any = _UNSET
    when: When | None = field(default=None, hash=False)
    default_given: bool = field(init=False, repr=False, compare=False)

    kind: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        check_name(self.name)
        self._settle("choices", self._checked_choices())
        self._settle("when", checked_when(self.name, self.when))
        default = plain(self.default)
        given = default is not _UNSET and (default is not None or typed(None) in self.index_by_key)
        self._settle("default_given", given)
        value, problem = self.check(default) if given else (self.choices[0], "")
        if problem:
            raise SpaceError(f"The default must be a value of the parameter: {problem}")
        self._settle("default", value)

    def _settle(self, attribute: str, value: object) -> None:
        object.__setattr__(self, attribute, value)

    def _checked_choices(self) -> tuple[Value, ...]:
        given = self.choices
        if isinstance(given, str | bytes | Mapping) or not (isinstance(given, Sequence) or is_array(given)):
            raise SpaceError(f"`choices` of {self.name!r} must be a list of values, but got {brief(given)}.")
        choices = tuple(self._checked_choice(choice) for choice in given)
        if not choices:
            raise SpaceError(
                f"`choices` of {self.name!r} must hold at least one value, but the list is empty."
            )
        if len({typed(choice) for choice in choices}) != len(choices):
            raise SpaceError(f"`choices` of {self.name!r} must all differ, but got {show(choices)}.")
        return choices

    def _checked_choice(self, given: object) -> Value:
        choice: object = plain(given)
        if choice is None or isinstance(choice, bool):
            return choice
        if isinstance(choice, str):
            return str(choice)
        if isinstance(choice, int):
            return int(choice)
        if isinstance(choice, float) and math.isfinite(choice):
            return float(choice)
        raise SpaceError(
            f"`choices` of {self.name!r} must be strings, finite numbers, booleans or null, "
            f"but got {brief(given)}.",
            "Name the choice with a string and let the pipeline translate it.",
        )

    @cached_property
    def index_by_key(self) -> dict[tuple[type, Value], int]:
        """Index of each choice, by its `typed` key."""
        return {typed(choice): index for index, choice in enumerate(self.choices)}

    @property
    def n_values(self) -> int:
        """How many choices there are."""
        return len(self.choices)

    def at(self, index: int) -> Value:
        """Return choice number `index`."""
        return self.choices[index]

    def nearest(self, value: object) -> Value:
        """Return the choice itself; the default for anything else."""
        found, problem = self.check(value)
        choice: Value = self.default if problem else found
        return choice

    def check(self, value: object) -> tuple[Any, str]:
        """Return the choice and "", or None and a sentence on what is wrong."""
        choice = plain(value)
        try:
            index = self.index_by_key.get(typed(choice))
        except TypeError:  # a list or a table cannot even be looked up
            index = None
        if index is not None:
            return self.choices[index], ""
        return None, (
            f"{self.name!r} must be one of {show(self.choices)}, but got {brief(choice)} "
            f"({type_name(choice)}).{self._hint(choice)}"
        )

    def _hint(self, value: object) -> str:
        written = value[:200] if isinstance(value, str) else brief(value)
        for choice in self.choices:
            if str(choice) == written or (is_number(value) and is_number(choice) and choice == value):
                return f" Did you mean {choice!r} ({type_name(choice)})?"
        return did_you_mean(written, [choice for choice in self.choices if isinstance(choice, str)])

    def from_unit(self, u: float) -> Value:
        """Map u in [0, 1) to a choice, each with the same chance."""
        return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]

    def to_unit(self, value: Value) -> float:
        """Return the middle of the positions that `from_unit` maps to a choice."""
        return (self.index_by_key[typed(value)] + 0.5) / len(self.choices)

    @property
    def n_dims(self) -> int:
        """Columns of the encoding: one for each choice."""
        return len(self.choices)

    def encode(self, values: Sequence[Value]) -> "np.ndarray":
        """Return an (n, n_choices) one-hot array."""
        import numpy as np

        index = self.index_by_key
        codes = np.zeros((len(values), len(self.choices)))
        codes[np.arange(len(values)), [index[(value.__class__, value)] for value in values]] = 1.0
        return codes
