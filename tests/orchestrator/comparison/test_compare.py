"""`orchestrator compare` as it is typed: what it runs, keeps, repeats and shows."""

import csv
import io
import json
import pickle
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from orchestrator.comparison.design import Asked, design
from orchestrator.comparison.job import ALL, JOB, TEST, Jobs, pipeline_of
from orchestrator.comparison.results import MEAN
from orchestrator.comparison.tuned import TUNED, find_tuned, study_spec
from retrain.config import Config, load_config
from retrain.pipelines.tabular import TabularPipeline
from tests.orchestrator.comparison.places import InlinePool, table, write_places
from tuner.experiment import State
from tuner.registry import Registry, open_registry

Run = Callable[..., tuple[int, str, str]]

BOTH = ("--models", "logistic_regression", "random_forest")
MODEL = ("--models", "random_forest")
TUNE = ("--tune-hyperparameters", "--tuning-method", "random", "--tuning-trials", "3")


def opened() -> Registry:
    return open_registry("experiments.db", create=False)


def rows_of(folder: Path = Path("comparison")) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "results.csv").read_text())))


def test_every_model_size_and_site_is_tested_known_and_new(run: Run) -> None:
    code, out, err = run("compare", *BOTH, "--training-sizes", "0.5", "1.0")
    assert code == 0, err
    assert err.startswith("to compare: 2 x 8 models x training sets; 16 fits\n")
    assert max(map(len, out.splitlines())) <= 80
    rows = rows_of()
    accuracy = [row for row in rows if row["metric"] == "accuracy"]
    seen = {(row["model"], row["size"], row["domain"], row["test_on"]) for row in accuracy}
    sites = ("north", "south", "west")
    assert seen == {
        (model, size, domain, test)
        for model in BOTH[1:]
        for size in ("0.5", "1.0")
        for domain in ("in", "out")
        for test in (*sites, MEAN, *([ALL] if domain == "in" else []))
    }
    assert {row["metric"] for row in rows} == {"accuracy", "csmf_accuracy"}
    assert all(
        0 <= float(row["default_low"]) <= float(row["default"]) <= float(row["default_high"]) <= 1
        for row in rows
    )
    assert all(row["tuned"] == row["gain"] == "" for row in rows)
    sizes = {row["size"]: int(row["n_train"]) for row in rows if row["train_on"] == "all"}
    assert abs(sizes["0.5"] - sizes["1.0"] / 2) < 8
    with opened() as registry:
        assert registry.studies() == []
        assert len(registry.holdout_reads("logistic_regression-places")) == 2 * 2 * 4


def test_rows_of_a_class_that_was_never_learned_are_counted(run: Run) -> None:
    code, out, _ = run("compare")
    assert code == 0
    unknown = {row["test_on"]: int(row["n_unknown_class"]) for row in rows_of() if row["domain"] == "out"}
    assert unknown["south"] == 6
    assert unknown["west"] == 0
    assert "at most 6 of 60 (south)" in out.replace("\n ", "")


def test_tuning_gains_are_shown_with_intervals_and_kept(run: Run, pools: list[InlinePool]) -> None:
    code, out, err = run("compare", *MODEL, *TUNE)
    assert code == 0, err
    assert err.startswith("to compare: 1 x 4 models x training sets; 4 tunings of 3 trials, at most 8 fits\n")
    assert "tuned   gain     95 % interval" in out
    assert max(map(len, out.splitlines())) <= 80
    for row in rows_of():
        gain = float(row["tuned"]) - float(row["default"])
        assert float(row["gain"]) == pytest.approx(gain)
        assert float(row["gain_low"]) <= gain + 1e-12
        assert float(row["gain_high"]) >= gain - 1e-12
    with opened() as registry:
        studies = registry.studies()
        assert len(studies) == 4
        for study in studies:
            assert registry.counts(study)[State.COMPLETE] == 4
        tuned = find_tuned(registry)
        for study in studies:
            assert registry.best(study)[0].public_id == tuned[study.name].experiment
    assert (Path("comparison") / "default_against_tuned.png").read_bytes().startswith(b"\x89PNG")

    [pool] = pools  # the table went to the workers once; tasks are small, whatever the table is
    assert all(len(json.dumps(dict(task.params))) < 1000 for task in pool.ran)
    assert len({task.params[JOB] for task in pool.ran if TEST in task.params}) == 4
    assert len({task.params[JOB] for task in pool.ran if TEST not in task.params}) == 4

    files = (Path("comparison") / "results.csv").read_bytes()  # a repeat runs nothing, and is the same
    again = run("compare", *MODEL, *TUNE)
    assert again[0] == 0
    assert again[1].splitlines()[:-3] == out.splitlines()[:-3]
    assert (Path("comparison") / "results.csv").read_bytes() == files
    assert len(pools) == 1


