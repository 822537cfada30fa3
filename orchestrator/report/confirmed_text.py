"""What a confirmation came to, in words and as JSON: validation, confirmed, holdout, and what they show."""

from collections.abc import Sequence
from typing import Any

from orchestrator.report.rows import aligned
from retrain.confirmed import Confirmed
from retrain.honest import Basis, Estimate, Finding, Optimism, finding_text
from retrain.improvement import ROLES
from retrain.tables import number, signed
from retrain.tune_rows import tuned_on
from tuner.experiment import Direction, Experiment, Study
from tuner.registry.base import HoldoutRead

__all__ = ["confirmed_json", "confirmed_lines", "count_of_looks", "looks_json"]


def confirmed_lines(outcome: Confirmed, study: Study, looks: Sequence[HoldoutRead]) -> list[str]:
    """The three numbers of the winner with what they show, a line each."""
    winner, estimate = outcome.winner, outcome.estimate
    n, k = estimate.n_repeats, len(outcome.estimates)
    fresh = "on fresh folds" if estimate.basis is Basis.FOLDS else "with fresh seeds"
    repeats = f"{n} repeat{'s' if n > 1 else ''} {fresh}"
    bound = "lower" if study.direction is Direction.MAXIMIZE else "upper"
    facts = {
        "winner": f"{winner.public_id}, by the {bound} bound of {k} confirmed" if k > 1 else winner.public_id,
        "validation": _number(winner.value, estimate),
        "confirmed": f"{_number(estimate.mean, estimate)}{_interval(estimate)}, {repeats}",
        "holdout": _holdout(outcome, study, looks),
        "optimism": _optimism_text(outcome),
    }
    lines = aligned(facts)
    if outcome.luckiest.id != winner.id and outcome.luckiest_optimism is not None:
        too_good = f"{outcome.luckiest_optimism.amount:+.2g}"
        lines.append(f"The best by validation, {outcome.luckiest.public_id}, has an optimism of {too_good}.")
    lines += [f"It is {finding_text(each).removesuffix('.')}." for each in outcome.findings]
    if winner.public_id in outcome.plan.references.values():
        role = next(role for role, each in outcome.plan.references.items() if each == winner.public_id)
        lines.append(f"It is {ROLES[role]}: nothing that was confirmed has a better bound.")
    if (part := tuned_on(outcome.plan.provenance)) is not None:
        lines.append(f"It was {part}, and confirmed on all: that, too, is in the optimism of validation.")
    if estimate.note and not any(estimate.note[1:].removesuffix(".") in line for line in lines):
        lines.append(estimate.note)
    if outcome.n_tried > 1 and estimate.low is not None:
        lines.append(f"The worse end of its interval allows for the choice among {outcome.n_tried} tried.")
    n_stopped = len(outcome.standing.stopped)
    if n_stopped:
        lines.append(f"{n_stopped} clear loser{'s' if n_stopped > 1 else ''} stopped early.")
    lines += [f"{each} could not be confirmed: {why}" for each, why in outcome.plan.failed.items()]
    return lines


def count_of_looks(looks: Sequence[HoldoutRead]) -> str:
    """How often the holdout was looked at."""
    times = {0: "never", 1: "once", 2: "twice"}.get(len(looks), f"{len(looks)} times")
    return f"looked at {times} so far"


def _holdout(outcome: Confirmed, study: Study, looks: Sequence[HoldoutRead]) -> str:
    look, metric = outcome.holdout, f"test_{study.metric}"
    if look is None or metric not in look.metrics:
        return f"not scored; {count_of_looks(looks)}" if looks else ""
    ends = look.intervals.get(metric)
    shown = _number(look.metrics[metric], outcome.estimate)
    if ends is not None:
        low, high = (_number(each, outcome.estimate) for each in ends)
        shown += f", 95 % interval [{low}, {high}]"
    rows = "" if look.n_rows is None else f" on {look.n_rows} rows"
    return f"{shown}{rows}, {count_of_looks(looks)}"


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    low, high = (_number(each, estimate) for each in (estimate.low, estimate.high))
    return f", {100 * estimate.level:.0f} % interval [{low}, {high}]"


def _number(value: float | None, estimate: Estimate) -> str:
    """As far as the error of the confirmed score goes."""
    if value is None:
        return ""
    if estimate.std_error is None or not estimate.std_error > 0:
        return number(value)
    return signed(value, estimate.std_error).removeprefix("+")


def _optimism_text(outcome: Confirmed) -> str:
    """By how much each number was too good, by the one that has to be believed more."""
    parts = [
        f"{_with_ends(optimism)} {what}"
        for what, optimism in (
            ("of validation over confirmed", outcome.optimism),
            ("of confirmed over holdout", outcome.holdout_optimism),
        )
        if optimism is not None
    ]
    return ", ".join(parts)


def _with_ends(optimism: Optimism) -> str:
    if optimism.low is None or optimism.high is None:
        return f"{optimism.amount:+.2g}"
    reach = max(optimism.high - optimism.low, 1e-300)
    amount, low, high = (signed(each, reach) for each in (optimism.amount, optimism.low, optimism.high))
    return f"{amount} [{low}, {high}]"


def confirmed_json(outcome: Confirmed | None) -> dict[str, Any] | None:
    """All of it at full precision."""
    if outcome is None:
        return None
    return {
        "winner": outcome.winner.public_id,
        "params": dict(outcome.winner.params),
        "validation": outcome.winner.value,
        "confirmed": {**_estimate_json(outcome.winner, outcome.estimate), "n_chosen_from": outcome.n_tried},
        "candidates": [_estimate_json(*each) for each in outcome.estimates],
        "stopped": [
            {"id": each.candidate, "after": each.after, "behind": each.behind, "gap": each.gap}
            for each in outcome.standing.stopped
        ],
        "failed": dict(outcome.plan.failed),
        "optimism": _optimism_json(outcome.optimism),
        "luckiest": outcome.luckiest.public_id,
        "luckiest_optimism": _optimism_json(outcome.luckiest_optimism),
        "holdout": None if outcome.holdout is None else _look_json(outcome.holdout),
        "holdout_optimism": _optimism_json(outcome.holdout_optimism),
        "findings": [_finding_json(each) for each in outcome.findings],
    }


def looks_json(looks: Sequence[HoldoutRead]) -> list[dict[str, Any]]:
    """Every look at the holdout."""
    return [_look_json(each) for each in looks]


def _estimate_json(experiment: Experiment, estimate: Estimate) -> dict[str, Any]:
    return {
        "id": experiment.public_id,
        "validation": experiment.value,
        "mean": estimate.mean,
        "std_error": estimate.std_error,
        "level": estimate.level,
        "low": estimate.low,
        "high": estimate.high,
        "bound": estimate.bound,
        "n_repeats": estimate.n_repeats,
        "basis": estimate.basis.value,
    }


def _optimism_json(optimism: Optimism | None) -> dict[str, Any] | None:
    if optimism is None:
        return None
    return {"amount": optimism.amount, "low": optimism.low, "high": optimism.high}


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "against": finding.against,
        "shown": finding.shown.value,
        "amount": finding.amount,
        "low": finding.low,
        "high": finding.high,
        "confidence": finding.confidence,
        "text": finding_text(finding),
    }


def _look_json(look: HoldoutRead) -> dict[str, Any]:
    return {
        "at": look.at,
        "why": look.why,
        "who": look.who,
        "experiment": look.experiment,
        "version": look.version,
        "metrics": dict(look.metrics),
        "intervals": {name: list(ends) for name, ends in look.intervals.items()},
        "n_rows": look.n_rows,
    }
