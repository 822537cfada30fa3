"""RetrainSearchCV keeps what scikit-learn's search tests state, learns, and survives candidates that fail."""

import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import loguniform, randint, uniform
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, cross_val_score
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags
from sklearn.utils._param_validation import InvalidParameterError

from orchestrator.adapters.sklearn import RetrainSearchCV
from tests.orchestrator.adapters.estimators import Hill, X, Y
from tuner.errors import InvalidError, UsageError
from tuner.experiment import Observation
from tuner.generators import make_generator
from tuner.space import CategoricalParam, FloatParam, Forbid, IntParam, SearchSpace

HEIGHTS = {"height": uniform(0, 1), "ground": ["odd", "even"]}


def search(estimator: Any = None, space: Any = None, **more: Any) -> Any:
    given = {"cv": 2, "random_state": 0, "n_iter": 6, **more}
    return RetrainSearchCV(estimator or Hill(), HEIGHTS if space is None else space, **given)


def heights(fitted: Any) -> list[float]:
    return [float(params["height"]) for params in fitted.cv_results_["params"]]


# ---- what is found, and how it is told


def test_it_learns() -> None:
    fitted = search(n_iter=14).fit(X, Y)
    assert fitted.best_params_["ground"] == "even"
    assert abs(fitted.best_params_["height"] - 0.3) < 0.05
    assert fitted.best_score_ > 0.997  # 14 random draws come that close in one of four seeds


def test_its_results_have_the_keys_and_types_of_scikit_learn() -> None:
    space = [
        {"kernel": ["rbf"], "C": loguniform(0.1, 10), "gamma": uniform(0.1, 1)},
        {"kernel": ["poly"], "degree": [2, 3, 4], "C": loguniform(0.1, 10)},
    ]
    fitted = search(SVC(), space, n_iter=8, return_train_score=True).fit(*make_classification(30))
    results = fitted.cv_results_
    splits = [f"split{i}_{part}_score" for i in range(2) for part in ("test", "train")]
    sums = [
        f"{sort}_{what}"
        for sort in ("mean", "std")
        for what in ("test_score", "train_score", "fit_time", "score_time")
    ]
    named = [f"param_{name}" for name in ("kernel", "C", "gamma", "degree")]
    assert set(results) == {*splits, *sums, *named, "params", "rank_test_score"}
    assert all(len(column) == 8 for column in results.values())
    assert results["rank_test_score"].dtype == np.int32
    assert [results[name].dtype.kind for name in named] == ["O", "f", "f", "i"]
    assert all(isinstance(results[name], np.ma.MaskedArray) for name in named)
    poly = results["param_kernel"] == "poly"
    assert poly.any()
    assert not poly.all()
    assert (results["param_gamma"].mask == poly).all()
    assert (results["param_degree"].mask == ~poly).all()
    assert not results["param_C"].mask.any()
    assert fitted.best_params_ == results["params"][fitted.best_index_]
    assert fitted.best_score_ == results["mean_test_score"][fitted.best_index_]
    assert results["rank_test_score"][fitted.best_index_] == 1


def test_its_scores_are_those_of_cross_validation() -> None:
    x, y = make_classification(60, random_state=1)
    cv = KFold(3, shuffle=True, random_state=0)
    fitted = search(SVC(), {"C": loguniform(0.1, 10)}, cv=cv, scoring="roc_auc", n_iter=3).fit(x, y)
    for i, params in enumerate(fitted.cv_results_["params"]):
        expected = cross_val_score(SVC(**params), x, y, cv=cv, scoring="roc_auc")
        got = [fitted.cv_results_[f"split{fold}_test_score"][i] for fold in range(3)]
        np.testing.assert_allclose(got, expected)
    np.testing.assert_allclose(
        fitted.decision_function(x), SVC(**fitted.best_params_).fit(x, y).decision_function(x)
    )


