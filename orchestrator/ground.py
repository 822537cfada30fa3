"""What a study stands on: results scored on other data, code or metric are kept, and never compared."""

from orchestrator.progress import Display
from tuner.experiment import Provenance, Study, Suggestion
from tuner.registry.base import Registry

__all__ = ["renew_baseline"]

_REFERENCES = ("default", "deployed")
_PARTS = {
    "data": "other data",
    "code": "other code",
    "metric": "another definition of the metric or splits",
}


def renew_baseline(registry: Registry, study: Study, provenance: Provenance, display: Display) -> None:
    """Have the reference rows of a study scored again where none of its results can be compared any more.

    Nothing is written while there are no results, some of them are of this provenance, or those rows wait.
    """
    known = registry.provenances(study)
    if not known or any(each == provenance for each, _ in known):
        return
    n_results = sum(count for _, count in known)
    what = _difference(known[0][0], provenance)
    display.note(
        f"{n_results} earlier result{'s' if n_results > 1 else ''} of study {study.name!r} came from {what}: "
        "kept, but not compared; the baseline is scored again"
    )
    rows = [e for e in registry.experiments(study) if e.method in _REFERENCES]
    pending = {e.method for e in rows if not e.state.finished}
    again = {e.method: Suggestion(e.params, e.method) for e in rows if e.method not in pending}
    if again:
        registry.add(study, list(again.values()), repeat=True)
        registry.log("provenance", f"study {study.name!r} goes on with {what}")


def _difference(old: Provenance, new: Provenance) -> str:
    return " and ".join(words for name, words in _PARTS.items() if getattr(old, name) != getattr(new, name))
