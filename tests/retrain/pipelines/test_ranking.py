from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrain.cli import cli, run_command
from retrain.config import load_config
from retrain.doctor import doctor
from retrain.pipelines import load_pipeline
from retrain.pipelines.artifact import load_model
from retrain.pipelines.ranking import RankingPipeline
from retrain.pipelines.ranking_artifact import RankingModel
from retrain.pipelines.ranking_folds import make_ranking_folds
from retrain.results import ResultError
from tests.contracts.pipeline_contract import PipelineContract, evaluate
from tests.retrain.pipelines.ratings import CONFIG, ranking, tables
from tuner.errors import ConfigError, DataError

DEPLOY = '\n[deploy]\ntarget = "scorer.py"\n[[gate]]\nmetric = "test_pairwise_accuracy"\nmin = 0.7\n'


def pipeline_of(folder: Path, *changes: tuple[str, str], **columns: Any) -> RankingPipeline:
    pipeline = load_pipeline(ranking(folder, *changes, **columns))
    assert isinstance(pipeline, RankingPipeline)
    return pipeline


class TestRankingPipeline(PipelineContract):
    has_data = True

    @pytest.fixture
    def pipeline(self, tmp_path: Path) -> RankingPipeline:
        return pipeline_of(tmp_path)


class TestHeldOutRatings(PipelineContract):
    has_data = True

    @pytest.fixture
    def pipeline(self, tmp_path: Path) -> RankingPipeline:
        return pipeline_of(tmp_path, ('kind = "ranking"', 'kind = "ranking"\nheld_out = "ratings"'))


@pytest.mark.parametrize("name", ["Scorer", "FromParams", "score"])
def test_what_ranks_better_scores_better(tmp_path: Path, name: str) -> None:
    pipeline = pipeline_of(tmp_path, (":Scorer", f":{name}"))
    pipeline.use(pipeline.load())
    worse, better = (evaluate(pipeline, {"weight": weight})[0] for weight in (0.0, 1.0))
    assert worse.value < better.value - 0.1
    assert better.value > 0.75
    assert worse.metrics.keys() == {"pooled_pairwise_accuracy"}
    test = pipeline.test(pipeline.fit({"weight": 1.0}, 0))
    assert test.metrics["test_pairwise_accuracy"] > 0.7
    assert len(test.left_out["test_pairwise_accuracy"]) > 1


def test_a_stored_one_is_read_without_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = pipeline_of(tmp_path)
    pipeline.use(pipeline.load())
    model = pipeline.fit({"weight": 1.0}, 0)
    folder = tmp_path / "model"
    folder.mkdir()
    pipeline.save(model, folder)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    rows = pipeline.sample_rows(5)
    again = load_model(folder)
    assert isinstance(again, RankingModel)
    assert again.predict_rows(rows) == model.predict_rows(rows)


def test_a_class_learns_once_per_fold_unless_it_asks_for_the_parameters(tmp_path: Path) -> None:
    pipeline = pipeline_of(tmp_path)
    pipeline.use(pipeline.load())
    counter = pipeline._scorer.code
    counter.fits = 0
    for weight in (0.1, 0.2, 0.3):
        evaluate(pipeline, {"weight": weight})
    assert counter.fits == 3, "three folds"
    evaluate(pipeline, seed=5)
    assert counter.fits == 6


