"""The three kinds of parameter. Frozen, checked when built.

Each knows its own values only: how to check, clip, draw and encode one. What parameters have to do with one
another (conditions, constraints) belongs to the SearchSpace.
"""

from tuner.space.categorical import CategoricalParam
from tuner.space.declaring import When
from tuner.space.numeric import FloatParam, IntParam, NumericParam

__all__ = ["CategoricalParam", "FloatParam", "IntParam", "NumericParam", "Param", "When"]

Param = FloatParam | IntParam | CategoricalParam
"""Any parameter."""
