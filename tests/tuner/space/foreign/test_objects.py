"""The objects of other tools, real ones: what they draw is valid in our space, and their bounds are ours."""

import importlib.util
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import optuna
import pytest
import skopt.space
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from scipy import stats

from tuner.errors import SpaceError
from tuner.space import CategoricalParam, FloatParam, IntParam, Param, SearchSpace
from tuner.space.foreign.scipy import OUTSIDE

N_DRAWS = 300


@pytest.fixture(scope="module")
def tune() -> ModuleType:
    """Ray Tune's domains, from their own file: all of `ray.tune` needs packages that Ray alone leaves out."""
    found = importlib.util.find_spec("ray")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "tune" / "search" / "sample.py"
    spec = importlib.util.spec_from_file_location("ray.tune.search.sample", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def param(spec: Any) -> Param:
    space = SearchSpace.of({"x": spec})
    assert space == SearchSpace.from_dict(space.to_dict())
    return space.params["x"]


def plain_value(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic | np.ndarray) else value


def assert_holds(found: Param, draws: Iterator[Any]) -> None:
    space = SearchSpace([found])
    for value in islice(draws, N_DRAWS):
        space.validate({"x": plain_value(value)})


# ---- Ray Tune

RAY: list[tuple[Callable[[Any], Any], Param]] = [
    (lambda tune: tune.uniform(-1, 2), FloatParam("x", -1, 2)),
    (lambda tune: tune.loguniform(1e-4, 1e-1), FloatParam("x", 1e-4, 1e-1, log=True)),
    (lambda tune: tune.quniform(0.3, 1.0, 0.1), FloatParam("x", 0.3, 1.0, step=0.1)),
    (lambda tune: tune.quniform(-0.9, 0.9, 0.3), FloatParam("x", -0.9, 0.9, step=0.3)),
    (lambda tune: tune.qloguniform(0.5, 32, 0.5), FloatParam("x", 0.5, 32, log=True, step=0.5)),
    (lambda tune: tune.randint(2, 6), IntParam("x", 2, 5)),
    (lambda tune: tune.lograndint(2, 6), IntParam("x", 2, 5, log=True)),
    (lambda tune: tune.qrandint(2, 13, 4), IntParam("x", 4, 12, step=4)),
    (lambda tune: tune.qrandint(4, 12, 4), IntParam("x", 4, 12, step=4)),
    (lambda tune: tune.qrandint(4, 8, 1), IntParam("x", 4, 7)),
    (lambda tune: tune.qlograndint(4, 16, 4), IntParam("x", 4, 16, step=4, log=True)),
    (lambda tune: tune.choice(["a", 1, None]), CategoricalParam("x", ["a", 1, None])),
    (lambda tune: tune.Categorical([1, 2]).grid(), CategoricalParam("x", [1, 2])),
]


@pytest.mark.parametrize(("make", "meant"), RAY)
def test_domains_of_ray_tune(tune: ModuleType, make: Callable[[Any], Any], meant: Param) -> None:
    domain = make(tune)
    found = param(domain)
    assert found == meant
    if not domain.is_grid():
        rng = np.random.default_rng(0)
        draws = [plain_value(domain.sample(random_state=rng)) for _ in range(N_DRAWS)]
        assert_holds(found, iter(draws))
        if (
            found.n_values is not None
        ):  # 300 draws of at most 8 even values miss one with a chance below 1e-16
            ends = {found.at(0), found.at(found.n_values - 1)}
            if not getattr(found, "log", False):
                assert ends <= {found.nearest(value) for value in draws}


def test_grid_search_of_ray_tune() -> None:
    assert param({"grid_search": [1, 2]}) == CategoricalParam("x", [1, 2])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda tune: tune.sample_from(lambda: 1), "tune.sample_from calls a function"),
        (lambda tune: tune.randn(0, 1), "tune.randn draws from all numbers"),
        (lambda tune: tune.qrandn(0, 1, 0.5), "tune.randn draws from all numbers"),
        (lambda tune: tune.choice([(1, 2), (3,)]), "`choices` of 'x' must be strings"),
    ],
)
def test_what_ray_tune_draws_otherwise_is_refused(
    tune: ModuleType, make: Callable[[Any], Any], said: str
) -> None:
    with pytest.raises(SpaceError, match="'x'") as caught:
        param(make(tune))
    assert said in str(caught.value)
    assert caught.value.remedy


