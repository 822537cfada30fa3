"""What decides whether hyperparameters may change: a function of figures, and of the user's own checks.

It fails closed: a figure that is missing or not finite, too few folds, a champion that could not be scored, a
check that raises, is a refusal with a reason, never a pass.
"""

from collections.abc import Callable, Mapping, Sequence

from retrain.config import GateConfig
from retrain.config.gate import DEFAULT_GATE
from retrain.deploy.gate.bounds import absolute, relative
from retrain.deploy.gate.check import Check, Comparison, checked
from retrain.deploy.gate.figures import Figures
from retrain.deploy.gate.groups import by_group
from retrain.deploy.gate.needs import repeats_of
from retrain.deploy.gate.pair import Pair, bad_side
from retrain.deploy.gate.standing import as_recorded, not_worse
from retrain.deploy.gate.verdict import Verdict
from tuner.experiment import Direction, Params

__all__ = ["judge"]

_SAME_FOLDS = "its folds are the same whatever the seed, so that repeats say nothing new"
_NO_REPEATS = "Leave repeats out of this [[gate]]: then the study's own folds count."


def judge(
    gates: Sequence[GateConfig],
    challenger: Figures,
    champion: Figures | None,
    *,
    metric: str,
    direction: Direction,
    direction_of: Callable[[str], Direction | None],
    same_params: bool = False,
    recorded: Figures | None = None,
    no_champion: str = "",
    n_folds: int | None = None,
    splits_follow_seed: bool = True,
    checks: Mapping[str, Check] | None = None,
    params: Params | None = None,
    deployed: Params | None = None,
) -> tuple[Verdict, ...]:
    """Judge a challenger against bounds and against what is deployed.

    Args:
        gates: the configured entries, besides the default gate. Unless one of them compares a metric of all
            rows, the challenger must not be worse than the champion by more than one standard error of their
            difference. Where there is no champion to compare with, an absolute bound on the study's metric is
            enough.
        challenger: figures of what would be deployed.
        champion: figures of what is deployed, scored on the same splits; None where it could not be scored.
        metric: the study's metric.
        direction: whether a smaller or larger value of it is better.
        direction_of: the same for any other metric; None where nobody knows.
        same_params: the challenger is the champion, fitted anew. On the same data they cannot differ, so the
            default gate compares with `recorded`: no worse by more than two standard errors. Only an absolute
            bound on the study's metric, on its bad side, takes the place of that.
        recorded: with `same_params`, the figures stored when they were deployed; None where nothing was
            fitted before.
        no_champion: why there are no figures of a champion.
        n_folds: folds of one repeat, for the standard error; see `paired_difference`.
        splits_follow_seed: whether repeats have folds of their own.
        checks: the user's own functions by the name of their gate.
        params: the challenger's hyperparameters, for those functions.
        deployed: the champion's.

    Returns:
        The verdict of the default gate, where it stands; then those of each entry, in the order given.
    """
    study = Pair(DEFAULT_GATE, metric, direction, challenger, champion, no_champion, True, 0, n_folds)
    side = bad_side(direction)
    of_all = [gate for gate in gates if gate.guards_the_whole]
    is_bounded = any(gate.metric == metric and getattr(gate, side) is not None for gate in of_all)
    verdicts = []
    if same_params:
        if not is_bounded:
            verdicts.append(as_recorded(study, recorded))
    elif not (any(gate.is_relative for gate in of_all) or (champion is None and is_bounded)):
        verdicts.append(not_worse(study))
    comparison = Comparison(
        metric, direction, challenger, champion, no_champion, params or {}, deployed or {}
    )
    for gate in gates:
        if gate.check is not None:
            verdicts.append(checked(gate, checks or {}, comparison))
            continue
        known = direction if gate.metric in (metric, f"test_{metric}") else direction_of(gate.metric)
        repeats = repeats_of(gate, splits_follow_seed)
        is_own = gate.metric == metric
        pair = Pair(
            gate.name, gate.metric, known, challenger, champion, no_champion, is_own, repeats, n_folds
        )
        moot = bool(repeats) and not splits_follow_seed
        verdicts += [_bound(gate, pair, rule, same_params, moot) for rule in gate.rules]
    return tuple(verdicts)


def _bound(gate: GateConfig, pair: Pair, rule: str, same_params: bool, moot: bool) -> Verdict:
    """The verdict on one bound of an entry; `moot`: it asks for repeats that cannot be had."""
    limit: float = getattr(gate, rule)
    compares = rule in ("min_improvement", "max_drop")
    if compares and same_params:
        why = f"{pair.metric}: the hyperparameters stay, so {rule} asks for nothing"
        return pair.verdict(rule, limit, True, why)
    if moot:
        return pair.refusal(rule, limit, _SAME_FOLDS, remedy=_NO_REPEATS)
    if gate.by is not None:
        return by_group(gate, pair, rule, limit)
    return (relative if compares else absolute)(pair, rule, limit, gate.confidence)