def test_the_best_is_fitted_on_all_data() -> None:
    fitted = search().fit(X, Y, weight=np.arange(12))
    np.testing.assert_array_equal(fitted.best_estimator_.weight_, np.arange(12))
    assert fitted.n_features_in_ == 2
    assert fitted.refit_time_ >= 0
    assert fitted.n_splits_ == 2
    np.testing.assert_array_equal(fitted.classes_, [0, 1])
    assert fitted.score(X, Y) == fitted.best_estimator_.score(X, Y)


def test_the_estimator_and_what_was_given_stay_as_they_were() -> None:
    estimator, scaler = Hill(), StandardScaler()
    pipe = Pipeline([("scale", "passthrough"), ("hill", estimator)])
    space = {"scale": [scaler, "passthrough"], "hill__height": [0.1, 0.2]}
    search(pipe, space).fit(X, Y)
    assert not hasattr(estimator, "classes_")
    assert not hasattr(scaler, "mean_")
    assert estimator.height == 0.9


# ---- how it goes on


def test_the_same_seed_gives_the_same_candidates_with_any_number_of_jobs() -> None:
    one, other = search(n_iter=8).fit(X, Y), search(n_iter=8, n_jobs=2).fit(X, Y)
    assert one.cv_results_["params"] == other.cv_results_["params"]
    assert heights(one) != heights(search(n_iter=8, random_state=1).fit(X, Y))


def test_its_candidates_are_those_of_the_generator_told_of_each() -> None:
    fitted = search(space=SearchSpace([FloatParam("height", 0.0, 1.0)]), guesses=None, n_iter=8).fit(X, Y)
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    generator = make_generator(
        "bayesian", SearchSpace([FloatParam("height", 0.0, 1.0)]), seed=seed, direction="maximize"
    )
    for height in heights(fitted):
        (suggested,) = generator.ask()
        assert suggested.params["height"] == height
        generator.tell([Observation(suggested.params, Hill(height).score(X))])


def test_a_batch_is_asked_for_at_once() -> None:
    calls: list[int] = []

    class Counting(RetrainSearchCV):
        def _run_search(self, evaluate_candidates: Any, **more: Any) -> None:
            def evaluate(candidates: Any, **options: Any) -> Any:
                calls.append(len(candidates))
                return evaluate_candidates(candidates, **options)

            super()._run_search(evaluate, **more)

    Counting(Hill(), HEIGHTS, n_iter=7, batch_size=3, cv=2, random_state=0).fit(X, Y)
    assert calls == [3, 3, 1]


def test_a_space_of_fewer_candidates_is_tried_whole_in_the_order_of_its_lists() -> None:
    space = [{"height": [0.5, 0.1, 0.9], "ground": ["odd", "even"]}, {"height": [0.3]}]
    params = search(space=space, n_iter=7).fit(X, Y).cv_results_["params"]
    assert params == [
        *({"ground": ground, "height": h} for ground in ("odd", "even") for h in (0.5, 0.1, 0.9)),
        {"height": 0.3},
    ]


def test_a_larger_one_is_left_when_there_is_no_more() -> None:
    """Where the whole is not listed, as with a design, the generator says when it has no more."""
    space = SearchSpace([FloatParam("height", 0.0, 1.0), CategoricalParam("ground", ["odd", "even"])])
    fitted = search(space=space, method="grid", n_iter=10_000, batch_size=5_000).fit(X, Y)
    assert 2 < len(fitted.cv_results_["params"]) < 5_000


def test_all_batches_see_the_same_splits() -> None:
    class Reading(BaseEstimator):  # type: ignore[misc]
        """Scores with what it was given."""

        def __init__(self, a: float = 0.0) -> None:
            self.a = a

        def fit(self, x: Any, y: Any = None) -> "Reading":
            return self

        def score(self, x: Any, y: Any = None) -> float:
            return float(np.sum(x))

    class Once:
        """Splits anew at each call, and can be asked only once."""

        calls = 0

        def split(self, x: Any, y: Any = None, groups: Any = None) -> Any:
            self.calls += 1
            assert self.calls == 1
            yield from ShuffleSplit(2, test_size=0.5).split(x)

        def get_n_splits(self, *_: Any, **__: Any) -> int:
            return 2

    for cv in (ShuffleSplit(2, test_size=0.5), KFold(2, shuffle=True), Once(), ShuffleSplit(2).split(X)):
        fitted = search(Reading(), {"a": uniform(0, 1)}, cv=cv, n_iter=4).fit(X)
        for fold in range(2):
            assert len(set(fitted.cv_results_[f"split{fold}_test_score"])) == 1


