"""Importances against total-effect indices that are known, and the expected gain against what came of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from math import log10, pi, sin

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from tuner.experiment import Observation, Params
from tuner.generators.bayesian import BayesianGenerator
from tuner.generators.bayesian.gaussian_process import GaussianProcess
from tuner.generators.bayesian.surrogate import Array
from tuner.importance import importances, insight_of
from tuner.insight import Importance, Insight
from tuner.space import CategoricalParam, FloatParam, Increasing, IntParam, SearchSpace, Sum

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


def test_what_was_hardly_ever_active_is_not_dead() -> None:
    """The model takes what two results do not contradict for nothing; one of those active in all is dead."""
    space = SearchSpace(
        [
            CategoricalParam("kind", [f"k{i}" for i in range(16)]),
            FloatParam("depth", 0, 1, when={"kind": "k7"}),
            FloatParam("x", 0, 1),
            FloatParam("idle", 0, 1),
        ]
    )
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(200)]
    active = [each for each in drawn if "depth" in each][:2]
    others = [each for each in drawn if "depth" not in each][:38]
    results = [Observation(each, number(each, "x")) for each in active + others]
    shares = insight_by_name(space, results)
    assert shares["idle"].dead
    assert not shares["depth"].dead
    assert shares["depth"].unsettled


def test_ten_results_in_fourteen_parameters_rule_nothing_out() -> None:
    """A model alone takes most of them for nothing, those that act among them."""
    space = SearchSpace(numbered(14))
    for seed in range(2):
        results = told_of(space, lambda params: number(params, "x0") + number(params, "x1") / 2, 10, seed)
        shares = insight_by_name(space, results)
        assert not any(each.dead for each in shares.values())
        assert all(each.high >= 14 / 10**2 for each in shares.values())
        assert all(each.low <= each.share <= each.high <= 1 for each in shares.values())


def test_only_of_what_matters_it_is_said_which_values_are_better() -> None:
    shares = found(80)
    assert {name for name, each in shares.items() if each.matters} == {"inner", "falling", "rate", "kind"}
    assert all(each.trend == "" for each in shares.values() if not each.matters)


def test_of_noise_alone_no_parameter_is_said_to_matter() -> None:
    """One in ten shares is below what is likely, so that two of these 24 were no wonder."""
    space = SearchSpace(numbered(8))
    named = 0
    for seed in range(3):
        shares = insight_by_name(space, noise_alone(space, 20, seed))
        named += sum(each.matters for each in shares.values())
    assert named <= 2


def test_fewer_than_ten_successes_say_nothing() -> None:
    assert not found(9)
    failed = [replace(each, value=None) for each in told(30)]
    insight = insight_of(SPACE, [*told(9), *failed], direction="minimize")
    assert not insight.importances
    assert insight.gain is None


@pytest.mark.parametrize("value", [1.0, 0.0, 1e308])
def test_equal_results_say_nothing_of_any_parameter(value: float) -> None:
    equal = [replace(each, value=value) for each in told(20)]
    insight = insight_of(SPACE, equal, direction="minimize")
    assert insight.importances == ()
    assert insight.gain is None
    failed = insight_of(
        SPACE, [*equal, *(replace(each, value=None) for each in told(9, seed=1))], direction="minimize"
    )
    assert failed.importances == (), "how bad a failure is, is not known"


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


def test_an_insight_is_learned_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def noted(self: GaussianProcess, x: Array, rng: np.random.Generator) -> Array:
        found = drawn(self, x, rng)
        threads.extend(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")
        return found

    drawn = GaussianProcess.drawn
    monkeypatch.setattr(GaussianProcess, "drawn", noted)
    with threadpool_limits(limits=2):
        insight_of(SPACE, told(12), direction="minimize")
    assert set(threads) == {1}


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


def test_luck_so_far_is_no_reason_to_hope() -> None:
    """Of noise alone ten more bring nothing but luck: nothing on average, and nothing for certain."""
    space = SearchSpace(numbered(3))
    for seed in range(3):
        gain = insight_of(space, noise_alone(space, 25, seed), direction="minimize").gain
        assert gain is not None
        assert gain.low == 0.0
        assert gain.mean < 0.1


def test_a_gain_is_over_the_best_that_came_to_its_end() -> None:
    """Where one stood that was stopped early, is not what others are compared with, however good it was."""
    results = told(20)
    early = [replace(each, value=(each.value or 0.0) - 100, partial=True) for each in told(6, seed=1)]
    gain = insight_of(SPACE, [*results, *early], direction="minimize").gain
    assert gain is not None
    values = np.array([each.value for each in results])
    assert 0 < gain.mean <= gain.high <= values.mean() - values.min()
    nothing_ended = [replace(each, partial=True) for each in results]
    for few in (nothing_ended, [results[0], *nothing_ended[1:]]):
        assert insight_of(SPACE, few, direction="minimize").gain is None


@pytest.mark.parametrize("sign", [1, -1])
def test_nobody_hopes_for_more_than_from_the_mean_to_the_best(sign: int) -> None:
    """A slope that ends where nothing was measured: the model goes on downhill."""
    space = SearchSpace(numbered(2))
    rng = np.random.default_rng(0)
    drawn = [{"x0": 0.2 * rng.random(), "x1": rng.random()} for _ in range(12)]
    results = [Observation(each, sign * -10 * each["x0"]) for each in drawn]
    direction = "minimize" if sign > 0 else "maximize"
    gain = insight_of(space, results, direction=direction).gain
    assert gain is not None
    losses = np.array([sign * (each.value or 0.0) for each in results])
    most = losses.mean() - losses.min()
    assert most / 4 < gain.mean <= most / 2
    assert most / 2 < gain.high <= most


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


def told_of(space: SearchSpace, f: Callable[[Params], float], n: int, seed: int = 0) -> list[Observation]:
    rng = np.random.default_rng(seed)
    drawn = [space.sample(rng) for _ in range(n)]
    return [Observation(each, f(each)) for each in drawn]


def noise_alone(space: SearchSpace, n: int, seed: int) -> list[Observation]:
    rng = np.random.default_rng([seed, 9])
    return told_of(space, lambda _: float(rng.standard_normal()), n, seed)


def searched(space: SearchSpace, f: Callable[[Params], float], n: int, seed: int = 0) -> list[Observation]:
    """What a search observes, most of it near the best."""
    generator = BayesianGenerator(space, seed=seed)
    results = []
    for _ in range(n):
        (one,) = generator.ask()
        results.append(Observation(one.params, f(one.params)))
        generator.tell(results[-1:])
    return results


def insight_by_name(space: SearchSpace, results: list[Observation]) -> dict[str, Importance]:
    found = insight_of(space, results, direction="minimize", gain=False)
    return {each.name: each for each in found.importances}


def number(params: Params, name: str) -> float:
    value = params[name]
    assert isinstance(value, int | float)
    return float(value)


def numbered(n: int, low: float = 0.0, high: float = 1.0) -> list[FloatParam]:
    return [FloatParam(f"x{i}", low, high) for i in range(n)]


def test_shares_of_the_ishigami_function() -> None:
    """Closed form of Ishigami and Homma (1990), a = 7, b = 0.1: of x2 alone it acts only with x0."""
    a, b = 7.0, 0.1
    whole = a**2 / 8 + b * pi**4 / 5 + b**2 * pi**8 / 18 + 0.5
    both = b**2 * pi**8 * (1 / 18 - 1 / 50)
    true = {
        "x0": ((1 + b * pi**4 / 5) ** 2 / 2 + both) / whole,
        "x1": a**2 / 8 / whole,
        "x2": both / whole,
    }

    def f(params: Params) -> float:
        x0, x1, x2 = (number(params, name) for name in ("x0", "x1", "x2"))
        return sin(x0) + a * sin(x1) ** 2 + b * x2**4 * sin(x0)

    space = SearchSpace(numbered(3, -pi, pi))
    shares = insight_by_name(space, told_of(space, f, 200))
    for name, effect in true.items():
        # 190 rows in four rounds, whose estimate has a standard error of a tenth of what it estimates.
        assert shares[name].share == pytest.approx(effect, abs=0.1), name


@pytest.mark.parametrize("how", [told_of, searched])
def test_shares_of_a_g_function(how: Callable[..., list[Observation]]) -> None:
    """Closed form of Saltelli and Sobol' (1995); after a search, most of whose results are near the best."""
    a = np.array([0.0, 1.0, 9.0, 99.0, 99.0])
    parts = 1 / 3 / (1 + a) ** 2
    whole = np.prod(1 + parts) - 1
    true = [parts[i] * np.prod(1 + np.delete(parts, i)) / whole for i in range(5)]

    def f(params: Params) -> float:
        x = np.array([number(params, f"x{i}") for i in range(5)])
        return float(np.prod((np.abs(4 * x - 2) + a) / (1 + a)))

    space = SearchSpace(numbered(5))
    shares = insight_by_name(space, how(space, f, 50))
    for i, effect in enumerate(true):
        assert shares[f"x{i}"].share == pytest.approx(effect, abs=0.25), i
    assert max(shares, key=lambda name: shares[name].share) == "x0"


