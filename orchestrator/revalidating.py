"""`orchestrator revalidate`: the best of other data, code or metric, scored on what is there now.

They become experiments of their own, repeats that name the one before as their parent, so that they can be
compared with whatever is scored from now on. Then the best of all that is comparable are confirmed.
"""

from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING

from orchestrator.confirming import ConfirmResult, confirm_best, open_loaded, starting
from orchestrator.plan import StopReason
from orchestrator.progress import Display
from orchestrator.request import Request
from orchestrator.signals import StopRequest
from orchestrator.spill import Spill
from retrain.confirmation import Plan
from retrain.confirmed import find_confirmed_winner
from tuner.errors import NotFoundError
from tuner.experiment import Experiment, Provenance, State, Study, Suggestion
from tuner.registry.base import Registry, RegistryReader
from tuner.space import config_key

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["METHOD", "earlier_winners", "revalidate"]

METHOD = "revalidate"
"""The method of what is scored again."""


def revalidate(config: "Config", request: Request, *, display: Display, stop: StopRequest) -> ConfirmResult:
    """Score the `request.confirm` best of before on what is there now, and confirm the best of all.

    What waits in the study is run along. Errors as for `confirm`; besides:

    Raises:
        NotFoundError: nothing was scored on anything else.
    """
    from orchestrator.launch import conduct, deployed_in_space, start_pool
    from retrain.improvement import folds_of
    from retrain.phases import searching

    request = request.settled()
    config = searching(config)
    with open_loaded(config) as (registry, study, pipeline, data):
        provenance = pipeline.provenance()
        winners = earlier_winners(registry, study, provenance, request.confirm)
        if not winners:
            raise NotFoundError(
                f"All results of study {study.name!r} were scored on what is there now: there are none of"
                " before.",
                f"orchestrator confirm --top {request.confirm}{request.flags}",
            )
        n_new = _write(registry, study, provenance, winners, display)
        n_workers = request.n_workers_for(n_new + registry.counts(study)[State.WAITING] + 2)
        display.note(starting(n_workers, request))
        with start_pool(request, pipeline, data, n_workers) as pool:
            deployed = deployed_in_space(config, registry, pipeline)
            scored = conduct(
                registry,
                study,
                pipeline,
                pool,
                request.without_confirming(),
                deployed=deployed,
                display=display,
                stop=stop,
                spill=Spill.of(config.db, config.root),
            )
            if scored.reason is StopReason.DONE and scored.best is not None:
                return confirm_best(
                    registry,
                    study,
                    pipeline,
                    pool,
                    request,
                    deployed=deployed,
                    folds=folds_of(config),
                    display=display,
                    stop=stop,
                )
            return ConfirmResult(
                study=study,
                reason=scored.reason,
                plan=Plan((), {}, (), provenance),
                confirmed=None,
                looks=(),
                n_repeats=0,
                elapsed_s=scored.elapsed_s,
                command=request.command,
                flags=request.flags,
                exit_code=scored.exit_code,
            )


def earlier_winners(
    registry: RegistryReader, study: Study, provenance: Provenance, k: int
) -> list[Experiment]:
    """The `k` best of all that was scored on anything else, each configuration once.

    Scores of different origin are not compared: the winners of each come first, the latest origin before the
    others, then those in second place, and so on. Where there was a confirmation, who won it is the first.
    """
    found: dict[str, Experiment] = {}
    others = [each for each, n in registry.provenances(study) if n and each != provenance]
    for places in zip_longest(*(_ranked(registry, study, each, k) for each in others)):
        for each in places:
            if each is not None and len(found) < k:
                found.setdefault(config_key(each.params), each)
    return list(found.values())


def _ranked(registry: RegistryReader, study: Study, provenance: Provenance, k: int) -> Iterator[Experiment]:
    confirmed = find_confirmed_winner(registry, study, provenance)
    if confirmed is not None:
        yield confirmed
    yield from registry.best(study, 3 * k + 10, provenance)


def _write(
    registry: Registry, study: Study, provenance: Provenance, winners: list[Experiment], display: Display
) -> int:
    """Write those that neither have a result of this provenance nor wait for one; return how many."""
    pending = {
        config_key(each.params) for each in registry.experiments(study, states=[State.WAITING, State.RUNNING])
    }
    again = [
        Suggestion(each.params, METHOD, {"revalidates": each.public_id}, parent=each.public_id)
        for each in winners
        if config_key(each.params) not in pending
        and registry.find_scored(study, provenance, params=each.params) is None
    ]
    if again:
        registry.add(study, again, repeat=True)
    display.note(
        f"the best {len(winners)} of before: {len(again)} to be scored on what is there now,"
        f" {len(winners) - len(again)} scored there or waiting already"
    )
    return len(again)
