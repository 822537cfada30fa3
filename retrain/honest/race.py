"""Which candidate needs no further repeat: all run one repeat after the other until they are clear losers.

Everything is a function of what was measured, in whole rounds, so that neither the number of workers nor an
interruption changes who wins.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from retrain.honest.estimate import LEVEL, Repeat, Spread, confirmed
from retrain.honest.pairs import gain_over
from retrain.stats import t_quantile
from tuner.experiment import Direction, loss_of

__all__ = ["FIRST_LOOK", "Race", "Standing", "Stopped", "find_winner", "next_runs", "standing"]

FIRST_LOOK = 2
"""Repeats that everybody runs: one alone does not show the noise between runs."""

_NEGLIGIBLE = 1e-9
"""A deviation of this part of a difference is rounding: few rows make few scores, which may be equal."""


@dataclass(frozen=True, slots=True)
class Race:
    """What is known of a confirmation.

    Attributes:
        candidates: ids, the best by validation first; ties are won by the earlier one.
        seeds: of the repeats, in the order in which they are run, the same for everybody; distinct.
        direction: of the metric.
        repeats: what was measured so far, by id.
        references: ids of the baseline and of what is deployed. They run every repeat and cannot be stopped,
            since the verdict compares with them. One may be a candidate, too.
        failed: ids of which a repeat failed for good. They are out.
        folds: k of one cross-validation; see `confirmed`.
        level: one minus the chance that one who would have won the whole race is stopped early.
    """

    candidates: tuple[str, ...]
    seeds: tuple[int, ...]
    direction: Direction
    repeats: Mapping[str, Sequence[Repeat]] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    failed: Collection[str] = ()
    folds: int | None = None
    level: float = LEVEL

    def __post_init__(self) -> None:
        for name in ("candidates", "seeds", "references"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"`{name}` must be distinct, but got {values}")

    def runs_of(self, candidate: str, rounds: int) -> list[Repeat]:
        """The repeats of the first `rounds` seeds that are there, in the order of the seeds."""
        known = {each.seed: each for each in self.repeats.get(candidate, ())}
        return [known[seed] for seed in self.seeds[:rounds] if seed in known]


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why a candidate was stopped.

    Attributes:
        candidate: its id.
        after: repeats that it had run.
        behind: id of the candidate that led.
        gap: the lesser of how far its lower bound and its mean were behind, in the metric's unit; positive.
        reach: by how much further repeats could have changed that; less than `gap`.
    """

    candidate: str
    after: int
    behind: str
    gap: float
    reach: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a race stands.

    Attributes:
        rounds: repeats that all who are still in have finished.
        alive: candidates still in, in their order.
        stopped: those that are not, the first to go first. Those that failed are not among them.
        over: nothing is left to run.
    """

    rounds: int
    alive: tuple[str, ...]
    stopped: tuple[Stopped, ...]
    over: bool


def standing(race: Race) -> Standing:
    """Play the race again, round by round.

    A candidate stops when its lower bound and its mean are behind the leader's by more than the repeats still
    to come can change: t times the deviation of their paired difference from repeat to repeat, times
    sqrt(1/r - 1/R) after r of R repeats. The deviation is that of all rivals together, or its own where that
    is larger; t is of a level divided by the number of looks and of rivals (Bonferroni). So whoever would
    have won had everybody run all repeats is stopped early with a chance of 1 - `level` at most; the tests
    measure it.
    """
    alive = [each for each in race.candidates if each not in race.failed]
    stopped: list[Stopped] = []
    rounds = 0
    for after in range(1, len(race.seeds) + 1):
        runners = _runners(race, alive)
        if not runners or any(len(race.runs_of(each, after)) < after for each in runners):
            break
        rounds = after
        if after >= FIRST_LOOK and _repeats_are_identical(race, runners, after):
            return Standing(rounds, tuple(alive), tuple(stopped), over=True)
        if FIRST_LOOK <= after < len(race.seeds):
            losers = _losers(race, alive, after)
            stopped += losers
            alive = [each for each in alive if each not in {loser.candidate for loser in losers}]
    over = not alive or rounds == len(race.seeds)
    return Standing(rounds, tuple(alive), tuple(stopped), over)


def next_runs(race: Race) -> list[tuple[str, int]]:
    """The runs that are still to be made, as (candidate or reference, seed), the most urgent first.

    Take as many from the front as there are free workers, leave out those that run already, and ask again
    when one has finished: somebody may be out by then. Empty when the race is over.
    """
    now = standing(race)
    if now.over:
        return []
    return [
        (each, seed)
        for seed in race.seeds
        for each in _runners(race, now.alive)
        if seed not in {run.seed for run in race.repeats.get(each, ())}
    ]


def find_winner(race: Race) -> str | None:
    """The candidate with the best lower bound of its confirmed score; None before the first round is whole.

    All that are still in are compared after the same repeats. A tie goes to the earlier.
    """
    now = standing(race)
    if not now.rounds or not now.alive:
        return None
    return min(now.alive, key=lambda each: _loss_bound(race, each, now.rounds))


def _runners(race: Race, alive: Sequence[str]) -> list[str]:
    references = [each for each in race.references if each not in alive and each not in race.failed]
    return [*alive, *references] if alive else []


def _losers(race: Race, alive: Sequence[str], after: int) -> list[Stopped]:
    leader = min(alive, key=lambda each: _loss_bound(race, each, after))
    rivals = [each for each in alive if each != leader]
    gains = {each: _gain(race, each, leader, after) for each in rivals}
    pooled = math.fsum(gain.between for gain in gains.values()) / max(1, len(rivals))
    reach = _reach(race, len(rivals), after)
    losers = []
    for each in rivals:
        # That of all rivals has more degrees of freedom; its own counts where it is the more restless one.
        deviation = math.sqrt(max(gains[each].between, pooled))
        gap = min(-gains[each].mean, _loss_bound(race, each, after) - _loss_bound(race, leader, after))
        by_chance = deviation <= _NEGLIGIBLE * gap and not gains[each].identical
        if gap > reach * deviation and not by_chance and each not in race.references:
            losers.append(Stopped(each, after, leader, gap, reach * deviation))
    return losers


def _gain(race: Race, candidate: str, leader: str, after: int) -> Spread:
    spread = gain_over(race.runs_of(candidate, after), race.runs_of(leader, after), race.direction)
    assert spread is not None, "both have run the same seeds"
    return spread


def _reach(race: Race, n_rivals: int, after: int) -> float:
    """How far the mean of all repeats can be from that of the first, in deviations from repeat to repeat."""
    if not n_rivals:
        return 0.0
    n_tests = (len(race.candidates) - 1) * (len(race.seeds) - FIRST_LOOK)
    quantile = t_quantile(1 - (1 - race.level) / n_tests, n_rivals * (after - 1))
    return quantile * math.sqrt(1 / after - 1 / len(race.seeds))


def _loss_bound(race: Race, candidate: str, after: int) -> float:
    estimate = confirmed(race.runs_of(candidate, after), race.direction, folds=race.folds, level=LEVEL)
    return loss_of(estimate.bound, race.direction)


def _repeats_are_identical(race: Race, runners: Sequence[str], after: int) -> bool:
    """Whether the seed changes nothing for anybody, so that further repeats would not either."""
    runs = [race.runs_of(each, after) for each in runners]
    return all(len({(run.value, tuple(run.folds)) for run in series}) == 1 for series in runs)
