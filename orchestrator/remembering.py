"""Where a run and the memory meet: what it starts from, and what it leaves behind."""

from collections.abc import Sequence

from orchestrator.progress import Display
from orchestrator.request import Request
from retrain.pipeline import Pipeline
from tuner.experiment import Provenance, Study
from tuner.generators import learns_from_earlier
from tuner.patterns import Match
from tuner.recollect import Recollected, adopt, judge, name_of, recollect, remember, similar
from tuner.registry.base import Registry

__all__ = ["keep_in_memory", "start_from_memory"]


def start_from_memory(
    registry: Registry,
    study: Study,
    pipeline: Pipeline,
    request: Request,
    provenance: Provenance,
    display: Display,
) -> Recollected | None:
    """What the study starts from besides what was named, and say so; None where it does not use the memory.

    Where the memory is off, it is only said that similar studies are there, once, before the first result.
    """
    if request.method is None or not learns_from_earlier(request.method, study.goals):
        if request.method is not None and request.memory is not None:
            why = "with further objectives or limits" if study.goals else f"by method {request.method}"
            display.note(f"nothing is learned from memory {why}")
        return None
    if request.memory is None:
        if not request.warm_start and request.hints_at_memory:
            _hint(registry, study, pipeline, provenance, display)
        return None
    is_first = not recollect(registry, study).patterns
    found = adopt(registry, study, provenance, pipeline.traits(), threshold=request.memory)
    if not found.patterns:
        display.note("no similar study is remembered, so that this one starts from nothing")
        return None
    display.note(f"{'starts' if is_first else 'started'} from what {found}")
    return found


def _hint(
    registry: Registry, study: Study, pipeline: Pipeline, provenance: Provenance, display: Display
) -> None:
    if any(known == provenance for known, _ in registry.provenances(study)) or not registry.patterns():
        return
    matches = similar(registry, study, provenance, pipeline.traits())
    if matches:
        display.note(f"{_remembered(matches)}: --memory would start from what was learned there")


def _remembered(matches: Sequence[Match]) -> str:
    names = ", ".join(name_of(each.pattern) for each in matches)
    return f"{len(matches)} similar {'study is' if len(matches) == 1 else 'studies are'} remembered ({names})"


def keep_in_memory(registry: Registry, study: Study, pipeline: Pipeline, provenance: Provenance) -> None:
    """Store what worked best in a study that had a success, and judge what it started from."""
    remember(registry, study, provenance, pipeline.traits())
    judge(registry, study, provenance)
