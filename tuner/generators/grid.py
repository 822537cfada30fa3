# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""Grid search around the baseline: the full product where it is small, else 50 to 80 configurations.

The design is one fixed sequence that depends on the space, the baseline and the radius alone; `ask` walks
along it and leaves out what the study already has. Its first 50 to 80 configurations are the default. Who
asks for more gets the same design again at other radii, first within, then beyond the given one.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, count, islice
from typing import Any, ClassVar, NamedTuple

from tuner.errors import UsageError
from tuner.experiment import Direction, Params
from tuner.generators.design import PAIR, SINGLE, Moves, RadiusDesign
from tuner.generators.history import RememberingGenerator
from tuner.goals import NO_GOALS, Goals
from tuner.space import SearchSpace, config_key

__all__ = ["GridGenerator"]

_FEWEST, _MOST = 50, 80
_INNER_RINGS = (1.0, 0.5, 0.75, 0.25)
_N_OUTER_RINGS = 100


class _Step(NamedTuple):
    """One configuration of the design."""

    key: str
    params: Params
    reason: Mapping[str, Any]


class GridGenerator(RememberingGenerator):
    """Walks along a fixed design around the baseline.

    Args:
        radius: how far a numeric parameter moves, as a share of its baseline value, in (0, 1]; 0.1 is 10 %.
    """

    method: ClassVar[str] = "grid"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        direction: Direction | str = Direction.MINIMIZE,
        baseline: Params | None = None,
        n_asked: int = 0,
        goals: Goals = NO_GOALS,
        radius: float = 0.1,
    ) -> None:
        super().__init__(
            space, seed=seed, direction=direction, baseline=baseline, n_asked=n_asked, goals=goals
        )
        if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 < radius <= 1:
            raise UsageError(
                f"`0 < radius <= 1` must hold for the grid, but got {radius!r}.", "10 % is radius=0.1."
            )
        self.radius = float(radius)
        self._walked, self._rest = self._start()
        self._n_design = len(self._walked)

    def __getstate__(self) -> dict[str, Any]:
        """What pickle keeps: not the design, which is laid out again."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_walked", "_rest")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._walked, self._rest = self._start()

    def default_n(self) -> int:
        return sum(step.key not in self.history for step in self._walked[: self._n_design])

    def _next(self) -> tuple[Params, Mapping[str, Any]] | None:
        for index in count():
            if index == len(self._walked):
                step = next(self._rest, None)
                if step is None:
                    return None
                self._walked.append(step)
            key, params, reason = self._walked[index]
            if key not in self.history:
                return params, reason
        raise AssertionError("unreachable")

    def _start(self) -> tuple[list[_Step], Iterator[_Step]]:
        """The default design, and an iterator over everything that comes after it."""
        size = self.space.size()
        if size is not None and size <= _MOST:
            return list(self._full_product()), iter(())
        design: list[_Step] = []
        blocks = self._blocks()
        for block in blocks:
            design += islice(block, _MOST - len(design))
            if len(design) >= _FEWEST:
                return design, chain(block, chain.from_iterable(blocks))
        return design, iter(())

    def _blocks(self) -> Iterator[Iterator[_Step]]:
        """All blocks of all rings without repeats or the baseline; then the whole of a finite space."""
        seen = {_rough_key(self.baseline)}
        for ring in chain(_INNER_RINGS, range(2, 2 + _N_OUTER_RINGS)):
            n_before = len(seen)
            design = RadiusDesign(
                self.space, self.baseline, ring * self.radius, least_steps=max(1, int(ring))
            )
            for name, block in design.blocks(_MOST):
                yield _steps(design, name, block, seen)
            if ring > 1 and len(seen) == n_before:
                break
        if self.space.size() is not None:
            yield self._full_product()

    def _full_product(self) -> Iterator[_Step]:
        return (
            _Step(config_key(params), params, {"design": "full product"}) for params in self.space.enumerate()
        )


def _steps(design: RadiusDesign, name: str, block: Iterator[Moves], seen: set[str]) -> Iterator[_Step]:
    """The steps that a block of moves leads to, without those seen before; what it yields has been seen."""
    for moves in block:
        params = design.apply(moves)
        if (rough := _rough_key(params)) in seen:
            continue
        seen.add(rough)
        reason: dict[str, Any] = {"design": name, "radius": design.radius}
        if name in (SINGLE, PAIR):
            reason["moved"] = list(moves)
        yield _Step(config_key(params), params, reason)


def _rough_key(params: Params) -> str:
    """The same for configurations that differ by rounding only, such as two ways to one point of a sum."""
    return config_key({n: float(f"{v:.9g}") if isinstance(v, float) else v for n, v in params.items()})
