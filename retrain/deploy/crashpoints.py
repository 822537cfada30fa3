"""Named places where a test may kill the process, to show that every step of a deployment survives it.

`RETRAIN_CRASH=apply.after_rename:2` ends the process without any clean-up, as `kill -9` would, the second
time it passes `crashpoint("apply.after_rename")`. Without the variable a crash point is one look-up.
"""

import os
from collections import Counter

__all__ = ["crashpoint"]

_passed: Counter[str] = Counter()


def crashpoint(name: str) -> None:
    """Die here (exit 137, nothing flushed or undone) where the environment asks for it."""
    wanted = os.environ.get("RETRAIN_CRASH")
    if not wanted:
        return
    _passed[name] += 1
    at, _, nth = wanted.partition(":")
    if at == name and _passed[name] == int(nth or 1):
        os._exit(137)
