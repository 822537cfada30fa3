"""Looks at the database all the time, and says when something that must not change did."""

import select
from contextlib import closing
from typing import Any

from tests.chaos.history import History
from tests.chaos.settings import Settings
from tuner.registry.engine import connect

__all__ = ["watch"]

_EVERY_S = 0.1
_FINISHED = """SELECT public_id, state, outcome, value, attempt, failures, deaths, finished_at
    FROM experiments WHERE state IN ('complete', 'pruned', 'failed')"""


def watch(settings: Settings, until: int) -> None:
    """Watch until there is something to read from the descriptor `until`: rules I2 and I8."""
    history = History(settings.logs)
    seen: dict[str, tuple[Any, ...]] = {}
    best: float | None = None
    with closing(connect(settings.database, "rw")) as raw:
        raw.execute("PRAGMA query_only=ON")
        while not select.select([until], [], [], _EVERY_S)[0]:
            now = {row[0]: row for row in raw.execute(_FINISHED)}
            for id_, row in seen.items():
                if now.get(id_) != row:
                    history.write("changed", rule="I2", what=f"{id_} was {row}, and became {now.get(id_)}")
            values = [row[3] for row in now.values() if row[3] is not None]
            lowest = min(values, default=None)
            if best is not None and (lowest is None or lowest > best):
                history.write("changed", rule="I8", what=f"the best was {best}, and became {lowest}")
            seen, best = now, lowest
