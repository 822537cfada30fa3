"""Importances against total-effect indices that are known, and the expected gain against what came of it."""

import json
from dataclasses import replace
from math import log10

import numpy as np
import pytest

from tuner.experiment import Observation, Params
from tuner.generators.bayesian import BayesianGenerator
from tuner.importance import importances, insight_of
from tuner.insight import Importance, Insight
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace

SPACE = SearchSpace(
    [
        FloatParam("inner", 0, 1),
        FloatParam("falling", 0, 1),
        FloatParam("rate", 1e-5, 1, log=True),
        CategoricalParam("kind", ["a", "b", "c"]),
        FloatParam("idle", 0, 1),
        IntParam("idle_too", 1, 500, log=True),
    ]
)


def loss(params: Params) -> float:
    inner, falling, rate = (float(params[name] or 0) for name in ("inner", "falling", "rate"))
    kind = {"a": 0.0, "b": 0.4, "c": 0.1}[str(params["kind"])]
    return 3 * (inner - 0.3) ** 2 - falling + (log10(rate) + 3) ** 2 / 6 + kind


def told(n: int, *, sign: int = 1, seed: int = 0) -> list[Observation]:
    rng = np.random.default_rng(seed)
    drawn = [SPACE.sample(rng) for _ in range(n)]
    return [Observation(each, sign * loss(each) + 0.01 * rng.standard_normal()) for each in drawn]


def found(n: int, *, sign: int = 1, seed: int = 0) -> dict[str, Importance]:
    generator = BayesianGenerator(SPACE, direction="minimize" if sign > 0 else "maximize")
    generator.tell(told(n, sign=sign, seed=seed))
    return {each.name: each for each in importances(generator)}


def total_effects() -> dict[str, float]:
    """By brute force: half the mean square of what redrawing one parameter changes, over the variance."""
    rng = np.random.default_rng(1)
    drawn = [SPACE.sample(rng) for _ in range(4000)]
    values = np.array([loss(each) for each in drawn])
    effects = {}
    for name in SPACE.names:
        other = [SPACE.sample(rng)[name] for _ in drawn]
        moved = np.array([loss({**each, name: value}) for each, value in zip(drawn, other, strict=True)])
        effects[name] = float(((moved - values) ** 2).mean() / 2 / values.var())
    return effects


def test_shares_are_total_effects() -> None:
    shares, true = found(80), total_effects()
    for name, effect in true.items():
        assert shares[name].share == pytest.approx(effect, abs=0.12), name
        assert shares[name].low <= shares[name].share <= shares[name].high
    important = sorted(true, key=lambda name: -true[name])[:4]
    assert set(list(shares)[:4]) == set(important)


@pytest.mark.parametrize("sign", [1, -1])
def test_trends_say_which_values_are_better(sign: int) -> None:
    shares = found(80, sign=sign)
    assert shares["falling"].trend == "higher"
    assert shares["falling"].best == 1.0
    assert shares["inner"].trend == "inner"
    assert shares["inner"].best in (0.25, 0.375)
    assert shares["rate"].trend == "inner"
    assert shares["kind"].best == "a"


def test_what_does_nothing_is_said_to_be_dead_only_after_enough() -> None:
    assert {name for name, each in found(80).items() if each.dead} == {"idle", "idle_too"}
    assert not any(each.dead for each in found(11).values())


def test_fewer_than_ten_successes_say_nothing() -> None:
    assert not found(9)
    failed = [replace(each, value=None) for each in told(30)]
    insight = insight_of(SPACE, [*told(9), *failed], direction="minimize")
    assert not insight.importances
    assert insight.gain is None


def test_equal_results_are_no_reason_to_divide_by_their_variance() -> None:
    generator = BayesianGenerator(SPACE)
    generator.tell([replace(each, value=1.0) for each in told(20)])
    assert all(0 <= each.share <= 1 for each in importances(generator))


def test_a_gain_beyond_the_largest_float_is_none() -> None:
    rng = np.random.default_rng(0)
    results = [Observation(SPACE.sample(rng), (-1) ** i * 1.7e308) for i in range(20)]
    insight = insight_of(SPACE, results, direction="minimize")
    assert insight.importances
    json.dumps(insight.to_dict(), allow_nan=False)


def test_the_more_results_the_surer() -> None:
    few, many = found(15), found(150)
    width = sum(each.high - each.low for each in few.values())
    assert sum(each.high - each.low for each in many.values()) < width


def test_an_insight_is_the_same_in_whatever_order_and_survives_json() -> None:
    results = told(30)
    insight = insight_of(SPACE, results, direction="minimize")
    assert insight == insight_of(SPACE, results[::-1], direction="minimize")
    assert Insight.from_dict(json.loads(json.dumps(insight.to_dict()))) == insight


def test_the_expected_gain_is_near_what_ten_more_bring() -> None:
    results = told(20)
    gain = insight_of(SPACE, results, direction="minimize").gain
    assert gain is not None
    best = min(each.value for each in results if each.value is not None)
    generator = BayesianGenerator(SPACE)
    generator.tell(results)
    after = min(loss(each.params) for each in generator.ask(10))
    assert gain.low <= gain.mean <= gain.high
    assert gain.low - 0.05 <= best - after <= gain.high + 0.05


def test_near_the_optimum_little_is_expected_of_going_on() -> None:
    rng = np.random.default_rng(0)
    best: Params = {"inner": 0.3, "falling": 1.0, "rate": 1e-3, "kind": "a", "idle": 0.5, "idle_too": 50}
    near: list[Params] = [
        {**best, "inner": 0.3 + 0.02 * rng.standard_normal(), "falling": 1 - 0.01 * rng.random()}
        for _ in range(20)
    ]
    results = [*told(30), *(Observation(each, loss(each)) for each in [best, *near])]
    gain = insight_of(SPACE, results, direction="minimize").gain
    early = insight_of(SPACE, told(30), direction="minimize").gain
    assert gain is not None
    assert early is not None
    assert gain.mean < early.mean / 2
