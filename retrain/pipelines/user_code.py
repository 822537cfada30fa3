"""What stands between us and user code that runs in our process: its prints, and how it reports."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from retrain.pipeline import Report
from retrain.results import ResultError

__all__ = ["stdout_to_stderr", "strict_report"]


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send to stderr what is printed meanwhile, by child processes and C code, too: stdout is for results."""
    with redirect_stdout(sys.stderr):
        _flush()
        try:
            kept = os.dup(1)
        except OSError:  # there is no stdout that could be spoilt
            yield
            return
        try:
            os.dup2(2, 1)
            yield
        finally:
            _flush()
            os.dup2(kept, 1)
            os.close(kept)


def _flush() -> None:
    if sys.__stdout__ is not None:
        sys.__stdout__.flush()


def strict_report(report: Report) -> Report:
    """Return `report` so that a call without a step or metrics says what the right form is."""

    def reported(*given: Any, **named: Any) -> None:
        try:
            step, metrics = _step_and_metrics(*given, **named)
        except TypeError:
            raise ResultError(
                "A report must be called as report(step, {metric: value}), such as "
                f"report(0, {{'loss': 0.5}}); this one had {len(given) + len(named)} of the two arguments."
            ) from None
        report(step, metrics)

    return reported


def _step_and_metrics(step: Any, metrics: Any) -> tuple[Any, Any]:
    return step, metrics