@pytest.mark.parametrize("time", [False, True])
def test_held_out_users_are_unknown_but_for_what_is_said_to_be_known(tmp_path: Path, time: bool) -> None:
    changes = [("folds = 3", 'folds = 3\ntime = "at"')] if time else []
    pipeline = pipeline_of(tmp_path, *changes)
    loaded = pipeline.load()
    ratings = loaded.ratings
    held = set(ratings.users[loaded.asked])
    assert not held & set(ratings.users[loaded.train])
    for user in held:
        known, asked = (rows[ratings.users[rows] == user] for rows in (loaded.known, loaded.asked))
        assert len(known) == (len(known) + len(asked)) // 2
        if time:
            assert ratings.frame["at"][known].max() <= ratings.frame["at"][asked].min() or not len(known)
    folds = make_ranking_folds(loaded, "users", 0.5, 3, 1, seed=0)
    scored = [set(fold.asked["user"]) for fold in folds]
    assert set.union(*scored) == set(ratings.frame["user"][loaded.train]), "each is in one fold"
    assert sum(map(len, scored)) == len(set.union(*scored))
    for fold in folds:
        assert not held & set(fold.learned["user"]), "the holdout is in no fold"
        assert "rating" not in fold.asked
        both = pd.concat([fold.learned[["user", "item"]], fold.asked[["user", "item"]]])
        assert not both.duplicated().any(), "what is asked is not known"


