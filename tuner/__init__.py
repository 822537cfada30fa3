"""What to try, and what was tried: a pure library of search spaces, generators and the registry."""

from typing import TYPE_CHECKING, Any

from tuner.experiment import Direction, Observation, Suggestion
from tuner.space import CategoricalParam, FloatParam, Forbid, Increasing, IntParam, SearchSpace, Sum

if TYPE_CHECKING:
    from tuner.generators import make_generator
    from tuner.registry import open_registry

__all__ = [
    "CategoricalParam",
    "Direction",
    "FloatParam",
    "Forbid",
    "Increasing",
    "IntParam",
    "Observation",
    "SearchSpace",
    "Suggestion",
    "Sum",
    "make_generator",
    "open_registry",
]


def __getattr__(name: str) -> Any:
    # These two bring engines and a database with them; whoever only declares a space should not wait for
    # that.
    if name == "make_generator":
        from tuner.generators import make_generator

        return make_generator
    if name == "open_registry":
        from tuner.registry import open_registry

        return open_registry
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
