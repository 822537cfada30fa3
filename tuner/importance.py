"""Which hyperparameters mattered, in which direction, how sure that is, and what going on may bring.

Shares are total-effect Sobol indices (Homma and Saltelli 1996) by Jansen's estimator (1999): what part of the
variance of the value over the space would be gone if all but this parameter were known. They are taken of
draws of a model of the whole space, so that their spread says what the experiments leave open.

Weights that sum to one cannot be moved one alone. Where one is drawn anew the others keep their proportions:
on an even simplex these are independent of it (Connor and Mosimann 1969), so that its index is one of
independent inputs. One of an order is drawn between its neighbours.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from tuner.experiment import Direction, Observation, Params, Value
from tuner.gain import expected_gain
from tuner.generators.alone import on_one_thread
from tuner.generators.bayesian import BayesianGenerator
from tuner.generators.bayesian.columns import row_values
from tuner.generators.bayesian.rows import Rows
from tuner.generators.bayesian.surrogate import Array, Surrogate
from tuner.insight import NOTHING, Importance, Insight
from tuner.space import CategoricalParam, SearchSpace
from tuner.space.params import NumericParam

__all__ = ["importances", "insight_of"]

_N_POINTS = 1000
"""Of one draw: base rows and as many again for every parameter."""
_N_LEAST, _N_MOST = 16, 64
_N_ROUNDS = 4
_N_ROWS, _N_STOPS = 48, 9
_N_SUCCESSES = 10
_QUANTILES = (0.1, 0.9)
_SURE = 0.75
_LEAST_VARIANCE = 1e-12


def insight_of(
    space: SearchSpace,
    finished: Iterable[Observation],
    *,
    direction: Direction | str,
    pending: Sequence[Params] = (),
    seed: int = 0,
    gain: bool = True,
) -> Insight:
    """Learn what finished experiments of one study say.

    Args:
        space: of the study.
        finished: comparable ones: of the same data, code and metric.
        direction: of the metric.
        pending: what waits or runs, and so is no gain of further experiments.
        seed: of the draws; equal results give an equal insight.
        gain: whether to say what going on may bring, too.
    """
    generator = BayesianGenerator(space, seed=seed, direction=direction)
    generator.tell(finished, pending)
    with on_one_thread():
        found = tuple(importances(generator, seed=seed))
        belief = generator.learned()
        n = 0 if belief is None else belief.n_successes
        if not found or not gain:
            return Insight(n, found, None)
        return Insight(n, found, expected_gain(generator, np.random.default_rng([seed, 5])))


def importances(generator: BayesianGenerator, *, seed: int = 0) -> list[Importance]:
    """Of every parameter that has more than one value, the most important first.

    Args:
        generator: told what is finished; fewer than ten successes say nothing, nor do results that are all
            the same, and the list is empty.
        seed: of the draws; equal results give equal importances.
    """
    belief = generator.learned()
    if belief is None or belief.n_successes < _N_SUCCESSES:
        return []
    rng = np.random.default_rng([seed, 4])
    space = generator.space
    names = {j: name for j, name in enumerate(space.names) if space.params[name].n_values != 1}
    model = generator.overview()
    if model is None:
        return []
    rows = Rows(space, seed)
    shares = _shares(generator, model, rows, list(names), rng)
    if not len(shares):
        return []
    active = _n_active(generator)
    found = []
    for (j, name), of in zip(names.items(), shares.T, strict=True):
        low, share, high = (float(each) for each in np.quantile(of, [_QUANTILES[0], 0.5, _QUANTILES[1]]))
        high += (1 - high) * _left_open(len(names), active[name])
        trend, best = _effect(generator, model, rows, j, rng)
        found.append(
            Importance(name, share, low, high, trend if low > NOTHING else "", best, high <= NOTHING)
        )
    return sorted(found, key=lambda each: (-each.share, each.name))


def _n_active(generator: BayesianGenerator) -> Counter[str]:
    """In how many successes each parameter was active."""
    results = generator.history.results(generator.direction)
    return Counter(name for each in results if each.loss is not None for name in each.params)


def _left_open(n_params: int, n: int) -> float:
    """What part of the rest a parameter may still do, whatever the likely models say.

    They hardly look for an effect that `n` results (those in which it was active) do not ask for: where the
    truth is outside of what they say, it is above. So the upper end has n_params / n**2 of the rest besides,
    such as 12.5 % of it with 8 results in 8 parameters, 2 % with 20 and 0.3 % with 50. Measured, not derived
    (`benchmarks/insight.py`).
    """
    return min(1.0, n_params / n**2) if n else 1.0


def _shares(
    generator: BayesianGenerator, model: Surrogate, rows: Rows, which: Sequence[int], rng: np.random.Generator
) -> Array:
    """(n_members, len(which)) total effects: a draw of each member of the model, in rounds of other rows."""
    n = int(np.clip(_N_POINTS // (len(which) + 1), _N_LEAST, _N_MOST))
    found = []
    for i in range(_N_ROUNDS):
        base, anew = rows.redrawn(n, rng)
        at = generator.encode_rows(np.vstack([base, *anew[which]]))
        for member in model.members[i::_N_ROUNDS]:
            values = member.drawn(at, rng).reshape(-1, n)
            variance = float(values.var())
            if variance > _LEAST_VARIANCE:
                found.append(((values[1:] - values[0]) ** 2).mean(axis=1) / (2 * variance))
    return np.asarray(np.clip(np.array(found), 0.0, 1.0))


def _effect(
    generator: BayesianGenerator, model: Surrogate, rows: Rows, j: int, rng: np.random.Generator
) -> tuple[str, Value]:
    """Where on its scale a parameter is best on average, by each likely model, and what most of them say."""
    param = list(generator.space.params.values())[j]
    stops = _stops(param)
    places = row_values(param, stops)
    at = rows.placed(_N_ROWS, j, places, rng)
    if (at == at[0]).all():  # hardly ever active, or held where it is by its tie
        return "", param.default
    flat = generator.encode_rows(at.reshape(-1, at.shape[-1]))
    curves = np.array(
        [member.predict(flat)[0].reshape(len(stops), -1).mean(axis=1) for member in model.members]
    )
    best = stops[int(curves.mean(axis=0).argmin())]
    if isinstance(param, CategoricalParam):
        return "", best
    ends: dict[int, str] = {0: "lower", len(stops) - 1: "higher"}
    said = [ends.get(int(curve.argmin()), "inner") for curve in curves]
    trend = max(sorted(set(said)), key=said.count)
    return (trend if said.count(trend) >= _SURE * len(said) else ""), best


def _stops(param: NumericParam | CategoricalParam) -> list[Value]:
    if isinstance(param, CategoricalParam):
        return list(param.choices)
    stops: list[Value] = []
    for place in np.linspace(0, 1, _N_STOPS):
        value = param.from_unit(float(place))
        if value not in stops:
            stops.append(value)
    return stops
