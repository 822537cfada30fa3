"""The door to all generators."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.contracts.generator_contract import MIXED
from tuner.errors import ParamsError, UsageError
from tuner.generators import METHODS, Generator, make_generator


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_a_generator_of_its_name(method: str) -> None:
    if method == "gp":
        pytest.importorskip("torch")
    generator = make_generator(method, MIXED, seed=3, direction="maximize", n_asked=5)
    assert isinstance(generator, Generator)
    assert generator.method == method
    assert (generator.seed, generator.direction, generator.n_asked) == (3, "maximize", 5)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"method": "bayesain"}, "Unknown method 'bayesain'. Did you mean 'bayesian'?"),
        ({"method": None}, "Unknown method None."),
        ({"method": ["random"]}, "Unknown method ['random']. Did you mean 'random'?"),
        ({"space": None}, "`space` must be a SearchSpace, but got None."),
        ({"space": {"x": (0, 1)}}, "`space` must be a SearchSpace, but got {'x': (0, 1)}."),
        ({"goals": "x"}, "`goals` must be Goals, but got 'x'."),
        ({"goals": None}, "`goals` must be Goals, but got None."),
        ({"method": "bayesian", "earlier": "x"}, "`earlier` must be a list of Earlier studies, but got 'x'."),
        (
            {"method": "bayesian", "earlier": [MIXED]},
            "`earlier` must be a list of Earlier studies, but one of",
        ),
        ({"direction": "maximise"}, "Unknown direction 'maximise'. Did you mean 'maximize'?"),
        ({"direction": None}, "Unknown direction None."),
        ({"seed": -1}, "`seed` must be a whole number of at least 0, but got -1."),
        ({"seed": 1.0}, "`seed` must be a whole number of at least 0, but got 1.0."),
        ({"n_asked": -1}, "`n_asked` must be a whole number of at least 0, but got -1."),
        ({"method": "grid", "radios": 1}, "Unknown option 'radios' of method 'grid'. Did you mean 'radius'?"),
        ({"sede": 1}, "Unknown option 'sede' of method 'random'. Did you mean 'seed'?"),
        ({"method": "random", "radius": 1}, "Unknown option 'radius' of method 'random'."),
    ],
)
def test_bad_arguments_get_one_clear_sentence(wrong: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_generator(**{"method": "random", "space": MIXED, **wrong})
    assert str(caught.value).startswith(what)


_OF_NUMPY: list[Any] = [(np.int64, 3), (np.uint8, 2), (np.int32, 2)]


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    seed, n_asked, n = (each(k) for each, k in _OF_NUMPY)
    one = make_generator("random", MIXED, seed=seed, n_asked=n_asked)
    assert one.ask(n) == make_generator("random", MIXED, seed=3, n_asked=2).ask(2)
    assert [type(one.seed), type(one.n_asked)] == [int, int]


def test_a_baseline_outside_the_space_is_refused() -> None:
    with pytest.raises(ParamsError):
        make_generator("grid", MIXED, baseline={"rate": 0.1})


def test_the_engines_are_imported_when_they_are_asked_for() -> None:
    program = """
import sys
from tuner.generators import METHODS, make_generator
from tuner.space import FloatParam, SearchSpace
make_generator("grid", SearchSpace([FloatParam("x", 0.0, 1.0)])).ask(1)
heavy = sorted({"skopt", "sklearn", "scipy", "pandas"} & set(sys.modules))
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)
