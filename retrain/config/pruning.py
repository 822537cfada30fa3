"""The `[pruning]` section: what stops experiments early, and at which steps they can be compared."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from retrain.config.faults import FaultsError
from retrain.config.naming import OF_TABLES
from retrain.config.pipeline import PipelineConfig
from retrain.config.section import Section, unknown
from retrain.models import MODELS
from tuner.pruners import PRUNERS, options_of

__all__ = ["PruningConfig"]

_FACTOR, _FACTOR_OF_LOOKS = 3, 2
_GRACE = {"folds": 1, "rounds": 10, "epochs": 1, "samples": 10}
"""Where nobody says: the least step at which anything stops."""


class PruningConfig(Section):
    """What stops experiments early.

    Attributes:
        pruner: a name of `tuner.pruners.PRUNERS`.
        steps: what a step is: one of the folds; so many boosting rounds or epochs, on all folds at once; or a
            percentage of the training rows, on all folds at once. By default folds, and in a pipeline of the
            user's own whatever it reports.
        looks: have the folds learn one after the other, and look at the first one after so many rounds,
            epochs or percent of its rows. Each look is a step then, and so is each fold; at every one of them
            all experiments are compared.
        grace: nothing stops before this step; by default 10 rounds, 10 % of the samples, one fold or epoch.
        reduction_factor: of those that come to a rung, one in so many goes on, by default 3, with looks 2; it
            also is the ratio of the steps at which a pipeline of ours reports.
        max_steps: the longest experiment, where it is known.
        startup: nothing stops before so many experiments are complete (median).
        p_threshold: below which p-value an experiment is worse than the best (wilcoxon).
    """

    pruner: str = "none"
    steps: Literal["folds", "rounds", "epochs", "samples"] | None = None
    looks: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)] = ()
    grace: int | None = Field(None, ge=1)
    reduction_factor: float | None = Field(None, ge=2, le=100)
    max_steps: int | None = Field(None, ge=1)
    startup: int = Field(5, ge=1)
    p_threshold: float = Field(0.1, gt=0, le=0.5)

    @field_validator("pruner")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in PRUNERS:
            raise ValueError(unknown(name, PRUNERS, "pruner"))
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        FaultsError.raise_if(list(self._faults()))
        return self

    def _faults(self) -> Iterable[tuple[str, str]]:
        if self.pruner == "wilcoxon" and self.steps not in (None, "folds"):
            yield "pruner", f"compares folds, so that steps = {self.steps!r} has no meaning for it."
        if self.steps == "samples" and self.first_step >= 100:
            yield "grace", "must be below 100: it is a percentage of the training rows."
        if self.max_steps is not None and self.max_steps < self.first_step:
            yield "max_steps", f"must be at least grace, which is {self.first_step}."
        if self.looks:
            yield from self._faults_of_looks()

    def _faults_of_looks(self) -> Iterable[tuple[str, str]]:
        if self.steps in (None, "folds"):
            yield "looks", "need steps = 'rounds', 'epochs' or 'samples', which says what they count."
        if any(one >= next_ for one, next_ in pairwise(self.looks)):
            yield "looks", f"must rise, but are {list(self.looks)}."
        if self.steps == "samples" and self.looks[-1] >= 100:
            yield "looks", "must be below 100: they are percentages of the training rows."
        for name in ("grace", "max_steps"):
            if getattr(self, name) is not None:
                yield name, "has no meaning beside looks, the first of which is the first step."

    def faults_for(self, pipeline: PipelineConfig) -> Iterable[tuple[str, str]]:
        """Steps that the pipeline cannot make."""
        if pipeline.kind == "ranking" and self.steps not in (None, "folds"):
            yield "pruning.steps", "must be 'folds' (or left out) for kind = 'ranking'."
        if self.looks and pipeline.kind not in OF_TABLES:
            yield "pruning.looks", f"has no meaning for kind = {pipeline.kind!r}, which reports by itself."
        if pipeline.kind not in OF_TABLES or self.steps in (None, "folds", "samples"):
            return
        by_epochs = self.steps == "epochs"
        able = [
            name
            for name, its in MODELS.items()
            if (its.learns_in_epochs if by_epochs else its.learns_in_rounds)
        ]
        unable = [name for name in pipeline.models if name not in able]
        if unable:
            why = f"{self.steps!r} has no meaning for {', '.join(unable)}: only for {', '.join(able)}."
            yield "pruning.steps", f"{why} All models have 'folds' and 'samples'."
        elif by_epochs and pipeline.models == ("naive_bayes",):
            yield (
                "pruning.steps",
                "'epochs' leaves nothing to stop of naive_bayes, which learns in one: 'samples' or 'folds'.",
            )
        if pipeline.early_stopping_rounds is not None:
            yield "pruning.steps", f"{self.steps!r} and early_stopping_rounds cannot be used together."

    @property
    def first_step(self) -> int:
        """The grace, given or not."""
        if self.looks:
            return 1
        return _GRACE[self.steps or "folds"] if self.grace is None else self.grace

    @property
    def last_step(self) -> int | None:
        """The longest experiment, as far as it is known."""
        return 100 if self.steps == "samples" and not self.looks else self.max_steps

    @property
    def factor(self) -> float:
        """The reduction factor, given or not."""
        if self.reduction_factor is not None:
            return self.reduction_factor
        return _FACTOR_OF_LOOKS if self.looks else _FACTOR

    @property
    def options(self) -> dict[str, Any]:
        """What the pruner is built with."""
        known = options_of(self.pruner)
        least = 2 if self.pruner == "wilcoxon" else 1
        given = {
            "grace": max(least, self.first_step),
            "reduction_factor": self.factor,
            "max_steps": self.last_step,
            "startup": self.startup,
            "p_threshold": self.p_threshold,
            "every_step": bool(self.looks),
        }
        return {name: value for name, value in given.items() if name in known}
