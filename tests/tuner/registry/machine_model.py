"""What a registry should hold after any sequence of calls, in plain dicts and with none of its code."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tuner.experiment import Evaluation, Failure, Measurement, Outcome, Partial, Provenance
from tuner.registry import Claim, Limits
from tuner.registry.owners import LEASE_S, Machine

__all__ = ["FINISHED", "Model", "Row"]

Row = dict[str, Any]

FINISHED = ("complete", "pruned", "failed")


@dataclass
class Model:
    """Rows by key, as another process would see them.

    Attributes:
        experiments: by id; `attempts` is a list of [owner, ending], `steps` holds the measurements.
        owners: by token: machine, `alive` (its lock is held), `heartbeat_at`, and by the clock since the boot
            `heard_s` (the last heartbeat) and `steady_since` (since when there was no gap between two).
        turns: provenances, the one of the latest result last.
        versions: by number. `ledger`: (pipeline, from, to) of each deployment, oldest first.
    """

    experiments: dict[int, Row] = field(default_factory=dict)
    owners: dict[str, Row] = field(default_factory=dict)
    turns: list[Provenance] = field(default_factory=list)
    versions: dict[int, Row] = field(default_factory=dict)
    ledger: list[tuple[str, int | None, int]] = field(default_factory=list)

    # ---- experiments

    def add(self, numbers: Iterable[int], repeat: bool, now: float, method: str) -> list[int]:
        """Returns the ids of the new rows."""
        new = []
        for number in numbers:
            there = sum(row["number"] == number for row in self.experiments.values())
            if there and not repeat:
                continue
            id_ = len(self.experiments) + 1
            self.experiments[id_] = {
                "number": number,
                "repeat": there,
                "method": method,
                "state": "waiting",
                "outcome": None,
                "value": None,
                "on": None,
                "stop_value": None,
                "stop_step": None,
                "owner": None,
                "attempt": 0,
                "failures": 0,
                "deaths": 0,
                "interruptions": 0,
                "error": None,
                "created_at": now,
                "started_at": None,
                "finished_at": None,
                "attempts": [],
                "steps": {},
            }
            new.append(id_)
        return new

    def claim(self, n: int, owner: str, now: float) -> list[int]:
        waiting = [id_ for id_, row in self.experiments.items() if row["state"] == "waiting"]
        taken = sorted(waiting, key=lambda id_: (self.experiments[id_]["method"] != "guess", id_))[:n]
        for id_ in taken:
            row = self.experiments[id_]
            row |= {
                "state": "running",
                "owner": owner,
                "attempt": row["attempt"] + 1,
                "started_at": now,
                "steps": {},
            }
            row["attempts"].append([owner, None])
        return taken

    def holds(self, claim: Claim) -> bool:
        """Whether a claim is the present one."""
        row = self.experiments[claim.experiment.id]
        return (row["state"], row["owner"], row["attempt"]) == ("running", claim.owner, claim.attempt)

    def measure(self, claim: Claim, given: Iterable[Measurement]) -> None:
        self.experiments[claim.experiment.id]["steps"] |= {(m.metric, m.step): m.value for m in given}

    def complete(self, claim: Claim, evaluation: Evaluation, on: Provenance, now: float) -> None:
        self._end(claim, "complete", {"value": evaluation.value, "on": on, "error": None, "finished_at": now})
        self.measure(claim, evaluation.measurements)
        if on in self.turns:
            self.turns.remove(on)
        self.turns.append(on)

    def prune(self, claim: Claim, partial: Partial, now: float) -> None:
        stop = {"stop_value": partial.value, "stop_step": partial.step, "error": None, "finished_at": now}
        self._end(claim, "pruned", stop)
        self.measure(claim, partial.measurements)

    def fail(self, claim: Claim, failure: Failure, now: float) -> None:
        row = self.experiments[claim.experiment.id]
        if failure.outcome in (Outcome.WORKER_LOST, Outcome.OUT_OF_MEMORY):
            row["deaths"] += 1
        elif failure.outcome is not Outcome.CANCELLED:
            row["failures"] += 1
        limits = Limits()
        spent = row["failures"] >= limits.failures or row["deaths"] >= limits.deaths
        if spent or failure.outcome is Outcome.CANCELLED:
            end = {"outcome": failure.outcome.value, "finished_at": now, "error": failure.message}
            self._end(claim, "failed", end)
        else:
            self._end(claim, "failed", {"error": failure.message}, state="waiting")

    def release(self, claim: Claim) -> None:
        self.experiments[claim.experiment.id]["interruptions"] += 1
        self._end(claim, "released", {}, state="waiting")

    def cancel(self, id_: int, owner: str, message: str, now: float) -> None:
        """Claimed and ended at once, so that nobody runs it. What an earlier attempt reported stays."""
        row = self.experiments[id_]
        row |= {"state": "failed", "attempt": row["attempt"] + 1, "started_at": now, "finished_at": now}
        row |= {"outcome": Outcome.CANCELLED.value, "error": message}
        row["attempts"].append([owner, "failed"])

    def _end(self, claim: Claim, ending: str, values: Row, state: str | None = None) -> None:
        row = self.experiments[claim.experiment.id]
        row |= {"state": state or ending, "owner": None, **values}
        row["attempts"][-1][1] = ending

    # ---- owners

    def beat(self, token: str, now: float, boot_s: float) -> None:
        owner = self.owners[token]
        if boot_s - owner["heard_s"] > LEASE_S / 2:
            owner["steady_since"] = boot_s
        owner |= {"heartbeat_at": now, "heard_s": boot_s}

    def is_silent(self, token: str, viewer: str, boot_s: float) -> bool:
        """Not heard for a lease, in all of which the viewer was heard."""
        judge = self.owners.get(viewer)
        if judge is None or boot_s - judge["heard_s"] > LEASE_S / 2:
            return False
        return bool(boot_s - max(self.owners[token]["heard_s"], judge["steady_since"]) >= LEASE_S)

    def is_dead(self, token: str, viewer: str, seen_from: Machine, now: float, boot_s: float) -> bool:
        owner = self.owners[token]
        if owner["machine"].boot_id == seen_from.boot_id:
            return not owner["alive"] or self.is_silent(token, viewer, boot_s)
        return bool(owner["machine"].host == seen_from.host or now - owner["heartbeat_at"] >= LEASE_S)

    def recover(
        self, viewer: str, seen_from: Machine, now: float, boot_s: float
    ) -> list[tuple[int, str, float]]:
        """Returns id, owner and how long the owner was silent, for each experiment taken back."""
        taken = []
        for id_, row in self.experiments.items():
            owner = row["owner"]
            if owner is None or owner == viewer or not self.is_dead(owner, viewer, seen_from, now, boot_s):
                continue
            row |= {"state": "waiting", "owner": None, "interruptions": row["interruptions"] + 1}
            row["attempts"][-1][1] = "lost"
            taken.append((id_, owner, max(0.0, now - self.owners[owner]["heartbeat_at"])))
        return taken

    # ---- deployments

    def active(self, pipeline: str) -> int | None:
        numbers = [
            number
            for number, row in self.versions.items()
            if row["pipeline"] == pipeline and row["state"] == "active"
        ]
        return numbers[0] if numbers else None

    def activate(self, number: int, manifest: Row | None) -> None:
        row = self.versions[number]
        before = self.active(row["pipeline"])
        if before is not None:
            self.versions[before]["state"] = "retired"
        row["state"] = "active"
        if manifest is not None:
            row["manifest"] = manifest
        self.ledger.append((row["pipeline"], before, number))
