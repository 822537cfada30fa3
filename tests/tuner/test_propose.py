"""Where a generator and the registry meet."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.tuner.generators.recommender import RECOMMENDER
from tuner import propose as module
from tuner.errors import ParamsError, UsageError
from tuner.experiment import (
    GUESS,
    Direction,
    Evaluation,
    Experiment,
    Failure,
    Observation,
    Outcome,
    Params,
    Provenance,
    State,
    Study,
    Suggestion,
)
from tuner.generators import Generator, make_generator
from tuner.goals import Goals, Objective
from tuner.insight import FURTHER, INSIGHT, Insight
from tuner.propose import open_study, propose, queue_guesses, take_stock
from tuner.registry import open_registry
from tuner.registry.base import Limits, Registry, StudySpec
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace, Sum, config_key

SPACE = SearchSpace(
    [FloatParam("rate", 0.0, 1.0), IntParam("depth", 1, 9), CategoricalParam("kind", ["a", "b"])]
)
TINY = SearchSpace([IntParam("depth", 1, 6)])
OLD, NEW = Provenance("data 1"), Provenance("data 2")


def spec(space: SearchSpace = SPACE, name: str = "study") -> StudySpec:
    return StudySpec(name, space.to_dict(), "roc_auc", Direction.MAXIMIZE, space.defaults(), seed=5)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(tmp_path / "experiments.db", create=True) as opened:
        yield opened


@pytest.fixture
def study(registry: Registry) -> Study:
    return open_study(registry, spec())


def finish(registry: Registry, study: Study, provenance: Provenance = OLD, n: int = 100) -> list[Experiment]:
    """Complete what waits."""
    return [
        registry.complete(claim, Evaluation(float(claim.experiment.id)), provenance)
        for claim in registry.claim(study, n)
    ]


def keys(rows: Sequence[Experiment | Suggestion]) -> list[str]:
    return [config_key(row.params) for row in rows]


class Spy:
    """A generator that notes what it is told; stands in for `make_generator` too."""

    def __init__(self) -> None:
        self.finished: list[Observation] = []
        self.pending: list[Params] = []
        self.n_asked = -1

    def __call__(self, method: str, space: SearchSpace, *, n_asked: int, **others: Any) -> Generator:
        self.n_asked = n_asked
        generator = make_generator(method, space, n_asked=n_asked, **others)
        tell = generator.tell

        def noted(finished: Sequence[Observation], pending: Sequence[Params] = ()) -> None:
            self.finished, self.pending = list(finished), list(pending)
            tell(finished, pending)

        generator.tell = noted  # type: ignore[method-assign, assignment]
        return generator


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    spy = Spy()
    monkeypatch.setattr(module, "make_generator", spy)
    return spy


# ---- the first rows


def test_a_study_starts_with_the_defaults_and_what_is_deployed(registry: Registry) -> None:
    deployed: Params = {"rate": 1, "depth": 4.0, "kind": "b"}
    for _ in range(2):
        study = open_study(registry, spec(), deployed)
    rows = registry.experiments(study)
    assert [row.method for row in rows] == ["default", "deployed"]
    assert [dict(row.params) for row in rows] == [SPACE.defaults(), {"rate": 1.0, "depth": 4, "kind": "b"}]


@pytest.mark.parametrize("deployed", [None, SPACE.defaults()])
def test_the_defaults_are_written_once_where_they_are_deployed(
    registry: Registry, deployed: Params | None
) -> None:
    study = open_study(registry, spec(), deployed)
    assert [row.method for row in registry.experiments(study)] == ["default"]


def test_a_deployed_configuration_outside_the_space_writes_nothing(registry: Registry) -> None:
    with pytest.raises(ParamsError):
        open_study(registry, spec(), {"rate": 2.0, "depth": 4, "kind": "b"})
    assert registry.studies() == []


# ---- new rows


@pytest.mark.parametrize("method", ["random", "grid", "bayesian"])
def test_candidates_become_waiting_rows_with_their_reasons(
    registry: Registry, study: Study, method: str
) -> None:
    run = registry.start_run(study, method=method, n_wanted=6, seed=5, info={})
    rows = propose(registry, study, method, 6, run=run)
    assert len(set(keys(rows))) == 6
    assert rows == registry.experiments(study, run=run)
    assert {(row.state, row.method, row.run_id) for row in rows} == {(State.WAITING, method, run.id)}
    assert all(row.reason["design"] and SPACE.contains(row.params) for row in rows)


@pytest.mark.parametrize("method", ["random", "grid", "bayesian"])
def test_the_same_study_gets_the_same_candidates_however_it_was_interrupted(
    tmp_path: Path, method: str
) -> None:
    found = []
    for name in ("one", "other"):
        with open_registry(tmp_path / f"{name}.db", create=True) as registry:
            study = open_study(registry, spec())
        for n in (4, 4, 3):  # each in a new opening, as a new process would
            with open_registry(tmp_path / f"{name}.db", create=False) as registry:
                propose(registry, study, method, n)
                finish(registry, study)
        with open_registry(tmp_path / f"{name}.db", create=False) as registry:
            found.append(keys(registry.experiments(study)))
    assert found[0] == found[1]
    assert len(set(found[0])) == 12


def test_the_bayesian_method_learns_from_what_is_finished(registry: Registry, study: Study) -> None:
    propose(registry, study, "random", 5)
    assert propose(registry, study, "bayesian", 1)[0].reason["design"] == "initial"
    finish(registry, study)
    assert propose(registry, study, "bayesian", 1)[0].reason["design"] == "model"


def test_a_grid_without_a_number_is_its_whole_design_and_then_nothing(registry: Registry) -> None:
    study = open_study(registry, spec(RECOMMENDER))
    first = propose(registry, study, "grid", 20)
    rest = propose(registry, study, "grid", None)
    assert 50 <= len(first) + len(rest) <= 80
    assert propose(registry, study, "grid", None) == []


def test_a_method_without_a_number_of_its_own_writes_20(registry: Registry, study: Study) -> None:
    assert len(propose(registry, study, "random", None)) == 20


def test_options_reach_the_generator(registry: Registry, study: Study) -> None:
    rows = propose(registry, study, "grid", None, radius=0.5)
    assert min(row.params["rate"] for row in rows) == 0.25  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("method", "options"), [("grdi", {}), ("grid", {"radios": 1}), ("grid", {"radius": 9})]
)
def test_a_bad_request_writes_nothing(
    registry: Registry, study: Study, method: str, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        propose(registry, study, method, 5, **options)
    assert len(registry.experiments(study)) == 1


@pytest.mark.parametrize("method", ["random", "grid", "bayesian"])
def test_an_exhausted_space_gives_fewer(registry: Registry, method: str) -> None:
    study = open_study(registry, spec(TINY))
    assert len(propose(registry, study, method, 4)) == 4
    finish(registry, study)
    assert len(propose(registry, study, method, 4)) == 1
    assert propose(registry, study, method, 4) == []


# ---- what is told


def test_a_failure_of_a_pipeline_that_was_mended_since_is_not_held_against_it(
    registry: Registry, spy: Spy
) -> None:
    """The configuration counts as new: it is proposed again, and written as a repeat."""
    study = open_study(registry, spec(TINY))
    propose(registry, study, "grid", 6)
    bad, *others = registry.claim(study, 6)
    registry.finish([(bad, Failure(Outcome.ERROR, "a bug"))], OLD, Limits(failures=1))
    for claim in others:
        registry.complete(claim, Evaluation(0.5), OLD)
    assert propose(registry, study, "grid", 6, provenance=OLD) == []
    assert Observation(bad.experiment.params, None) in spy.finished

    again = propose(registry, study, "grid", 6, provenance=NEW)
    assert spy.finished == []
    assert [(each.repeat, config_key(each.params)) for each in again if each.params == bad.experiment.params]
    assert len(again) == 6
    assert {each.repeat for each in again} == {1}


def test_a_guess_that_failed_before_the_pipeline_was_mended_is_queued_again(
    registry: Registry, study: Study
) -> None:
    guess: Params = {"rate": 0.25, "depth": 2, "kind": "b"}
    for provenance, n_written in ((OLD, 1), (NEW, 1), (NEW, 0)):
        finish(registry, study, NEW)
        queued = queue_guesses(registry, study, [guess])
        assert len(queued.written) == n_written
        for claim in registry.claim(study):
            registry.finish([(claim, Failure(Outcome.ERROR, "a bug"))], provenance, Limits(failures=1))


def test_what_the_configuration_is_not_to_blame_for_is_not_held_against_it(
    registry: Registry, study: Study, spy: Spy
) -> None:
    propose(registry, study, "random", 6)
    ends = [None, Outcome.ERROR, Outcome.OUT_OF_MEMORY, Outcome.WORKER_LOST, Outcome.CANCELLED]
    claims = registry.claim(study, 6)
    for claim, outcome in zip(claims[1:], ends, strict=True):
        if outcome is None:
            registry.complete(claim, Evaluation(0.5), OLD)
        else:
            registry.fail(claim, Failure(outcome, "ended"), Limits(failures=1, deaths=1))
    propose(registry, study, "random", 1)
    rows = registry.experiments(study)
    assert spy.n_asked == 7
    assert spy.finished == [
        Observation(rows[1].params, 0.5),
        Observation(rows[2].params, None),
        Observation(rows[3].params, None),
    ]
    # Running, waiting, and what there is nothing to learn from: not to be proposed again.
    assert [config_key(params) for params in spy.pending] == keys([rows[0], rows[4], rows[5], rows[6]])


def test_results_on_other_data_are_not_learned_from(registry: Registry, study: Study, spy: Spy) -> None:
    propose(registry, study, "random", 3)
    finish(registry, study, OLD, n=2)
    finish(registry, study, NEW, n=1)
    rows = registry.experiments(study)
    propose(registry, study, "random", 1, provenance=OLD)
    assert keys(spy.finished) == keys(rows[:2])  # type: ignore[arg-type]
    propose(registry, study, "random", 1)  # the latest
    assert keys(spy.finished) == keys([rows[2]])  # type: ignore[arg-type]


def test_on_new_data_a_configuration_may_be_tried_again(registry: Registry, study: Study) -> None:
    before = propose(registry, study, "grid", None)
    finish(registry, study, OLD)
    assert propose(registry, study, "grid", None, provenance=OLD) == []
    again = propose(registry, study, "grid", None, provenance=NEW)
    assert keys(again) == keys(before)
    assert {row.repeat for row in again} == {1}
    assert propose(registry, study, "grid", None, provenance=NEW) == []
    finish(registry, study, NEW)
    assert propose(registry, study, "grid", None, provenance=NEW) == []


# ---- two at once


def test_what_another_process_wrote_at_the_same_moment_is_replaced(
    registry: Registry, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = registry.add
    before: list[list[Experiment]] = []

    def beaten(study: Study, suggestions: Sequence[Suggestion], **more: Any) -> list[Experiment]:
        if not before:
            before.append(add(study, suggestions[:3]))  # the other one was quicker with three of them
        return add(study, suggestions, **more)

    monkeypatch.setattr(registry, "add", beaten)
    rows = propose(registry, study, "random", 5)
    assert len(rows) == 5
    assert not set(keys(rows)) & set(keys(before[0]))


def test_who_is_always_beaten_gives_up(
    registry: Registry, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "add", lambda *args, **more: [])
    assert propose(registry, study, "random", 5) == []


# ---- guesses of the user's own


def test_guesses_are_completed_by_the_baseline_and_run_first(registry: Registry) -> None:
    study = open_study(registry, replace(spec(), baseline={"rate": 0.25, "depth": 7, "kind": "b"}))
    propose(registry, study, "random", 3)
    queued = queue_guesses(registry, study, [{"rate": 1}, {"depth": 2.0, "kind": "a"}])
    assert [dict(row.params) for row in queued.written] == [
        {"rate": 1.0, "depth": 7, "kind": "b"},
        {"rate": 0.25, "depth": 2, "kind": "a"},
    ]
    assert {row.method for row in queued.written} == {GUESS}
    assert all(row.public_id.startswith("guess_") for row in queued.written)
    claimed = [claim.experiment.id for claim in registry.claim(study, 3)]
    assert claimed == [*(row.id for row in queued.written), registry.experiments(study)[0].id]


def test_a_guess_that_is_there_already_is_not_written_again(registry: Registry, study: Study) -> None:
    [waiting] = propose(registry, study, "random", 1)
    given: list[Params] = [waiting.params, {}, {"depth": 2}, {"depth": 2.0}]
    first = queue_guesses(registry, study, given)
    assert [dict(row.params)["depth"] for row in first.written] == [2]
    assert [row.method for row in first.known] == ["random", "default"]
    finish(registry, study)
    again = queue_guesses(registry, study, given)
    assert not again.written
    assert [row.method for row in again.known] == ["random", "default", GUESS]


def test_a_guess_without_a_result_that_counts_is_written_again(registry: Registry, study: Study) -> None:
    guesses = [{"depth": 2}, {"depth": 3}, {"depth": 4}]
    _, cancelled, broken = queue_guesses(registry, study, guesses).written
    [claim, *_] = registry.claim(study)
    registry.complete(claim, Evaluation(1.0), OLD)
    registry.cancel([cancelled], "not now")
    [claim] = registry.claim(study)
    registry.fail(claim, Failure(Outcome.ERROR, "no"), Limits(failures=1))
    finish(registry, study, NEW)
    queued = queue_guesses(registry, study, guesses)
    assert [(row.params["depth"], row.repeat) for row in queued.written] == [(2, 1), (3, 1)]
    assert [row.id for row in queued.known] == [broken.id]


def test_a_guess_outside_the_space_writes_none(registry: Registry, study: Study) -> None:
    before = registry.experiments(study)
    with pytest.raises(ParamsError, match=r"^Guess 2 of 2: .* 2 faults") as caught:
        queue_guesses(registry, study, [{"depth": 2}, {"dept": 3, "rate": 7}])
    assert len(caught.value.problems) == 2
    assert "Did you mean 'depth'" in str(caught.value)
    assert registry.experiments(study) == before


def test_a_guess_that_breaks_a_sum_is_told_what_else_to_give(registry: Registry) -> None:
    tied = SearchSpace(
        [FloatParam("a", 0.0, 1.0), FloatParam("b", 0.0, 1.0), IntParam("depth", 1, 9)],
        [Sum(["a", "b"], 1.0)],
    )
    study = open_study(registry, spec(tied))
    with pytest.raises(ParamsError, match="a \\+ b must equal") as caught:
        queue_guesses(registry, study, [{"a": 0.7}])
    assert caught.value.remedy == "What it leaves out is taken from the baseline: give b, too."
    for guess in ({"depth": 12}, {"a": 0.7, "b": 0.7}):
        with pytest.raises(ParamsError) as caught:
            queue_guesses(registry, study, [guess])
        assert caught.value.remedy == "The space has: a, b, depth."


def test_generators_learn_from_guesses_and_do_not_repeat_them(registry: Registry) -> None:
    study = open_study(registry, spec(TINY))
    queue_guesses(registry, study, [{"depth": 5}])
    proposed = propose(registry, study, "random", 9)
    assert {row.params["depth"] for row in proposed} == {1, 2, 3, 6}, "4 is the default"


# ---- what was learned


def test_what_was_learned_is_kept_for_the_reports(registry: Registry, study: Study) -> None:
    propose(registry, study, "random", 15)
    for claim in registry.claim(study, 100):
        rate = claim.experiment.params["rate"]
        assert isinstance(rate, float)
        registry.complete(claim, Evaluation(-((rate - 0.3) ** 2)), OLD)
    insight = take_stock(registry, study)
    assert insight is not None
    assert (insight.n, insight.importances[0].name) == (16, "rate")
    (event,) = registry.events(kind=INSIGHT)
    assert event.data == {"study": study.name, **insight.to_dict()}
    assert {each.name for each in insight.importances if each.dead} == {"depth", "kind"}
    assert event.message == "After 16 results of study 'study', these matter most: rate."


def test_what_results_leave_open_is_not_named_as_what_matters(registry: Registry) -> None:
    """Two that always moved together: either may be all that acts."""
    pair = SearchSpace([FloatParam("one", 0.0, 1.0), FloatParam("other", 0.0, 1.0)])
    study = open_study(registry, spec(pair))
    steps = [i / 14 for i in range(15)]
    registry.add(study, [Suggestion({"one": at, "other": at}, "random") for at in steps if at != 0.5])
    for claim in registry.claim(study, 100):
        registry.complete(claim, Evaluation(-((float(str(claim.experiment.params["one"])) - 0.3) ** 2)), OLD)
    insight = take_stock(registry, study)
    assert insight is not None
    assert all(each.unsettled for each in insight.importances)
    (event,) = registry.events(kind=INSIGHT)
    assert event.message.endswith("it is open which parameters matter.")


def test_of_several_objectives_each_has_what_was_learned_of_it(registry: Registry) -> None:
    goals = Goals(objectives=(Objective("seconds", Direction.MINIMIZE),))
    study = open_study(registry, replace(spec(), goals=goals))
    propose(registry, study, "random", 15)
    for claim in registry.claim(study, 100):
        rate, depth = (float(claim.experiment.params[name]) for name in ("rate", "depth"))  # type: ignore[arg-type]
        registry.complete(claim, Evaluation(-((rate - 0.3) ** 2), metrics={"seconds": depth}), OLD)
    take_stock(registry, study)
    (event,) = registry.events(kind=INSIGHT)
    further = Insight.from_dict(event.data[FURTHER]["seconds"])
    assert event.data["importances"][0]["name"] == "rate"
    assert (further.n, further.importances[0].name, further.importances[0].trend) == (16, "depth", "lower")
    assert further.gain is None


def test_of_what_cannot_be_compared_nothing_is_learned(registry: Registry, study: Study) -> None:
    propose(registry, study, "random", 15)
    finish(registry, study, OLD)
    assert take_stock(registry, study, NEW) is None
    assert registry.events(kind=INSIGHT) == []