# ---- what is tried first


def test_the_estimators_own_parameters_come_first() -> None:
    fitted = search(Hill(height=0.25, ground="even")).fit(X, Y)
    assert fitted.cv_results_["params"][0] == {"height": 0.25, "ground": "even"}
    assert len(set(heights(fitted))) == 6


def test_those_of_a_step_do_too() -> None:
    pipe = Pipeline([("scale", StandardScaler()), ("hill", Hill(height=0.6))])
    fitted = search(pipe, {"hill__height": loguniform(0.1, 1)}, n_iter=2).fit(X, Y)
    assert fitted.cv_results_["params"][0] == {"hill__height": 0.6}


def test_a_step_among_the_choices_is_found_by_its_parameters() -> None:
    pipe = Pipeline([("scale", StandardScaler(with_mean=False)), ("hill", Hill(height=0.6))])
    scales = [StandardScaler(), MinMaxScaler(), StandardScaler(with_mean=False)]
    fitted = search(pipe, {"scale": scales, "hill__height": loguniform(0.1, 1)}, n_iter=2).fit(X, Y)
    first = fitted.cv_results_["params"][0]
    assert (first["hill__height"], first["scale"].with_mean) == (0.6, False)


@pytest.mark.parametrize("estimator", [Hill(height=3.0), Hill(ground="swamp")])
def test_they_do_not_where_the_space_does_not_hold_them(estimator: Any) -> None:
    fitted = search(estimator).fit(X, Y)
    assert all(0 <= height <= 1 for height in heights(fitted))
    assert set(fitted.cv_results_["param_ground"]) <= {"odd", "even"}


def test_guesses_come_first_and_once() -> None:
    guesses = [{"height": 0.75, "ground": "even"}, {"height": 0.125, "ground": "odd"}]
    fitted = search(guesses=[*guesses, dict(guesses[0])], n_iter=5, batch_size=2).fit(X, Y)
    assert fitted.cv_results_["params"][:2] == guesses
    assert len({str(params) for params in fitted.cv_results_["params"]}) == 5


@pytest.mark.parametrize(
    "guess",
    [{"height": 0.5}, {"height": 1.5, "ground": "odd"}, {"height": 0.5, "ground": "odd", "cliff": 1}, 3],
)
def test_a_guess_that_is_no_candidate_is_refused(guess: Any) -> None:
    with pytest.raises(InvalidError, match="`guesses` must be a candidate of the space") as caught:
        search(guesses=[guess]).fit(X, Y)
    assert caught.value.remedy.startswith("Give a value of its list or range")


# ---- candidates that fail


def test_a_candidate_that_fails_alone_does_not_end_the_search() -> None:
    with pytest.warns(UserWarning, match="scores are non-finite"), pytest.warns(FitFailedWarning) as caught:
        fitted = search(Hill(cliff=0.6), {"height": uniform(0, 1)}, n_iter=12).fit(X, Y)
    said = [str(one.message) for one in caught]
    results = fitted.cv_results_
    failed = np.array(heights(fitted)) > 0.6
    assert failed[0]  # the current one
    assert (np.isnan(results["mean_test_score"]) == failed).all()
    assert (results["rank_test_score"][failed] == (~failed).sum() + 1).all()
    assert (results["mean_score_time"][failed] == 0).all()
    assert (results["mean_fit_time"] >= 0).all()
    assert len(results["params"]) == 12
    assert abs(fitted.best_params_["height"] - 0.3) < 0.1
    assert failed[6:].sum() <= 2  # the region is known by then
    assert len(said) == 2
    assert re.match(rf"\nEvery fit of {failed.sum()} out of 12 candidates failed", said[0])
    assert "ValueError: fell from 0.9" in said[0]


