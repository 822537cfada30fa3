"""Every form of a space that scikit-learn's users have, and what its configurations mean to an estimator."""

from typing import Any

import numpy as np
import optuna
import pytest
import skopt.space
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.model_selection import ParameterGrid

from orchestrator.adapters.sklearn_space import EstimatorSpace, read_space
from tuner.errors import SpaceError
from tuner.space import CategoricalParam, FloatParam, Forbid, IntParam, SearchSpace


def read(given: Any) -> EstimatorSpace:
    return read_space(given, np.random.RandomState(0))


def drawn(given: Any, n: int = 200) -> list[dict[str, Any]]:
    space, rng = read(given), np.random.default_rng(0)
    return [space.params_of(space.space.sample(rng)) for _ in range(n)]


def values(distribution: Any, n: int = 2000) -> np.ndarray:
    return np.array([params["a"] for params in drawn({"a": distribution}, n)])


@pytest.mark.parametrize(
    ("distribution", "param"),
    [
        (stats.uniform(2, 3), FloatParam("a", 2.0, 5.0)),
        (stats.loguniform(1e-3, 10), FloatParam("a", 1e-3, 10.0, log=True)),
        (stats.reciprocal(1, 8), FloatParam("a", 1.0, 8.0, log=True)),
        (stats.randint(1, 10), IntParam("a", 1, 9)),
        (stats.randint(1, 10, loc=-3), IntParam("a", -2, 6)),
        (stats.bernoulli(0.5), IntParam("a", 0, 1)),
        ({"type": "int", "low": 1, "high": 9, "log": True}, IntParam("a", 1, 9, log=True)),
        ({"type": "loguniform", "lower": 1, "upper": 9}, FloatParam("a", 1, 9, log=True)),
        (IntParam("a", 1, 9), IntParam("a", 1, 9)),
        (skopt.space.Real(1, 9, prior="log-uniform"), FloatParam("a", 1.0, 9.0, log=True)),
        ((1.0, 9.0, "log-uniform"), FloatParam("a", 1.0, 9.0, log=True)),
        (optuna.distributions.IntDistribution(1, 9), IntParam("a", 1, 9)),
    ],
)
def test_what_has_our_form_is_read_as_such(distribution: Any, param: Any) -> None:
    space = read({"a": distribution})
    assert space.space.params["a"] == param
    assert space.params_of({"a": 3}) == {"a": 3}


@pytest.mark.parametrize("distribution", [stats.norm(3, 2), stats.expon(scale=10), stats.poisson(4)])
def test_other_distributions_are_read_as_everywhere(distribution: Any) -> None:
    assert read({"a": distribution}).space == SearchSpace.of({"a": distribution})


def test_a_long_range_is_searched_without_being_listed() -> None:
    assert read({"a": range(10**15)}).space == SearchSpace([IntParam("a", 0, 10**15 - 1)])


def test_what_an_estimator_has_instead_of_a_value_is_no_candidate_and_no_obstacle() -> None:
    space = read(
        SearchSpace([CategoricalParam("kind", ["x", "y"]), FloatParam("a", 0, 1, when={"kind": ["x"]})])
    )
    assert space.config_of({"kind": ["x"], "a": 0.5}, whole=False) is None
    assert space.config_of({"kind": "y", "a": {}}, whole=False) == {"kind": "y"}


def test_what_can_only_be_drawn_from_is_drawn() -> None:
    class Even:
        def rvs(self, random_state: np.random.RandomState) -> int:
            return 2 * random_state.randint(10)

    class Pair:
        def rvs(self, random_state: np.random.RandomState) -> tuple[int, ...]:
            return tuple(random_state.randint(3, size=2).tolist())

    assert set(values(Even())) == set(range(0, 20, 2))
    assert read({"a": Even()}).space == read({"a": Even()}).space
    assert {params["a"] for params in drawn({"a": Pair()})} <= {(i, j) for i in range(3) for j in range(3)}


def test_lists_give_back_the_very_objects() -> None:
    arrays = [np.arange(3), np.arange(4)]
    models = [Ridge(), Ridge(alpha=2), None, "passthrough"]
    pairs = ((1, 1), (1, 2))
    for params in drawn({"array": arrays, "model": models, "pair": pairs, "n": np.array([3, 1, 2])}):
        assert any(params["array"] is one for one in arrays)
        assert any(params["model"] is one for one in models)
        assert params["pair"] in pairs
        assert isinstance(params["n"], np.integer)


def test_numbers_in_a_list_are_ordered_and_nothing_else_is() -> None:
    space = read({"n": [100, 1, 10, 10, 1.0], "b": [True, False], "m": [1, "auto"], "one": [5]}).space
    kinds = {name: (param.kind, param.n_values) for name, param in space.params.items()}
    assert kinds == {
        "n": ("int", 4),
        "b": ("categorical", 2),
        "m": ("categorical", 2),
        "one": ("categorical", 1),
    }
    ranked = [read({"n": [100, 1, 10]}).params_of({"n": rank})["n"] for rank in range(3)]
    assert ranked == [1, 10, 100]


