"""Was the tuning worth it? The facts of one study; `summary_text` puts them into words."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from retrain.confirmed import Confirmed, find_confirmed, looks_at
from retrain.improvement import Improvement, find_references, improvement
from tuner.errors import NotFoundError
from tuner.experiment import Experiment, Outcome, Params, Provenance, State, Study
from tuner.insight import FURTHER, INSIGHT, Insight
from tuner.registry.base import FailedAlike, HoldoutRead, RegistryReader

__all__ = [
    "BoundHit",
    "Excluded",
    "FailureGroup",
    "PrunedGroup",
    "Summary",
    "latest_insight",
    "summarize",
]

NEAR = 0.01
"""A value within this part of its range from an end counts as on its bound."""

_N_INSIGHTS = 50
_N_LATEST = 1_000


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failed experiments with the same cause. `message` is the first line of the latest one's error."""

    outcome: Outcome | None
    message: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class PrunedGroup:
    """What a pruner stopped.

    Attributes:
        count: how many.
        spent_s: what they took together.
        saved_s: what they would have taken more, had each taken the mean of the complete ones; None where
            that is not known.
        n_known: of the latest so many both are.
    """

    count: int
    spent_s: float
    saved_s: float | None
    n_known: int


@dataclass(frozen=True, slots=True)
class BoundHit:
    """A parameter of the best on (`exact`) or within 1 % of an end of its range, in its own scale.

    One that stands on its default is left out. `wider` is an end to try: half of the range further, or the
    bound itself where nothing lies beyond it.
    """

    name: str
    value: float
    side: str  # "lower" or "upper"
    bound: float
    exact: bool
    wider: float


@dataclass(frozen=True, slots=True)
class Excluded:
    """Complete experiments that are not compared with the best, and in what their provenance differs."""

    count: int
    differs: tuple[str, ...]  # of "data", "code", "metric"
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Summary:
    """All that `--summary` reports.

    Attributes:
        provenance: what the compared experiments were scored on; None while none is complete.
        n_compared: complete experiments of that provenance; the best was picked from so many.
        top: the best of them, best first.
        baseline, deployed: the reference rows among them, where they are complete. `deployed` is None, too,
            where it is the baseline.
        confirmed: the outcome of the latest confirmation; None where none came to its end.
        n_repeats: repeats on fresh folds that are stored, also of a confirmation that did not.
        looks: every look at the holdout of these data and splits.
        best_in_use: whether the chosen one is what is in production (or the baseline, where nothing else is).
        front: with several objectives, the Pareto front, the best in the study's metric first.
        n_infeasible: complete experiments of that provenance that do not keep the study's limits.
        improvements: of the best by validation over each reference row that is not the best itself.
        pruned: what a pruner stopped; None where it was nothing.
        insight: what the latest run learned of the parameters, and of going on; None where no run did yet.
        further: with several objectives, the same of each of the others, by metric.
        experiments_s: seconds of all finished experiments together.
        wall_s: seconds during which at least one of them ran.
    """

    study: Study
    counts: Mapping[State, int]
    provenance: Provenance | None
    n_compared: int
    top: tuple[Experiment, ...]
    front: tuple[Experiment, ...]
    n_infeasible: int
    baseline: Experiment | None
    deployed: Experiment | None
    confirmed: Confirmed | None
    n_repeats: int
    looks: tuple[HoldoutRead, ...]
    best_in_use: bool
    improvements: tuple[Improvement, ...]
    bounds: tuple[BoundHit, ...]
    failures: tuple[FailureGroup, ...]
    excluded: tuple[Excluded, ...]
    pruned: PrunedGroup | None
    insight: Insight | None
    further: Mapping[str, Insight]
    experiments_s: float
    wall_s: float

    @property
    def chosen(self) -> Experiment | None:
        """The one to apply: the winner of a confirmation, else the best by validation."""
        if self.confirmed is not None:
            return self.confirmed.winner
        return self.top[0] if self.top else None

    @property
    def unconfirmed(self) -> Experiment | None:
        """The best by validation where a confirmation was made before it was there; else None."""
        if self.confirmed is None or not self.top:
            return None
        return None if self.top[0].public_id in self.confirmed.plan.candidates else self.top[0]


def summarize(
    registry: RegistryReader,
    study: Study,
    *,
    top: int = 5,
    deployed: Params | None = None,
    folds: int | None = None,
    pipeline: str | None = None,
) -> Summary:
    """Gather the facts.

    Args:
        registry: where to look.
        study: which one.
        top: how many of the best to list (>= 1).
        deployed: the hyperparameters in production now; the study's row "deployed" when not given.
        folds: folds of one repeat of cross-validation, for the corrected standard error.
        pipeline: whose looks at the holdout count; the one called like the study when not given.

    Raises:
        NotFoundError: the study has no experiments yet.
    """
    counts = registry.counts(study)
    if not sum(counts.values()):
        raise NotFoundError(
            f"Study {study.name!r} has no experiments yet.", "orchestrator --method bayesian --configs 20"
        )
    best = tuple(registry.best(study, top))
    provenances = registry.provenances(study)
    # Where nothing keeps the limits, there is no best; what was compared is there all the same.
    provenance = best[0].provenance if best else next((each for each, n in provenances if n), None)
    known = find_references(registry, study, provenance, deployed) if best and provenance is not None else {}
    baseline, in_use = known.get("baseline"), known.get("deployed")
    if in_use is not None and baseline is not None and in_use.id == baseline.id:
        in_use = None
    references = [(name, row) for name, row in (("baseline", baseline), ("deployed", in_use)) if row]
    effort = registry.effort(study)
    pipeline = study.name if pipeline is None else pipeline
    outcome = None
    if best and provenance is not None and not study.goals.objectives:
        outcome = find_confirmed(registry, study, provenance, pipeline=pipeline)
    chosen = best[0] if best else None
    chosen = chosen if outcome is None else outcome.winner
    insight, further = latest_insight(registry, study)
    return Summary(
        study=study,
        counts=counts,
        provenance=provenance,
        n_compared=sum(n for each, n in provenances if each == provenance),
        top=best,
        front=tuple(registry.front(study, provenance)) if study.goals.objectives else (),
        n_infeasible=registry.n_infeasible(study, provenance),
        baseline=baseline,
        deployed=in_use,
        confirmed=outcome,
        n_repeats=0 if provenance is None else len(registry.confirmations(study, provenance)),
        looks=tuple(looks_at(registry, pipeline, provenance)),
        best_in_use=chosen is not None and _is_in_use(chosen, deployed, in_use or baseline),
        improvements=tuple(
            improvement(registry, study, best[0], row, against=name, folds=folds)
            for name, row in references
            if row.id != best[0].id
        ),
        bounds=tuple(_bounds_hit(study, chosen)) if chosen is not None else (),
        failures=tuple(_failures(registry.failures(study))),
        excluded=tuple(_excluded(provenances, provenance)),
        pruned=_pruned(registry, study, counts),
        insight=insight,
        further=further,
        experiments_s=effort.experiments_s,
        wall_s=effort.wall_s,
    )


