# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""No pruning: every experiment comes to its end."""

from collections.abc import Sequence

from tuner.pruners.base import Curve, Pruner

__all__ = ["NonePruner"]


class NonePruner(Pruner):
    """Never stops anything."""

    name = "none"

    def should_prune(self, own: Curve, others: Sequence[Curve]) -> bool:  # noqa: ARG002
        return False
