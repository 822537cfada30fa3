"""A confirmation: which experiments are scored once more, on which fresh folds, and what came of it.

The scores are rows of the registry, each written when it arrives. When all are there, one event says who took
part, so that the winner can be found again from the rows at any time. Until then nothing is confirmed.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from retrain.honest import Race
from tuner.experiment import Confirmation, Direction, Provenance, Study
from tuner.registry.base import Registry, RegistryReader

__all__ = ["CONFIRMED", "Plan", "find_plan", "fresh_seeds", "record"]

CONFIRMED = "confirmed"
"""The kind of the event that ends a confirmation."""

_N_EVENTS = 500
_SEEDS = 2**31


@dataclass(frozen=True, slots=True)
class Plan:
    """Who takes part in a confirmation.

    Attributes:
        candidates: public ids, the best by validation first.
        references: "baseline" and "deployed" to their public ids, where they have a result to compare with;
            no id twice. One may be a candidate, too.
        seeds: of the fresh folds, the same for everybody, in their order.
        provenance: what everybody is scored on.
        folds: of one cross-validation, where they are the configured ones.
        failed: public ids of those that could not be scored again, with why.
    """

    candidates: tuple[str, ...]
    references: Mapping[str, str]
    seeds: tuple[int, ...]
    provenance: Provenance
    folds: int | None = None
    failed: Mapping[str, str] = field(default_factory=dict)

    def race(self, direction: Direction, repeats: Iterable[Confirmation]) -> Race:
        """How it stands after these repeats; those of others are left out."""
        by_id: dict[str, list[Confirmation]] = defaultdict(list)
        for each in repeats:
            by_id[each.experiment].append(each)
        return Race(
            candidates=self.candidates,
            seeds=self.seeds,
            direction=direction,
            repeats=by_id,
            references=tuple(self.references.values()),
            failed=tuple(self.failed),
            folds=self.folds,
        )

    def without(self, failed: str, why: str) -> "Plan":
        """The same, with one more that could not be scored again."""
        return replace(self, failed={**self.failed, failed: why})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, for the event."""
        on = self.provenance
        return {
            "candidates": list(self.candidates),
            "references": dict(self.references),
            "seeds": list(self.seeds),
            "provenance": {"data": on.data, "code": on.code, "metric": on.metric},
            "folds": self.folds,
            "failed": dict(self.failed),
        }

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> "Plan":
        """What `to_dict` wrote."""
        return Plan(
            tuple(document["candidates"]),
            dict(document["references"]),
            tuple(document["seeds"]),
            Provenance(**document["provenance"]),
            document["folds"],
            dict(document["failed"]),
        )


def fresh_seeds(seed: int, n: int) -> tuple[int, ...]:
    """The first `n` seeds for the confirmations of a study with this seed: always the same, never its own.

    More of them begin with the same ones, so that repeats can be added.
    """
    seeds: list[int] = []
    for i in range(2 * n + 1):
        text = f"confirmation {i} of seed {seed}".encode()
        each = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % _SEEDS
        if each != seed and each not in seeds:
            seeds.append(each)
    return tuple(seeds[:n])


def record(registry: Registry, study: Study, plan: Plan, winner: str | None) -> None:
    """Write down that a confirmation has come to its end; who won is only for people who read the log."""
    n = len(plan.candidates)
    what = f"{winner} of {n}" if winner is not None else f"none of {n}"
    registry.log(
        CONFIRMED, f"study {study.name!r}: confirmed {what}", salience=0.7, study=study.name, **plan.to_dict()
    )


def find_plan(registry: RegistryReader, study: Study, provenance: Provenance) -> Plan | None:
    """The latest confirmation of a study that came to its end on this provenance; None where none did.

    One in which all candidates failed, as when the network was away, says nothing against an earlier one.
    """
    for event in registry.events(_N_EVENTS, kind=CONFIRMED):
        if event.data.get("study") == study.name:
            plan = Plan.from_dict(event.data)
            if plan.provenance == provenance and not set(plan.candidates) <= set(plan.failed):
                return plan
    return None
