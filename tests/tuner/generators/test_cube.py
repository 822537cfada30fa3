"""Configurations as points of the unit cube."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.tuner.spaces import is_valid, search_spaces, seeds
from tuner.generators.cube import Cube
from tuner.space import CategoricalParam, FloatParam, Increasing, IntParam, SearchSpace, Sum


@given(space=search_spaces(), data=st.data())
def test_every_point_leads_to_a_valid_configuration(space: SearchSpace, data: st.DataObject) -> None:
    cube = Cube(space)
    n = len(cube.names)
    point = data.draw(st.lists(st.floats(-0.5, 1.5), min_size=n, max_size=n))
    params = cube.config(point)
    assert is_valid(space, params), params


@given(space=search_spaces(), seed=seeds)
def test_a_configuration_has_a_point_that_leads_back_to_it(space: SearchSpace, seed: int) -> None:
    cube = Cube(space)
    params = space.sample(np.random.default_rng(seed))
    point = cube.point(params)
    assert all(0 <= u <= 1 for u in point)
    back = cube.config(point)
    assert back.keys() == params.keys()
    for name, value in params.items():
        param, found = space.params[name], back[name]
        if isinstance(param, FloatParam) and param.step is None:
            assert isinstance(value, float)
            assert isinstance(found, float)
            assert math.isclose(found, value, rel_tol=1e-6, abs_tol=1e-6 * (param.high - param.low))
        else:
            assert found == value


def test_uniform_points_give_uniform_shares_of_a_sum() -> None:
    space = SearchSpace(
        [FloatParam(f"w{i}", 0.0, 1.0) for i in range(4)], [Sum([f"w{i}" for i in range(4)], 1.0)]
    )
    cube = Cube(space)
    shares = np.array(
        [list(cube.config(u).values()) for u in np.random.default_rng(0).random((2000, 4))], float
    )
    # A share of a flat Dirichlet in 4 parts has mean 1/4 and variance 3/80; 6 standard errors are 0.026 and,
    # with the fourth moment of Beta(1, 3), below 0.008.
    assert np.abs(shares.mean(axis=0) - 0.25).max() < 0.026
    assert np.abs(shares.var(axis=0) - 3 / 80).max() < 0.008


def test_members_of_a_sum_have_no_more_digits_than_a_draw() -> None:
    space = SearchSpace([FloatParam(f"w{i}", 0.0, 1.0) for i in range(3)], [Sum(["w0", "w1", "w2"], 1.0)])
    params = Cube(space).config([0.1, 0.2, 0.7])
    assert all(value == round(float(value), 9) for value in params.values())  # type: ignore[arg-type]


def test_coordinates_are_places_on_the_scale() -> None:
    space = SearchSpace(
        [
            FloatParam("rate", 1e-4, 1.0, log=True),
            IntParam("n", 1, 4),
            CategoricalParam("kind", ["a", "b"]),
            IntParam("always", 3, 3),
        ]
    )
    cube = Cube(space)
    assert cube.names == ("rate", "n", "kind")
    assert cube.config([0.5, 0.3, 0.9]) == {"rate": 0.01, "n": 2, "kind": "b", "always": 3}


def test_an_order_that_points_do_not_keep_is_sorted() -> None:
    space = SearchSpace([FloatParam("a", 0.0, 1.0), FloatParam("b", 0.0, 1.0)], [Increasing(["a", "b"])])
    cube = Cube(space)
    assert cube.config([0.2, 0.9]) == cube.config([0.9, 0.2]) == {"a": 0.2, "b": 0.9}
