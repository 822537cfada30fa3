"""The `[[gate]]` section: what must hold before anything is deployed."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from retrain.config.faults import FaultsError
from retrain.config.naming import checked_name
from retrain.config.section import Finite, Section
from retrain.metrics import COSTS

__all__ = ["DATA_GATE", "DEFAULT_GATE", "RULES", "SHAPE_GATE", "STANDING", "GateConfig", "named"]

DEFAULT_GATE = "default"
"""Name of the gate that compares with what is deployed where no entry of the file does."""
DATA_GATE = "data"
"""Name of the gate that an experiment passes whose score was taken on the present data."""
SHAPE_GATE = "shape"
"""Name of the gate of a retrain on a table of the same columns and not far fewer rows."""
STANDING = (DEFAULT_GATE, DATA_GATE, SHAPE_GATE)
"""Names of the gates that stand without an entry."""

RULES = ("min", "max", "min_improvement", "max_drop")

_BESIDE_A_METRIC = ("confidence", "repeats", "by", "min_rows")


class GateConfig(Section):
    """One entry: a metric with at least one bound, all of which must hold; or a check of the user's own.

    A default gate stands besides. Other hyperparameters must not be worse than what is deployed, in the
    study's metric, by more than one standard error of the difference; a relative bound (min_improvement or
    max_drop) on any metric of the whole takes its place. The same hyperparameters, fitted anew, must not be
    worse than the value recorded when they were deployed, by more than two standard errors. Relative bounds
    ask for nothing there, so only an absolute bound on the study's metric (min, or max where less is better)
    takes the place of that; it also lets a successor in where what is deployed cannot be scored any more.

    Attributes:
        name: what verdicts and `--override-gate` call it; made from metric and rules by default.
        metric: a metric of the holdout, `test_<name>`, or of the cross-validation; or what the final model
            costs: `predict_ms`, `model_kb`.
        min, max: absolute bounds.
        min_improvement: by how much it must be better than what is deployed, in the metric's own unit.
        max_drop: by how much it may be worse than what is deployed.
        confidence: one-sided, in (0.5, 1): not the figure must keep the bounds, but its confidence bound. For
            relative bounds that is the bound of the difference, fold by fold.
        repeats: cross-validations of the gate's own, with fresh folds, the same for both, on which these
            bounds are judged instead of the study's folds; 4 by default with `confidence`, else 0.
        by: a column; the bounds must hold for the rows of each of its values.
        min_rows: values of that column with fewer rows are left out; otherwise fewer than 10 are a refusal.
        check: a Python function as "package.module:function" or "path/to/file.py:function", beside no other
            key but `name`; see `retrain.deploy.Comparison`.
    """

    name: str = ""
    metric: str = ""
    min: Finite | None = None
    max: Finite | None = None
    min_improvement: Finite | None = None
    max_drop: Annotated[Finite, Field(ge=0)] | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    repeats: Annotated[int, Field(ge=0, le=1000)] | None = None
    by: str | None = None
    min_rows: Annotated[int, Field(ge=1)] | None = None
    check: str | None = None

    @property
    def rules(self) -> tuple[str, ...]:
        """Those of `RULES` that were given."""
        return tuple(rule for rule in RULES if getattr(self, rule) is not None)

    @property
    def is_relative(self) -> bool:
        """Whether a bound compares with what is deployed."""
        return self.min_improvement is not None or self.max_drop is not None

    @property
    def guards_the_whole(self) -> bool:
        """Whether it is about how good the model is on all rows: no group's figure, no cost, no check."""
        return self.check is None and self.by is None and self.metric not in COSTS

    @property
    def default_name(self) -> str:
        """What it is called where no name is given."""
        if self.check is not None:
            module, _, attribute = self.check.rpartition(":")
            text = f"{Path(module).stem}.{attribute}"
        else:
            text = "-".join([self.metric, *self.rules, *(("by", self.by) if self.by else ())])
        return re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip("._-")[:60] or "gate"

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if name in STANDING:
            raise ValueError(f"must not be {name!r}: a gate of that name stands always.")
        return checked_name(name)

    @field_validator("check")
    @classmethod
    def _is_reference(cls, check: str | None) -> str | None:
        module, _, attribute = (check or "").rpartition(":")
        if check is not None and not (module and attribute.isidentifier()):
            raise ValueError(
                "must be a Python function as 'package.module:function' or 'path/to/file.py:function', "
                f"but got {check!r}."
            )
        return check

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        FaultsError.raise_if(list(self._faults_of_check() if self.check is not None else self._faults()))
        if self.check is None and not self.rules:
            raise ValueError("needs at least one of min, max, min_improvement, max_drop.")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min <= max must hold, but got min={self.min}, max={self.max}.")
        return self

    def _faults_of_check(self) -> Iterator[tuple[str, str]]:
        for key in ("metric", *RULES, *_BESIDE_A_METRIC):
            if getattr(self, key) not in (None, ""):
                yield key, "has no meaning beside check: the function sees every figure."

    def _faults(self) -> Iterator[tuple[str, str]]:
        if not self.metric:
            yield "metric", "is needed (or check)."
        whole = "has no meaning for {}: " + f"{self.metric}."
        if self.metric in COSTS:
            for key in _BESIDE_A_METRIC:
                if getattr(self, key) is not None:
                    yield key, whole.format("what the final model costs")
        elif self.metric.startswith("test_") and self.repeats:
            yield "repeats", whole.format("a metric of the holdout, which is one")
        if self.by is not None and self.confidence is not None:
            yield "confidence", "cannot be used with by: the rows of one group are too few for folds."
        if self.min_rows is not None and self.by is None:
            yield "min_rows", "goes with by."


def named(gates: Sequence[GateConfig]) -> tuple[GateConfig, ...]:
    """Give every entry a name, if it has none; where two would be made alike, a number follows."""
    given = [gate.name for gate in gates if gate.name]
    taken = {*STANDING, *given}
    found = []
    for gate in gates:
        name, number = gate.name or gate.default_name, 2
        while not gate.name and name in taken:
            name, number = f"{gate.default_name}-{number}", number + 1
        taken.add(name)
        found.append(gate.model_copy(update={"name": name}))
    return tuple(found)
