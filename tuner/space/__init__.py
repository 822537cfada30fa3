"""Search spaces: parameters, conditions and constraints; which configurations exist and how they are made."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.space.constraints import Constraint, Forbid, Increasing, Sum
    from tuner.space.documents import constraint_from_dict, param_from_dict
    from tuner.space.identity import config_key
    from tuner.space.params import CategoricalParam, FloatParam, IntParam, Param
    from tuner.space.space import SearchSpace

__all__ = [
    "CategoricalParam",
    "Constraint",
    "FloatParam",
    "Forbid",
    "Increasing",
    "IntParam",
    "Param",
    "SearchSpace",
    "Sum",
    "config_key",
    "constraint_from_dict",
    "param_from_dict",
]

_ELSEWHERE = {
    **dict.fromkeys(("CategoricalParam", "FloatParam", "IntParam", "Param"), "params"),
    **dict.fromkeys(("Constraint", "Forbid", "Increasing", "Sum"), "constraints"),
    **dict.fromkeys(("constraint_from_dict", "param_from_dict"), "documents"),
    "SearchSpace": "space",
    "config_key": "identity",
}


def __getattr__(name: str) -> Any:
    """Load what is exported when it is first used: reports need no space at all."""
    if name in _ELSEWHERE:
        return getattr(import_module(f"tuner.space.{_ELSEWHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
