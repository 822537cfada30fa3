"""The capped simplex {y : 0 <= y_i <= cap_i, sum(y) = total}: projection onto it and uniform draws from it.

Plain Python floats throughout: it is called once per configuration with a handful of numbers, where arrays
cost more than they save. `0 <= total <= sum(caps)` is the caller's to ensure.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["draw", "project"]


def project(point: Sequence[float], caps: Sequence[float], total: float) -> list[float]:
    """Return the point of the capped simplex nearest to `point` (Euclidean).

    It is clip(point - tau, 0, caps) with the one tau that meets the total. The sum is piecewise linear and
    falling in tau, with a kink where a coordinate reaches or leaves a bound: the kinks are walked in order.
    """
    kinks: list[tuple[float, int]] = []
    for value, cap in zip(point, caps, strict=True):
        kinks.append((value - cap, -1))  # below this tau the coordinate sits on its cap
        kinks.append((value, 1))  # above it, on zero
    kinks.sort()
    level, slope, tau = math.fsum(caps), 0, kinks[0][0]
    for kink, turn in kinks:
        reached = level + slope * (kink - tau)
        if reached < total:
            break
        level, tau = reached, kink
        slope += turn
    if slope < 0:
        tau += (total - level) / slope
    return _settle([min(max(v - tau, 0.0), cap) for v, cap in zip(point, caps, strict=True)], caps, total)


def _settle(values: list[float], caps: Sequence[float], total: float) -> list[float]:
    """Spread what rounding left over the coordinates that have room for it, in place."""
    rest = total - math.fsum(values)
    for i, cap in enumerate(caps):
        if rest == 0.0:
            break
        moved = min(max(values[i] + rest, 0.0), cap)
        rest -= moved - values[i]
        values[i] = moved
    return values


def draw(rng: "np.random.Generator", caps: Sequence[float], total: float) -> list[float]:
    """Draw from the capped simplex.

    Where no cap bites, normalised exponentials (a flat Dirichlet) are exactly uniform. Where one does, a
    chain of pairwise exchanges starts from their projection: two coordinates at a time share their sum
    anew, uniformly within their caps. Each exchange leaves the uniform distribution unchanged, and on the
    simplex n log n of them forget the start (A. Smith, "A Gibbs sampler on the n-simplex", Annals of
    Applied Probability 24(1), 2014); four times as many are made.
    """
    room = math.fsum(caps)
    if total > room / 2:  # the mirror image is as uniform, and its caps bite less
        mirrored = _draw_lower(rng, caps, max(room - total, 0.0))
        return _settle([cap - value for cap, value in zip(caps, mirrored, strict=True)], caps, total)
    return _draw_lower(rng, caps, total)


def _draw_lower(rng: "np.random.Generator", caps: Sequence[float], total: float) -> list[float]:
    n = len(caps)
    if n == 1:
        return _settle([total], caps, total)
    weights = rng.standard_exponential(n).tolist()
    scale = total / math.fsum(weights)
    values = [weight * scale for weight in weights]
    if all(value <= cap for value, cap in zip(values, caps, strict=True)):
        return _settle(values, caps, total)
    values = project(values, caps, total)
    n_exchanges = 4 * n * math.ceil(math.log(n) + 1)
    firsts = rng.integers(0, n, n_exchanges).tolist()
    gaps = rng.integers(1, n, n_exchanges).tolist()
    for i, gap, u in zip(firsts, gaps, rng.random(n_exchanges).tolist(), strict=True):
        j = (i + gap) % n
        both = values[i] + values[j]
        least, most = max(0.0, both - caps[j]), min(caps[i], both)
        values[i] = least + u * (most - least)
        values[j] = both - values[i]
    return _settle([min(max(v, 0.0), cap) for v, cap in zip(values, caps, strict=True)], caps, total)
