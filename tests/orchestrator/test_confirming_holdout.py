"""The look at the holdout that ends a confirmation: one for each configuration, whatever happens."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator import confirming as confirming_module
from orchestrator.confirming import ConfirmResult, confirm_best
from orchestrator.pool import Task
from orchestrator.report.confirmed_text import confirmed_lines
from orchestrator.request import Request
from orchestrator.signals import StopRequest
from orchestrator.worker import run_task
from retrain.best import get_best
from retrain.confirmation import CONFIRMED
from retrain.honest.estimate import NOTES, Basis
from retrain.pipeline import Scores
from tests.orchestrator.fakes import Act, FakeClock, FakePool, Recorder
from tests.retrain.deploy.project import BAD, BETTER, GOOD, Ridge
from tuner.experiment import Evaluation, Params, Partial, Study, Suggestion
from tuner.registry import open_registry
from tuner.registry.base import Registry, StudySpec

REQUEST = Request(confirm=2, command=("orchestrator", "confirm"))


class Certain(Ridge):
    """Says of its holdout what it is without each of four blocks."""

    def test(self, model: object) -> Scores:
        scores = super().test(model)
        value = scores.metrics["test_rmse"]
        left_out = (value - 0.01, value + 0.01, value, value)
        return Scores(scores.metrics, scores.n_rows, {"test_rmse": left_out})


@dataclass
class Bench:
    registry: Registry
    study: Study
    pipeline: Ridge
    display: Recorder = field(default_factory=Recorder)

    def confirm(self, deployed: Params | None = None) -> ConfirmResult:
        def behave(task: Task) -> Act:
            result = run_task(self.pipeline, task, lambda *_: None)
            assert not isinstance(result, Partial)
            return Act(result)

        pool = FakePool(behave, FakeClock(), 2)
        return confirm_best(
            self.registry,
            self.study,
            self.pipeline,
            pool,
            REQUEST,
            deployed=deployed,
            display=self.display,
            stop=StopRequest(),
        )

    def looked_at(self) -> list[Params]:
        return [each.params for each in self.registry.holdout_reads("ridge")]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    pipeline = Certain()
    with open_registry(tmp_path / "experiments.db", create=True) as registry:
        spec = StudySpec("ridge", pipeline.space.to_dict(), "rmse", pipeline.direction, BAD)
        study = registry.open_study(spec)
        registry.add(study, [Suggestion(params, "random") for params in (GOOD, BETTER, BAD)])
        for claim in registry.claim(study, 3):
            value = pipeline.evaluate(claim.experiment.params, lambda *_: None, study.seed).value
            registry.complete(claim, Evaluation(value), pipeline.provenance())
        yield Bench(registry, study, pipeline)


def test_the_winner_and_what_it_would_replace_are_looked_at_once(bench: Bench) -> None:
    result = bench.confirm()
    assert result.confirmed is not None
    winner = result.confirmed.winner
    assert bench.looked_at() == [winner.params, BAD]
    first, _ = bench.registry.holdout_reads("ridge")
    assert (first.why, first.experiment, first.n_rows) == ("orchestrator confirm", winner.public_id, 12)
    low, high = first.intervals["test_rmse"]
    assert low < first.metrics["test_rmse"] < high
    assert result.confirmed.holdout == first
    assert result.looks == bench.registry.holdout_reads("ridge")
    text = "\n".join(confirmed_lines(result.confirmed, bench.study, result.looks))
    assert "95 % interval [" in text.partition("holdout")[2]
    assert "on 12 rows, looked at twice so far" in text

    again = bench.confirm()
    assert len(bench.looked_at()) == 2, "what was seen is known"
    assert again.confirmed == result.confirmed
    assert len(bench.registry.events(kind=CONFIRMED)) == 1


def test_what_is_deployed_is_looked_at_rather_than_the_baseline(bench: Bench) -> None:
    result = bench.confirm(deployed=BETTER)
    assert result.confirmed is not None
    assert result.confirmed.winner.params == GOOD
    assert bench.looked_at() == [GOOD, BETTER]


def test_a_death_after_the_look_does_not_look_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(confirming_module, "record", die)
    with pytest.raises(KeyboardInterrupt):
        bench.confirm()
    assert not get_best(bench.registry, bench.study, "ridge").confirmed
    monkeypatch.undo()
    result = bench.confirm()
    assert result.n_repeats == 0
    assert len(bench.looked_at()) == 2
    assert get_best(bench.registry, bench.study, "ridge").confirmed


def test_a_final_fit_that_fails_leaves_the_winner_without_that_number(bench: Bench) -> None:
    class Unfit(Certain):
        def fit(self, params: Params, seed: int) -> object:
            raise ValueError("no luck")

    bench.pipeline = Unfit()
    result = bench.confirm()
    assert result.confirmed is not None
    assert (result.exit_code, result.confirmed.holdout, bench.looked_at()) == (0, None, [])
    assert any("has no score on the holdout" in note and "no luck" in note for note in bench.display.notes)
    assert "holdout" not in "\n".join(confirmed_lines(result.confirmed, bench.study, result.looks))


def test_a_pipeline_that_only_scores_has_two_numbers(bench: Bench) -> None:
    bench.pipeline = Ridge(fits=False)
    result = bench.confirm()
    assert result.confirmed is not None
    assert bench.looked_at() == []
    lines = confirmed_lines(result.confirmed, bench.study, result.looks)
    assert [line.split()[0] for line in lines[:3]] == ["winner", "validation", "confirmed"]


def test_why_there_is_no_interval_is_said_once(bench: Bench) -> None:
    outcome = bench.confirm().confirmed
    assert outcome is not None
    note = NOTES[Basis.NONE]
    unknown = tuple(replace(each, low=None, basis=Basis.NONE) for each in outcome.findings)
    estimate = replace(outcome.estimate, note=note)
    for findings in (unknown, ()):
        lines = confirmed_lines(replace(outcome, estimate=estimate, findings=findings), bench.study, [])
        assert sum("no noise between runs was seen" in line for line in lines) == 1
