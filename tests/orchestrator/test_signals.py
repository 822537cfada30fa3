"""Signals, delivered to this very process: they arrive between two bytecodes of the main thread."""

import os
import signal
from collections.abc import Iterator

import pytest

from orchestrator.signals import Interrupted, StopRequest, StopSignals


@pytest.fixture
def signals() -> Iterator[StopSignals]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a runner in the background may ignore it
    with StopSignals(clock=lambda: 7.0) as entered:
        yield entered
    signal.signal(signal.SIGINT, before[signal.SIGINT])
    assert {number: signal.getsignal(number) for number in before} == before


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_before_anything_is_claimed_a_signal_ends_the_program(
    signals: StopSignals, number: signal.Signals, code: int
) -> None:
    with pytest.raises(Interrupted) as caught:
        send(number)
    assert caught.value.exit_code == code
    assert isinstance(caught.value, KeyboardInterrupt)


def test_the_first_asks_and_the_second_insists(signals: StopSignals) -> None:
    signals.defer()
    send(signal.SIGTERM)
    assert (signals.stop_at, signals.stop_now, signals.exit_code) == (7.0, False, 143)
    send(signal.SIGINT)
    assert (signals.stop_at, signals.stop_now, signals.exit_code) == (7.0, True, 130)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL  # a third is not ours to hold up


def test_defer_takes_the_handlers_back_from_whoever_set_their_own(signals: StopSignals) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signals.defer()
    send(signal.SIGTERM)
    assert signals.stop_at == 7.0


def test_what_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            send(signal.SIGHUP)
            assert signals.stop_at is None
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_signals_nothing_is_ever_asked() -> None:
    request = StopRequest()
    request.defer()
    assert (request.stop_at, request.stop_now) == (None, False)