WEIGHTS = [f"x{i}" for i in range(5)]
MIXED = SearchSpace(
    [*numbered(5), FloatParam("half_life", 2, 50, log=True), FloatParam("idle", 0, 1)],
    [Sum(WEIGHTS, equals=1.0)],
)


@pytest.mark.parametrize("how", [told_of, searched])
def test_of_weights_that_sum_to_one_the_one_that_acts_is_found(how: Callable[..., list[Observation]]) -> None:
    """The others act only through it, so that what they do is what it leaves them: a tenth."""

    def f(params: Params) -> float:
        return (number(params, "x0") - 0.8) ** 2

    shares = insight_by_name(MIXED, how(MIXED, f, 40))
    assert shares["x0"].share > 0.75
    assert shares["x0"].trend in ("higher", "inner")
    assert shares["x0"].best in (0.75, 0.875)
    assert all(shares[name].share < 0.3 for name in WEIGHTS[1:])
    assert shares["half_life"].high < 0.05
    assert shares["idle"].high < 0.05


def test_what_acts_through_a_weight_alone_is_not_named_for_what_the_search_left_open() -> None:
    """The search ends where that weight is 0: most of its results differ by next to nothing there."""

    def f(params: Params) -> float:
        aged = (log10(number(params, "half_life")) - 1) * number(params, "x1") / 5
        return (1 - number(params, "x0")) ** 2 + aged

    rng = np.random.default_rng(2)
    drawn = [MIXED.sample(rng) for _ in range(4000)]
    values = np.array([f(each) for each in drawn])
    others = np.array([f({**each, "half_life": MIXED.sample(rng)["half_life"]}) for each in drawn])
    true = float(((others - values) ** 2).mean() / 2 / values.var())
    assert true < 0.05
    for seed in (0, 1):
        results = searched(MIXED, f, 50, seed)
        shares = insight_by_name(MIXED, results)
        assert max(shares, key=lambda name: shares[name].share) == "x0"
        assert shares["half_life"].share < 0.15


