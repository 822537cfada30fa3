"""Warm starts out of the registry: which results count, and that they stay what they were."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.tuner.test_propose import NEW, OLD, SPACE, keys, spec
from tuner.errors import NotFoundError, UsageError
from tuner.experiment import (
    Evaluation,
    Experiment,
    Failure,
    Outcome,
    Partial,
    Provenance,
    Study,
    Suggestion,
)
from tuner.propose import open_study, propose
from tuner.recall import recall
from tuner.registry import open_registry
from tuner.registry.base import Limits, Registry
from tuner.space import FloatParam, SearchSpace


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(tmp_path / "experiments.db", create=True) as opened:
        yield opened


@pytest.fixture
def study(registry: Registry) -> Study:
    return open_study(registry, spec())


def a_config(rate: float) -> Suggestion:
    return Suggestion({"rate": rate, "depth": 3, "kind": "a"}, "random")


def run_earlier(
    registry: Registry, rates: Sequence[float], provenance: Provenance = OLD, name: str = "old"
) -> list[Experiment]:
    """Finish experiments of an earlier study; the nearer `rate` to 0.7, the better."""
    earlier = registry.open_study(spec(name=name))
    registry.add(earlier, [a_config(rate) for rate in rates])
    return [
        registry.complete(
            claim, Evaluation(1 - abs(float(claim.experiment.params["rate"] or 0) - 0.7)), provenance
        )
        for claim in registry.claim(earlier, len(rates))
    ]


RATES = (0.1, 0.3, 0.5, 0.69, 0.9)


def test_the_best_of_the_earlier_study_is_proposed_first_and_says_so(
    registry: Registry, study: Study
) -> None:
    rows = run_earlier(registry, RATES)
    first, second = propose(registry, study, "bayesian", 2, warm_start=["old"])
    assert dict(first.params) == dict(rows[3].params)
    assert first.method == "bayesian"
    assert dict(first.reason) == {
        "design": "earlier",
        "study": "old",
        "id": rows[3].public_id,
        "earlier": {"old": 5},
    }
    assert second.reason["earlier"] == {"old": 5}


def test_an_earlier_study_that_grows_changes_nothing(registry: Registry, study: Study) -> None:
    twin = open_study(registry, spec(name="twin"))
    run_earlier(registry, RATES)
    expected = propose(registry, twin, "bayesian", 7, warm_start=["old"])
    propose(registry, study, "bayesian", 3, warm_start=["old"])
    run_earlier(registry, [0.2, 0.7, 0.75, 0.95])  # now 0.7 would be the best
    propose(registry, study, "bayesian", 4, warm_start=["old"])
    rows = registry.experiments(study)
    assert keys(rows[1:]) == keys(expected)
    assert {each.reason["earlier"]["old"] for each in rows[1:]} == {5}


def test_a_study_that_starts_later_sees_all_of_it(registry: Registry, study: Study) -> None:
    run_earlier(registry, RATES)
    run_earlier(registry, [0.7])
    (first,) = propose(registry, study, "bayesian", 1, warm_start=["old"])
    assert (first.params["rate"], first.reason["earlier"]) == (0.7, {"old": 6})


def test_only_what_is_comparable_is_learned_from(registry: Registry, study: Study) -> None:
    run_earlier(registry, [0.7], OLD)
    run_earlier(registry, [0.1, 0.3], NEW)
    earlier = registry.find_study("old")
    assert earlier is not None
    registry.add(earlier, [a_config(0.98), a_config(0.99)])
    for claim, outcome in zip(registry.claim(earlier, 2), [Outcome.CANCELLED, Outcome.TIMEOUT], strict=True):
        registry.fail(claim, Failure(outcome, "it ended"), Limits(failures=1, deaths=1))
    recalled = recall(registry, ["old", "old"], own="study")
    (one,) = recalled.earlier
    observed = [(each.params["rate"], each.value is None) for each in one.observations]
    assert sorted(observed) == [(0.1, False), (0.3, False), (0.99, True)]
    assert dict(recalled.n_finished) == {"old": 5}


def test_an_unknown_study_is_refused_with_the_nearest_name(registry: Registry, study: Study) -> None:
    run_earlier(registry, RATES, name="credit-2025")
    with pytest.raises(NotFoundError, match="no study 'credit-2024' to start from") as caught:
        propose(registry, study, "bayesian", 1, warm_start=["credit-2024"])
    assert "Did you mean 'credit-2025'?" in str(caught.value)
    assert caught.value.remedy == "This registry has credit-2025."
    assert len(registry.experiments(study)) == 1


def test_a_study_cannot_start_from_itself(registry: Registry, study: Study) -> None:
    with pytest.raises(UsageError, match="cannot have a warm start from itself"):
        propose(registry, study, "bayesian", 1, warm_start=["study"])


def test_a_study_without_results_is_refused(registry: Registry, study: Study) -> None:
    registry.open_study(spec(name="my old"))
    with pytest.raises(NotFoundError, match="Study 'my old' has no result to start from") as caught:
        propose(registry, study, "bayesian", 1, warm_start=["my old"])
    assert caught.value.remedy == "Leave it out, or run it first: orchestrator --study 'my old'"


def test_a_study_of_something_else_is_refused(registry: Registry, study: Study) -> None:
    space = SearchSpace([FloatParam("other", 0.0, 1.0)])
    earlier = registry.open_study(spec(space, "old"))
    registry.add(earlier, [Suggestion({"other": 0.5}, "random")])
    for claim in registry.claim(earlier, 1):
        registry.complete(claim, Evaluation(1.0), OLD)
    with pytest.raises(UsageError, match="'old' has no parameter in common"):
        propose(registry, study, "bayesian", 1, warm_start=["old"])


def test_a_method_that_does_not_learn_from_them_is_refused(registry: Registry, study: Study) -> None:
    run_earlier(registry, RATES)
    with pytest.raises(UsageError, match="The method random learns nothing from earlier studies"):
        propose(registry, study, "random", 1, warm_start=["old"])


def test_the_space_of_the_earlier_study_may_be_another(registry: Registry, study: Study) -> None:
    space = SearchSpace([FloatParam("rate", 0.0, 5.0), FloatParam("other", 0.0, 1.0)])
    earlier = registry.open_study(spec(space, "old"))
    registry.add(earlier, [Suggestion({"rate": rate, "other": 0.5}, "random") for rate in (0.25, 0.75, 3.0)])
    for claim in registry.claim(earlier, 3):
        registry.complete(claim, Evaluation(-abs(float(claim.experiment.params["rate"] or 0) - 0.75)), OLD)
    (first,) = propose(registry, study, "bayesian", 1, warm_start=["old"])
    defaults = SPACE.defaults()
    assert dict(first.params) == {**defaults, "rate": 0.75}


def test_what_failed_on_other_code_is_not_told(registry: Registry, study: Study) -> None:
    run_earlier(registry, [0.7], NEW)
    earlier = registry.find_study("old")
    assert earlier is not None
    registry.add(earlier, [a_config(0.98), a_config(0.99)])
    for claim, provenance in zip(registry.claim(earlier, 2), (OLD, NEW), strict=True):
        registry.finish([(claim, Failure(Outcome.ERROR, "no"))], provenance, Limits(failures=1))
    (one,) = recall(registry, ["old"], own="study").earlier
    assert [each.params["rate"] for each in one.observations] == [0.7, 0.99]


def prune(registry: Registry, rates: Sequence[float], value: float, name: str = "old") -> None:
    """Stop experiments of an earlier study at step 1, where they all stood at `value`."""
    earlier = registry.find_study(name)
    assert earlier is not None
    registry.add(earlier, [a_config(rate) for rate in rates])
    stood = Partial(value, 1)
    registry.finish([(claim, stood) for claim in registry.claim(earlier, len(rates))], OLD)


def test_what_was_pruned_counts_by_where_it_stood(registry: Registry, study: Study) -> None:
    run_earlier(registry, [0.1, 0.69])
    prune(registry, [0.3], 0.4)
    recalled = recall(registry, ["old"], own="study")
    (one,) = recalled.earlier
    told = [(each.params["rate"], each.value, each.partial) for each in one.observations]
    assert sorted(told) == [
        (0.1, pytest.approx(0.4), False),
        (0.3, 0.4, True),
        (0.69, pytest.approx(0.99), False),
    ]
    assert dict(recalled.n_finished) == {"old": 3}


def test_what_was_pruned_sways_what_is_proposed(registry: Registry, study: Study) -> None:
    """Not among what is tried first, though it stood higher than all; but where it was is learned as bad."""
    twin = open_study(registry, spec(name="twin"))
    run_earlier(registry, [0.1, 0.3, 0.5, 0.69], name="old")
    run_earlier(registry, [0.1, 0.3, 0.5, 0.69], name="whole")
    prune(registry, [0.9, 0.95, 0.99], 2.0, "old")
    proposed = []
    for own, name in ((study, "old"), (twin, "whole")):
        for _ in range(3):
            propose(registry, own, "bayesian", 4, warm_start=[name])
            for claim in registry.claim(own, 10):
                rate = float(claim.experiment.params["rate"] or 0)
                registry.complete(claim, Evaluation(1 - abs(rate - 0.7)), NEW)
        rows = registry.experiments(own)
        tried = [row.params["rate"] for row in rows if row.reason.get("design") == "earlier"]
        assert not {0.9, 0.95, 0.99} & set(tried)
        assert 0.69 in tried
        proposed.append(keys(rows))
    assert proposed[0] != proposed[1]
