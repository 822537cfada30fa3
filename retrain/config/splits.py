"""The `[splits]` section: which rows are held out, and which a search takes."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from retrain.config.faults import FaultsError
from retrain.config.section import Section

__all__ = ["SplitsConfig"]

_LEAST_ROWS = 10


class SplitsConfig(Section):
    """How rows are held out.

    Attributes:
        folds: number of folds of the cross-validation, >= 2.
        repeats: how often it is repeated with other folds, >= 1.
        holdout: share of the rows that no search sees, in (0, 0.9].
        group: column whose rows of one value stay together.
        time: column by which rows are ordered; what comes later is never learned from.
        seed: of the holdout. The folds follow the seed of the study.
        tune_rows: a search scores its experiments on so many of the rows to train on, or on this share of
            them; what is confirmed, gated and fitted takes all of them.
    """

    folds: int = Field(5, ge=2, le=1000)
    repeats: int = Field(1, ge=1, le=1000)
    holdout: float = Field(0.2, gt=0, le=0.9)
    group: str | None = None
    time: str | None = None
    seed: int = Field(0, ge=0, lt=2**32)
    tune_rows: int | float | None = None

    @field_validator("tune_rows")
    @classmethod
    def _is_a_part(cls, rows: float | None) -> float | None:
        if rows is None or (0 < rows < 1 if isinstance(rows, float) else rows >= _LEAST_ROWS):
            return rows
        raise ValueError(
            f"must be a number of rows, {_LEAST_ROWS} or more, or a share between 0 and 1, but got {rows}."
        )

    @model_validator(mode="after")
    def _is_one_design(self) -> Self:
        faults = []
        if self.group is not None and self.time is not None:
            faults.append(("time", "and splits.group cannot be used together."))
        if self.time is not None and self.repeats > 1:
            faults.append(("repeats", "must be 1 with splits.time: there is one order of time."))
        FaultsError.raise_if(faults)
        return self
