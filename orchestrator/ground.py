"""What a study stands on: results scored on other data, code or metric are kept, and never compared."""

from collections import defaultdict
from collections.abc import Sequence

from orchestrator.progress import Display
from retrain.comparable import difference
from tuner.experiment import Experiment, Params, Provenance, State, Study, Suggestion
from tuner.registry.base import Registry
from tuner.space import config_key

__all__ = ["is_outdated", "renew_references"]


def is_outdated(experiment: Experiment, provenance: Provenance) -> bool:
    """Whether its result came from other data, code or metric than those of now."""
    if experiment.stop is not None:
        return experiment.ended_on != provenance
    return experiment.state is State.COMPLETE and experiment.provenance != provenance


def renew_references(
    registry: Registry, study: Study, provenance: Provenance, deployed: Params | None, display: Display
) -> None:
    """Have defaults, baseline and what is deployed scored again where their results cannot be compared.

    Each is written once as a repeat: not where it waits, or has a result of this provenance. One that failed
    is tried again where it failed on another, or while the study has no result of this provenance: what broke
    it may have been mended.
    """
    known = registry.provenances(study)
    fresh = all(each != provenance for each, _ in known)
    again = _to_score(registry.experiments(study), study, provenance, deployed, failed_too=fresh)
    what = difference(known[0][0], provenance) if known else ""
    if again and not known:
        display.note(f"nothing succeeded yet in study {study.name!r}: {_references(len(again))} tried again")
    elif fresh and known:
        n = sum(count for _, count in known)
        display.note(
            f"{n} earlier result{'s' if n > 1 else ''} of study {study.name!r} came from {what}: "
            f"kept, but not compared; {_references(len(again))} scored again"
        )
    elif again:
        display.note(f"{_references(len(again))} scored again, to be compared with what is scored now")
    if again:
        registry.add(study, again, repeat=True)
        if fresh and known:
            registry.log("provenance", f"study {study.name!r} goes on with {what}")


def _to_score(
    rows: Sequence[Experiment],
    study: Study,
    provenance: Provenance,
    deployed: Params | None,
    *,
    failed_too: bool,
) -> list[Suggestion]:
    references = [Suggestion(row.params, "default") for row in rows if row.method == "default"][:1]
    references += [Suggestion(params, "deployed") for params in (study.baseline, deployed) if params]
    by_key: dict[str, list[Experiment]] = defaultdict(list)
    for row in rows:
        by_key[config_key(row.params)].append(row)

    def lacks(tried: Sequence[Experiment]) -> bool:
        if not tried or any(not e.state.finished or e.provenance == provenance for e in tried):
            return False
        last = tried[-1]
        return failed_too or last.state is State.COMPLETE or last.ended_on not in (None, provenance)

    unique: dict[str, Suggestion] = {}
    for each in references:
        unique.setdefault(config_key(each.params), each)
    return [each for key, each in unique.items() if lacks(by_key[key])]


def _references(n: int) -> str:
    return "the baseline is" if n < 2 else "the baseline and what is deployed are"