def test_the_last_one_may_fail() -> None:
    guesses = [{"height": 0.1}, {"height": 0.9}]
    with pytest.warns(UserWarning, match="scores are non-finite"), pytest.warns(FitFailedWarning):
        fitted = search(Hill(cliff=0.6), {"height": uniform(0, 1)}, n_iter=2, guesses=guesses).fit(X, Y)
    assert heights(fitted) == [0.1, 0.9]
    np.testing.assert_array_equal(fitted.cv_results_["rank_test_score"], [1, 2])


def test_failures_keep_their_place_in_several_metrics_and_train_scores() -> None:
    def two(estimator: Any, x: Any, y: Any) -> dict[str, float]:
        return {"a": estimator.score(x), "b": -estimator.score(x)}

    guesses = [{"height": height} for height in (0.9, 0.1, 0.8, 0.7, 0.2)]
    with pytest.warns(FitFailedWarning):
        fitted = search(
            Hill(cliff=0.6),
            {"height": uniform(0, 1)},
            n_iter=5,
            guesses=guesses,
            scoring=two,
            refit="b",
            error_score=-7,
            return_train_score=True,
        ).fit(X, Y)
    assert heights(fitted) == [0.9, 0.1, 0.8, 0.7, 0.2]
    for key in ("mean_test_a", "mean_train_b", "split1_test_b"):
        np.testing.assert_array_equal(fitted.cv_results_[key] == -7, [True, False, True, True, False])
    assert fitted.best_params_ == {"height": 0.1}


def test_when_all_fail_it_says_why() -> None:
    with pytest.raises(ValueError, match=r"(?s)All the 12 fits failed.*fell from"):
        search(Hill(cliff=-1.0)).fit(X, Y)


def test_a_failure_is_raised_where_that_is_asked() -> None:
    with pytest.raises(ValueError, match=r"^fell from"):
        search(Hill(cliff=0.2), error_score="raise").fit(X, Y)


def test_other_errors_are_raised_as_they_are() -> None:
    with pytest.raises(ValueError, match="Invalid parameter 'hight' for estimator"):
        search(space={"hight": [0.1, 0.2, 0.3]}).fit(X, Y)
    with pytest.raises(ValueError, match="No fits were performed"):
        search(cv=iter(())).fit(X, Y)


def test_scores_that_are_not_finite_are_warned_of_once() -> None:
    def moody(estimator: Any, x: Any, y: Any) -> float:
        return np.nan if estimator.height > 0.6 else float(estimator.score(x))

    with pytest.warns(UserWarning, match="test scores are non-finite") as caught:
        fitted = search(space={"height": uniform(0, 1)}, scoring=moody, n_iter=10).fit(X, Y)
    assert len(caught) == 1
    assert np.isnan(fitted.cv_results_["mean_test_score"]).any()
    assert abs(fitted.best_params_["height"] - 0.3) < 0.1


# ---- what is scored, and what is kept


def test_with_several_metrics_the_one_of_refit_is_searched_for() -> None:
    scoring = {"low": lambda e, x, y: -e.height, "high": lambda e, x, y: e.height}
    space = {"height": uniform(0, 1)}
    high = search(space=space, scoring=scoring, refit="high", n_iter=8).fit(X, Y)
    first = search(space=space, scoring=scoring, refit=False, n_iter=8).fit(X, Y)
    assert max(heights(high)) > 0.98
    assert min(heights(first)) < 0.02
    assert high.multimetric_
    assert high.best_score_ == max(heights(high))
    assert not hasattr(first, "best_params_")
    assert {"rank_test_low", "split0_test_high"} <= set(first.cv_results_)
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        search(space=space, scoring=scoring).fit(X, Y)


def test_refit_may_choose_itself() -> None:
    last = search(refit=lambda results: len(results["params"]) - 1).fit(X, Y)
    assert last.best_index_ == 5
    assert last.best_estimator_.height == heights(last)[5]
    assert not hasattr(last, "best_score_")
    with pytest.raises(IndexError, match="best_index_ index out of range"):
        search(refit=lambda results: 6).fit(X, Y)


