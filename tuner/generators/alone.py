"""One proposal of a process at a time, on one thread of its linear algebra."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

__all__ = ["alone", "on_one_thread"]

_lock = RLock()


@contextmanager
def alone() -> Iterator[None]:
    """Within it no other thread proposes.

    Threads may share a generator. And what a proposal sets meanwhile, such as how many threads linear algebra
    has, is the whole process's: of two at once, each would put back what the other one had set.
    """
    with _lock:
        yield


def _unlock() -> None:
    """The thread that held it is not there in a child that was forked meanwhile."""
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Within it linear algebra keeps to one thread.

    Small matrices are slower on many, by far so where others work beside them, and how many there are must
    not sway a result. The libraries must be loaded at the first call.
    """
    with alone(), _libraries().limit(limits=1):
        yield


@cache
def _libraries() -> Any:
    """Those loaded with numpy and scipy: to look for them with every suggestion takes a millisecond."""
    return ThreadpoolController()