def study_names(config: Config, asked: Asked) -> set[str]:
    found = design(config, asked)
    return {study_spec(found, job, pipeline_of(found.configs, found.sites, job)).name for job in found.jobs}


def test_whatever_a_tuning_depends_on_makes_another_study(project: Path) -> None:
    asked = Asked(tune=True, train_on=("all",), method="random", trials=3)
    config = load_config(project)
    names = study_names(config, asked)
    assert names == study_names(load_config(project), replace(asked))
    for change in (
        {"method": "grid"},
        {"trials": 2},
        {"metric": "csmf_accuracy"},
        {"sites": ("north", "south")},
        {"sizes": (0.9,)},
        {"timeout_s": 60.0},
        {"models": ("random_forest",)},
    ):
        other = study_names(config, replace(asked, **change))
        assert not other & names
        names |= other
    text = (project / "retrain.toml").read_text()
    for new in (
        text.replace("folds = 3", "folds = 4"),
        text.replace("conservative", "default"),
        text + "[study]\nseed = 4\n",
        text.replace("holdout = 0.25", "holdout = 0.2"),
    ):
        (project / "retrain.toml").write_text(new)
        other = study_names(load_config(project), asked)
        assert not other & names
        names |= other
    write_places(project, table(seed=1))
    assert not study_names(load_config(project), asked) & names


def test_a_tuning_that_failed_is_not_kept_and_tried_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = TabularPipeline.evaluate_for_tuning

    def broken(self: TabularPipeline, *arguments: Any) -> Any:
        raise ValueError("the disk is on fire")

    monkeypatch.setattr(TabularPipeline, "evaluate_for_tuning", broken)
    command = ("compare", "--train-on", "all", *TUNE)
    code, out, _ = run(*command)
    assert code == 5
    assert "the disk is on fire" in out
    [row] = [row for row in rows_of() if row["test_on"] == ALL and row["metric"] == "accuracy"]
    assert row["default"]
    assert row["tuned"] == row["params"] == ""
    assert "the disk is on fire" in row["why"]
    with opened() as registry:
        assert registry.events(kind=TUNED) == []
    monkeypatch.setattr(TabularPipeline, "evaluate_for_tuning", real)
    assert run(*command)[0] == 0
    with opened() as registry:
        assert len(registry.events(kind=TUNED)) == 1


def test_an_interrupted_comparison_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real, n = TabularPipeline.evaluate, 0

    def interrupted(self: TabularPipeline, *arguments: Any) -> Any:
        nonlocal n
        n += 1
        if n == 6:  # in the second of four tunings
            signal.raise_signal(signal.SIGTERM)  # a runner in the background may ignore SIGINT
        return real(self, *arguments)

    monkeypatch.setattr(TabularPipeline, "evaluate_for_tuning", interrupted)
    command = ("compare", *TUNE)
    code, out, _ = run(*command)
    assert code == 143
    assert "continue with: orchestrator compare" in out
    assert not (Path("comparison") / "results.csv").exists()
    with opened() as registry:
        assert len(registry.events(kind=TUNED)) == 1
    code, _, err = run(*command)
    assert code == 0
    assert "1 of 4 tunings are known already" in err
    with opened() as registry:
        assert len(registry.events(kind=TUNED)) == 4
        assert {registry.counts(study)[State.COMPLETE] for study in registry.studies()} == {4}
        assert sum(each.attempt for each in registry.experiments()) == 16  # none was run twice


def test_tuning_never_sees_what_is_tested(project: Path) -> None:
    """Whatever stands in the rows that a job is tested on, its cross-validation comes out the same."""
    asked = Asked(tune=True, train_on=("all", "others", "own"))
    config = load_config(project)
    before = design(config, asked)
    first = {job.key: pipeline_of(before.configs, before.sites, job) for job in before.jobs}
    for job in before.jobs:
        tested = np.unique(np.concatenate(list(before.sites.tests(job).values())))
        learned = before.sites.training(job)
        assert not set(tested) & set(learned)
        frame = before.sites.table
        y, features = frame.y.copy(), frame.features.copy()
        y[tested] = (y[tested] + 1) % frame.n_classes
        features[tested] = 1e6
        changed = first[job.key].data
        other = pipeline_of(before.configs, before.sites, job)
        table_ = changed.table
        poisoned = type(table_)(
            features, y, table_.columns, table_.task, table_.classes, table_.groups, table_.times, "x"
        )
        other.use(type(changed)(poisoned, changed.train, changed.holdout))
        params = before.defaults(job.model)
        clean, dirty = (p.evaluate(params, lambda *_: None, 0) for p in (first[job.key], other))
        assert clean.value == dirty.value