def test_without_refit_there_is_nothing_to_predict_with() -> None:
    fitted = search(refit=False).fit(X, Y)
    assert fitted.best_params_
    assert not hasattr(fitted, "predict")
    assert not hasattr(fitted, "best_estimator_")


def test_only_what_the_estimator_can_do_is_offered() -> None:
    names = ["predict", "predict_proba", "decision_function", "transform", "score_samples"]

    def offered(estimator: Any) -> list[bool]:
        return [hasattr(search(estimator), name) for name in names]

    assert offered(SVC()) == [True, False, True, False, False]
    assert offered(LogisticRegression()) == [True, True, True, False, False]
    assert offered(KernelDensity()) == [False, False, False, False, True]
    x = np.random.default_rng(0).normal(size=(20, 3))
    fitted = search(PCA(), {"n_components": randint(1, 3)}).fit(x)
    np.testing.assert_allclose(fitted.transform(x), fitted.best_estimator_.transform(x))
    assert fitted.inverse_transform(fitted.transform(x)).shape == x.shape


def test_unlabelled_sparse_and_framed_data_are_taken() -> None:
    x, y = make_classification(40, random_state=0)
    assert search(KMeans(n_init=1), {"n_clusters": [2, 3]}).fit(x).best_params_["n_clusters"] in (2, 3)
    sparse = search(LogisticRegression(), {"C": loguniform(0.1, 10)}, n_iter=3).fit(csr_matrix(x), y)
    dense = search(LogisticRegression(), {"C": loguniform(0.1, 10)}, n_iter=3).fit(x, y)
    np.testing.assert_array_equal(sparse.predict(csr_matrix(x)), dense.predict(x))
    frame = pd.DataFrame(x, columns=[f"f{i}" for i in range(x.shape[1])])
    framed = search(LogisticRegression(), {"C": loguniform(0.1, 10)}, n_iter=3).fit(frame, pd.Series(y))
    assert list(framed.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(framed.predict(frame), dense.predict(x))


def test_groups_weights_and_other_fit_parameters_arrive() -> None:
    x, y = make_classification(40, random_state=0)
    groups = np.arange(40) // 10
    grouped = search(Ridge(), {"alpha": uniform(0.1, 1)}, cv=GroupKFold(2), n_iter=2)
    with pytest.raises(ValueError, match="'groups' parameter should not be None"):
        grouped.fit(x, y)
    grouped.fit(x, y, groups=groups, sample_weight=np.r_[np.zeros(20), np.ones(20)])
    expected = Ridge(**grouped.best_params_).fit(x[20:], y[20:])
    np.testing.assert_allclose(grouped.predict(x), expected.predict(x))


def test_metadata_are_routed() -> None:
    x, y = make_classification(40, random_state=0)
    weights = np.r_[np.zeros(20), np.ones(20)]
    with config_context(enable_metadata_routing=True):
        ridge = Ridge().set_fit_request(sample_weight="importance")
        scorer = make_scorer(lambda a, b, sample_weight: sample_weight.sum()).set_score_request(
            sample_weight="importance"
        )
        fitted = search(ridge, {"alpha": uniform(0.1, 1)}, cv=GroupKFold(2), scoring=scorer, n_iter=2).fit(
            x, y, importance=weights, groups=np.arange(40) // 10
        )
        assert fitted.cv_results_["split0_test_score"][0] == 10
        assert fitted.score(x, y, importance=weights) == 20
        with pytest.raises(TypeError, match="got unexpected argument"):
            fitted.fit(x, y, weight=weights)


def test_kernels_given_as_matrices_are_cut_both_ways() -> None:
    x, y = make_classification(40, random_state=0)
    kernel = search(SVC(kernel="precomputed"), {"C": loguniform(0.1, 10)}, n_iter=3)
    assert get_tags(kernel).input_tags.pairwise
    linear = search(SVC(kernel="linear"), {"C": loguniform(0.1, 10)}, n_iter=3).fit(x, y)
    np.testing.assert_allclose(
        kernel.fit(x @ x.T, y).cv_results_["mean_test_score"], linear.cv_results_["mean_test_score"]
    )


def test_whole_steps_may_be_chosen() -> None:
    pipe = Pipeline([("scale", None), ("model", Hill())])
    space = [
        {"scale": [None, StandardScaler(), MinMaxScaler()], "model__height": uniform(0, 1)},
        {"model": [DecisionTreeClassifier(random_state=0)], "model__max_depth": [1, 2]},
    ]
    fitted = search(pipe, space, n_iter=12).fit(X, Y)
    steps = fitted.cv_results_["param_scale"]
    assert {type(one) for one in steps[~steps.mask]} >= {StandardScaler, MinMaxScaler}
    assert any("model" in params for params in fitted.cv_results_["params"])
    assert isinstance(fitted.best_estimator_.named_steps["model"], Hill)


# ---- as an object


def test_it_survives_pickling_before_and_after() -> None:
    fitted = pickle.loads(pickle.dumps(search())).fit(X, Y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.cv_results_["params"] == fitted.cv_results_["params"]
    assert not [name for name in vars(fitted) if name.startswith("_uns")]


def test_parameters_are_read_set_and_cloned_also_those_of_its_estimator() -> None:
    one = search(Pipeline([("hill", Hill(height=0.25))]), {"hill__height": uniform(0, 1)})
    assert one.get_params()["estimator__hill__height"] == 0.25
    one.set_params(estimator__hill__height=0.5, n_iter=2, method="random")
    copy = clone(one)
    assert copy.get_params()["n_iter"] == 2
    assert copy.fit(X, Y).cv_results_["params"][0] == {"hill__height": 0.5}


def test_it_may_stand_inside_another_search_and_a_cross_validation() -> None:
    assert len(cross_val_score(search(n_iter=2), X, Y, cv=2)) == 2
    outer = search(search(n_iter=2), {"estimator__cliff": [1.5, 2.5]}).fit(X, Y)
    assert outer.best_estimator_.best_params_["height"] <= 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("method", "bayes"), ("n_iter", 0), ("batch_size", 1.5), ("guesses", "best"), ("refit", 3)],
)
def test_wrong_parameters_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of RetrainSearchCV must be"):
        search(**{name: value}).fit(X, Y)


