"""Writes that must arrive, under a registry that refuses; time is a list."""

from collections.abc import Callable

import pytest

from orchestrator.insist import Insist
from tuner.errors import BusyError, ClaimLostError, NotARegistryError, PoolError, StorageError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def refusing(times: int, error: Exception) -> Callable[[], str]:
    left = [error] * times

    def write() -> str:
        if left:
            raise left.pop()
        return "stored"

    return write


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[str]:
    return []


def test_a_busy_registry_is_asked_again_with_growing_pauses(clock: Clock, told: list[str]) -> None:
    insist = Insist(told.append, clock=clock, pause=clock.pause)
    assert insist(refusing(7, BusyError("The database is locked."))) == "stored"
    assert clock.pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert told == [
        "The database is locked. Nothing is lost: trying again for 5 min.",
        "the registry answers again after 36 s",
    ]


def test_patience_ends(clock: Clock, told: list[str]) -> None:
    insist = Insist(told.append, patience_s=20.0, clock=clock, pause=clock.pause)
    with pytest.raises(StorageError, match="full"):
        insist(refusing(99, StorageError("The disk is full.")))
    assert 20.0 <= clock.now < 30.0


def test_no_longer_than_the_run_has_time(clock: Clock, told: list[str]) -> None:
    insist = Insist(told.append, until=20.0, clock=clock, pause=clock.pause)
    with pytest.raises(StorageError, match="full"):
        insist(refusing(99, StorageError("The disk is full.")))
    assert clock.now == 20.0
    assert told == ["The disk is full. Nothing is lost: trying again for 20 s."]


def test_a_user_in_a_hurry_is_not_held_up(clock: Clock, told: list[str]) -> None:
    insist = Insist(told.append, lambda: clock.now >= 1.0, clock=clock, pause=clock.pause)
    with pytest.raises(BusyError):
        insist(refusing(99, BusyError("The database is locked.")))
    assert clock.pauses == [0.5, 1.0]


@pytest.mark.parametrize(
    "error", [NotARegistryError("Damaged."), PoolError("Gone."), ClaimLostError("Late.")]
)
def test_what_another_try_cannot_mend_is_raised_at_once(
    clock: Clock, told: list[str], error: Exception
) -> None:
    insist = Insist(told.append, clock=clock, pause=clock.pause)
    with pytest.raises(type(error)):
        insist(refusing(1, error))
    assert not clock.pauses
    assert not told
