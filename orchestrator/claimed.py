"""One experiment that is ours to run: what a worker is given, and what is made of its end."""

from dataclasses import dataclass, field, replace
from typing import Self

from orchestrator.plan import Running
from orchestrator.pool import Patience, Task
from tuner.experiment import Evaluation, Failure, Measurement, Outcome, Partial
from tuner.registry.base import Claim

__all__ = ["Claimed", "Result"]

Result = Evaluation | Failure | Partial


@dataclass(kw_only=True)
class Claimed(Running):
    """One claimed experiment in the pool, and what is to be recorded where its end was our doing.

    Attributes:
        right: the claim, by which every write about it is fenced.
        why: for what reason it was cancelled, if it was.
        patience: how long it waits for the word on a report; None where nobody judges.
        pruned: it was told to stop.
        unsent: reports that are not stored yet.
    """

    right: Claim
    patience: Patience | None = None
    why: Failure | None = None
    pruned: bool = False
    unsent: list[Measurement] = field(default_factory=list)

    @classmethod
    def of(cls, right: Claim, now: float, patience: Patience | None = None) -> Self:
        """One that begins now. The key is of this attempt alone."""
        return cls(f"{right.experiment.public_id}#{right.attempt}", now, right=right, patience=patience)

    @property
    def work(self) -> Task:
        """What a worker is given."""
        experiment = self.right.experiment
        return Task(self.key, experiment.params, experiment.seed, tuning=True, patience=self.patience)

    def as_asked(self, result: Result) -> Result:
        """What a pool calls cancelled has the reason for which we cancelled it."""
        if self.why is None or not isinstance(result, Failure) or result.outcome is not Outcome.CANCELLED:
            return result
        return replace(result, outcome=self.why.outcome, message=self.why.message)
