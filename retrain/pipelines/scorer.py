"""What the user brings to rank with: a function or a class, by its name.

A function gives a number for each row that is asked, the higher the better:

    def score(params, ratings, items, asked): ...

A class learns first. `fit(ratings, items)` is called once per fold and worker, whatever the hyperparameters;
with a further argument `params`, for every experiment:

    class Recommender:
        def fit(self, ratings, items): ...
        def score(self, asked, params): ...

Both may take `seed`. `ratings`, `items` and `asked` are pandas frames, which they must not change: `asked` is
a table of ratings without the ratings themselves.
"""

import inspect
from typing import Any

import numpy as np
import pandas as pd

from retrain.pipelines.python import Reference
from retrain.pipelines.user_code import stdout_to_stderr
from retrain.results import ResultError
from tuner.errors import ConfigError
from tuner.experiment import Outcome, Params

__all__ = ["Scorer"]

_OF_FUNCTION = ("params", "ratings", "items", "asked")
_FORM = (
    "It is a function (params, ratings, items, asked), or a class with fit(ratings, items) and"
    " score(asked, params)."
)


class Scorer:
    """A user's function or class, pickled as its name.

    Raises:
        ConfigError: there is none of this name, or it takes other arguments.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.code = reference.load()
        self._is_class = inspect.isclass(self.code)
        methods = {"fit": ("ratings", "items"), "score": ("asked", "params")} if self._is_class else {}
        for name, needed in methods.items():
            if not callable(getattr(self.code, name, None)):
                raise ConfigError(
                    f"The class {reference}, as {reference.key} names it, has no {name}().", _FORM
                )
            self._check(getattr(self.code, name), needed, f"{reference.attribute}.{name}")
        if not self._is_class:
            if not callable(self.code):
                what = type(self.code).__name__
                raise ConfigError(
                    f"{reference.key} must name a function or a class, but names a {what}.", _FORM
                )
            self._check(self.code, _OF_FUNCTION, reference.attribute)
        self._learns = self.code.fit if self._is_class else self.code
        self.learns_from_params = self._is_class and "params" in _arguments(self._learns)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Scorer, (self.reference,))

    def _check(self, function: Any, needed: tuple[str, ...], name: str) -> None:
        missing = [each for each in needed if each not in _arguments(function)]
        if missing:
            raise ConfigError(
                f"{name}(), as {self.reference.key} names it, must take arguments called"
                f" {', '.join(needed)}, but lacks {', '.join(missing)}.",
                _FORM,
            )

    def learn(self, ratings: pd.DataFrame, items: pd.DataFrame, params: Params, seed: int) -> Any:
        """What has learned from the ratings; of a function, only these themselves."""
        if not self._is_class:
            return ratings, items
        with stdout_to_stderr():
            learned = self.code()
            given = {"ratings": ratings, "items": items, "params": dict(params), "seed": seed}
            learned.fit(**_wanted(self._learns, given))
        return learned

    def scores(self, learned: Any, asked: pd.DataFrame, params: Params, seed: int) -> np.ndarray:
        """A number for each row of `asked`, finite.

        Raises:
            ResultError: it returned something else.
        """
        given: dict[str, Any] = {"asked": asked, "params": dict(params), "seed": seed}
        function = self.code
        if self._is_class:
            function = learned.score
        else:
            given |= {"ratings": learned[0], "items": learned[1]}
        with stdout_to_stderr():
            said = function(**_wanted(function, given))
        try:
            scores = np.asarray(said, dtype=float)
        except (TypeError, ValueError):
            raise ResultError(
                f"{self.reference} must return a number for each row, but returned {type(said).__name__}."
            ) from None
        if scores.shape != (len(asked),):
            raise ResultError(
                f"{self.reference} must return one number for each of {len(asked)} rows, but returned an"
                f" array of shape {scores.shape}."
            )
        wrong = ~np.isfinite(scores)
        if wrong.any():
            raise ResultError(
                f"{self.reference} returned {scores[wrong][0]} for {int(wrong.sum())} of {len(asked)} rows.",
                outcome=Outcome.NON_FINITE,
            )
        return scores


def _arguments(function: Any) -> set[str]:
    return {*inspect.signature(function).parameters}


def _wanted(function: Any, given: dict[str, Any]) -> dict[str, Any]:
    names = _arguments(function)
    return {name: value for name, value in given.items() if name in names}
