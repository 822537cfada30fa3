"""From a study's history to new candidate rows: the one place where a generator and the registry meet."""

from collections.abc import Sequence
from typing import Any

from tuner.experiment import Experiment, Observation, Outcome, Params, Provenance, State, Study, Suggestion
from tuner.generators import make_generator
from tuner.registry.base import Registry, Run, StudySpec
from tuner.space import SearchSpace

__all__ = ["open_study", "propose"]

_NOT_THE_CONFIGURATION = (Outcome.WORKER_LOST, Outcome.CANCELLED)
"""Ends that say nothing about the configuration: a lost machine, a user who stopped."""


def open_study(registry: Registry, spec: StudySpec, deployed: Params | None = None) -> Study:
    """Create or find the study, its first rows being the space's defaults and what is deployed.

    Args:
        registry: where it is stored.
        spec: its definition.
        deployed: the configuration in production, valid in the space, or None.

    Raises:
        MismatchError: the study is stored with another definition.
    """
    study = registry.open_study(spec)
    first = [Suggestion(SearchSpace.from_dict(study.space).defaults(), "default")]
    if deployed is not None:
        first.append(Suggestion(deployed, "deployed"))
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
    **options: Any,
) -> list[Experiment]:
    """Let a generator learn from the study, and write up to `n` new candidates as WAITING rows.

    Args:
        registry: where the study is.
        study: the study.
        method: name of the generator.
        n: how many; None for the method's own number (a grid's whole design).
        run: the invocation they belong to, if any.
        provenance: only results scored on this are learned from; by default, the latest of the study.
        options: further options of the generator.

    Returns:
        The new rows, in order. Fewer than `n`, down to none: the method has no more to propose.

    Raises:
        UsageError: unknown method or option.
    """
    rows = registry.experiments(study)
    if provenance is None:
        known = registry.provenances(study)
        provenance = known[0][0] if known else None
    generator = make_generator(
        method,
        SearchSpace.from_dict(study.space),
        seed=study.seed,
        direction=study.direction,
        baseline=study.baseline,
        n_asked=len(rows),
        **options,
    )
    generator.tell(_observations(rows, provenance), [row.params for row in rows if not row.state.finished])
    wanted = generator.default_n() if n is None else n
    return registry.add(study, generator.ask(wanted), run=run) if wanted else []


def _observations(rows: Sequence[Experiment], provenance: Provenance | None) -> list[Observation]:
    return [
        row.observation()
        for row in rows
        if (row.state is State.COMPLETE and row.provenance == provenance)
        or (row.state is State.FAILED and row.outcome not in _NOT_THE_CONFIGURATION)
    ]