def test_nested_dictionaries_are_flattened_with_dots(tune: ModuleType) -> None:
    space = SearchSpace.of(
        {"optimizer": {"lr": tune.loguniform(1e-4, 1), "kind": {"type": "adam", "beta": tune.uniform(0, 1)}}}
    )
    assert space.names == ("optimizer.lr", "optimizer.kind.type", "optimizer.kind.beta")
    assert space.params["optimizer.kind.type"] == CategoricalParam("optimizer.kind.type", ["adam"])


# ---- Optuna

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # where it moves a bound to the last step, it says so
    OPTUNA: list[tuple[BaseDistribution, Param]] = [
        (FloatDistribution(-1, 2), FloatParam("x", -1, 2)),
        (FloatDistribution(1e-4, 1, log=True), FloatParam("x", 1e-4, 1, log=True)),
        (FloatDistribution(0.1, 1.05, step=0.2), FloatParam("x", 0.1, 0.9, step=0.2)),
        (IntDistribution(1, 8), IntParam("x", 1, 8)),
        (IntDistribution(1, 8, log=True), IntParam("x", 1, 8, log=True)),
        (IntDistribution(1, 8, step=3), IntParam("x", 1, 7, step=3)),
        (CategoricalDistribution(["a", None, 2, True]), CategoricalParam("x", ["a", None, 2, True])),
    ]


@pytest.mark.parametrize(("distribution", "meant"), OPTUNA, ids=lambda one: type(one).__name__)
def test_distributions_of_optuna(distribution: BaseDistribution, meant: Param) -> None:
    found = param(distribution)
    assert found == meant
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert_holds(found, (study.ask({"x": distribution}).params["x"] for _ in range(50)))


def test_the_deprecated_distributions_of_optuna() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = optuna.distributions.LogUniformDistribution(1e-3, 1)
        steps = optuna.distributions.DiscreteUniformDistribution(0, 1, 0.25)
    assert param(old) == FloatParam("x", 1e-3, 1, log=True)
    assert param(steps) == FloatParam("x", 0, 1, step=0.25)


# ---- scikit-optimize


@pytest.mark.parametrize(
    ("dimension", "meant"),
    [
        (skopt.space.Real(-1, 2), FloatParam("x", -1, 2)),
        (skopt.space.Real(1e-4, 1, prior="log-uniform", base=2), FloatParam("x", 1e-4, 1, log=True)),
        (
            skopt.space.Real(1e-4, 1, prior="log-uniform", transform="normalize"),
            FloatParam("x", 1e-4, 1, log=True),
        ),
        (skopt.space.Integer(2, 5), IntParam("x", 2, 5)),
        (skopt.space.Integer(2, 9, prior="log-uniform"), IntParam("x", 2, 9, log=True)),
        (skopt.space.Categorical(["a", "b"], prior=[0.9, 0.1]), CategoricalParam("x", ["a", "b"])),
    ],
    ids=repr,
)
def test_dimensions_of_scikit_optimize(dimension: Any, meant: Param) -> None:
    found = param(dimension)
    assert found == meant
    draws = dimension.rvs(N_DRAWS, random_state=0)
    assert_holds(found, iter(draws))
    if isinstance(
        found, IntParam
    ):  # 300 draws of at most 8 values; the rarest has a chance of 0.04: 1e-5 to miss
        assert {found.low, found.high} <= {int(draw) for draw in draws}


@pytest.mark.parametrize(
    ("shorthand", "meant"),
    [
        ((1, 8), IntParam("x", 1, 8)),
        ((1.0, 8), FloatParam("x", 1, 8)),
        ((0.01, 0.3, "log-uniform"), FloatParam("x", 0.01, 0.3, log=True)),
        ((1, 100, "log-uniform", 2), IntParam("x", 1, 100, log=True)),
        ((1, 100, "uniform"), IntParam("x", 1, 100)),
        (("a", "b"), CategoricalParam("x", ["a", "b"])),
        ((1, 10, 100), CategoricalParam("x", [1, 10, 100])),
        (("a",), CategoricalParam("x", ["a"])),
    ],
)
def test_the_shorthand_of_scikit_optimize(shorthand: tuple[Any, ...], meant: Param) -> None:
    assert param(shorthand) == meant
    theirs = skopt.space.check_dimension(shorthand)
    names = {"Real": FloatParam, "Integer": IntParam, "Categorical": CategoricalParam}
    assert isinstance(meant, names[type(theirs).__name__])


