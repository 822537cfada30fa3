"""A plain `retrain` scores the best of before along, and says "retune" only when one has overtaken."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrain import deploying
from retrain.deploy import ApplyOutcome, ApplyReport, rivals
from retrain.deploy.report import RefusedError
from retrain.deploy.rivals import ALPHA, RETUNE, Rival, rivals_lines, score_rivals, to_retune
from retrain.pipeline import Report
from retrain.stats import PairedDifference, paired_difference
from tests.retrain.deploy.project import BAD, BETTER, GOOD, SPACE, Project, Ridge
from tuner.errors import DataError
from tuner.experiment import (
    Direction,
    Evaluation,
    Experiment,
    Measurement,
    Params,
    Provenance,
    State,
    Suggestion,
)
from tuner.registry.base import StudySpec
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace

BEFORE = Provenance("old data", "1", "rmse on 4 folds")
SPACE_REST = [CategoricalParam("centred", [True, False])]
LINEAR = {"alpha": 0.01, "degree": 1, "centred": True}


def remember(
    project: Project, scores: Sequence[tuple[Params, Sequence[float]]], name: str = "ridge"
) -> list[Experiment]:
    """Store finished experiments of old data with these scores of their folds."""
    with project.registry() as registry:
        study = registry.open_study(
            StudySpec(name, SPACE.to_dict(), "rmse", Direction.MINIMIZE, SPACE.defaults(), 0)
        )
        registry.add(study, [Suggestion(params, "random") for params, _ in scores])
        for claim in registry.claim(study, len(scores)):
            folds = next(each for params, each in scores if dict(params) == dict(claim.experiment.params))
            measured = tuple(Measurement(i, "rmse", value) for i, value in enumerate(folds))
            registry.complete(claim, Evaluation(float(np.mean(folds)), 0.01, measurements=measured), BEFORE)
        return registry.experiments(study, states=[State.COMPLETE])


def retrained(project: Project, monkeypatch: pytest.MonkeyPatch, **options: Any) -> ApplyReport:
    monkeypatch.setattr(deploying, "load_pipeline", lambda config: project.pipeline)
    monkeypatch.setattr(Ridge, "load", lambda self: None, raising=False)
    monkeypatch.setattr(Ridge, "use", lambda self, data: None, raising=False)
    return deploying.retrain_deployed(project.config, **options)


def events(project: Project) -> list[Mapping[str, Any]]:
    with project.registry() as registry:
        return [event.data for event in registry.events(kind=RETUNE)]


@pytest.fixture
def linear(project: Project) -> Project:
    """LINEAR is in production, which was as good as anything on the data of then; now y = x^2."""
    project.apply(LINEAR, force=True)
    project.pipeline = Ridge(code="2")
    return project


def test_a_rival_that_overtook_is_a_reason_to_retune(
    linear: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    even = [0.10, 0.12, 0.11, 0.13]
    experiments = remember(linear, [(LINEAR, even), (GOOD, [0.11, 0.11, 0.12, 0.13]), (BAD, [0.3] * 4)])
    good = next(each for each in experiments if each.params == GOOD)
    report = retrained(linear, monkeypatch)
    assert (report.outcome, report.params) == (ApplyOutcome.DEPLOYED, LINEAR)
    found = to_retune(report.rivals)
    assert found is not None
    assert found.experiment.public_id == good.public_id
    assert found.value is not None
    assert found.gain is not None
    assert 0 < found.gain.low < found.gain.mean
    assert [each.experiment.params for each in report.rivals] == [GOOD, BAD]  # not what is deployed itself
    lines = rivals_lines(report.rivals, " --db x.db")
    assert lines[0].startswith(f"retune: {good.public_id} has overtaken what is deployed")
    assert lines[1].endswith("--configs 20 --db x.db")
    assert report.to_dict()["retune"] is True
    (event,) = events(linear)
    assert event["rival"]["experiment"] == good.public_id


def test_a_ranking_that_holds_is_no_reason(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.apply(GOOD)
    remember(project, [(GOOD, [0.05] * 4), (BETTER, [0.06] * 4), (LINEAR, [0.2] * 4), (BAD, [0.3] * 4)])
    project.pipeline = Ridge(code="2")
    report = retrained(project, monkeypatch)
    assert [each.experiment.params for each in report.rivals] == [BETTER, LINEAR, BAD]
    assert to_retune(report.rivals) is None
    (line,) = rivals_lines(report.rivals)
    assert line.startswith("The 3 best experiments of before were scored along: none is better")
    assert events(project) == []


def test_one_that_was_ahead_before_has_not_overtaken(
    linear: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(linear, [(LINEAR, [0.30, 0.31, 0.29, 0.30]), (GOOD, [0.05, 0.06, 0.05, 0.05])])
    report = retrained(linear, monkeypatch)
    assert [(each.was_ahead, each.is_ahead) for each in report.rivals] == [(True, True)]
    assert "the ranking has not changed" in rivals_lines(report.rivals)[0]
    assert events(linear) == []


def test_a_dry_run_says_it_and_writes_nothing(linear: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(linear, [(LINEAR, [0.1, 0.12, 0.11, 0.1]), (GOOD, [0.11, 0.11, 0.12, 0.1])])
    report = retrained(linear, monkeypatch, dry_run=True)
    assert to_retune(report.rivals) is not None
    assert events(linear) == []


def test_where_nothing_changed_nothing_is_scored(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.apply(GOOD)
    remember(project, [(GOOD, [0.05] * 4), (BETTER, [0.06] * 4)])

    def never(*_: Any) -> list[Rival]:
        raise AssertionError("scored")

    monkeypatch.setattr(deploying, "score_rivals", never)
    assert retrained(project, monkeypatch).outcome is ApplyOutcome.UNCHANGED


def test_a_refused_retrain_names_the_rival_that_overtook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, extra="[[gate]]\nmetric = 'rmse'\nmax = 0.2\n")
    project.root.joinpath("retrain.toml").write_text(
        project.root.joinpath("retrain.toml").read_text().replace("max = 0.2", "max = 0.9")
    )
    project.apply(LINEAR)
    project.root.joinpath("retrain.toml").write_text(
        project.root.joinpath("retrain.toml").read_text().replace("max = 0.9", "max = 0.2")
    )
    project.pipeline = Ridge(code="2")
    (good, _) = remember(project, [(GOOD, [0.1, 0.12, 0.11, 0.1]), (LINEAR, [0.11, 0.11, 0.12, 0.1])])
    with pytest.raises(RefusedError, match="above the max") as caught:
        retrained(project, monkeypatch)
    assert to_retune(caught.value.report.rivals) is not None
    assert f"retune: {good.public_id}" in caught.value.remedy
    assert len(events(project)) == 1


def test_what_may_be_noise_is_said_with_its_figures(project: Project) -> None:
    (good, _) = remember(project, [(GOOD, [0.05] * 4), (BAD, [0.3] * 4)])
    found = [
        Rival(good, 0.1, PairedDifference(0.066, 0.02, -0.01, 0.142, 4, 0.97), False),
        Rival(good, 0.3, PairedDifference(-0.2, 0.02, -0.3, -0.1, 4, 0.97), False),
    ]
    (line,) = rivals_lines(found)
    assert line.endswith(f"more than noise; {good.public_id} is 0.066 better [-0.01, 0.142] on fresh folds")
    (line,) = rivals_lines(found[1:])
    assert line.endswith("none is better than what is deployed by more than noise")


def test_zero_rivals_no_study_and_a_space_that_moved_on(
    linear: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert retrained(linear, monkeypatch).rivals == ()  # no study
    remember(linear, [(GOOD, [0.1] * 4)])
    narrow = SearchSpace([FloatParam("alpha", 1e-6, 100.0), IntParam("degree", 1, 1), *SPACE_REST])
    monkeypatch.setattr(Ridge, "space", narrow)
    report = retrained(linear, monkeypatch, force=True)
    assert [each.value for each in report.rivals] == [None]
    assert "could not be" in rivals_lines(report.rivals)[0]
    monkeypatch.undo()
    (linear.root / "retrain.toml").write_text((linear.root / "retrain.toml").read_text() + "rivals = 0\n")
    assert retrained(linear, monkeypatch, force=True).rivals == ()


class Noise(Ridge):
    """Fold scores that say nothing at all: all configurations are equally good."""

    def __init__(self, stream: int) -> None:
        super().__init__(code="2")
        self.rng = np.random.default_rng(stream)

    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        values = self.rng.normal(0.2, 0.02, 4)
        for fold, value in enumerate(values):
            report(fold, {"rmse": float(value)})
        return Evaluation(float(values.mean()), float(values.std(ddof=1) / 2))


def test_noise_alone_says_retune_no_more_often_than_promised(project: Project) -> None:
    """400 seeded retrains without any difference, three rivals each."""
    remember(project, [(GOOD, [0.1] * 4), (BETTER, [0.1] * 4), (BAD, [0.1] * 4), (LINEAR, [0.2] * 4)])
    config = project.config
    with project.registry() as registry:
        wrong = [
            to_retune(score_rivals(config, registry, Noise(stream), LINEAR)) is not None
            for stream in range(400)
        ]
    assert np.mean(wrong) <= ALPHA


def test_without_folds_nothing_is_told_apart(linear: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(linear, [(GOOD, [0.1] * 4)])
    monkeypatch.setattr(rivals, "_gain", lambda *_: None)
    assert "no telling a change from noise" in rivals_lines(retrained(linear, monkeypatch).rivals)[0]


def test_what_is_deployed_that_cannot_be_scored_is_said(
    linear: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(linear, [(GOOD, [0.1] * 4)])

    def broken(*_: Any) -> list[Rival]:
        raise DataError("The data are gone.")

    monkeypatch.setattr(deploying, "score_rivals", broken)
    told: list[str] = []
    assert retrained(linear, monkeypatch, tell=told.append).rivals == ()
    assert "whether to retune is not known: The data are gone." in told


def test_the_best_by_its_lower_end_is_named(linear: Project) -> None:
    (experiment, *_) = remember(linear, [(GOOD, [0.1, 0.2, 0.1, 0.2])])
    wide = Rival(experiment, 0.1, paired_difference([3.0, 1.0], [0.0, 0.9]), False)
    assert not wide.is_ahead
    sure = Rival(experiment, 0.1, paired_difference([2.0, 2.01], [0.0, 0.0]), False)
    surer = replace(sure, gain=paired_difference([3.0, 3.01], [0.0, 0.0]))
    assert to_retune([wide, sure, surer]) is surer
