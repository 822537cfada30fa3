"""What a generator remembers."""

from random import Random
from typing import Any

import numpy as np
import pytest

from tests.contracts.generator_contract import SMALL, a_value, keys
from tuner.experiment import Direction, Observation
from tuner.generators.history import History
from tuner.space import FloatParam, IntParam, SearchSpace, config_key

EVERY = list(SMALL.enumerate())


def test_it_hands_out_the_same_lists_in_whatever_order_it_was_told() -> None:
    histories = []
    for seed in range(3):
        history = History(SMALL)
        finished = [Observation(params, a_value(params)) for params in EVERY[:15]]
        # Values whose sum depends on the order of addition.
        finished += [Observation(EVERY[0], value) for value in (1e16, 1.0, -1e16, 3.0)]
        pending = EVERY[15:20]
        Random(seed).shuffle(finished)
        Random(seed).shuffle(pending)
        history.tell(finished[:7], [])
        history.tell(finished[7:], pending)
        histories.append(history)
    for one in histories[1:]:
        assert one.losses(Direction.MAXIMIZE) == histories[0].losses(Direction.MAXIMIZE)
        assert one.pending() == histories[0].pending()
        assert one.known() == histories[0].known()


def test_repeats_are_averaged_and_failures_among_them_left_out() -> None:
    history = History(SMALL)
    one, other = EVERY[:2]
    told = [Observation(one, None), Observation(one, 1.0), Observation(one, 2.0), Observation(other, None)]
    history.tell(told, [])
    params, losses = history.losses(Direction.MAXIMIZE)
    assert dict(zip(keys(params), losses, strict=True)) == {config_key(one): -1.5, config_key(other): None}
    assert len(history) == 2


def test_the_mean_of_the_largest_floats_does_not_overflow() -> None:
    history = History(SMALL)
    history.tell([Observation(EVERY[0], 1.7e308, std_error=1.7e308)] * 4, [])
    (found,) = history.results(Direction.MINIMIZE)
    assert found.loss == 1.7e308


def test_what_has_a_result_is_not_pending() -> None:
    history = History(SMALL)
    history.ask(EVERY[0])
    history.ask(EVERY[1])
    history.tell([Observation(EVERY[0], 1.0)], pending=[EVERY[0], EVERY[2]])
    assert sorted(keys(history.pending())) == sorted(keys(EVERY[1:3]))
    assert len(history) == 3


def test_what_was_stopped_early_is_no_better_than_the_middle_of_what_was_not() -> None:
    history = History(SMALL)
    complete = [Observation(params, value) for params, value in zip(EVERY, (1.0, 2.0, 3.0), strict=False)]
    good, bad, both = EVERY[3:6]
    stopped = [Observation(good, 0.5, partial=True), Observation(bad, 9.0, partial=True)]
    again = [Observation(both, 0.25, partial=True), Observation(both, 4.0)]
    history.tell([*complete, *stopped, *again], [])
    found = {config_key(each.params): each for each in history.results(Direction.MINIMIZE)}
    assert found[config_key(good)].loss == 2.0
    assert found[config_key(bad)].loss == 9.0
    assert found[config_key(good)].partial
    assert found[config_key(both)].loss == 4.0
    assert not found[config_key(both)].partial


def test_with_nothing_complete_what_was_stopped_counts_as_it_stood() -> None:
    history = History(SMALL)
    history.tell([Observation(EVERY[0], 0.5, partial=True), Observation(EVERY[1], None)], [])
    losses = dict(zip(keys(history.known()), history.losses(Direction.MAXIMIZE)[1], strict=True))
    assert losses == {config_key(EVERY[0]): -0.5, config_key(EVERY[1]): None}


def test_the_standard_error_of_repeats_is_that_of_their_mean() -> None:
    history = History(SMALL)
    one, other = EVERY[:2]
    history.tell([Observation(one, 1.0, 3.0), Observation(one, 2.0, 4.0)], [])
    history.tell([Observation(other, 1.0, 3.0), Observation(other, 2.0)], [])
    found = {config_key(each.params): each for each in history.results(Direction.MINIMIZE)}
    assert found[config_key(one)].std_error == 2.5
    assert found[config_key(other)].std_error is None
    assert found[config_key(other)].n == 2


def test_what_is_equal_and_of_another_type_is_judged_by_its_own() -> None:
    space = SearchSpace([IntParam("depth", 1, 12), FloatParam("rate", 0.0, 1.0)])
    history = History(space)
    told: list[Any] = [
        {"depth": 1, "rate": 1.0},
        {"depth": True, "rate": 1.0},  # never a number
        {"depth": 1.0, "rate": 1},
        {"depth": np.int64(1), "rate": np.float64(1.0)},
    ]
    for params in told + told:
        history.tell([Observation(params, 2.0)], [])
    (result,) = history.results(Direction.MINIMIZE)
    assert result.n == 6
    assert [(type(value), value) for value in result.params.values()] == [(int, 1), (float, 1.0)]


@pytest.mark.parametrize("params", [{"depth": [1]}, {"depth": {}}, {"width": 1}, {}])
def test_what_is_no_configuration_is_left_out(params: Any) -> None:
    history = History(SearchSpace([IntParam("depth", 1, 12)]))
    history.tell([], [params])
    assert len(history) == 0
