"""Bounds that must hold for the rows of each value of a column: no site may fall by more than x."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from retrain.config import GateConfig
from retrain.deploy.gate.figures import Figures, finite, spoken
from retrain.deploy.gate.pair import Pair
from retrain.deploy.gate.verdict import Verdict
from retrain.pipeline import GroupScore
from tuner.experiment import loss_of

__all__ = ["by_group"]

FEWEST_ROWS = 10
"""A group with fewer rows says nothing, unless `min_rows` says that it does."""
_N_NAMED = 5

Groups = Mapping[str, GroupScore]


def by_group(gate: GateConfig, pair: Pair, rule: str, limit: float) -> Verdict:
    """Judge one bound for every group; the verdict's figures are those of the group nearest to failing it."""
    column = gate.by or ""
    compares = rule in ("min_improvement", "max_drop")
    if compares and pair.champion is None:
        return pair.refusal(rule, limit, f"what is deployed could not be scored ({pair.no_champion})")
    new = _groups(pair.challenger, column, pair.metric, pair.repeats)
    old = None if pair.champion is None else _groups(pair.champion, column, pair.metric, pair.repeats)
    if not new or (compares and not old):
        return pair.refusal(rule, limit, f"the pipeline does not say it by {column!r}")
    if compares and pair.direction is None:
        return pair.refusal(rule, limit, "it is not known whether more or less of it is better")
    fewest = gate.min_rows or FEWEST_ROWS
    small = [label for label, score in new.items() if score.n_rows < fewest]
    judged = {label: score for label, score in new.items() if label not in small}
    fault = _fault(gate, column, new, judged, small, old if compares else new)
    if fault:
        remedy = "Say with min_rows in [[gate]] which groups are too small to count." if small else ""
        return pair.refusal(rule, limit, fault, remedy=remedy)
    margins = {label: _margin(pair, rule, limit, score, old, label) for label, score in judged.items()}
    worst = min(margins, key=lambda label: margins[label])
    failed = [label for label, margin in margins.items() if not margin >= 0]
    left_out = f"; left out with fewer than {gate.min_rows} rows: {_named(new, small)}" if small else ""
    shown = sorted(failed, key=lambda label: margins[label]) or [worst]
    said = [
        _said(pair.metric, column, label, judged[label], old if compares else None)
        for label in shown[:_N_NAMED]
    ]
    more = f" and {len(shown) - _N_NAMED} more" if len(shown) > _N_NAMED else ""
    lead = "" if failed else f"each of {len(judged)} keeps it, and the closest is "
    why = f"{lead}{', '.join(said)}{more}; {rule} is {spoken(limit)} for each {column}{left_out}"
    champion = None if old is None else old.get(worst)
    value, before = judged[worst].value, None if champion is None else champion.value
    verdict = pair.verdict(rule, limit, not failed, why, improvement=_improvement(pair, value, before))
    return replace(verdict, challenger=value, champion=before)


def _groups(figures: Figures, column: str, metric: str, repeats: int) -> Groups | None:
    """The scores of the groups, averaged over fresh repeats where they count; None where one lacks them."""
    if not repeats:
        return figures.detail.groups.get(column, {}).get(metric)
    found = [detail.groups.get(column, {}).get(metric) for detail in figures.fresh[:repeats]]
    each = [groups for groups in found if groups]
    if len(each) < repeats:
        return None
    labels = dict.fromkeys(label for groups in each for label in groups)
    return {
        label: _mean([groups.get(label, GroupScore(None, 0, "no rows")) for groups in each])
        for label in labels
    }


def _mean(scores: Sequence[GroupScore]) -> GroupScore:
    n_rows = min(score.n_rows for score in scores)
    values = [value for score in scores if (value := finite(score.value)) is not None]
    if len(values) < len(scores):
        return GroupScore(None, n_rows, next(score.why for score in scores if finite(score.value) is None))
    return GroupScore(fmean(values), n_rows)


def _fault(
    gate: GateConfig, column: str, new: Groups, judged: Groups, small: Sequence[str], old: Groups | None
) -> str:
    """Why the groups cannot be judged; "" where they can."""
    if small and gate.min_rows is None:
        return f"too few rows of {column}: {_named(new, small)}; a group needs {FEWEST_ROWS}"
    if not judged:
        return f"no {column} has {gate.min_rows} rows: {_named(new, small)}"
    for groups, whose in ((judged, ""), (old or {}, "of what is deployed, ")):
        for label in judged:
            score = groups.get(label, GroupScore(None, 0, "it was not scored"))
            if finite(score.value) is None:
                reason = score.why or score.value
                return f"{whose}it has no value for {column} {label} ({score.n_rows} rows): {reason}"
    return ""


def _margin(pair: Pair, rule: str, limit: float, score: GroupScore, old: Groups | None, label: str) -> float:
    """By how much a group keeps the bound; below 0 where it does not."""
    assert score.value is not None, "checked by _fault"
    if rule == "min":
        return score.value - limit
    if rule == "max":
        return limit - score.value
    improvement = _improvement(pair, score.value, (old or {})[label].value)
    if improvement is None:  # beyond the largest number
        return -math.inf
    return improvement - limit if rule == "min_improvement" else improvement + limit


def _improvement(pair: Pair, new: float | None, old: float | None) -> float | None:
    new, old = finite(new), finite(old)
    if pair.direction is None or new is None or old is None:
        return None
    return finite(loss_of(old, pair.direction) - loss_of(new, pair.direction))


def _said(metric: str, column: str, label: str, score: GroupScore, old: Groups | None) -> str:
    before = "" if old is None else f", {spoken(old[label].value or 0.0)} deployed"
    return f"{metric} of {column} {label} is {spoken(score.value or 0.0)}{before} ({score.n_rows} rows)"


def _named(groups: Groups, labels: Sequence[str]) -> str:
    shown = ", ".join(f"{label} ({groups[label].n_rows})" for label in labels[:_N_NAMED])
    return shown + (f" and {len(labels) - _N_NAMED} more" if len(labels) > _N_NAMED else "")
