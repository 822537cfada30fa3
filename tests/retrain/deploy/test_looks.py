"""Every look at the holdout is written down, whatever comes of it; a dry run writes nothing, and says so."""

import pytest

from retrain.holdout import look_at_holdout
from tests.retrain.deploy.project import BAD, BETTER, GOOD, WHO, Project, Ridge
from tuner.errors import GateError, RetrainError
from tuner.experiment import Params
from tuner.registry.base import HoldoutRead


def looks(project: Project) -> list[HoldoutRead]:
    with project.registry() as registry:
        return registry.holdout_reads("ridge")


def test_an_apply_looks_with_both(project: Project) -> None:
    project.apply(GOOD)
    asked, found = looks(project)
    assert (asked.params, asked.why, asked.who, asked.n_rows) == (GOOD, "retrain --apply-hp", WHO, 12)
    assert asked.metrics.keys() == {"test_rmse"}
    assert asked.provenance == project.pipeline.provenance()
    assert (asked.version, found.version) == (None, None), "neither was a version at that time"
    project.apply(BETTER)
    _, _, better, deployed = looks(project)
    assert (better.params, better.version) == (BETTER, None)
    assert (deployed.params, deployed.version) == (GOOD, 2)
    assert deployed.metrics == asked.metrics


def test_a_retrain_looks(project: Project) -> None:
    project.apply(GOOD)
    n = len(looks(project))
    project.retrain(force=True)
    [look] = looks(project)[n:]
    assert (look.params, look.why, look.version) == (GOOD, "retrain", 2)
    project.retrain()
    assert len(looks(project)) == n + 1, "nothing changed, so that nothing was looked at"


def test_who_was_refused_has_looked(project: Project) -> None:
    project.apply(GOOD)
    n = len(looks(project))
    with pytest.raises(GateError):
        project.apply(BAD)
    assert [look.params for look in looks(project)[n:]] == [BAD, GOOD]


def test_a_dry_run_writes_nothing_and_says_so(project: Project) -> None:
    project.apply(GOOD)
    n = len(looks(project))
    report = project.apply(BETTER, dry_run=True)
    assert "a look at the holdout; a dry run writes nothing, so that it is not counted" in report.notes[-1]
    assert len(looks(project)) == n


def test_where_there_is_no_holdout_nothing_is_said_of_it(project: Project) -> None:
    project.pipeline = Ridge(fits=False)
    assert project.apply(GOOD, dry_run=True).notes == ()
    project.apply(GOOD)
    assert looks(project) == []


def test_a_fit_that_fails_was_no_look(project: Project) -> None:
    class Broken(Ridge):
        def fit(self, params: Params, seed: int) -> object:
            raise ValueError("no luck")

    with project.registry() as registry:
        with pytest.raises(RetrainError, match="ValueError: no luck"):
            look_at_holdout(registry, Broken(), GOOD, seed=0, why="x", who=WHO)
        assert registry.holdout_reads("ridge") == []
        look = look_at_holdout(registry, Ridge(), GOOD, seed=0, why="x", who=WHO)
        assert registry.holdout_reads("ridge") == [look]
