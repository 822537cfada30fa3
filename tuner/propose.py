"""From a study's history to new candidate rows and to insight: where a generator and the registry meet."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from tuner.errors import ParamsError
from tuner.experiment import (
    GUESS,
    Experiment,
    Observation,
    Params,
    Provenance,
    State,
    Study,
    Suggestion,
    Value,
)
from tuner.generators import make_generator
from tuner.insight import FURTHER, INSIGHT, Insight
from tuner.recall import NOT_THE_CONFIGURATION, recall
from tuner.recollect import Recollected
from tuner.registry.base import Registry, Run, StudySpec
from tuner.space import Forbid, SearchSpace, config_key

__all__ = ["Queued", "complete_guesses", "open_study", "propose", "queue_guesses", "take_stock"]

_N_ROUNDS = 10
"""How often to propose anew what other processes wrote at the same moment."""


def open_study(registry: Registry, spec: StudySpec, deployed: Params | None = None) -> Study:
    """Create or find the study, its first rows being the space's defaults and what is deployed.

    Args:
        registry: where it is stored.
        spec: its definition.
        deployed: the configuration in production, or None.

    Raises:
        MismatchError: the study is stored with another definition.
        ParamsError: what is deployed is not in the space. Nothing was written.
    """
    space = SearchSpace.from_dict(spec.space)
    first = [Suggestion(space.defaults(), "default")]
    if deployed is not None:
        first.append(Suggestion(space.validate(deployed), "deployed"))
    study = registry.open_study(spec)
    registry.add(study, first)  # what the study already has is skipped
    return study


def propose(
    registry: Registry,
    study: Study,
    method: str,
    n: int | None,
    *,
    run: Run | None = None,
    provenance: Provenance | None = None,
    warm_start: Sequence[str] = (),
    memory: Recollected | None = None,
    **options: Any,
) -> list[Experiment]:
    """Let a generator learn from the study, and write up to `n` new candidates as WAITING rows.

    A configuration whose results and failures were all of other data, code or metric counts as new: when it
    is proposed, it is written as a repeat.

    Args:
        registry: where the study is.
        study: the study.
        method: name of the generator.
        n: how many; None for the method's own number (a grid's whole design).
        run: the invocation they belong to, if any.
        provenance: only results and failures of this are learned from; by default, the latest of the study.
        warm_start: names of earlier studies of this registry to learn from, each as it was when this study
            first used it.
        memory: what the memory found for this study, to learn from likewise.
        options: further options of the generator.

    Returns:
        The new rows, in order. Fewer than `n`, down to none: the method has no more to propose.

    Raises:
        UsageError: unknown method or option, a method that learns nothing from earlier studies, or an earlier
            one that has nothing in common with this.
        NotFoundError: an earlier study is not there, or has no result.
    """
    space = SearchSpace.from_dict(study.space)
    written: list[Experiment] = []
    for _ in range(_N_ROUNDS):
        rows = registry.experiments(study)
        recalled = recall(registry, warm_start, own=study.name, rows=rows)
        earlier, stamp = list(recalled.earlier), recalled.stamp
        if memory is not None and memory.earlier:
            earlier += [each for each in memory.earlier if each.name not in recalled.n_finished]
            stamp = {**stamp, **memory.stamp}
        if earlier:
            options = {**options, "earlier": earlier}
        history = _history(rows, provenance or _latest(registry, study))
        generator = make_generator(
            method,
            space,
            seed=study.seed,
            direction=study.direction,
            baseline=study.baseline,
            n_asked=len(rows),
            goals=study.goals,
            **options,
        )
        generator.tell(history.finished, history.held)
        wanted = generator.default_n() if n is None else n - len(written)
        suggestions = generator.ask(wanted) if wanted else []
        suggestions = [replace(one, reason={**one.reason, **stamp}) for one in suggestions]
        new = _write(registry, study, suggestions, history.outdated, run)
        written += new
        if len(new) == len(suggestions):
            break
    return written


@dataclass(frozen=True, slots=True)
class Queued:
    """What became of a user's guesses: new rows, and the experiments that the study has already."""

    written: tuple[Experiment, ...]
    known: tuple[Experiment, ...]


def queue_guesses(
    registry: Registry, study: Study, guesses: Sequence[Params], *, run: Run | None = None
) -> Queued:
    """Write configurations of the user's own as WAITING rows, which run before what generators proposed.

    A guess that the study has already is not written again, unless what it has of it is of no use: scored on
    other data, code or metric than the latest, lost or cancelled.

    Args:
        registry: where the study is.
        study: the study.
        guesses: what to try. What one leaves out is taken from the study's baseline, and from the defaults
            where that lacks it.
        run: the invocation they belong to, if any.

    Raises:
        ParamsError: one is not in the space; says which, and lists every fault. Nothing was written.
    """
    space = SearchSpace.from_dict(study.space)
    wanted = {config_key(params): params for params in complete_guesses(space, guesses, study.baseline)}
    rows = registry.experiments(study)
    latest = _latest(registry, study)
    known = {config_key(row.params): row for row in rows if not _says_nothing(row, latest)}
    again = {config_key(row.params) for row in rows}
    new = [Suggestion(params, GUESS) for key, params in wanted.items() if key not in known]
    written = _write(registry, study, new, again, run)
    return Queued(tuple(written), tuple(known[key] for key in wanted if key in known))


