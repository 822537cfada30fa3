"""The gates that stand without being asked for: no worse than what is deployed, and scored on these data."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

from retrain.config.gate import DATA_GATE
from retrain.deploy.gate.figures import Figures, finite, spoken, std_error_of_difference
from retrain.deploy.gate.pair import Pair, bad_side
from retrain.deploy.gate.verdict import Verdict
from retrain.stats import t_cdf
from tuner.experiment import Experiment, Provenance

__all__ = ["as_recorded", "not_worse", "scored_on"]

_NEGLIGIBLE = 1e-9
"""An error of this part of a difference is rounding."""


def not_worse(pair: Pair) -> Verdict:
    """Judge other hyperparameters: cross-validated, both scored on the same splits."""
    improvement = pair.improvement
    if improvement is None or pair.champion is None:
        return pair.refusal(
            "not_worse", None, remedy=_way_out(pair, "Mend that. Where what is deployed must go anyhow")
        )
    std_error = std_error_of_difference(pair.challenger, pair.champion, pair.n_folds)
    if std_error is not None and finite(std_error) is None:
        return pair.refusal("not_worse", None, f"the standard error of the difference is {std_error}")
    margin = std_error or 0.0
    allowed = "the allowance" if std_error is None else "one standard error of the difference"
    sure = _in_words(pair, improvement, std_error)
    why = f"{pair.compared(improvement)}; {allowed} is {spoken(margin)}{sure}"
    return pair.verdict("not_worse", margin, improvement >= -margin, why, std_error=std_error)


def _in_words(pair: Pair, improvement: float, std_error: float | None) -> str:
    """How sure the folds are of the direction of a difference."""
    if not std_error or not improvement or pair.champion is None:
        return ""
    if std_error <= _NEGLIGIBLE * abs(improvement):
        return "; the same in every fold, so that nothing says how sure that is"
    t = abs(improvement) / std_error
    folds, others = pair.challenger.folds, pair.champion.folds
    paired = len(folds) >= 2 and folds.keys() == others.keys()
    sure = t_cdf(t, len(folds) - 1) if paired else NormalDist().cdf(t)
    shown = "over 99.9" if sure > 0.9995 else f"{100 * sure:.3g}"
    return f"; really {'better' if improvement > 0 else 'worse'} with {shown} % confidence"


def as_recorded(pair: Pair, recorded: Figures | None) -> Verdict:
    """Judge the same hyperparameters, which the present data alone could never fail."""
    if pair.new is None:
        return pair.refusal("recorded", None)
    then = replace(pair, champion=recorded)
    if recorded is None:
        why = f"{pair.metric}: nothing was fitted before, so there is no recorded value to compare with"
        return then.verdict("recorded", None, True, why)
    remedy = (
        f"Look at what changed in the data or the code. {_way_out(pair, 'Where they are rightly harder')}"
    )
    if then.old is None:
        why = f"{pair.metric} cannot be judged: the active version has no recorded value of it"
        return then.verdict("recorded", None, False, why, remedy=remedy)
    improvement = then.improvement
    fresh = pair.challenger.std_error or 0.0
    stored = fresh if recorded.std_error is None else finite(recorded.std_error)
    std_error = None if finite(fresh) is None or stored is None else math.hypot(fresh, stored)
    if improvement is None or std_error is None or finite(2 * std_error) is None:
        reason = "" if improvement is None else "a standard error is not known"
        return then.refusal("recorded", None, reason, remedy=remedy)
    side = "better" if improvement >= 0 else "worse"
    new, old, change = (spoken(number) for number in (pair.new, then.old, abs(improvement)))
    why = (
        f"{pair.metric} is {new}, {change} {side} than was recorded when this was deployed ({old});"
        f" the allowance of two standard errors is {spoken(2 * std_error)}"
    )
    passed = improvement >= -2 * std_error
    more = {"std_error": std_error, "remedy": "" if passed else remedy}
    return then.verdict("recorded", 2 * std_error, passed, why, **more)


def scored_on(experiment: Experiment, present: Provenance, rescored: Sequence[str] = ()) -> Verdict | None:
    """Refuse an experiment that was chosen by a score on other data; None where there is nothing to say.

    Args:
        experiment: where the hyperparameters come from.
        present: what would be scored on now.
        rescored: public ids of the experiments that were scored again on the present data.
    """
    data = None if experiment.provenance is None else experiment.provenance.data
    if data == present.data or experiment.public_id in rescored:
        return None
    why = (
        f"{experiment.public_id} was chosen by its score on {data or 'data that are not known'},"
        f" but the data are {present.data or 'not known'} now"
    )
    remedy = (
        "See whether it is still the best on the present data (orchestrator revalidate --top 5), or deploy it"
        f" for what the other gates say: --override-gate {DATA_GATE} --reason TEXT."
    )
    return Verdict("data", "data", None, None, None, None, None, False, why, remedy, DATA_GATE)


def _way_out(pair: Pair, where: str) -> str:
    """How to say what is enough in itself."""
    bound = "min" if pair.direction is None else bad_side(pair.direction)
    return f'{where}, say what is enough: [[gate]] with metric = "{pair.metric}" and {bound} = <the bound>.'
