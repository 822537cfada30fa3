"""Earlier studies, read out of the registry for a warm start."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tuner.errors import NotFoundError, UsageError, did_you_mean
from tuner.experiment import Experiment, Outcome, Provenance, State, Study
from tuner.memory import Earlier
from tuner.registry.base import RegistryReader
from tuner.space import SearchSpace

__all__ = ["NOT_THE_CONFIGURATION", "Recalled", "recall"]

NOT_THE_CONFIGURATION = (Outcome.WORKER_LOST, Outcome.CANCELLED)
"""Ends that say nothing about the configuration: a lost machine, a user who stopped."""

_STAMP = "earlier"
_ENDED = (State.COMPLETE, State.PRUNED, State.FAILED)


@dataclass(frozen=True)
class Recalled:
    """Earlier studies, and how many finished experiments each of them had when it was first used."""

    earlier: Sequence[Earlier]
    n_finished: Mapping[str, int]

    @property
    def stamp(self) -> dict[str, Mapping[str, int]]:
        """What the reason of a suggestion must carry that was made from them."""
        return {_STAMP: self.n_finished} if self.n_finished else {}


def recall(
    registry: RegistryReader, names: Iterable[str], *, own: str, rows: Sequence[Experiment] = ()
) -> Recalled:
    """Read what earlier studies observed, as it was when they were first used here.

    Of each study the results of its latest data, code and metric are taken, since values of others cannot be
    compared with them; what was pruned counts as in its own study, by where it stood. A study that grows
    meanwhile changes nothing: what was proposed from it carries how many of its experiments, in the order in
    which they finished, it was made from.

    Args:
        registry: where the studies are.
        names: of the studies; repeats count once.
        own: name of the study that is to learn from them.
        rows: what that study has, in the order of writing.

    Raises:
        NotFoundError: there is no such study, or none of its experiments has succeeded.
        UsageError: a study would start from itself.
    """
    earlier: list[Earlier] = []
    n_finished: dict[str, int] = {}
    for name in dict.fromkeys(names):
        study = _get_study(registry, name, own)
        finished = registry.experiments(study, states=_ENDED)
        finished.sort(key=lambda each: (each.finished_at or 0.0, each.id))
        n_finished[name] = _n_used_before(rows, name, len(finished))
        usable = _comparable(finished[: n_finished[name]])
        if not usable:
            raise NotFoundError(
                f"Study {name!r} has no result to start from.",
                f"Leave it out, or run it first: orchestrator --study {shlex.quote(name)}",
            )
        earlier.append(
            Earlier(
                space=SearchSpace.from_dict(study.space),
                direction=study.direction,
                observations=[each.observation() for each in usable],
                name=name,
                ids=[each.public_id for each in usable],
            )
        )
    return Recalled(earlier, n_finished)


def _get_study(registry: RegistryReader, name: str, own: str) -> Study:
    if name == own:
        raise UsageError(
            f"Study {name!r} cannot have a warm start from itself: it learns from its own results anyway.",
            "Name an earlier study, or leave the warm start out.",
        )
    if (study := registry.find_study(name)) is not None:
        return study
    known = [each.name for each in registry.studies() if each.name != own]
    raise NotFoundError(
        f"There is no study {name!r} to start from.{did_you_mean(name, known)}",
        f"This registry has {', '.join(known)}." if known else "This registry has no other study.",
    )


def _n_used_before(rows: Iterable[Experiment], name: str, n_finished: int) -> int:
    """How many finished experiments of the earlier study were used when it was first used here."""
    for row in rows:
        used = row.reason.get(_STAMP)
        if isinstance(used, Mapping) and isinstance(used.get(name), int):
            return int(used[name])
    return n_finished


def _comparable(finished: Sequence[Experiment]) -> list[Experiment]:
    """Those of the latest provenance that say something; none where none succeeded."""
    complete = [each for each in finished if each.state is State.COMPLETE]
    if not complete:
        return []
    latest = complete[-1].provenance
    return [
        each
        for each in finished
        if (each.provenance == latest if each.state is State.COMPLETE else _is_told(each, latest))
    ]


def _is_told(ended: Experiment, latest: Provenance | None) -> bool:
    """Whether a failure, or where a pruned one stood, says something of the configuration."""
    return ended.outcome not in NOT_THE_CONFIGURATION and ended.ended_on in (None, latest)
