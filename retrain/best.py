"""Which experiment the word `best` stands for."""

from dataclasses import dataclass

from retrain.comparable import difference
from retrain.confirmed import find_confirmed_winner
from retrain.improvement import get_study
from tuner.errors import MismatchError, NotFoundError, UsageError
from tuner.experiment import Experiment, Provenance, Study
from tuner.registry.base import RegistryReader

__all__ = ["CONFIRM", "Best", "check_comparable", "find_named", "get_best"]

CONFIRM = "orchestrator confirm"
"""The command that confirms."""

_N_NAMED = 10


@dataclass(frozen=True, slots=True)
class Best:
    """The best experiment of a study.

    Attributes:
        experiment: the one.
        confirmed: it has the best lower bound of all that were scored once more on fresh folds; False where
            none was, and it only has the best validation score.
        luckier: the best by validation, where that is another one, not confirmed to be better; else None.
    """

    experiment: Experiment
    confirmed: bool
    luckier: Experiment | None = None

    @property
    def note(self) -> str:
        """What people have to know of it, in a line."""
        if not self.confirmed:
            return (
                f"{self.experiment.public_id} is the best by validation alone, and luck helped to choose it"
            )
        if self.luckier is None:
            return f"{self.experiment.public_id} is the best by its confirmed score"
        other = f"{self.luckier.public_id} is better by validation alone"
        return f"{self.experiment.public_id} is the best by its confirmed score; {other}"


def get_best(registry: RegistryReader, study: Study | None, name: str) -> Best:
    """Return the best experiment of a study; `name` is its name, where there may be none.

    All that are compared were scored on the same data, by the same code and metric: those of the latest
    result. Of them it is the winner of a confirmation, where there was one; else the best by validation.

    Raises:
        NotFoundError: no complete experiment keeps the limits, or none is complete.
        UsageError: the study has several objectives; names the front to choose from.
    """
    best = [] if study is None else registry.best(study)
    if not best or study is None:
        broken = 0 if study is None else registry.n_infeasible(study)
        what = "has no finished experiment yet" if not broken else "has none that keeps its limits yet"
        raise NotFoundError(
            f"Study {name!r} {what}, so there is no best one.", "orchestrator --method bayesian --configs 20"
        )
    provenance = best[0].provenance
    assert provenance is not None, "it is complete"
    if study.goals.objectives:
        front = registry.front(study, provenance)
        some = ", ".join(each.public_id for each in front[:_N_NAMED])
        more = f" and {len(front) - _N_NAMED} more" if len(front) > _N_NAMED else ""
        raise UsageError(
            f"Study {name!r} has several objectives, so there is no best one, but a front: {some}{more}.",
            "Choose by: orchestrator --summary. Then name one: retrain --apply-hp ID",
        )
    winner = find_confirmed_winner(registry, study, provenance)
    if winner is None:
        return Best(best[0], confirmed=False)
    return Best(winner, confirmed=True, luckier=best[0] if best[0].id != winner.id else None)


def find_named(registry: RegistryReader, study_name: str, word: str) -> Experiment:
    """The experiment that a word on the command line stands for.

    Args:
        registry: where it is.
        study_name: the configured study: `best` is its best, and what several studies have is its own.
        word: `best`, an id, or the start of one.

    Raises:
        NotFoundError: no experiment does, or several do.
        UsageError: `best` of several objectives.
    """
    if word == "best":
        return get_best(registry, get_study(registry, study_name), study_name).experiment
    try:
        return registry.get_experiment(word)
    except NotFoundError:
        study = registry.find_study(study_name)
        rows = [] if study is None or not word else registry.experiments(study)
        own = [each for each in rows if each.public_id.startswith(word)]
        if len(own) != 1:
            raise
        return own[0]


def check_comparable(best: Best, provenance: Provenance) -> None:
    """Insist that the best is one of what is there now.

    Raises:
        MismatchError: it is the best of scores on other data, code or metric; which would be the best now is
            not known.
    """
    scored_on = best.experiment.provenance
    if scored_on is None or scored_on == provenance:
        return
    public_id = best.experiment.public_id
    override = "" if scored_on.data == provenance.data else " --override-gate data --reason TEXT"
    raise MismatchError(
        f"`best` must be the best on what is there now, but {public_id} is that of"
        f" {difference(scored_on, provenance)}.",
        "Score the best of before on what is there now: orchestrator revalidate --top 5. Or apply it all the"
        f" same: retrain --apply-hp {public_id}{override}",
    )
