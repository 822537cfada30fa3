"""Tuning of one job as a study of its own, and what earlier tunings of the very same found.

The name of the study holds a hash of model, space, data, metric, folds and protocol: whatever changes starts
another one. A tuning that came to its end is an event; one that failed or was interrupted is none.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.comparison.design import METHODS, Design
from orchestrator.comparison.job import Job
from orchestrator.plan import StopReason
from retrain.pipeline import Pipeline
from tuner.experiment import Params, Provenance, State, Study
from tuner.propose import open_study
from tuner.registry.base import Registry, RegistryReader, StudySpec

__all__ = ["TUNED", "Tuned", "find_tuned", "finish_tuning", "study_of", "study_spec"]

TUNED = "tuned"
"""The kind of the event that ends a tuning."""

_N_EVENTS = 100_000
_ODD = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Tuned:
    """The end of one tuning.

    Attributes:
        study: its name.
        params: the best configuration; None where the tuning failed, and `why` says why.
        experiment: public id of the best.
        n_experiments: how many were run, the defaults included.
    """

    study: str
    params: Params | None
    experiment: str | None = None
    n_experiments: int = 0
    why: str = ""


def study_spec(design: Design, job: Job, pipeline: Pipeline) -> StudySpec:
    """What defines the study of a job."""
    asked, config = design.asked, design.configs[job.model]
    protocol = {
        "space": pipeline.space.to_dict(),
        "scored on": _listed(pipeline.provenance()),
        "method": METHODS[asked.method],
        "trials": asked.trials,
        "timeout": asked.timeout_s,
        "seed": config.study.seed,
    }
    digest = hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:10]
    on = job.training
    site = "" if on.site is None else "-" + _ODD.sub("_", design.sites.names[on.site])[:12]
    return StudySpec(
        name=f"compare-{job.model}-{on.kind}{site}-{job.size:g}-{digest}",
        space=pipeline.space.to_dict(),
        metric=pipeline.metric,
        direction=pipeline.direction,
        baseline=pipeline.space.defaults(),
        seed=config.study.seed,
    )


def study_of(registry: Registry, spec: StudySpec) -> Study:
    """Create or find the study; its first row are the defaults."""
    return open_study(registry, spec)


def find_tuned(registry: RegistryReader) -> dict[str, Tuned]:
    """What earlier tunings came to, by the name of their study."""
    found: dict[str, Tuned] = {}
    for event in reversed(registry.events(_N_EVENTS, kind=TUNED)):
        data: Mapping[str, Any] = event.data
        found[data["study"]] = Tuned(
            **{key: data[key] for key in ("study", "params", "experiment", "n_experiments")}
        )
    return found


def finish_tuning(
    registry: Registry, study: Study, provenance: Provenance, reason: StopReason, why: str = ""
) -> Tuned:
    """Write down what a tuning found, unless it failed: then nothing is kept, and the next call goes on.

    Args:
        registry: where the study is.
        study: of the tuning.
        provenance: what it was scored on.
        reason: why it ended.
        why: what it failed with, where that is known.
    """
    counts = registry.counts(study)
    n = sum(counts[state] for state in State if state.finished)
    best = next(iter(registry.best(study, 1, provenance)), None)
    candidates = [
        each for each in registry.experiments(study, states=[State.COMPLETE]) if each.method != "default"
    ]
    if reason not in (StopReason.DONE, StopReason.TIMEOUT) or best is None or not candidates:
        ended = "its time was over before a candidate was scored" if reason is StopReason.TIMEOUT else ""
        why = why or ended or "no candidate could be scored"
        return Tuned(study.name, None, None, n, why)
    found = Tuned(study.name, dict(best.params), best.public_id, n)
    registry.log(
        TUNED,
        f"study {study.name!r}: {best.public_id} is the best of {n}",
        salience=0.5,
        study=found.study,
        params=dict(best.params),
        experiment=found.experiment,
        n_experiments=n,
    )
    return found


def _listed(provenance: Provenance) -> list[str]:
    return [provenance.data, provenance.code, provenance.metric]