def test_what_travels_grows_with_the_table_once(project: Path) -> None:
    """Nothing of the data goes with a job, however many there are; the table itself is a few bytes a row."""
    asked = Asked(sizes=(0.2, 0.5, 1.0), train_on=("all", "others", "own"), models=("random_forest",))
    sizes = {}
    for n in (60, 600):
        write_places(project, table(n))
        found = design(load_config(project), asked)
        jobs = Jobs(found.configs, found.jobs, found.metrics)
        jobs.use(found.sites)
        sizes[n] = len(cloudpickle.dumps(jobs)), len(pickle.dumps(found.sites))
    assert sizes[60][0] == sizes[600][0]
    a_row = (sizes[600][1] - sizes[60][1]) / (3 * 540)
    assert a_row < (4 + 4) * 8  # four features and the target; site, held, order


def test_new_sites_are_new_in_the_folds_too(project: Path) -> None:
    found = design(load_config(project), Asked(tune=True))
    for job in found.jobs:
        data = pipeline_of(found.configs, found.sites, job).data
        if job.training.is_known:
            assert data.table.groups is None
        else:
            assert data.table.groups is not None
            assert set(data.table.groups[data.train]) == set(job.training.on)


def test_columns_that_are_dropped_and_the_sites_are_no_features(project: Path) -> None:
    found = design(load_config(project), Asked())
    assert set(found.sites.table.columns.names) == {"w", "x", "y", "z"}


def test_a_fit_that_fails_leaves_the_others(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = TabularPipeline.fit

    def fit(self: TabularPipeline, params: Any, seed: int) -> Any:
        if "n_estimators" in params:
            raise MemoryError
        return real(self, params, seed)

    monkeypatch.setattr(TabularPipeline, "fit", fit)
    code, out, err = run("compare", *BOTH, "--train-on", "all")
    assert code == 5
    assert "random_forest could not be fitted: out_of_memory" in err
    assert "failed: random_forest" in out
    scored = {row["model"]: row["default"] for row in rows_of() if row["test_on"] == ALL}
    assert scored["logistic_regression"]
    assert scored["random_forest"] == ""
    monkeypatch.setattr(TabularPipeline, "fit", real)
    assert run("compare", *BOTH, "--train-on", "all")[0] == 0


def test_the_time_for_all_of_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run("compare", *TUNE, "--timeout", "0.000001s")
    assert code == 0
    assert "the time is over" in out
    assert "continue with:" in out
    with opened() as registry:
        assert registry.events(kind=TUNED) == []


def test_formats(run: Run) -> None:
    code, out, _ = run("compare", "--sites", "north", "--format", "json")
    assert code == 0
    document = json.loads(out)
    assert [row["test_on"] for row in document["rows"]] == ["north", "north"]
    assert {row["domain"] for row in document["rows"]} == {"in"}
    assert "| model |" in run("compare", "--sites", "north", "--format", "markdown")[1]
    assert "north, " in run("compare", "-v")[1]


def test_on_large_data_tuning_takes_a_part_and_what_is_compared_takes_all(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `[splits] tune_rows`, as in a search: in sites known and new."""
    code, _, err = run("compare", *MODEL, *TUNE)
    assert code == 0, err
    whole = {row["train_on"]: row["n_train"] for row in rows_of()}
    fitted: list[int] = []
    fit = TabularPipeline.fit

    def spy(self: TabularPipeline, params: Any, seed: int) -> Any:
        fitted.append(len(self.data.train))
        return fit(self, params, seed)

    monkeypatch.setattr(TabularPipeline, "fit", spy)
    config = (project / "retrain.toml").read_text()
    (project / "retrain.toml").write_text(config.replace("[splits]", "[splits]\ntune_rows = 0.6"))
    code, _, err = run("compare", *MODEL, *TUNE)
    assert code == 0, err
    assert "; tuned on " in err
    assert {row["train_on"]: row["n_train"] for row in rows_of()} == whole
    assert set(fitted) <= {int(n) for n in whole.values()}
    with opened() as registry:
        said = [registry.provenances(study)[0][0].metric for study in registry.studies()]
    parts = [
        tuple(map(int, found.groups()))
        for each in said
        if (found := re.search(r"on (\d+) of (\d+) rows", each))
    ]
    assert len(parts) == len(said) / 2  # the tunings of before are not taken for these
    assert all(0.4 < part / n < 0.75 for part, n in parts)
