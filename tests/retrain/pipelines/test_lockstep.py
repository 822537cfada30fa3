"""Fits side by side: in step, one at a time, and all ended when one of them is."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from retrain.pipelines.lockstep import Pause, in_lockstep


def counting(n: int, log: list[str], name: str) -> Callable[[Pause[float]], str]:
    def job(pause: Pause[float]) -> str:
        for step in range(1, n + 1):
            log.append(f"{name}{step}")
            pause(step, float(step))
        log.append(f"{name} ends")
        return name

    return job


def strands() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "retrain-fit"]


def test_all_come_to_each_step_before_any_goes_further() -> None:
    log: list[str] = []

    def at(step: int, scores: Sequence[float]) -> None:
        log.append(f"{step}: {list(scores)}")

    assert in_lockstep([counting(2, log, "a"), counting(2, log, "b")], at) == ["a", "b"]
    assert log == [
        *["a1", "b1", "1: [1.0, 1.0]"],
        *["a2", "b2", "2: [2.0, 2.0]"],
        *["a ends", "b ends"],
    ]
    assert strands() == []


def test_one_that_ends_early_stands_where_it_ended() -> None:
    told: list[Any] = []
    jobs = [counting(1, [], "a"), counting(3, [], "b")]
    in_lockstep(jobs, lambda step, scores: told.append((step, list(scores))))
    assert told == [(1, [1.0, 1.0]), (2, [1.0, 2.0]), (3, [1.0, 3.0])]


class Stop(BaseException):
    pass


def test_what_is_raised_at_a_step_ends_all_of_them() -> None:
    log: list[str] = []

    def at(step: int, scores: Sequence[float]) -> None:
        if step == 2:
            raise Stop

    with pytest.raises(Stop):
        in_lockstep([counting(9, log, "a"), counting(9, log, "b")], at)
    assert log == ["a1", "b1", "a2", "b2"]
    assert strands() == []


def test_an_error_of_one_ends_the_others() -> None:
    log: list[str] = []

    def fails(pause: Pause[float]) -> str:
        pause(1, 0.0)
        raise ValueError("one class only")

    with pytest.raises(ValueError, match="one class only"):
        in_lockstep([counting(9, log, "a"), fails, counting(9, log, "b")], lambda *_: None)
    assert log == ["a1", "b1", "a2"]
    assert strands() == []
