"""What the configured gates need to be measured, beyond what every scoring gives."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from retrain.config import GateConfig
from retrain.metrics import COSTS

__all__ = ["DEFAULT_REPEATS", "Needs", "repeats_of"]

DEFAULT_REPEATS = 4
"""Fresh cross-validations of a bound with a confidence, where the entry does not say."""

_MEASURED = ("predict_ms", "model_kb")


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be measured for the gates.

    Attributes:
        challenger, champion: how many fresh cross-validations of each.
        alone: how many of the challenger where it has the same hyperparameters as the champion.
        by: {column: metrics} of the cross-validation.
        test_by: the same of the holdout.
        costs: of the final model.
    """

    challenger: int = 0
    champion: int = 0
    alone: int = 0
    by: Mapping[str, frozenset[str]] = field(default_factory=dict)
    test_by: Mapping[str, frozenset[str]] = field(default_factory=dict)
    costs: tuple[str, ...] = ()

    @staticmethod
    def of(gates: Sequence[GateConfig], *, splits_follow_seed: bool) -> "Needs":
        """What these entries need; nothing that needs the seed to change splits which do not follow it."""
        repeats = [(gate, repeats_of(gate, splits_follow_seed)) for gate in gates if splits_follow_seed]
        absolute = [number for gate, number in repeats if gate.min is not None or gate.max is not None]
        parted = [gate for gate in gates if gate.by is not None]
        return Needs(
            challenger=max((number for _, number in repeats), default=0),
            champion=max((number for gate, number in repeats if gate.is_relative), default=0),
            alone=max(absolute, default=0),
            by=_by(gate for gate in parted if not gate.metric.startswith("test_")),
            test_by=_by(gate for gate in parted if gate.metric.startswith("test_")),
            costs=tuple(dict.fromkeys(gate.metric for gate in gates if gate.metric in _MEASURED)),
        )


def repeats_of(gate: GateConfig, splits_follow_seed: bool) -> int:
    """How many fresh cross-validations the bounds of an entry are judged on; 0: on the study's own folds."""
    if gate.repeats is not None:
        return gate.repeats
    has_folds = splits_follow_seed and gate.metric not in COSTS and not gate.metric.startswith("test_")
    return DEFAULT_REPEATS if gate.confidence is not None and has_folds else 0


def _by(gates: Iterable[GateConfig]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for gate in gates:
        column = gate.by or ""
        found[column] = found.get(column, frozenset()) | {gate.metric}
    return found
