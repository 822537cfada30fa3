"""What an experiment, and what confirms it, cannot hold."""

import pickle
from typing import Any

import pytest

from tuner.errors import UsageError
from tuner.experiment import Confirmation, Observation, Provenance, Suggestion

ON = Provenance("d1", "c1", "m1")


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_no_odd_number_becomes_a_confirmation(odd: float) -> None:
    with pytest.raises(UsageError, match="value of a confirmation of 'x' must be finite"):
        Confirmation("x", 1, odd, (), ON)
    with pytest.raises(UsageError, match="fold of a confirmation of 'x' must be finite"):
        Confirmation("x", 1, 0.5, (0.5, odd), ON)


def test_a_confirmation_survives_pickling() -> None:
    given = Confirmation("x", 1, 0.5, (0.25, 0.75), ON, 2.0)
    assert pickle.loads(pickle.dumps(given)) == given


@pytest.mark.parametrize("odd", ["high", [1.0], 1j, 10**400, float("nan"), float("inf")])
def test_no_odd_thing_becomes_an_observation(odd: Any) -> None:
    with pytest.raises(UsageError, match=r"`value` of an Observation must be (a number|finite)"):
        Observation({"x": 1}, odd)
    with pytest.raises(UsageError, match=r"`std_error` of an Observation must be (a number|finite)"):
        Observation({"x": 1}, 1.0, odd)
    with pytest.raises(UsageError, match=r"Metric 'm' of an Observation must be (a number|finite)"):
        Observation({"x": 1}, 1.0, metrics={"m": odd})


@pytest.mark.parametrize("odd", [None, "x", [1], Suggestion({"x": 1}, "random")])
def test_params_and_metrics_must_be_tables(odd: Any) -> None:
    with pytest.raises(UsageError, match="`params` of an Observation must be a table of names") as caught:
        Observation(odd, 1.0)
    assert caught.value.remedy == "Such as suggestion.params."
    with pytest.raises(UsageError, match="`metrics` of an Observation must be a table of names and values"):
        Observation({"x": 1}, 1.0, metrics=odd)


def test_an_error_below_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"`std_error` of an Observation must be at least 0, but got -0\.1"):
        Observation({"x": 1}, 1.0, -0.1)
    assert Observation({"x": 1}, 1.0, 0.0).std_error == 0.0
