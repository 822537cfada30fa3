"""What a deployment did, or would do: plain data for whoever prints it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from retrain.deploy.gate import Verdict, gate_error
from retrain.deploy.rivals import Rival, to_retune
from retrain.deploy.scoring import direction_of
from tuner.errors import GateError
from tuner.experiment import Direction, Params, loss_of

__all__ = ["ApplyOutcome", "ApplyReport", "RefusedError"]

_NEGLIGIBLE = 1e-3
"""Relative change of a figure without a known standard error below which it counts as the same."""


class ApplyOutcome(StrEnum):
    """How an apply, a retrain or a rollback ended."""

    DEPLOYED = "deployed"
    UNCHANGED = "unchanged"
    DRY_RUN = "dry_run"
    REFUSED = "refused"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """The whole story of one deployment.

    Attributes:
        outcome: REFUSED is returned of a dry run; otherwise a RefusedError carries the report.
        action: "apply", "retrain" or "rollback".
        pipeline: its name.
        params: the hyperparameters asked for.
        previous: those deployed until now.
        version: the version now active; None where nothing is deployed yet.
        from_version: the version active before; None where there was none.
        experiment: public id of the experiment they come from, or None.
        before, after: every figure of what was deployed and of what was asked for, scored now; empty where
            nothing was scored.
        verdicts: of the gate.
        target: name of the target file, or None.
        diff: its change, as a unified diff.
        notes: what else must be known, one sentence each.
        metric: the study's metric, where known.
        direction: whether less or more of it is better, where known.
        noise: standard error of its difference between before and after, where known.
        warnings: what the gate does not look at, but a person should; one sentence each.
        wanted: the version that a rollback returns to; None of anything else.
        rivals: of a retrain, the best of before, scored along on what is there now.
    """

    outcome: ApplyOutcome
    action: str
    pipeline: str
    params: Params
    previous: Params
    version: int | None = None
    from_version: int | None = None
    experiment: str | None = None
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    target: str | None = None
    diff: str = ""
    notes: tuple[str, ...] = ()
    metric: str | None = None
    direction: Direction | None = None
    noise: float | None = None
    warnings: tuple[str, ...] = ()
    wanted: int | None = None
    rivals: tuple[Rival, ...] = ()

    @property
    def message(self) -> str:
        """The outcome in one line."""
        match self.outcome:
            case ApplyOutcome.UNCHANGED:
                return f"already active as v{self.version}"
            case ApplyOutcome.DECLINED:
                return "not confirmed: nothing was changed"
            case ApplyOutcome.REFUSED:
                return "the gate is not met: nothing was changed"
            case ApplyOutcome.DRY_RUN:
                overridden = any(not verdict.passed for verdict in self.verdicts)
                met = "not met, but overridden" if overridden else "met"
                return f"dry run: the gate is {met}; nothing was changed"
        before = "" if self.from_version is None else f" (before: v{self.from_version})"
        verb = "rolled back to" if self.action == "rollback" else "deployed as"
        return f"{verb} v{self.version}{before}"

    def standing(self, metric: str) -> str:
        """Whether a figure is "better", "worse" or the "same" within what is known of its noise; or ""."""
        is_own = self.metric is not None and metric.removeprefix("test_") == self.metric
        direction = self.direction if is_own and self.direction is not None else direction_of(metric)
        before, after = self.before.get(metric), self.after.get(metric)
        if direction is None or before is None or after is None:
            return ""
        noise = self.noise if metric == self.metric else None
        if noise is None:
            noise = _NEGLIGIBLE * max(abs(before), abs(after))
        if before == after or abs(after - before) < noise:
            return "same"
        return "better" if loss_of(after, direction) < loss_of(before, direction) else "worse"

    def raise_if_refused(self) -> None:
        """Raise the GateError of a dry run whose gate is not met, once the report was shown."""
        if self.outcome is ApplyOutcome.REFUSED:
            raise gate_error(self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        document = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return document | {
            "params": dict(self.params),
            "previous": dict(self.previous),
            "before": dict(self.before),
            "after": dict(self.after),
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "notes": list(self.notes),
            "rivals": [rival.to_dict() for rival in self.rivals],
            "retune": to_retune(self.rivals) is not None,
            "warnings": list(self.warnings),
            "message": self.message,
        }


class RefusedError(GateError):
    """A gate that was not met, with all that was found out: fits and scores took their time."""

    def __init__(self, what: str, remedy: str, report: ApplyReport) -> None:
        super().__init__(what, remedy)
        self.report = report