def test_a_wrong_space_is_an_error_of_both_worlds() -> None:
    assert issubclass(InvalidError, ValueError)
    assert issubclass(InvalidError, UsageError)
    with pytest.raises(InvalidError, match="'ground' must have at least one value") as caught:
        search(space={"ground": []}).fit(X, Y)
    assert caught.value.remedy == "Name one, or leave it out."
    with pytest.raises(InvalidError, match=r"`low <= high` must hold .* high=1.0\.$"):
        search(space={"ground": (2.0, 1.0, "uniform")}).fit(X, Y)
    hardly = SearchSpace([IntParam("cliff", 1, 10_000)], [Forbid({"cliff": [*range(3, 10_001)]})])
    with pytest.raises(InvalidError, match="must leave more than"):
        search(space=hardly, n_iter=1).fit(X, Y)


@pytest.mark.parametrize("method", ["random", "sobol", "lhs", "bayesian"])
def test_every_method_searches(method: str) -> None:
    space = SearchSpace([FloatParam("height", 0.0, 1.0), IntParam("cliff", 2, 5)])
    assert len(set(heights(search(space=space, method=method).fit(X, Y)))) == 6


def test_progress_is_said_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    search(n_iter=2, verbose=1).fit(X, Y)
    said = capsys.readouterr().out.splitlines()
    assert said[::2] == ["Fitting 2 folds for each of 1 candidates, totalling 2 fits"] * 2
    assert said[1] == "1 of 2 candidates, best mean score 0.54"
    search(n_iter=2).fit(X, Y)
    assert capsys.readouterr().out == ""
