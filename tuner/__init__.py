"""What to try, and what was tried: a pure library of search spaces, generators and the registry."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.experiment import Direction, Observation, Suggestion
    from tuner.generators import make_generator
    from tuner.goals import Goals, Limit, Objective
    from tuner.memory import Earlier
    from tuner.registry import open_registry
    from tuner.space import CategoricalParam, FloatParam, Forbid, Increasing, IntParam, SearchSpace, Sum

__all__ = [
    "CategoricalParam",
    "Direction",
    "Earlier",
    "FloatParam",
    "Forbid",
    "Goals",
    "Increasing",
    "IntParam",
    "Limit",
    "Objective",
    "Observation",
    "SearchSpace",
    "Suggestion",
    "Sum",
    "make_generator",
    "open_registry",
]

_ELSEWHERE = {
    "Direction": "tuner.experiment",
    "Earlier": "tuner.memory",
    "Goals": "tuner.goals",
    "Limit": "tuner.goals",
    "Objective": "tuner.goals",
    "Observation": "tuner.experiment",
    "Suggestion": "tuner.experiment",
    "make_generator": "tuner.generators",
    "open_registry": "tuner.registry",
}


def __getattr__(name: str) -> Any:
    """Load what is exported when it is first used: both commands import `tuner.errors` only to print help."""
    if name in __all__:
        return getattr(import_module(_ELSEWHERE.get(name, "tuner.space")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
