"""Pruners stop experiments that are not worth going on with: one per file, chosen by name."""

import inspect
from importlib import import_module
from typing import Any

from tuner.errors import UsageError, did_you_mean
from tuner.pruners.base import Curve, Pruner

__all__ = ["PRUNERS", "Curve", "Pruner", "make_pruner", "options_of"]

_ENGINES = {
    "none": ("tuner.pruners.none", "NonePruner"),
    "asha": ("tuner.pruners.successive_halving", "SuccessiveHalvingPruner"),
    "hyperband": ("tuner.pruners.hyperband", "HyperbandPruner"),
    "median": ("tuner.pruners.median", "MedianPruner"),
    "wilcoxon": ("tuner.pruners.wilcoxon", "WilcoxonPruner"),
}

PRUNERS: tuple[str, ...] = tuple(_ENGINES)
"""Every name that `make_pruner` knows."""


def make_pruner(name: str, **options: Any) -> Pruner:
    """Build a pruner; `options` are the keyword arguments of its class.

    Raises:
        UsageError: unknown name or option, or an option out of its range.
    """
    engine = _engine(name)
    known = options_of(name)
    for option in options:
        if option not in known:
            remedy = f"Options of {name}: {', '.join(known)}." if known else f"{name} takes no options."
            raise UsageError(
                f"Unknown option {option!r} of pruner {name!r}.{did_you_mean(option, known)}", remedy
            )
    return engine(**options)


def options_of(name: str) -> tuple[str, ...]:
    """The options that a pruner has.

    Raises:
        UsageError: unknown name.
    """
    return tuple(inspect.signature(_engine(name)).parameters)


def _engine(name: str) -> type[Pruner]:
    if name not in _ENGINES:
        raise UsageError(
            f"Unknown pruner {name!r}.{did_you_mean(str(name), PRUNERS)}", f"Pruners: {', '.join(PRUNERS)}."
        )
    module, engine = _ENGINES[name]
    found: type[Pruner] = getattr(import_module(module), engine)
    return found
