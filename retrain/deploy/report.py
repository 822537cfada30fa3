"""What a deployment did, or would do: plain data for whoever prints it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from retrain.deploy.gate import Verdict, gate_error
from tuner.experiment import Params
from tuner.registry.base import Registry

__all__ = ["ApplyOutcome", "ApplyReport", "history"]


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
        outcome: REFUSED only of a dry run: otherwise a gate that is not met is a GateError.
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

    @property
    def message(self) -> str:
        """The outcome in one line."""
        match self.outcome:
            case ApplyOutcome.UNCHANGED:
                return f"already active as v{self.version}"
            case ApplyOutcome.DECLINED:
                return "not confirmed: nothing was changed"
            case ApplyOutcome.REFUSED:
                return "dry run: the gate is not met, so nothing would be deployed"
            case ApplyOutcome.DRY_RUN:
                return "dry run: the gate is met; nothing was changed"
        before = "" if self.from_version is None else f" (before: v{self.from_version})"
        verb = "rolled back to" if self.action == "rollback" else "deployed as"
        return f"{verb} v{self.version}{before}"

    def raise_if_refused(self) -> None:
        """Raise the GateError of a dry run whose gate is not met, once the report was shown."""
        if self.outcome is ApplyOutcome.REFUSED:
            raise gate_error(self.verdicts, dry_run=True)

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
            "message": self.message,
        }


def history(registry: Registry, pipeline: str) -> list[dict[str, Any]]:
    """The ledger of a pipeline as rows for a table, oldest first. `at`: Unix seconds, UTC."""
    return [
        {
            "id": entry.id,
            "at": entry.at,
            "action": entry.action,
            "from": entry.from_version,
            "to": entry.to_version,
            "who": entry.who,
            "reason": entry.reason,
            "experiment": entry.experiment,
            "gates": "; ".join(str(gate.get("why", "")) for gate in entry.gates),
        }
        for entry in registry.deployments(pipeline)
    ]