def test_held_out_ratings_are_of_users_that_are_known(tmp_path: Path) -> None:
    pipeline = pipeline_of(tmp_path, ('kind = "ranking"', 'kind = "ranking"\nheld_out = "ratings"'))
    loaded = pipeline.load()
    users = loaded.ratings.users
    asked, train = (
        np.bincount(users[loaded.asked], minlength=60),
        np.bincount(users[loaded.train], minlength=60),
    )
    assert (train > 0).all()
    assert (asked == (asked + train) // 5).all()


def test_a_pruner_may_stop_it_after_a_fold_and_the_memory_knows_its_kind(tmp_path: Path) -> None:
    pipeline = pipeline_of(tmp_path)
    pipeline.use(pipeline.load())
    assert pipeline.steps == "folds"
    assert [step for step, _ in evaluate(pipeline)[1]] == [0, 1, 2]
    traits = pipeline.traits()
    assert (traits.model, traits.kind) == ("Scorer", "ranking")
    assert traits.features["n_items"] == 30
    assert 0 < traits.features["density"] < 1


def test_constants_that_a_deployment_writes_are_no_change_of_code(tmp_path: Path) -> None:
    before = load_pipeline(ranking(tmp_path, text=CONFIG + DEPLOY))
    before.use(before.load())
    scorer = tmp_path / "scorer.py"
    code = scorer.read_text()
    for old, new, same in (("0.2", "0.75", True), ("def short", "def shorter", False)):
        folder = tmp_path / new.split()[-1]
        folder.mkdir()
        config = ranking(folder, text=CONFIG + DEPLOY)
        (folder / "scorer.py").write_text(code.replace(old, new))
        after = load_pipeline(config)
        after.use(after.load())
        assert (after.provenance() == before.provenance()) is same


def test_the_whole_way_to_production_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ranking(tmp_path, text=CONFIG + DEPLOY)
    monkeypatch.chdir(tmp_path)

    def retrain(*arguments: str) -> int:
        return run_command(cli, "retrain", [*arguments, "-q"])

    assert retrain("--apply-hp", '{"weight": 0.0}', "--force") == 3
    assert "WEIGHT = 0.2" in (tmp_path / "scorer.py").read_text()
    assert retrain("--apply-hp", '{"weight": 1.0}') == 0
    assert "WEIGHT = 1.0" in (tmp_path / "scorer.py").read_text()
    capsys.readouterr()
    assert retrain() == 0
    assert not capsys.readouterr().out, "nothing changed: the constants are no code"
    assert retrain("--apply-hp", '{"weight": 0.9}', "--force") == 0
    scorer = tmp_path / "scorer.py"
    scorer.write_text(scorer.read_text().replace("weight * good", "weight * good * 2"))
    assert retrain("--rollback", "2", "--force") == 0, "a version keeps the code that it was tested with"
    assert "WEIGHT = 1.0" in scorer.read_text()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (('"scorer.py:Scorer"', '"scorer.py:Scorr"'), "Did you mean 'Scorer'"),
        (('"scorer.py:Scorer"', '"scorer:Deaf"'), "has no score()"),
        (('"scorer.py:Scorer"', '"scorer.py:lacking"'), "lacks items, asked"),
        (('"scorer.py:Scorer"', '"scorer.py:number"'), "names a int"),
        (('"scorer.py:Scorer"', '"scorer.py"'), "must be 'model.py:attr'"),
        (('items = "items.csv"', ""), "`pipeline.items` is needed"),
        (('"pairwise_accuracy"', '"pairwise_acuracy"'), "Did you mean 'pairwise_accuracy'"),
        (("folds = 3", 'folds = 3\ngroup = "user"'), "users stay together"),
        (
            ("[space.params]", '[[gate]]\nmetric = "test_x"\nby = "site"\nmax_drop = 1\n[space.params]'),
            "gate[0].by",
        ),
        (('kind = "ranking"', 'kind = "ranking"\nmodel = "ridge"'), "`pipeline.model` has no meaning"),
        (("[space.params]", '[pruning]\nsteps = "samples"\n[space.params]'), "must be 'folds'"),
        (('kind = "ranking"', 'kind = "ranking"\nheld_out = "ratings"\nknown = 0.2'), "held_out = 'ratings'"),
        (('kind = "ranking"', 'kind = "ranking"\nknown = 1.0'), "less than 1"),
        (('kind = "ranking"', 'kind = "ranking"\nuser = "item"'), "three columns"),
        (
            ('kind = "ranking"', 'kind = "command"\ncommand = "x"\ndirection = "minimize"'),
            "`pipeline.scorer` has no",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_before_anything_is_read(
    tmp_path: Path, change: tuple[str, str], what: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_pipeline(ranking(tmp_path, change))
    assert what in f"{caught.value} {caught.value.remedy}"


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda r, i: (r.drop(columns="rating"), i), "no column 'rating', as `target`"),
        (lambda r, i: (r.rename(columns={"user": "usr"}), i), "Did you mean 'usr'"),
        (lambda r, i: (r.assign(rating=r.rating.where(r.index != 3)), i), "1 rows have none"),
        (lambda r, i: (r.assign(rating="good"), i), "must be finite numbers"),
        (lambda r, i: (r.assign(rating=5), i), "all are 5"),
        (lambda r, i: (pd.concat([r, r.head(1)]), i), "must rate an item once"),
        (lambda r, i: (r, i.head(10)), "must be in the table of items"),
        (lambda r, i: (r, pd.concat([i, i.head(1)])), "one row in the table of items"),
        (lambda r, i: (r.drop_duplicates("user"), i), "two ratings to rank that differ"),
        (lambda r, i: (r[r.user < 2], i), "at least 3 users"),
    ],
)
def test_wrong_tables_are_refused_with_one_clear_error(tmp_path: Path, spoil: Any, what: str) -> None:
    pipeline = pipeline_of(tmp_path)
    ratings, items = spoil(*tables())
    ratings.to_csv(tmp_path / "ratings.csv", index=False)
    items.to_csv(tmp_path / "items.csv", index=False)
    with pytest.raises(DataError) as caught:
        pipeline.load()
    assert what in f"{caught.value} {caught.value.remedy}"


@pytest.mark.parametrize(("name", "what"), [("short", "one number for each"), ("odd", "returned nan")])
def test_what_is_no_score_is_a_failure_of_the_experiment(tmp_path: Path, name: str, what: str) -> None:
    pipeline = pipeline_of(tmp_path, (":Scorer", f":{name}"))
    pipeline.use(pipeline.load())
    with pytest.raises(ResultError, match=what):
        evaluate(pipeline)


def test_doctor_looks_at_both_tables(tmp_path: Path) -> None:
    ranking(tmp_path)
    (said,) = (each.detail for each in doctor(tmp_path) if each.check == "ratings")
    assert "held out to be ranked" in said
    (tmp_path / "items.csv").write_text("item,quality\n1,2\n")
    (said,) = (each.detail for each in doctor(tmp_path) if each.check == "ratings")
    assert "must be in the table of items" in said
    assert load_config(tmp_path).study_name == "ranker"