@pytest.mark.parametrize(
    "grid",
    [
        {"b": [3, 1, 2], "a": ["x", None, "y"]},
        [{"kernel": ["rbf"], "C": [1, 10]}, {"kernel": ["linear"], "C": [10, 1]}, {}],
        {},
        [{}],
        [{"model": [1]}, {"other": range(3)}],
        {"which::dictionary": [1, 2]},
        {"_odd name": [1, 2], "2nd": [3], "-odd name": [True, "x"]},
    ],
    ids=str,
)
def test_a_space_of_lists_holds_the_grid_of_scikit_learn_in_its_order(grid: Any) -> None:
    space = read(grid)
    whole = space.whole(1000)
    assert whole is not None
    assert [space.params_of(config) for config in whole] == list(ParameterGrid(grid))
    assert space.whole(len(whole) - 1) is None
    for config in whole:
        found = space.config_of(space.params_of(config), whole=True)
        assert found is not None
        assert space.params_of(found) == space.params_of(config)


def test_what_several_dictionaries_say_alike_is_one_parameter() -> None:
    rate = stats.loguniform(0.1, 1)
    space = read(
        [
            {"kernel": ["rbf"], "C": [1, 10], "rate": rate, "p": stats.norm(), "g": [0.1, 1]},
            {"kernel": ["poly"], "C": [1, 10], "rate": stats.loguniform(0.1, 1), "p": stats.norm()},
            {"kernel": ["poly"], "C": [1, 100], "rate": stats.uniform(0.1, 1)},
        ]
    ).space
    rates = [name for name in space.names if name.startswith("rate")]
    assert [space.params[name].when for name in rates] == [
        {"which::dictionary": (0, 1)},
        {"which::dictionary": (2,)},
    ]
    kernels = [name for name in space.names if name.startswith("kernel")]
    assert [space.params[name].when for name in kernels] == [
        {"which::dictionary": (0,)},
        {"which::dictionary": (1, 2)},
    ]
    assert len([name for name in space.names if name.startswith("C")]) == 2
    assert space.params["g"].when == {"which::dictionary": (0,)}


def test_conditions_may_stand_in_a_dictionary() -> None:
    degree = {"type": "int", "low": 2, "high": 5, "when": {"kernel": ["poly"], "C": [10, 100]}}
    for params in drawn([{"kernel": ["rbf", "poly"], "C": [100, 1, 10], "degree": degree}, {"C": [7]}]):
        needed = params.get("kernel") == "poly" and params["C"] >= 10
        assert ("degree" in params) == needed


def test_our_own_spaces_and_their_documents_are_taken_with_conditions_and_constraints() -> None:
    ours = SearchSpace(
        [
            CategoricalParam("kind", ["a", "b"]),
            IntParam("n", 1, 3),
            FloatParam("x", 0.0, 1.0, when={"kind": ["b"]}),
        ],
        [Forbid({"kind": "a", "n": 3})],
    )
    for form in (ours, ours.to_dict(), {"params": {"kind": {"type": "categorical", "choices": ["a", "b"]}}}):
        for params in drawn(form):
            assert ours.contains(params) or form is not ours
    assert read(ours.to_dict()).space == ours
    assert read(ours).config_of({"kind": "a", "n": 1, "x": 0.5, "other": 3}, whole=False) == {
        "kind": "a",
        "n": 1,
    }
    assert read(ours).config_of({"kind": "a", "n": 3, "x": 0.5}, whole=False) is None
    # a parameter of an estimator may be called so
    assert [
        p["params"] for p in map(read({"params": [1, 2]}).params_of, read({"params": [1, 2]}).whole(9) or [])
    ] == [
        1,
        2,
    ]


def test_what_an_estimator_has_is_found_among_equals() -> None:
    space = read(
        {"C": [1, 10], "pair": [(1, 1), (1, 2)], "flag": [True, False], "knots": [np.arange(2), None]}
    )
    config = space.config_of({"C": 1.0, "pair": (1, 1), "flag": True, "knots": None}, whole=True)
    assert config is not None
    assert space.params_of(config) == {"C": 1, "pair": (1, 1), "flag": True, "knots": None}
    for other in ({"C": True}, {"flag": 1}, {"pair": [1, 1]}, {"knots": np.arange(2)}):
        given = {"C": 1.0, "pair": (1, 1), "flag": True, "knots": None, **other}
        assert space.config_of(given, whole=True) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0, "must be a dictionary of parameters"),
        ([], "must be a dictionary of parameters"),
        ([{"a": [1]}, 0], "must be a dictionary of parameters"),
        ({"a": {1, 2}}, "'a' must be declared in a way that is known"),
        ({"a": {"b": [1, 2]}}, "'a' must be one parameter"),
        ({"a": []}, "'a' must have at least one value"),
        ({3: [1]}, "name of a parameter must be a string"),
        ({"a": stats.uniform(0, -1)}, "'a' must have a range"),
        ({"a": {"type": "flot", "low": 0, "high": 1}}, "Did you mean 'float'"),
    ],
)
def test_what_is_no_space_is_refused_by_name(given: Any, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        read(given)
