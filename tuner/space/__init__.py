"""Search spaces: parameters, conditions and constraints; which configurations exist and how they are made."""

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
