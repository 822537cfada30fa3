"""Designs around a baseline: which parameters move, how far, and in which combinations."""

from collections.abc import Iterator, Mapping
from itertools import combinations, product, zip_longest
from math import floor, gcd, prod

from tuner.experiment import Params, Value
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace, Sum
from tuner.space.values import typed

__all__ = ["PAIR", "SINGLE", "Block", "Moves", "RadiusDesign"]

Moves = Mapping[str, Value]
"""The values that some parameters move to; the others stay at the baseline, or make room for them."""

Block = tuple[str, Iterator[Moves]]
"""A part of a design: its name, and its moves in order."""

SINGLE = "one at a time"
PAIR = "pair"

_N_LEVELS = 81
_GOLDEN = 0.618


class RadiusDesign:
    """What can be tried within one radius of the baseline.

    Args:
        baseline: a valid configuration of `space`.
        radius: the share of its baseline value by which a numeric parameter moves at most. A value of 0 moves
            by that share of its range.
        least_steps: an integer or a stepped parameter moves by as many steps at least.
    """

    def __init__(self, space: SearchSpace, baseline: Params, radius: float, *, least_steps: int = 1) -> None:
        self.radius, self._least_steps = radius, least_steps
        self._space, self._baseline = space, baseline
        self._sums = [c for c in space.constraints if isinstance(c, Sum) and set(c.names) <= set(baseline)]
        ladders = {name: self._ladder(name) for name in baseline}
        self._ladders = {name: ladder for name, ladder in ladders.items() if len(ladder) > 1}
        # The last of each sum takes up what the others leave, so it is no choice of its own.
        dependent = {c.names[-1] for c in self._sums}
        self._free = [name for name in self._ladders if name not in dependent]

    def blocks(self, most: int) -> Iterator[Block]:
        """One product of at most `most` where that is possible, else single moves, corners and pairs."""
        if 2 ** len(self._free) <= most + 1:
            yield "product", self._product(most + 1)
            return
        yield SINGLE, self._single_moves()
        yield "corner", self._corners(mirrored=False)
        yield "corner", self._corners(mirrored=True)
        yield PAIR, self._pairs()

    def apply(self, moves: Moves) -> Params:
        """The valid configuration that these moves lead to; in a sum, those that do not move make room."""
        config = {**self._baseline, **moves}
        for constraint in self._sums:
            self._keep_sum(config, constraint, moves)
        return self._space.repair(config)

    def _keep_sum(self, config: dict[str, Value], constraint: Sum, moves: Moves) -> None:
        moved = [name for name in constraint.names if name in moves]
        if not moved:
            return
        rest = [name for name in constraint.names if name not in moves] or moved
        total = sum(_number(config[name]) for name in rest)
        wanted = constraint.equals - sum(_number(config[name]) for name in moved if name not in rest)
        for name in rest:
            config[name] = _number(config[name]) * wanted / total if total else wanted / len(rest)
        # Every point between the baseline and here keeps the sum: come back until all are within the radius.
        offsets = {name: _number(config[name]) - _number(self._baseline[name]) for name in constraint.names}
        share = min([1.0, *(self._reach(name) / abs(by) for name, by in offsets.items() if by)])
        for name, by in offsets.items():
            config[name] = _number(self._baseline[name]) + share * by

    def _reach(self, name: str) -> float:
        """How far a numeric parameter may move from its baseline value, steps and bounds aside."""
        param = self._space.params[name]
        assert isinstance(param, FloatParam | IntParam)
        value = _number(self._baseline[name])
        return self.radius * (abs(value) if value else float(param.high - param.low))

    def _ladder(self, name: str) -> list[Value]:
        """Every value that a parameter may take here: ascending, or for categories the baseline's first."""
        param, value = self._space.params[name], self._baseline[name]
        if isinstance(param, CategoricalParam):
            start = param.index_by_key[typed(value)]
            return [*param.choices[start:], *param.choices[:start]]
        number, reach = _number(value), self._reach(name)
        if param.step is not None:
            n_steps = max(self._least_steps, floor(reach / param.step + 1e-9))
            stride = max(1, 2 * n_steps // _N_LEVELS)
            strides = {n_steps, *range(0, n_steps + 1, stride)}
            values = [number + param.step * k for up in strides for k in {up, -up}]
        else:
            low, high = max(number - reach, param.low), min(number + reach, param.high)
            values = [low + (high - low) * k / (_N_LEVELS - 1) for k in range(_N_LEVELS)]
        kept = sorted({float(f"{v:.12g}") for v in values if param.low <= v <= param.high} | {number})
        return [round(v) for v in kept] if isinstance(param, IntParam) else list(kept)

    def _alternatives(self, name: str) -> list[Value]:
        """Where a parameter moves alone: up and down, or to each other category."""
        ladder, value = self._ladders[name], self._baseline[name]
        if isinstance(self._space.params[name], CategoricalParam):
            return ladder[1:]
        return [end for end in (ladder[-1], ladder[0]) if end != value]

    def _levels(self, name: str, n: int) -> list[Value]:
        """`n` of the values of a parameter: spread evenly, or the first `n` categories."""
        ladder = self._ladders[name]
        if isinstance(self._space.params[name], CategoricalParam):
            return ladder[:n]
        return [ladder[round(k * (len(ladder) - 1) / (n - 1))] for k in range(n)]

    def _product(self, most: int) -> Iterator[Moves]:
        """The product with the most levels, spread as evenly over the parameters as `most` allows."""
        n_levels = dict.fromkeys(self._free, 2)
        growing = list(self._free)
        while growing:
            name = min(growing, key=n_levels.__getitem__)
            size = prod(n_levels.values()) // n_levels[name] * (n_levels[name] + 1)
            if n_levels[name] < len(self._ladders[name]) and size <= most:
                n_levels[name] += 1
            else:
                growing.remove(name)
        cells = list(product(*(self._levels(name, n) for name, n in n_levels.items())))
        for index in _spread(len(cells)):
            yield dict(zip(self._free, cells[index], strict=True))

    def _single_moves(self) -> Iterator[Moves]:
        per_name = [[{name: value} for value in self._alternatives(name)] for name in self._ladders]
        for nth_of_each in zip_longest(*per_name):
            yield from (moves for moves in nth_of_each if moves is not None)

    def _corners(self, *, mirrored: bool) -> Iterator[Moves]:
        """Every parameter at one of two levels, balanced: the rows of a Hadamard matrix (Sylvester 1867).

        In the mirrored half (the foldover) every parameter takes its other level.
        """
        n_rows = 1 << len(self._free).bit_length()
        for row in range(n_rows):
            signs = [(row & (column + 1)).bit_count() % 2 == mirrored for column in range(len(self._free))]
            yield {name: self._levels(name, 2)[up] for name, up in zip(self._free, signs, strict=True)}

    def _pairs(self) -> Iterator[Moves]:
        for one, other in combinations(self._free, 2):
            for a, b in product(self._alternatives(one)[:2], self._alternatives(other)[:2]):
                yield {one: a, other: b}


def _number(value: Value) -> float:
    """The number that a numeric parameter holds."""
    assert isinstance(value, int | float)
    return value


def _spread(n: int) -> Iterator[int]:
    """Every index below `n` once, in golden-section strides, so that any first part covers the whole."""
    stride = max(1, round(_GOLDEN * n))
    while gcd(stride, n) > 1:
        stride += 1
    return (index * stride % n for index in range(n))
