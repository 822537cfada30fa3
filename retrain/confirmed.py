"""What is known of the winner of a study: its validation score, the confirmed one, the holdout."""

from collections.abc import Iterator
from dataclasses import dataclass

from retrain.confirmation import Plan, find_plan
from retrain.honest import (
    LEVEL,
    Estimate,
    Finding,
    Optimism,
    Race,
    Standing,
    compare,
    confirmed,
    confirmed_optimism,
    find_winner,
    standing,
    validation_optimism,
)
from retrain.improvement import ROLES
from retrain.metrics import is_share
from retrain.stats import t_quantile
from tuner.experiment import Experiment, Params, Provenance, Study
from tuner.registry.base import HoldoutRead, RegistryReader
from tuner.space import config_key

__all__ = ["Confirmed", "find_confirmed", "find_confirmed_winner", "find_look", "looks_at"]

_BLOCKS_DF = 19


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The outcome of the latest confirmation on one provenance.

    Attributes:
        plan: who took part.
        winner: the candidate with the best lower bound; ties go to the one that is better by validation.
        n_tried: how many configurations it was chosen from.
        estimate: its confirmed score; the worse end of the interval is corrected for that choice.
        estimates: every candidate that was scored at all, with its own, the winner first: none of them
            corrected, as the winner was chosen by their bounds.
        standing: who was stopped early, and why.
        optimism: of the winner's validation score over its confirmed one.
        luckiest: the candidate that was best by validation.
        luckiest_optimism: the same of that one; None where it was not scored again.
        findings: the winner against the baseline, and against what is deployed, if it is neither.
        holdout: the last look at the holdout with the winner's configuration; None where there was none.
        holdout_optimism: of the confirmed score over the holdout's; None where there was no look.
    """

    plan: Plan
    winner: Experiment
    n_tried: int
    estimate: Estimate
    estimates: tuple[tuple[Experiment, Estimate], ...]
    standing: Standing
    optimism: Optimism | None
    luckiest: Experiment
    luckiest_optimism: Optimism | None
    findings: tuple[Finding, ...]
    holdout: HoldoutRead | None
    holdout_optimism: Optimism | None


def find_confirmed(
    registry: RegistryReader, study: Study, provenance: Provenance, *, pipeline: str
) -> Confirmed | None:
    """The outcome of the latest confirmation that came to its end; None where none did, or nobody won.

    Args:
        registry: where all of it is.
        study: which one.
        provenance: what scores were made on; those of others are not looked at.
        pipeline: whose looks at the holdout count.
    """
    plan = find_plan(registry, study, provenance)
    if plan is None:
        return None
    race = plan.race(study.direction, registry.confirmations(study, provenance))
    won, now = find_winner(race), standing(race)
    if won is None:
        return None
    rows = {each: registry.get_experiment(each) for each in plan.candidates}
    n_tried = max(1, dict(registry.provenances(study)).get(provenance, 0))
    estimates = {
        each: _in_range(study, confirmed(runs, study.direction, folds=plan.folds))
        for each in (won, *(each for each in plan.candidates if each != won))
        if (runs := race.runs_of(each, len(plan.seeds)))
    }
    runs = race.runs_of(won, len(plan.seeds))
    estimate = confirmed(runs, study.direction, folds=plan.folds, n_chosen_from=n_tried)
    luckiest, winner = rows[plan.candidates[0]], rows[won]
    look = find_look(registry, pipeline, provenance, winner.params)
    return Confirmed(
        plan=plan,
        winner=winner,
        n_tried=n_tried,
        estimate=_in_range(study, estimate),
        estimates=tuple((rows[each], estimate) for each, estimate in estimates.items()),
        standing=now,
        optimism=_optimism(study, winner, estimates[won]),
        luckiest=luckiest,
        luckiest_optimism=_optimism(study, luckiest, estimates.get(luckiest.public_id)),
        findings=tuple(_findings(plan, race, won, n_tried)),
        holdout=look,
        holdout_optimism=_on_holdout(study, estimates[won], look),
    )


def find_confirmed_winner(
    registry: RegistryReader, study: Study, provenance: Provenance
) -> Experiment | None:
    """Who won the latest confirmation that came to its end on this provenance; None where nobody did."""
    plan = find_plan(registry, study, provenance)
    if plan is None:
        return None
    won = find_winner(plan.race(study.direction, registry.confirmations(study, provenance)))
    return None if won is None else registry.get_experiment(won)


def looks_at(registry: RegistryReader, pipeline: str, provenance: Provenance | None) -> list[HoldoutRead]:
    """Every look at the holdout of the data and splits of a provenance, oldest first.

    The code does not matter: another version of it looks at the same rows.
    """
    if provenance is None:
        return []
    same = (provenance.data, provenance.metric)
    reads = registry.holdout_reads(pipeline)
    return [each for each in reads if (each.provenance.data, each.provenance.metric) == same]


def find_look(
    registry: RegistryReader, pipeline: str, provenance: Provenance, params: Params
) -> HoldoutRead | None:
    """The latest look at the holdout of this provenance with this configuration, or None."""
    key = config_key(params)
    for each in reversed(registry.holdout_reads(pipeline)):
        if each.provenance == provenance and config_key(each.params) == key:
            return each
    return None


def _in_range(study: Study, estimate: Estimate) -> Estimate:
    return estimate.within(0.0, 1.0) if is_share(study.metric) else estimate


def _optimism(study: Study, experiment: Experiment, estimate: Estimate | None) -> Optimism | None:
    if estimate is None or experiment.value is None:
        return None
    return validation_optimism(experiment.value, estimate, study.direction)


def _on_holdout(study: Study, estimate: Estimate, look: HoldoutRead | None) -> Optimism | None:
    """The error of the look is taken back from its interval, as that of a symmetric one of twenty blocks."""
    metric = f"test_{study.metric}"
    value = None if look is None else look.metrics.get(metric)
    if look is None or value is None:
        return None
    low, high = look.intervals.get(metric, (value, value))
    std_error = (high - low) / (2 * t_quantile((1 + LEVEL) / 2, _BLOCKS_DF)) if high > low else None
    return confirmed_optimism(estimate, value, std_error, _BLOCKS_DF, study.direction)


def _findings(plan: Plan, race: Race, won: str, n_tried: int) -> Iterator[Finding]:
    n = len(plan.seeds)
    for role, each in plan.references.items():
        if each == won:
            continue
        found = compare(
            race.runs_of(won, n),
            race.runs_of(each, n),
            race.direction,
            against=ROLES[role],
            n_tried=n_tried,
            n_confirmed=len(plan.candidates),
            folds=plan.folds,
        )
        if found is not None:
            yield found
