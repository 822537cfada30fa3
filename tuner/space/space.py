"""SearchSpace: which configurations exist, and how one is checked, drawn, mended, listed and encoded."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from tuner.errors import ParamsError
from tuner.experiment import Value
from tuner.space import building
from tuner.space.checking import checked
from tuner.space.conditions import Condition
from tuner.space.constraints import Constraint
from tuner.space.counting import enumerate_space, size_of
from tuner.space.documents import constraint_to_dict, param_to_dict, parts_from_dict
from tuner.space.forbids import Forbids
from tuner.space.groups import Group
from tuner.space.params import Param
from tuner.space.units import Unit

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SearchSpace"]

_DRAWS = 17
"""Draws that may meet a forbid before the search for an allowed combination takes over."""


class SearchSpace:
    """Parameters with their conditions, and the constraints between them. Never changes once built.

    Every configuration that `sample`, `repair`, `defaults` and `enumerate` return is valid by construction:
    sums are met, orders kept, forbidden combinations left, and only active parameters are present, as plain
    Python values in the order of `names`.

    Args:
        params: the parameters, in any order.
        constraints: `Sum`, `Increasing` and `Forbid` over them. The names in one Sum or Increasing share
            the same `when`; a name stands in only one Sum or Increasing.

    Raises:
        SpaceError: the declarations contradict each other, the given defaults break a constraint, or no
            configuration is valid. Says which.
    """

    def __init__(self, params: Iterable[Param], constraints: Iterable[Constraint] = ()) -> None:
        built = building.build(params, constraints)
        self.params: Mapping[str, Param] = MappingProxyType(built.params)
        self.names: tuple[str, ...] = tuple(built.params)
        self.constraints: tuple[Constraint, ...] = built.constraints
        self.conditions: Mapping[str, Condition] = built.conditions
        self.order: tuple[str, ...] = built.order
        self.units: tuple[Unit, ...] = built.units
        self.forbids: Forbids | None = built.forbids
        self._groups: tuple[Group, ...] = tuple(unit.group for unit in built.units if unit.group is not None)
        self._in_order = [name for unit in self.units for name in unit.names] == list(self.names)
        self._defaults = self.active({name: param.default for name, param in self.params.items()})

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"SearchSpace({list(self.params.values())!r}, {list(self.constraints)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchSpace) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[Any, ...]:
        return (SearchSpace, (list(self.params.values()), list(self.constraints)))

    @cached_property
    def _text(self) -> str:
        return json.dumps(self.to_dict())

    # ---- checking

    def defaults(self) -> dict[str, Value]:
        """The default configuration: valid, active parameters only."""
        return dict(self._defaults)

    def validate(self, config: Mapping[str, Any]) -> dict[str, Value]:
        """Return the configuration in plain Python values of the declared types, in the order of `names`.

        Whole floats become ints and ints floats where declared so; numpy scalars become plain; a bool is
        never a number. Every active parameter must be there and no inactive one.

        Raises:
            ParamsError: `problems` lists every fault, with "did you mean".
        """
        return checked(self, config)

    def contains(self, config: Mapping[str, Any]) -> bool:
        """Whether `validate` would accept the configuration."""
        try:
            checked(self, config)
        except ParamsError:
            return False
        return True

    def complete(self, partial: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> dict[str, Value]:
        """Fill in the active parameters that `partial` leaves out.

        They come from `base` where it has them, else they are the defaults. What was given stands: nothing
        is re-balanced, and parameters of `base` that become inactive are dropped.

        Raises:
            ParamsError: the result is not valid; `problems` lists every fault.
        """
        return checked(self, partial, fill=base or {})

    def broken(self, values: Mapping[str, Any]) -> list[str]:
        """Return sentences on the constraints that these active, checked values break.

        A Sum or Increasing of which a member is missing is not judged.
        """
        problems = [
            group.problem(values) for group in self._groups if all(name in values for name in group.names)
        ]
        for forbid in self.forbids.violated(values) if self.forbids is not None else ():
            shown = ", ".join(f"{name} = {values[name]!r}" for name in forbid.names)
            problems.append(f"This combination is forbidden: {shown}.")
        return [problem for problem in problems if problem]

    def active(self, config: Mapping[str, Any]) -> dict[str, Value]:
        """Only the active parameters of `config`, in the order of `names`. Nothing else is checked."""
        values: dict[str, Value] = {}
        for name in self.order:
            condition = self.conditions.get(name)
            if name in config and (condition is None or condition.holds(values)):
                values[name] = config[name]
        return self.ordered(values)

    def ordered(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return the same values in the order of `names`."""
        return {name: values[name] for name in self.names if name in values}

    # ---- making

    def sample(self, rng: "np.random.Generator") -> dict[str, Value]:
        """Draw one valid configuration.

        Each parameter is uniform over its values on its own scale (log where log); a Sum is uniform over what
        meets it, an Increasing over what is in order (details: `SumGroup`, `IncreasingGroup`). A draw that
        meets a forbid is drawn anew, so that the rest stays uniform; after 16 in a row the nearest allowed
        configuration is searched for instead, so that it never starves.
        """
        for _ in range(_DRAWS):
            values = self.draw(rng)
            if self.forbids is None or not self.forbids.violated(values):
                return values if self._in_order else self.ordered(values)
        return self._escape(self.draw(rng, inactive=True))

    def draw(self, rng: "np.random.Generator", *, inactive: bool = False) -> dict[str, Value]:
        """One draw, which may be forbidden; with a value for inactive parameters, too, where wanted."""
        values: dict[str, Value] = {}
        for unit, u in zip(self.units, rng.random(len(self.units)).tolist(), strict=True):
            if inactive or unit.is_active(values):
                if unit.group is None:
                    values[unit.names[0]] = unit.params[0].from_unit(u)
                else:
                    values.update(zip(unit.names, unit.group.draw(rng), strict=True))
        return values

    def _escape(self, wanted: Mapping[str, Value]) -> dict[str, Value]:
        """Return the allowed configuration near `wanted`, which has a value for inactive parameters, too."""
        assert self.forbids is not None
        found = self.forbids.escape(wanted)
        assert found is not None  # a space without any valid configuration cannot be built
        reached = set(self.forbids.names)
        return self.active({**{name: wanted[name] for name in self.names if name not in reached}, **found})

    def repair(self, config: Mapping[str, Any]) -> dict[str, Value]:
        """Return the valid configuration nearest to `config`; never fails.

        Numbers are clipped and snapped to their step; sums are projected (Euclidean, within bounds), orders
        mended by isotonic regression; unknown and inactive parameters are dropped; missing and senseless
        ones take their default; a forbidden combination is left by moving the fewest parameters, each to
        its nearest value.
        """
        values: dict[str, Value] = {}
        for unit in self.units:
            if unit.is_active(values):
                values |= unit.nearest(config)
        if self.forbids is None or not self.forbids.violated(values):
            return self.ordered(values)
        for unit in self.units:
            if unit.names[0] not in values:
                values |= unit.nearest(config)
        return self._escape(values)

    def size(self) -> int | None:
        """Number of configurations; None where a parameter is continuous or there are more than 10**6."""
        return self._size

    @cached_property
    def _size(self) -> int | None:
        return size_of(self)

    def enumerate(self) -> Iterator[dict[str, Value]]:
        """Yield every configuration of a finite space, in a fixed order.

        Raises:
            SpaceError: a parameter is continuous.
        """
        return enumerate_space(self)

    # ---- encoding and documents

    @cached_property
    def columns(self) -> Mapping[str, slice]:
        """Which columns of the encoding belong to each parameter."""
        columns, start = {}, 0
        for param in self.params.values():
            columns[param.name] = slice(start, start + param.n_dims)
            start += param.n_dims
        return MappingProxyType(columns)

    @cached_property
    def n_dims(self) -> int:
        """Columns of the encoding: one for each number, one for each choice."""
        return sum(param.n_dims for param in self.params.values())

    def encode(self, configs: Sequence[Mapping[str, Any]]) -> "np.ndarray":
        """Return an (n, n_dims) float array in the unit cube, for valid configurations.

        Numbers at their place between low and high (in log where log), categories one-hot, inactive
        parameters at the place of their default.
        """
        import numpy as np

        codes = np.empty((len(configs), self.n_dims))
        for name, columns in self.columns.items():
            param = self.params[name]
            codes[:, columns] = param.encode([config.get(name, param.default) for config in configs])
        return codes

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of this space (see `tuner.space.documents`)."""
        return {
            "params": [param_to_dict(param) for param in self.params.values()],
            "constraints": [constraint_to_dict(constraint) for constraint in self.constraints],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Build a space from its JSON document, or from the TOML form of retrain.toml.

        Raises:
            SpaceError: it declares no space; says which key.
        """
        return cls(*parts_from_dict(document))

    @classmethod
    def of(cls, given: Any, constraints: Iterable[Constraint] = ()) -> Self:
        """Build a space from whatever declares one, in our words or in another tool's.

        Args:
            given: a SearchSpace; its document; or parameters by name, each a parameter of ours, a dictionary
                such as {"type": "loguniform", "lower": 0.01, "upper": 0.3}, a domain of Ray Tune, a
                distribution of Optuna or scipy, a dimension of scikit-optimize, a list of choices, a
                (low, high) tuple, or a constant (see `tuner.space.foreign`).
            constraints: further ones, over its parameters.

        Raises:
            SpaceError: something in it declares no parameter; says which.
        """
        from tuner.space.foreign.mixed import params_of

        more = list(constraints)
        if isinstance(given, SearchSpace):
            return cls(given.params.values(), [*given.constraints, *more])
        if isinstance(given, Mapping) and "params" in given and given.keys() <= {"params", "constraints"}:
            params, stored = parts_from_dict(given)
            return cls(params, [*stored, *more])
        return cls(params_of(given), more)
