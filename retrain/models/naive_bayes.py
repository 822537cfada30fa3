"""Naive Bayes of scikit-learn for counts and shares, such as words: multinomial, or its complement.

The complement (Rennie et al. 2003) bears classes of unequal size better. Features may not be negative: the
numbers of a table are brought to [0, 1], which suits yes and no, and counts, better than anything else. There
is no chance in it: the seed changes nothing.
"""

from typing import Any

from sklearn.naive_bayes import ComplementNB, MultinomialNB

from retrain.models.store import load, save
from tuner.errors import ConfigError
from tuner.experiment import Params

__all__ = ["build", "load", "save"]

VARIANTS = {"multinomial": MultinomialNB, "complement": ComplementNB}


def build(params: Params, task: str, seed: int) -> Any:  # noqa: ARG001 - one signature for all families
    """Build an unfitted estimator. Works on one core by itself."""
    own = dict(params)
    variant = own.pop("variant", "multinomial")
    if variant not in VARIANTS:
        raise ConfigError(
            f"`variant` must be one of 'multinomial', 'complement', but got {variant!r}.",
            "Choose one of them.",
        )
    return VARIANTS[variant](**own)
