"""The words about a task: where one did not come through, its test would hang for an hour."""

import threading
from collections.abc import Callable

from orchestrator.verdicts import Verdicts

LONG_S = 3600.0


def begun() -> Verdicts:
    verdicts = Verdicts()
    verdicts.begin(2)
    return verdicts


def answer(verdicts: Verdicts, say: Callable[[], None], step: int = 3) -> bool:
    """Ask for the word on a step, which comes from another thread."""
    teller = threading.Thread(target=say)
    teller.start()
    stops = verdicts.shall_stop(step, LONG_S)
    teller.join()
    return stops


def test_a_word_on_the_report_ends_the_wait() -> None:
    verdicts = begun()
    assert not answer(verdicts, lambda: verdicts.go_on(2, 3))
    assert answer(verdicts, lambda: verdicts.prune(2))
    assert verdicts.shall_stop(4, LONG_S), "it was told before"


def test_a_word_on_another_report_or_task_does_not() -> None:
    verdicts = begun()

    def say() -> None:
        verdicts.prune(1)
        verdicts.go_on(1, 3)
        verdicts.go_on(2, 2)
        verdicts.prune(2)

    assert answer(verdicts, say)


def test_a_word_that_comes_before_the_question_counts_once() -> None:
    verdicts = begun()
    verdicts.go_on(2, 3)
    assert not verdicts.shall_stop(3, LONG_S)
    assert answer(verdicts, lambda: verdicts.prune(2)), "the same step again waits again"


def test_two_threads_may_wait_for_a_word_each() -> None:
    verdicts = begun()
    said: list[bool] = []
    threads = [
        threading.Thread(target=lambda step=step: said.append(verdicts.shall_stop(step, LONG_S)))
        for step in (1, 2)
    ]
    for thread in threads:
        thread.start()
    verdicts.go_on(2, 1)
    verdicts.go_on(2, 2)
    for thread in threads:
        thread.join()
    assert said == [False, False]


def test_without_a_word_it_goes_on_after_its_time_and_the_word_counts_later() -> None:
    verdicts = begun()
    assert not verdicts.shall_stop(0, 0.001)
    verdicts.prune(2)
    assert verdicts.shall_stop(1)


def test_the_next_task_begins_with_nothing_said() -> None:
    verdicts = begun()
    verdicts.prune(2)
    verdicts.go_on(2, 3)
    verdicts.begin(3)
    verdicts.prune(2)
    assert not verdicts.shall_stop(0)
    assert not answer(verdicts, lambda: verdicts.go_on(3, 3))


def test_a_stop_that_overtakes_its_task_is_kept_for_it() -> None:
    verdicts = begun()
    verdicts.prune(3)
    assert not verdicts.shall_stop(0), "the one before it goes on"
    verdicts.begin(3)
    assert verdicts.shall_stop(0)
    verdicts.begin(4)
    assert not verdicts.shall_stop(0)


def test_before_the_first_task_nothing_is_to_stop() -> None:
    assert not Verdicts().shall_stop(0)