def test_two_truth_values_are_no_range() -> None:
    assert param((True, False)) == CategoricalParam("x", [True, False])


def test_lists_and_spaces_of_dimensions() -> None:
    dimensions = [skopt.space.Real(0, 1, name="a"), skopt.space.Integer(1, 2, name="b")]
    meant = SearchSpace([FloatParam("a", 0, 1), IntParam("b", 1, 2)])
    assert SearchSpace.of(dimensions) == meant
    assert SearchSpace.of(skopt.space.Space(dimensions)) == meant
    with pytest.raises(SpaceError, match="A dimension in a list must have a name, but got Real") as caught:
        SearchSpace.of([skopt.space.Real(0, 1)])
    assert "name='learning_rate'" in caught.value.remedy


def test_a_misspelt_prior_is_not_taken_for_a_choice() -> None:
    with pytest.raises(SpaceError, match="Did you mean 'log-uniform'"):
        param((1, 8, "loguniform"))


# ---- scipy


@pytest.mark.parametrize(
    ("distribution", "meant"),
    [
        (stats.uniform(0.25, 0.5), FloatParam("x", 0.25, 0.75)),
        (stats.uniform, FloatParam("x", 0, 1)),
        (stats.loguniform(1e-4, 1), FloatParam("x", 1e-4, 1, log=True)),
        (stats.reciprocal(1e-4, 1), FloatParam("x", 1e-4, 1, log=True)),
        (stats.randint(2, 6), IntParam("x", 2, 5)),
        (stats.randint(1, 1000), IntParam("x", 1, 999)),
        (stats.truncnorm(-2, 2), FloatParam("x", -2, 2)),
        (stats.beta(2, 5), FloatParam("x", 0, 1)),
        (stats.rv_discrete(values=([1, 5, 10], [0.2, 0.3, 0.5])), CategoricalParam("x", [1, 5, 10])),
        (stats.rv_discrete(values=([1, 5, 10], [0.2, 0.3, 0.5]))(), CategoricalParam("x", [1, 5, 10])),
    ],
    ids=lambda one: getattr(getattr(one, "dist", one), "name", "param"),
)
def test_bounded_distributions_of_scipy(distribution: Any, meant: Param) -> None:
    found = param(distribution)
    assert found == meant
    draws = distribution.rvs(size=N_DRAWS, random_state=0)
    assert_holds(found, iter(draws))


@pytest.mark.parametrize(
    ("distribution", "log"),
    [
        (stats.norm(10, 2), False),
        (stats.expon(scale=100), True),
        (stats.lognorm(1.0), True),
        (stats.poisson(20), False),
        (stats.geom(0.1), True),
    ],
    ids=lambda one: one.dist.name if hasattr(one, "dist") else str(one),
)
def test_distributions_without_bounds_are_searched_over_their_central_part(
    distribution: Any, log: bool
) -> None:
    found = param(distribution)
    assert isinstance(found, FloatParam | IntParam)
    assert found.log is log
    assert found.low == distribution.ppf(OUTSIDE)
    assert found.high == distribution.ppf(1 - OUTSIDE)
    # At most 1 in 100 lies outside: of 3,000 draws 30 on average, and 70 or more with a chance below 1e-9.
    draws = distribution.rvs(size=3000, random_state=0)
    assert np.sum((draws < found.low) | (draws > found.high)) < 70


def test_a_distribution_without_its_parameters_is_refused() -> None:
    for unfrozen in (stats.loguniform, stats.randint):
        with pytest.raises(SpaceError, match="must be given with its parameters") as caught:
            param(unfrozen)
        assert "scipy.stats.loguniform(0.01, 0.3)" in caught.value.remedy
    with pytest.raises(SpaceError, match="must have a range, but got nan"):
        param(stats.uniform(0, -1))
    with pytest.raises(SpaceError, match="must be given with its parameters"):
        param(stats.uniform([0, 1], [1, 2]))  # two in one


# ---- none of them


def test_no_tool_is_imported_to_know_its_objects() -> None:
    code = """
import sys
from tuner.space import SearchSpace
SearchSpace.of({"a": (1, 8), "b": [1, 2], "c": {"type": "loguniform", "lower": 0.01, "upper": 0.3}})
try:
    SearchSpace.of({"a": object()})
except Exception as error:
    print(type(error).__name__)
print(sorted({name.split(".")[0] for name in sys.modules} & {"ray", "optuna", "skopt", "scipy", "numpy"}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["SpaceError", "[]"]
