"""What an experiment, and what confirms it, cannot hold."""

import pickle

import pytest

from tuner.errors import UsageError
from tuner.experiment import Confirmation, Provenance

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
