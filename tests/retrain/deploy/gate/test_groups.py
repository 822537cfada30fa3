"""Bounds by group: every site keeps them, and what cannot be judged of any site refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrain.config import load_config
from retrain.deploy.gate import Needs
from retrain.deploy.scoring import Scorer
from retrain.metrics import Predictions, get_metric, score
from retrain.pipelines import load_pipeline
from retrain.pipelines.tabular import TabularPipeline
from tests.retrain.deploy.gate.figures import figures, grouped, verdict, verdicts
from tuner.errors import ConfigError, DataError

MIN_BY = {"metric": "auc", "by": "site", "min": 0.7}
DROP_BY = {"metric": "auc", "by": "site", "max_drop": 0.02}


def test_every_group_keeps_the_minimum() -> None:
    met = verdict(grouped(0.9, {"a": (0.8, 50), "b": (0.7, 50)}), None, MIN_BY)
    assert (met.passed, met.challenger) == (True, 0.7)
    assert (
        met.why
        == "each of 2 keeps it, and the closest is auc of site b is 0.7 (50 rows); min is 0.7 for each site"
    )
    failed = verdict(grouped(0.9, {"a": (0.69, 50), "b": (0.7, 50), "c": (0.5, 20)}), None, MIN_BY)
    assert (failed.passed, failed.challenger) == (False, 0.5)
    assert failed.why.startswith(
        "auc of site c is 0.5 (20 rows), auc of site a is 0.69 (50 rows); min is 0.7"
    )


def test_no_group_may_fall_although_the_whole_is_better() -> None:
    old = grouped(0.8, {"a": (0.8, 50), "b": (0.8, 50)})
    assert verdict(grouped(0.9, {"a": (0.99, 50), "b": (0.79, 50)}), old, DROP_BY).passed
    default, failed = verdicts(grouped(0.9, {"a": (0.99, 50), "b": (0.77, 50)}), old, DROP_BY)
    assert (default.rule, default.passed) == ("not_worse", True)  # it does not take the default's place
    assert (failed.passed, failed.challenger, failed.champion) == (False, 0.77, 0.8)
    assert failed.improvement == pytest.approx(-0.03)
    assert "auc of site b is 0.77, 0.8 deployed (50 rows); max_drop is 0.02 for each site" in failed.why


@pytest.mark.parametrize("rule", [{"min": 0.1}, {"max": 1.0}, {"max_drop": 0.5}])
def test_groups_too_small_or_of_one_class_are_named_and_refused(rule: dict[str, float]) -> None:
    gate = {"metric": "auc", "by": "site", **rule}
    old = grouped(0.8, {"a": (0.8, 50), "b": (0.8, 9), "c": (0.8, 50)})
    small = verdict(grouped(0.9, {"a": (0.8, 50), "b": (0.8, 9), "c": (0.8, 50)}), old, gate)
    assert not small.passed
    assert "too few rows of site: b (9); a group needs 10" in small.why
    assert "min_rows" in small.remedy
    left_out = verdict(grouped(0.9, {"a": (0.8, 50), "b": (0.8, 9)}), old, {**gate, "min_rows": 10})
    assert left_out.passed
    assert "left out with fewer than 10 rows: b (9)" in left_out.why
    counted = verdict(grouped(0.9, {"a": (0.8, 50), "b": (0.8, 9)}), old, {**gate, "min_rows": 5})
    assert counted.passed
    assert "left out" not in counted.why
    one_class = verdict(grouped(0.9, {"a": (0.8, 50), "c": (None, 50)}), old, gate)
    assert not one_class.passed
    assert "it has no value for site c (50 rows): one class" in one_class.why
    none_left = verdict(grouped(0.9, {"a": (0.8, 50)}), old, {**gate, "min_rows": 51})
    assert "no site has 51 rows: a (50)" in none_left.why
    assert not none_left.passed


def test_what_the_champion_or_the_pipeline_does_not_say_is_refused() -> None:
    new = grouped(0.9, {"a": (0.8, 50), "b": (0.8, 50)})
    for old, reason in [
        (None, "could not be scored"),
        (figures(0.8), "the pipeline does not say it by 'site'"),
        (grouped(0.8, {"a": (0.8, 50)}), "of what is deployed, it has no value for site b"),
        (grouped(0.8, {"a": (0.8, 50), "b": (None, 50)}), "of what is deployed, it has no value for site b"),
    ]:
        refused = verdict(new, old, DROP_BY)
        assert not refused.passed
        assert reason in refused.why
    assert "does not say it by 'site'" in verdict(figures(0.9), None, MIN_BY).why
    own = grouped(0.9, {"a": (0.8, 50)}, metric="own")
    gate = {"metric": "own", "by": "site", "max_drop": 0.1}
    assert "not known whether more or less" in verdict(own, own, gate).why
    repeated = verdict(new, None, {**MIN_BY, "repeats": 2})
    assert "does not say it by 'site'" in repeated.why


# ---- where the groups come from


ROWS = 240


def table(folder: Path, gate: str, **options: Any) -> TabularPipeline:
    """Two sites that differ, and one that is tiny; logistic regression."""
    rng = np.random.default_rng(0)
    site = np.array(["north"] * 130 + ["south"] * 105 + [""] * 5)
    x = rng.normal(size=ROWS)
    noise = np.where(site == "north", 0.2, 3.0)
    y = (x + noise * rng.normal(size=ROWS) > 0).astype(int)
    frame = pd.DataFrame({"x": x, "site": site, "y": y}).sample(frac=1, random_state=1)
    frame.to_csv(folder / "d.csv", index=False)
    (folder / "retrain.toml").write_text(
        '[pipeline]\nmodel = "logistic_regression"\ndata = "d.csv"\ntarget = "y"\nmetric = "roc_auc"\n'
        f'drop = ["site"]\n[splits]\nfolds = 4\nrepeats = 2\n{gate}'
    )
    pipeline = load_pipeline(load_config(folder, environ={}))
    assert isinstance(pipeline, TabularPipeline)
    pipeline.use(pipeline.load())
    return pipeline


def test_a_table_is_scored_by_the_values_of_a_dropped_column(tmp_path: Path) -> None:
    pipeline = table(tmp_path, "[[gate]]\nmetric = 'accuracy'\nby = 'site'\nmin = 0.1\n")
    params = pipeline.space.defaults()
    evaluation, detail = pipeline.evaluate_in_detail(
        params, lambda *_: None, 0, {"site": {"accuracy", "roc_auc"}}
    )
    plain = pipeline.evaluate(params, lambda *_: None, 0)
    assert (evaluation.value, evaluation.std_error) == (plain.value, plain.std_error)
    scores = detail.groups["site"]["accuracy"]
    assert list(scores) == ["(missing)", "north", "south"]
    assert sum(each.n_rows for each in scores.values()) == len(pipeline.data.train)
    assert (scores["north"].value or 0) > 0.85 > (scores["south"].value or 1)
    weighted = sum((each.value or 0) * each.n_rows for each in scores.values()) / len(pipeline.data.train)
    assert weighted == pytest.approx(evaluation.metrics["accuracy"], abs=0.01)
    assert len(detail.folds["accuracy"]) == 8
    assert np.mean(detail.folds["roc_auc"]) == pytest.approx(evaluation.value)


def test_groups_of_the_holdout(tmp_path: Path) -> None:
    pipeline = table(tmp_path, "[[gate]]\nmetric = 'test_accuracy'\nby = 'site'\nmin = 0.1\n")
    model = pipeline.fit(pipeline.space.defaults(), 0)
    scores, detail = pipeline.test_in_detail(model, {"site": {"test_accuracy"}})
    assert scores == pipeline.test(model)
    found = detail.groups["site"]["test_accuracy"]
    mine = pipeline.data.holdout[pipeline.data.table.labels["site"][pipeline.data.holdout] == "north"]
    said = model.predictions(pipeline.data.table.features[mine])
    expected = score(get_metric("accuracy"), pipeline.data.table.y[mine], Predictions(said.labels), 2)
    assert (found["north"].value, found["north"].n_rows) == (expected, len(mine))


def test_the_gate_asks_for_them(tmp_path: Path) -> None:
    gates = (
        "[[gate]]\nmetric = 'roc_auc'\nby = 'site'\nmin = 0.9\nmin_rows = 20\n"
        "[[gate]]\nmetric = 'test_accuracy'\nby = 'site'\nmin = 0.1\nmin_rows = 10\n"
        "[[gate]]\nmetric = 'accuracy'\nby = 'site'\nmin = 0.1\nmin_rows = 20\nrepeats = 2\n"
        "[[gate]]\nmetric = 'model_kb'\nmax = 1e6\n[[gate]]\nmetric = 'predict_ms'\nmax = 1e-9\n"
    )
    pipeline = table(tmp_path, gates)
    config = load_config(tmp_path, environ={})
    needs = Needs.of(config.gate, splits_follow_seed=pipeline.splits_follow_seed)
    scored = Scorer(pipeline, 0, needs).score(pipeline.space.defaults(), needs.challenger)
    given = [dict(gate) for gate in config.gate]
    found = verdicts(scored.figures, scored.figures, *given, metric="roc_auc", n_folds=4)[1:]
    assert [each.passed for each in found] == [False, True, True, True, False]
    assert found[0].why.startswith("roc_auc of site south is 0.")
    assert found[3].why.startswith("model_kb is ")
    assert (found[4].challenger or 0) > 1e-9


def test_a_column_that_is_not_there_is_said_when_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'sites', as by of .*gate.* Did you mean 'site'"):
        table(tmp_path, "[[gate]]\nmetric = 'accuracy'\nby = 'sites'\nmin = 0.1\n")
    with pytest.raises(ConfigError, match=r"unknown metric, 'acuracy'. Did you mean 'accuracy'"):
        table(tmp_path, "[[gate]]\nmetric = 'acuracy'\nby = 'site'\nmin = 0.1\n")


def test_a_gate_by_group_changes_no_fingerprint(tmp_path: Path) -> None:
    plain = table(tmp_path, "").provenance()
    assert table(tmp_path, "[[gate]]\nmetric = 'accuracy'\nby = 'site'\nmin = 0.1\n").provenance() == plain
