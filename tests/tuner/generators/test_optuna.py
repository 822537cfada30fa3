"""Optuna's engines."""

import importlib.util
import math
import subprocess
import sys

import optuna
import pytest

from tests.contracts.generator_contract import MIXED, SMALL, GeneratorContract, keys
from tuner.errors import UsageError
from tuner.experiment import Observation, Params
from tuner.generators import make_generator
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace, Sum

HAS_TORCH = importlib.util.find_spec("torch") is not None


class TestTpeContract(GeneratorContract):
    method = "tpe"


class TestCmaEsContract(GeneratorContract):
    method = "cmaes"
    takes_goals = False


@pytest.mark.skipif(not HAS_TORCH, reason="needs torch")
class TestOptunaGaussianProcessContract(GeneratorContract):
    method = "gp"
    takes_goals = False


BOWL = SearchSpace([FloatParam(name, -5.0, 5.0) for name in "abc"])


def bowl(params: Params) -> float:
    """A loss with its optimum, 0, at 2 everywhere."""
    return math.fsum((float(value or 0.0) - 2.0) ** 2 for value in params.values())


def losses(method: str, n: int, n_at_once: int = 1, seed: int = 1) -> list[float]:
    generator = make_generator(method, BOWL, seed=seed)
    found: list[float] = []
    while len(found) < n:
        asked = generator.ask(n_at_once)
        found += [bowl(one.params) for one in asked]
        generator.tell([Observation(one.params, bowl(one.params)) for one in asked])
    return found


# A ball of that radius has 0.4 %, or 0.013 %, of the box: 80 or 200 uniform draws miss it with 0.7 or 0.97.


def test_tpe_learns() -> None:
    assert min(losses("tpe", 80)) < 1.0


@pytest.mark.parametrize("n_at_once", [1, 3])
def test_cmaes_learns(n_at_once: int) -> None:
    assert min(losses("cmaes", 200, n_at_once)) < 0.1


@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_failures_are_told_as_the_worst(method: str) -> None:
    space = SearchSpace([FloatParam("x", 0.0, 1.0), FloatParam("y", 0.0, 1.0)])
    generator = make_generator(method, space, seed=4)
    n_failed = 0
    for number in range(60):
        (one,) = generator.ask()
        x, y = float(one.params["x"]), float(one.params["y"])  # type: ignore[arg-type]
        failed = x > 0.6  # better and better towards where it fails
        n_failed += failed and number >= 30
        generator.tell([Observation(one.params, None if failed else y - x)])
    # Of 30 uniform draws 12 would fail, and 24 of those that follow the values of the others.
    assert n_failed <= 12


@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_resuming_at_any_time_changes_nothing(method: str) -> None:
    generator = make_generator(method, MIXED, seed=6)
    history: list[Observation] = []
    waiting: list[Params] = []
    for number in range(30):
        resumed = make_generator(method, MIXED, seed=6, n_asked=number)
        resumed.tell(history, waiting)
        (one,) = generator.ask()
        assert keys(resumed.ask()) == keys([one])
        waiting.append(one.params)
        if number % 3 == 2:  # three at a time, told in another order
            told = [Observation(params, float(params["low"])) for params in reversed(waiting)]  # type: ignore[arg-type]
            generator.tell(told)
            history += told
            waiting = []


def test_a_generation_is_learned_from_when_its_members_are_finished() -> None:
    generator = make_generator("cmaes", BOWL, seed=2)  # a population of 7
    first = generator.ask(9)
    assert {one.reason["generation"] for one in first} == {0}
    generator.tell([Observation(one.params, bowl(one.params)) for one in first[1:]])
    assert generator.ask(1)[0].reason["generation"] == 0
    generator.tell([Observation(first[0].params, None)])
    assert generator.ask(1)[0].reason["generation"] == 1


def test_another_result_of_an_early_member_is_taken_into_account() -> None:
    def after(values: list[list[float]]) -> list[str]:
        generator = make_generator("cmaes", BOWL, seed=2)
        first = generator.ask(7)
        waiting: list[Params] = []
        for each in values:
            generator.tell([Observation(o.params, v) for o, v in zip(first, each, strict=True)])
            waiting += [one.params for one in generator.ask(1)]
        resumed = make_generator("cmaes", BOWL, seed=2, n_asked=generator.n_asked)
        resumed.tell(
            [Observation(o.params, v) for each in values for o, v in zip(first, each, strict=True)], waiting
        )
        found = keys(generator.ask(5))
        assert keys(resumed.ask(5)) == found
        return found

    up = [float(i) for i in range(7)]
    assert after([up]) != after([up, [10 * value for value in reversed(up)]])


def test_tpe_knows_which_parameters_are_active() -> None:
    space = SearchSpace(
        [
            CategoricalParam("kind", ["a", "b"]),
            FloatParam("x", 0.0, 1.0, when={"kind": ["a"]}),
            IntParam("n", 1, 9, when={"kind": ["b"]}),
            FloatParam("s", 0.0, 1.0),
            FloatParam("t", 0.0, 1.0),
        ],
        [Sum(["s", "t"], 1.0)],
    )
    generator = make_generator("tpe", space, seed=1)
    for _ in range(40):
        (one,) = generator.ask()
        loss = 1.0 if one.params["kind"] == "b" else abs(float(one.params["x"]) - 0.3)  # type: ignore[arg-type]
        generator.tell([Observation(one.params, loss)])
    kinds = [one.params["kind"] for one in generator.ask(10)]
    assert kinds.count("a") >= 7


def test_optuna_stays_quiet_and_is_left_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    generator = make_generator("tpe", SMALL)
    generator.tell([Observation(one.params, 1.0) for one in generator.ask(12)])
    generator.ask(2)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


WITHOUT = """
import sys
for name in {missing}:
    sys.modules[name] = None
from tuner.errors import UsageError
from tuner.generators import make_generator
from tuner.space import FloatParam, SearchSpace
try:
    make_generator({method!r}, SearchSpace([FloatParam("x", 0.0, 1.0)]))
except UsageError as error:
    print(error, error.remedy, sep="|")
"""


@pytest.mark.parametrize("method", ["tpe", "cmaes", "gp"])
def test_without_optuna_one_sentence_says_what_to_install(method: str) -> None:
    code = WITHOUT.format(missing=["optuna"], method=method)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "The methods tpe, cmaes and gp are Optuna's, which is not installed.|pip install 'retrain[optuna]'"
    )


@pytest.mark.parametrize(("method", "package"), [("cmaes", "cmaes"), ("gp", "torch")])
def test_without_its_package_too(method: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        UsageError, match=f"The method {method} needs {package}, which cannot be imported"
    ) as caught:
        make_generator(method, BOWL)
    assert caught.value.remedy == f"pip install {package}"


def test_values_of_any_size_are_told() -> None:
    generator = make_generator("tpe", SMALL)
    for value in (1e308, -1e308, math.ulp(0.0)):
        asked = generator.ask(4)
        assert len(asked) == 4
        generator.tell([Observation(one.params, value) for one in asked])
