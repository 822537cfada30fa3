"""The movies: two files in two formats, a recommender of 21 constants, and the loop around its gate."""

import ast
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import examples.movies
from examples.movies import model
from examples.movies.data import FILMS, LEFT_OUT, RATINGS, load, make_sample, prepare
from orchestrator.cli import cli as orchestrator
from retrain.cli import cli as retrain
from retrain.cli import run_command
from retrain.config import Config, load_config
from tuner.errors import DataError

FOLDER = Path(examples.movies.__file__).parent
ALL_ON_RATING = {
    "genre_weight": 0.0,
    "cast_weight": 0.0,
    "franchise_weight": 0.0,
    "rating_weight": 1.0,
    "popularity_weight": 0.0,
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    make_sample(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path, sample: Path) -> Config:
    for name in ("retrain.toml", "model.py"):
        shutil.copy(FOLDER / name, tmp_path)
    prepare(tmp_path, sample)
    return load_config(tmp_path, environ={})


def test_the_sample_is_the_same_each_time_and_has_the_real_columns(tmp_path: Path, sample: Path) -> None:
    make_sample(tmp_path)
    for name in (FILMS, RATINGS):
        assert (tmp_path / name).read_bytes() == (sample / name).read_bytes()
    films, ratings = load(sample)
    assert films["n_ratings"].sum() == len(ratings)
    assert not ratings.duplicated(["user_id", "movie_id"]).any()


def test_what_is_made_of_all_ratings_does_not_reach_the_model(project: Config) -> None:
    films = pd.read_csv(project.root / FILMS)
    assert not {*LEFT_OUT} & {*films.columns}
    assert {"wiki_genres", "cast", "franchise", "year"} <= {*films.columns}


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        (RATINGS, None, "there is none"),
        (RATINGS, lambda frame: frame.rename(columns={"rating": "rate"}), "Did you mean 'rate'"),
        (RATINGS, lambda frame: frame.assign(rating=11), "from 0 to 10"),
        (RATINGS, lambda frame: frame.head(0), "must have rows"),
        (FILMS, lambda frame: frame.drop(columns="cast"), "must have a column 'cast'"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, sample: Path, name: str, change: Any, what: str) -> None:
    for each in (FILMS, RATINGS):
        frame = pd.read_csv(sample / each)
        if each != name:
            frame.to_csv(tmp_path / each, index=False)
        elif change is not None:
            change(frame).to_csv(tmp_path / each, index=False)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path, tmp_path)
    assert what in f"{caught.value}"


def test_there_are_21_constants_and_the_space_has_their_values_as_defaults(project: Config) -> None:
    constants = {
        node.targets[0].id.lower(): ast.literal_eval(node.value)
        for node in ast.parse((FOLDER / "model.py").read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node.value, ast.Constant | ast.UnaryOp)
    }
    space, phase = project.search_space(), project.in_phase("taste").search_space()
    first = {name: value for name, value in constants.items() if name not in phase.names}
    assert space.defaults() == {name: first.pop(name) for name in space.names}
    assert first.pop("accuracy_threshold") == 0.65
    assert len(space.names) + 1 == 21
    assert first.keys() == {"scale", "n_cast"}, "no hyperparameters"
    assert phase.defaults() == {name: constants[name] for name in phase.names}
    for params in (space.defaults(), *(space.sample(np.random.default_rng(seed)) for seed in range(20))):
        assert sum(float(str(params[name])) for name in ALL_ON_RATING) == pytest.approx(1)
        assert params["popularity_count_share"] + params["popularity_recent_share"] == pytest.approx(1)  # type: ignore[operator]
        thresholds = [params[f"genre_threshold_{level}"] for level in ("low", "medium", "high")]
        assert thresholds == sorted(thresholds)  # type: ignore[type-var]


def test_the_components_are_what_they_are_said_to_be() -> None:
    given = load_config(FOLDER, environ={}).search_space().defaults()
    likeness = np.array([0.0, 0.29, 0.3, 0.5, 0.7, 0.95])
    boosted = [0, 0.29 * 0.8, 0.3, 0.5 * 1.1, 0.7 * 1.15, 1]
    assert model._boosted(likeness, given) == pytest.approx(boosted)
    places = np.eye(20)[[0, 4, 5, 14, 15, 19]]
    assert model._by_place(places, given) == pytest.approx([1, 1, 0.7, 0.7, 0.3, 0.3])
    assert model._by_place(np.ones((1, 20)), given) == pytest.approx([1])
    assert model._by_depth(np.array([0, 1, 3]), 0.0).tolist() == [0, 1, 1]
    assert model._by_depth(np.array([0, 1, 3]), 0.5).tolist() == [0, 1, 2]


def test_a_film_is_scored_by_what_the_user_has_seen_and_by_nothing_that_is_asked(project: Config) -> None:
    films, ratings = (pd.read_csv(project.root / name) for name in (FILMS, RATINGS))
    learned, asked = ratings.iloc[::2], ratings.iloc[1::2].drop(columns="rating")
    recommender = model.Recommender()
    recommender.fit(learned.reset_index(drop=True), films)
    params = project.search_space().defaults()
    whole = recommender.score(asked, params)
    assert recommender.score(asked.iloc[[7]], params) == pytest.approx(whole[[7]]), "each by itself"
    nobody = asked.assign(user_id=0)
    alike = pd.Series(recommender.score(nobody, params)).groupby(nobody["movie_id"].to_numpy()).nunique()
    assert (alike == 1).all(), "of somebody unknown the film alone counts"


def test_the_gate_refuses_the_defaults_and_passes_what_is_tuned(
    project: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    before = (project.root / "model.py").read_text()
    assert run_command(retrain, "retrain", ["-q"]) == 3
    assert "pairs of held-out users" in capsys.readouterr().err
    assert (project.root / "model.py").read_text() == before
    tune = ["--method", "random", "--configs", "12", "--pool", "local", "--workers", "1", "-q"]
    assert run_command(orchestrator, "orchestrator", tune) == 0
    assert run_command(retrain, "retrain", ["--apply-hp", "best", "-q"]) == 0
    after = (project.root / "model.py").read_text()
    assert "RATING_WEIGHT = 0.30" not in after
    assert "ACCURACY_THRESHOLD = 0.65" in after
    tune = ["--tune", "--phase2", "--tune-method", "random", "--tune-configs", "2"]
    assert run_command(retrain, "retrain", tune) == 0
    assert "20 parameters are held" in capsys.readouterr().out


def test_each_phase_2_parameter_changes_the_scores(project: Config) -> None:
    films, ratings = (pd.read_csv(project.root / name) for name in (FILMS, RATINGS))
    recommender = model.Recommender()
    recommender.fit(ratings, films)
    asked = ratings.drop(columns="rating")
    base = project.search_space().defaults()
    before = recommender.score(asked, {**base, **project.in_phase("taste").search_space().defaults()})
    for name, value in {
        "user_preference_weight": 1.0,
        "franchise_depth_scaling": 1.0,
        "rating_model": "content",
    }.items():
        after = recommender.score(asked, {**base, name: value})
        assert not np.allclose(before, after), name
        assert (before != after).sum() > 10, name