def test_what_another_choice_switches_off_does_nothing_there() -> None:
    space = SearchSpace(
        [
            CategoricalParam("kind", ["plain", "deep"]),
            FloatParam("depth", 0, 1, when={"kind": "deep"}),
            FloatParam("idle", 0, 1),
        ]
    )

    def f(params: Params) -> float:
        return number(params, "depth") if params["kind"] == "deep" else 0.5

    shares = insight_by_name(space, told_of(space, f, 60))
    # The variance is 1/24, all of it by `depth`; for a given depth `kind` makes (depth - 1/2)^2 / 4: 1/48.
    assert shares["depth"].share == pytest.approx(1.0, abs=0.1)
    assert shares["kind"].share == pytest.approx(0.5, abs=0.1)


def test_a_rarely_active_parameter_is_best_where_it_is_best_when_active() -> None:
    """Of 48 draws of the space none at all may have it: that says nothing, not that lower is better."""
    space = SearchSpace(
        [
            CategoricalParam("kind", [f"k{i}" for i in range(20)]),
            CategoricalParam("mode", [f"m{i}" for i in range(4)], when={"kind": "k7"}),
            FloatParam("depth", 0, 1, when={"mode": "m3"}),
        ]
    )
    rng = np.random.default_rng(0)
    drawn: list[Params] = [space.sample(rng) for _ in range(40)]
    drawn += [{"kind": "k7", "mode": "m3", "depth": at} for at in np.linspace(0, 1, 20).tolist()]
    results = [Observation(each, 10 * abs(float(str(each.get("depth", 0.9))) - 0.9)) for each in drawn]
    for seed in range(3):
        insight = insight_of(space, results, direction="minimize", seed=seed, gain=False)
        depth = next(each for each in insight.importances if each.name == "depth")
        assert depth.best in (0.875, 1.0)


def test_what_its_neighbours_hold_has_no_better_values() -> None:
    space = SearchSpace(
        [IntParam("x", 1, 2, default=1), IntParam("y", 1, 2, default=2), FloatParam("z", 0, 1)],
        [Increasing(["x", "y"])],
    )
    shares = insight_by_name(space, told_of(space, lambda params: number(params, "z"), 12))
    assert [(shares[name].trend, shares[name].best) for name in "xy"] == [("", 1), ("", 2)]


def test_what_results_cannot_tell_is_said_to_be_open() -> None:
    """Two that always moved together: either may be what acts."""
    rng = np.random.default_rng(0)
    space = SearchSpace(numbered(3))
    at = rng.random(12)
    results = [Observation({"x0": x, "x1": x, "x2": rng.random()}, (x - 0.3) ** 2) for x in at]
    shares = insight_by_name(space, results)
    assert shares["x0"].unsettled
    assert shares["x1"].unsettled
    assert not shares["x2"].unsettled
    assert Importance("x", 0.1, 0.0, 0.4, "", 0.5, dead=False).unsettled
    assert not Importance("x", 0.2, 0.05, 0.4, "", 0.5, dead=False).unsettled
