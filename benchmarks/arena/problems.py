"""The problems: those of `../shared/bench` where that folder is, else the built-in ones of scikit-learn."""

import os
import random
import re
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from benchmarks.arena import builtin
from benchmarks.peers import ROOT
from benchmarks.peers.base import Config, Param
from benchmarks.peers.random_peer import draw

__all__ = ["Measure", "Problem", "aside_names", "kind_of", "make", "names", "selected"]

_N_LOOKED_AT, _LEAST_RANGE = 20, 1e-5

Measure = Callable[[Config], tuple[float | None, Config]]
"""One experiment: a configuration in, its loss and the configuration that was really measured out."""


class Problem(Protocol):
    """A space and a loss on it, to be minimised."""

    name: str
    space: list[Param]
    known_scale: tuple[float, float] | None
    """The losses of regret 0 and of regret 1; None where they have to be measured."""

    def session(self) -> Callable[[Config], tuple[float, Config]]:
        """A fresh run of experiments; a table of measured configurations gives each of them once."""


@cache
def _bench() -> Any:
    """The module `problems` of the shared folder; None where the folder is absent."""
    for folder in (os.environ.get("TUNING_PROBLEMS"), ROOT.parent / "shared" / "bench"):
        if folder and (Path(folder) / "problems.py").is_file():
            sys.path.append(str(folder))
            import problems  # type: ignore[import-not-found]

            return problems
    return None


class _Shared:
    """A problem of the shared folder."""

    def __init__(self, name: str) -> None:
        if name not in _bench().NAMES:
            # The folder knows the scale of regret for its own names only; `scale` works out the others.
            _bench()._json("stats.json")[name] = {"best": 0.0, "median": 1.0}
        self.name = name
        self._problem = _bench().make(name)
        self.space = [
            Param(p.name, p.type, p.low, p.high, p.log, p.choices, tuple(p.when) if p.when else None)
            for p in self._problem.space
        ]
        self.known_scale = (self._problem.best, self._problem.median) if name in _bench().NAMES else None

    def session(self) -> Callable[[Config], tuple[float, Config]]:
        return self._problem.session()  # type: ignore[no-any-return]


def names() -> list[str]:
    """The default problems."""
    return list(_bench().NAMES) if _bench() else list(builtin.NAMES)


def aside_names() -> list[str]:
    """Problems kept aside: nothing was tuned on them.

    For each surrogate problem of the shared folder, the same surrogate and metric on the next OpenML task, by
    number, that is not in the folder's names and not taken yet (after the largest comes the smallest), and
    that does not say the same of all configurations; and the built-in problems.
    """
    return [*_next_tasks(), *builtin.NAMES] if _bench() else list(builtin.NAMES)


def _next_tasks() -> list[str]:
    taken = {tuple(name.split(":")[1:3]) for name in _bench().NAMES}
    aside = []
    for name in _bench().NAMES:
        kind, scenario, task, *metric = name.split(":")
        if kind != "yahpo":
            continue
        instance = _bench()._SCENARIOS[scenario][3]
        tasks = sorted(
            int(t) for t in _bench()._json("yahpo", scenario, "encoding.json")[instance] if t.isdigit()
        )
        following = [t for t in tasks if t > int(task)] + tasks
        free = (str(t) for t in following if (scenario, str(t)) not in taken)
        chosen = next(t for t in free if _tells(":".join([kind, scenario, t, *metric])))
        taken.add((scenario, chosen))
        aside.append(":".join([kind, scenario, chosen, *metric]))
    return aside


def _tells(name: str) -> bool:
    """Whether some configurations of a problem are better than others, rounding apart."""
    problem, rng = make(name), random.Random(0)
    losses = [problem.session()(draw(problem.space, rng))[0] for _ in range(_N_LOOKED_AT)]
    return max(losses) - min(losses) > _LEAST_RANGE


@cache
def make(name: str) -> Problem:
    """A problem by its name; a `session()` of it is one run."""
    return builtin.Builtin(name) if name.startswith("sklearn:") else _Shared(name)


def kind_of(name: str) -> str:
    """The kinds that are reported apart: "pool" and "surrogate" of the shared folder, else "built-in"."""
    return {"pool": "pool", "yahpo": "surrogate"}.get(re.split(":", name)[0], "built-in")


def selected(patterns: str | None, aside: bool) -> list[str]:
    """The default problems, or those aside; or what of them, and of the built-in ones, is named.

    Args:
        patterns: a comma-separated list of names with wildcards, or None.
        aside: which.

    Raises:
        LookupError: nothing matches.
    """
    default = aside_names() if aside else names()
    if patterns is None:
        return default
    known = list(dict.fromkeys([*default, *builtin.NAMES]))
    found = [name for name in known if any(fnmatchcase(name, p) for p in patterns.split(","))]
    if not found:
        raise LookupError(f"No problem matches {patterns!r}. There are: {', '.join(known)}.")
    return found
