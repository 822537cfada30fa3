"""Whether the deployed hyperparameters are still the right ones, when data or code have changed.

The best of what was tried before are scored along on what is there now, fold by fold against what is
deployed. Only a ranking that changed by more than noise is a reason to tune again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrain.config import Config
from retrain.deploy.gate import Figures
from retrain.deploy.scoring import Scorer
from retrain.improvement import find_configuration, fold_scores, folds_of
from retrain.pipeline import Pipeline
from retrain.stats import PairedDifference, paired_difference
from tuner.errors import ParamsError, RetrainError
from tuner.experiment import Direction, Experiment, Params, Provenance, Study, loss_of
from tuner.registry.base import RegistryReader
from tuner.space import config_key

__all__ = ["ALPHA", "RETUNE", "Rival", "rivals_lines", "score_rivals", "to_retune"]

RETUNE = "retune"
"""Kind of the event that says so."""

ALPHA = 0.05
"""At most this often, all rivals together, noise alone says "retune"."""


@dataclass(frozen=True, slots=True)
class Rival:
    """An earlier experiment, scored along on what is there now.

    Attributes:
        experiment: as it was found.
        value: its value now; None where it could not be scored any more.
        gain: over what is deployed, positive where the rival is better, with an interval so wide that all
            rivals together are wrong at most in ALPHA of the cases; None where they share no folds.
        was_ahead: whether it was better by more than noise already when it was found.
    """

    experiment: Experiment
    value: float | None
    gain: PairedDifference | None
    was_ahead: bool

    @property
    def is_ahead(self) -> bool:
        """Whether it is better now by more than noise."""
        return self.gain is not None and self.gain.low > 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        gain = None
        if self.gain is not None:
            gain = {"mean": self.gain.mean, "low": self.gain.low, "high": self.gain.high}
        return {
            "experiment": self.experiment.public_id,
            "value": self.value,
            "gain": gain,
            "was_ahead": self.was_ahead,
            "is_ahead": self.is_ahead,
        }


def _best_before(registry: RegistryReader, study: Study, deployed: Params, k: int) -> list[Experiment]:
    """The `k` best configurations of the study other than what is deployed, best first."""
    known = {config_key(deployed)}
    found: list[Experiment] = []
    for each in registry.best(study, 2 * k + 2):
        key = config_key(each.params)
        if key not in known and len(found) < k:
            known.add(key)
            found.append(each)
    return found


def score_rivals(
    config: Config, registry: RegistryReader, pipeline: Pipeline, deployed: Params
) -> list[Rival]:
    """Score the best of the configured study on what is there now, beside what is deployed.

    On folds that none of them was chosen by: most rows may be those of before, and luck would last with the
    folds. The holdout is not looked at.

    Args:
        config: names the study, and how many (`deploy.rivals`).
        registry: where they are.
        pipeline: with its present data.
        deployed: the hyperparameters in production.

    Returns:
        One for each, the best of before first; empty where there is no study, several objectives (there is no
        ranking), or nothing but what is deployed.

    Raises:
        RetrainError: what is deployed cannot be scored.
    """
    study = registry.find_study(config.study_name)
    if study is None or study.goals.objectives or not config.deploy.rivals:
        return []
    found = _best_before(registry, study, deployed, config.deploy.rivals)
    if not found:
        return []
    scorer = Scorer(pipeline, _fresh(study.seed))
    champion = scorer.evaluate(deployed)
    level = 1 - 2 * ALPHA / len(found)
    folds = folds_of(config)
    before = _Before(registry, study, deployed, level, folds)
    return [_rival(each, scorer, champion, study.direction, level, folds, before) for each in found]


def _fresh(seed: int) -> int:
    """A seed of folds other than the study's own."""
    return (seed * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) % 2**32


@dataclass(frozen=True, slots=True)
class _Before:
    """How experiments stood against what is deployed when they were found."""

    registry: RegistryReader
    study: Study
    deployed: Params
    level: float
    folds: int | None

    def was_ahead(self, experiment: Experiment) -> bool:
        provenance = experiment.provenance
        reference = None
        if provenance is not None:
            reference = self._reference(provenance)
        if reference is None:
            return False
        scores = [fold_scores(self.registry, self.study, each) for each in (experiment, reference)]
        one, other = (dict(enumerate(each)) for each in scores)
        gain = _gain(one, other, self.study.direction, self.level, self.folds)
        return gain is not None and gain.low > 0

    def _reference(self, provenance: Provenance) -> Experiment | None:
        return find_configuration(self.registry, self.study, provenance, self.deployed)


def _rival(
    experiment: Experiment,
    scorer: Scorer,
    champion: Figures,
    direction: Direction,
    level: float,
    folds: int | None,
    before: _Before,
) -> Rival:
    try:
        params = scorer.pipeline.space.complete(experiment.params)
        figures = scorer.evaluate(params)
    except (ParamsError, RetrainError):  # not in the space any more, or no result on these data
        return Rival(experiment, None, None, False)
    gain = _gain(figures.folds, champion.folds, direction, level, folds)
    return Rival(experiment, figures.value, gain, before.was_ahead(experiment))


def _gain(
    one: Mapping[int, float],
    other: Mapping[int, float],
    direction: Direction,
    level: float,
    folds: int | None,
) -> PairedDifference | None:
    if len(one) < 2 or one.keys() != other.keys():
        return None
    losses = [[-loss_of(scores[fold], direction) for fold in one] for scores in (one, other)]
    return paired_difference(*losses, folds=folds, level=level)


def to_retune(found: Sequence[Rival]) -> Rival | None:
    """The rival that overtook what is deployed by more than noise, by the most; None where none did."""
    overtook = [each for each in found if each.is_ahead and not each.was_ahead]
    return max(overtook, key=lambda each: each.gain.low if each.gain is not None else 0.0, default=None)


def rivals_lines(found: Sequence[Rival], flags: str = "") -> list[str]:
    """What became of the ranking, in words."""
    if not found:
        return []
    overtook = to_retune(found)
    if overtook is not None and overtook.gain is not None:
        gain = overtook.gain
        how = f"{gain.mean:.4g} better now [{gain.low:.4g}, {gain.high:.4g}], which is more than noise"
        return [
            f"retune: {overtook.experiment.public_id} has overtaken what is deployed: {how}",
            f"  orchestrator --method bayesian --configs 20{flags}",
        ]
    n = len(found)
    what = "The best experiment of before was" if n == 1 else f"The {n} best experiments of before were"
    unscored = sum(each.value is None for each in found)
    if unscored == n:
        return [f"{what} to be scored on what is there now, but could not be: no word on whether to retune"]
    ahead = [each for each in found if each.is_ahead]
    if ahead:
        first = ahead[0]
        by = 0.0 if first.gain is None else first.gain.mean
        name = first.experiment.public_id
        return [
            f"{what} scored along: the ranking has not changed; {name} was ahead before, and is by {by:.4g}",
            f"  retrain --apply-hp {name} --dry-run{flags}",
        ]
    if all(each.gain is None for each in found if each.value is not None):
        return [f"{what} scored along, but without folds there is no telling a change from noise"]
    none = f"{what} scored along: none is better than what is deployed by more than noise"
    closest = max(found, key=lambda each: -math.inf if each.gain is None else each.gain.mean)
    if closest.gain is None or closest.gain.mean <= 0:
        return [none]
    gain = closest.gain
    how = f"{gain.mean:.4g} better [{gain.low:.4g}, {gain.high:.4g}]"
    return [f"{none}; {closest.experiment.public_id} is {how} on fresh folds"]