def complete_guesses(space: SearchSpace, guesses: Sequence[Params], base: Params) -> list[dict[str, Value]]:
    """Fill in what the user's guesses leave out, from `base` or else the defaults.

    Raises:
        ParamsError: one is not in the space; says which, and lists every fault.
    """
    complete = []
    for number, guess in enumerate(guesses, 1):
        try:
            complete.append(space.complete(guess, base))
        except ParamsError as error:
            which = f"Guess {number} of {len(guesses)}: " if len(guesses) > 1 else ""
            remedy = _what_else_to_give(space, guess, error) or error.remedy
            raise ParamsError(f"{which}{error}", remedy, error.problems) from None
    return complete


def _what_else_to_give(space: SearchSpace, guess: Params, error: ParamsError) -> str:
    """What to do about a sum or an order that the values from the baseline break, or an empty string."""
    if not isinstance(guess, Mapping):
        return ""
    tied = [each.names for each in space.constraints if not isinstance(each, Forbid)]
    tied = [names for names in tied if any(name in guess for name in names)]
    lacking = dict.fromkeys(name for names in tied for name in names if name not in guess)
    said = " ".join(error.problems)
    found = [name for name in lacking if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said)]
    return f"What it leaves out is taken from the baseline: give {', '.join(found)}, too." if found else ""


def _says_nothing(row: Experiment, latest: Provenance | None) -> bool:
    """Whether the row holds no end that counts, and none is on its way."""
    if _is_outdated(row, latest):
        return True
    return row.state is State.FAILED and row.outcome in NOT_THE_CONFIGURATION


def take_stock(registry: Registry, study: Study, provenance: Provenance | None = None) -> Insight | None:
    """Learn what the study has taught so far, and append it to the events for the reports to read.

    Of several objectives, of each.

    Args:
        registry: where the study is.
        study: the study.
        provenance: only results scored on this are learned from; by default, the latest of the study.

    Returns:
        What was learned of the study's metric; None, and no event, where that is nothing yet.
    """
    from tuner.importance import insight_of

    history = _history(registry.experiments(study), provenance or _latest(registry, study))
    space = SearchSpace.from_dict(study.space)
    found = insight_of(
        space,
        history.finished,
        direction=study.direction,
        pending=history.held,
        seed=study.seed,
    )
    if not found.importances:
        return None
    further = {
        each.metric: insight_of(
            space,
            _of_metric(history.finished, each.metric),
            direction=each.direction,
            seed=study.seed,
            gain=False,
        ).to_dict()
        for each in study.goals.objectives
    }
    known = [each.name for each in found.importances if each.matters]
    names = ", ".join(known[:3])
    registry.log(
        INSIGHT,
        f"After {found.n} results of study {study.name!r}, "
        + (f"these matter most: {names}." if names else "it is open which parameters matter."),
        salience=0.2,
        study=study.name,
        **found.to_dict(),
        **({FURTHER: further} if further else {}),
    )
    return found


def _of_metric(finished: Sequence[Observation], metric: str) -> list[Observation]:
    """The same experiments with this metric as their value; failures stay failures."""
    return [
        replace(each, value=None if each.value is None else each.metrics[metric], std_error=None)
        for each in finished
        if each.value is None or metric in each.metrics
    ]


@dataclass(frozen=True)
class _History:
    """What a generator is told: results, and what not to propose; and the keys of what is out of date."""

    finished: list[Observation]
    held: list[Params]
    outdated: set[str]


def _history(rows: Sequence[Experiment], provenance: Provenance | None) -> _History:
    finished: list[Observation] = []
    held: list[Params] = []
    outdated: set[str] = set()
    for row in rows:
        if _is_outdated(row, provenance):
            outdated.add(config_key(row.params))
        elif (
            row.state is State.COMPLETE
            or row.stop is not None
            or (row.state is State.FAILED and row.outcome not in NOT_THE_CONFIGURATION)
        ):
            finished.append(row.observation())
        else:
            held.append(row.params)
    return _History(finished, held, outdated)


def _is_outdated(row: Experiment, provenance: Provenance | None) -> bool:
    """Whether what it ended with came from other data, code or metric: a bug that failed it may be mended."""
    if row.state is State.COMPLETE:
        return row.provenance != provenance
    return row.state.finished and row.ended_on not in (None, provenance)


def _latest(registry: Registry, study: Study) -> Provenance | None:
    known = registry.provenances(study)
    return known[0][0] if known else None


def _write(
    registry: Registry, study: Study, suggestions: Sequence[Suggestion], again: set[str], run: Run | None
) -> list[Experiment]:
    """Write suggestions in their order, as repeats those whose keys are in `again`."""
    rows: list[Experiment] = []
    for is_repeat, some in groupby(suggestions, key=lambda one: config_key(one.params) in again):
        rows += registry.add(study, list(some), run=run, repeat=is_repeat)
    return rows