def _is_in_use(best: Experiment, deployed: Params | None, reference: Experiment | None) -> bool:
    if deployed is not None:  # known even where this study never scored it
        return dict(best.params) == dict(deployed)
    return reference is not None and reference.id == best.id


def latest_insight(registry: RegistryReader, study: Study) -> tuple[Insight | None, dict[str, Insight]]:
    """What was learned of the study's metric, and of each further objective."""
    for event in registry.events(_N_INSIGHTS, kind=INSIGHT):
        if event.data.get("study") == study.name:
            further = event.data.get(FURTHER, {})
            return Insight.from_dict(event.data), {
                metric: Insight.from_dict(each) for metric, each in further.items()
            }
    return None, {}


def _bounds_hit(study: Study, best: Experiment) -> Iterable[BoundHit]:
    """Where a wider range may help. A default on a bound, such as no penalty at all, is no hit.

    Read from the space's document: building the space takes longer than all else in a report.
    """
    declared = {param["name"]: param for param in study.space["params"]}
    for name, value in best.params.items():
        param = declared.get(name, {})
        if "low" not in param or not isinstance(value, int | float) or value == param["default"]:
            continue
        position = _position(param, value)
        if position <= NEAR:
            yield BoundHit(name, value, "lower", param["low"], value == param["low"], _wider(param, -1))
        elif position >= 1 - NEAR:
            yield BoundHit(name, value, "upper", param["high"], value == param["high"], _wider(param, 1))


def _wider(param: Mapping[str, Any], side: int) -> float:
    """The end of a range that is half as long again towards one side, in the parameter's own scale.

    What was never negative stays so, a count stays at least 1, and what could be a share of all stays one: a
    library would refuse more, or nothing of it.
    """
    low, high = param["low"], param["high"]
    if param.get("log"):
        factor = math.sqrt(high / low)
        end = high * factor if side > 0 else low / factor
    else:
        end = high + (high - low) / 2 if side > 0 else low - (high - low) / 2
    if param["type"] == "int":
        end = math.ceil(end) if side > 0 else math.floor(end)
        return float(max(end, min(low, 1)) if low >= 0 else end)
    if low >= 0 and not param.get("log"):
        most = 1.0 if high <= 1 else math.inf
        end = min(end if end > 0 else low / 2, most)
    return float(f"{end:.2g}")


def _position(param: Mapping[str, Any], value: float) -> float:
    """Where a value lies in its range, from 0 (low) to 1 (high), in the parameter's own scale."""
    ends = (param["low"], value, param["high"])
    low, here, high = map(math.log, ends) if param.get("log") else ends
    return (here - low) / (high - low) if high > low else 0.5


def _failures(failed: Iterable[FailedAlike]) -> list[FailureGroup]:
    groups: dict[tuple[Outcome, str], FailureGroup] = {}
    for each in failed:
        line = each.error.strip().partition("\n")[0]
        cause = re.sub(r"0x[0-9a-f]+|\d+", "#", line)  # numbers vary where the cause does not
        before = groups.get((each.outcome, cause))
        count = each.count + (before.count if before is not None else 0)
        groups[each.outcome, cause] = FailureGroup(each.outcome, line, count, each.latest)
    return sorted(groups.values(), key=lambda group: group.count, reverse=True)


def _pruned(registry: RegistryReader, study: Study, counts: Mapping[State, int]) -> PrunedGroup | None:
    if not counts[State.PRUNED]:
        return None
    stopped, whole = (
        [
            each.duration_s
            for each in registry.experiments(study, states=[state], limit=_N_LATEST, newest_first=True)
            if each.duration_s is not None
        ]
        for state in (State.PRUNED, State.COMPLETE)
    )
    spent_s = math.fsum(stopped)
    saved_s = max(0.0, len(stopped) * math.fsum(whole) / len(whole) - spent_s) if whole else None
    return PrunedGroup(counts[State.PRUNED], spent_s, saved_s, len(stopped))


def _excluded(
    provenances: Iterable[tuple[Provenance, int]], compared: Provenance | None
) -> Iterable[Excluded]:
    for other, count in provenances:
        if compared is not None and other != compared:
            names = ("data", "code", "metric")
            differs = tuple(n for n in names if getattr(other, n) != getattr(compared, n))
            yield Excluded(count, differs, other)
