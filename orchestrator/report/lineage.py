"""`show --lineage`: where an experiment came from, and what became of it, in one place."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from orchestrator.report.rows import aligned, provenance_json
from retrain.page import Page
from retrain.tables import number, plus_minus, render, timestamp, to_json
from tuner.experiment import Experiment, Study
from tuner.registry.base import Deployment, ModelVersion, RegistryReader, Run

__all__ = ["lineage"]

_VERSION_COLUMNS = ["version", "state", "made", "by", "commit"]
_DEPLOYMENT_COLUMNS = ["at", "action", "from", "to", "who", "reason"]


def lineage(
    registry: RegistryReader, pipeline: str, prefix: str, *, output: str = "table", colour: bool = False
) -> str:
    """Trace the experiment whose id starts with `prefix`.

    From data, code and space, by whom and why it was proposed, and its run and result, to the versions of
    `pipeline` that hold its hyperparameters, and their deployments.

    Raises:
        NotFoundError: no experiment does, or several do.
    """
    document = _traced(registry, pipeline, registry.get_experiment(prefix))
    if output == "json":
        return to_json(document)
    if output == "csv":
        return render(_flat(document), ["field", "value"], "csv")
    page = Page(output, colour)
    page.lines(f"Lineage of {document['experiment']}", *aligned(_facts(document)))
    versions = [{**each, "commit": _commit(each["code"])} for each in document["versions"]]
    page.table("Model versions", versions, _VERSION_COLUMNS, keys=("version",))
    page.table("Deployments", document["deployments"], _DEPLOYMENT_COLUMNS, keys=("at",))
    if not versions:
        page.lines("Model versions", f"None of {pipeline!r} holds its hyperparameters.")
    return page.text()


def _traced(registry: RegistryReader, pipeline: str, experiment: Experiment) -> dict[str, Any]:
    study = next(each for each in registry.studies() if each.id == experiment.study_id)
    run, provenance = registry.find_run(experiment), experiment.provenance
    repeats = [
        each for each in registry.confirmations(study, provenance) if each.experiment == experiment.public_id
    ]
    versions = [each for each in registry.versions(pipeline) if _is_of(each, experiment)]
    numbers = {each.number for each in versions}
    deployments = [each for each in registry.deployments(pipeline) if each.to_version in numbers]
    return {
        "experiment": experiment.public_id,
        "study": study.name,
        "scored_on": provenance and provenance_json(provenance),
        "space": {"sha256": _hash_of(study), "parameters": list(experiment.params)},
        "method": experiment.method,
        "reason": dict(experiment.reason),
        "ancestors": _ancestors(registry, experiment),
        "params": dict(experiment.params),
        "seed": experiment.seed,
        "run": run and _run_json(run),
        "state": experiment.state.value,
        "metric": study.metric,
        "value": experiment.value,
        "std_error": experiment.std_error,
        "finished_at": timestamp(experiment.finished_at),
        "confirmed_values": [each.value for each in repeats],
        "versions": [_version_json(each, experiment) for each in versions],
        "deployments": [_deployment_json(each) for each in deployments],
    }


def _is_of(version: ModelVersion, experiment: Experiment) -> bool:
    """Whether it was deployed from the experiment, or is a later fit with the same hyperparameters."""
    if version.experiment is not None:
        return version.experiment == experiment.public_id
    return dict(version.params) == dict(experiment.params)


def _hash_of(study: Study) -> str:
    return hashlib.sha256(json.dumps(study.space, sort_keys=True, default=dict).encode()).hexdigest()


def _ancestors(registry: RegistryReader, experiment: Experiment) -> list[str]:
    """Its parent, that one's parent and so on; each once, whatever the rows say."""
    found: list[str] = []
    while experiment.parent is not None and experiment.parent not in found:
        found.append(experiment.parent)
        experiment = registry.get_experiment(experiment.parent)
    return found


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "started_at": timestamp(run.started_at),
        "method": run.method,
        "n_wanted": run.n_wanted,
        **{key: run.info.get(key) for key in ("argv", "git", "python", "libraries", "host")},
    }


def _version_json(version: ModelVersion, experiment: Experiment) -> dict[str, Any]:
    manifest = version.manifest
    return {
        "version": version.number,
        "state": version.state,
        "made": timestamp(version.created_at),
        "by": "the experiment" if version.experiment == experiment.public_id else "the same hyperparameters",
        "folder": f"{version.number:06d}",
        "scored_on": manifest.get("provenance"),
        "code": manifest.get("code"),
        "libraries": manifest.get("libraries"),
    }


def _deployment_json(entry: Deployment) -> dict[str, Any]:
    return {
        "at": timestamp(entry.at),
        "action": entry.action,
        "from": entry.from_version,
        "to": entry.to_version,
        "who": entry.who,
        "reason": entry.reason,
    }


def _facts(document: Mapping[str, Any]) -> dict[str, str | None]:
    scored_on, run = document["scored_on"] or {}, document["run"] or {}
    confirmed = document["confirmed_values"]
    mean = sum(confirmed) / len(confirmed) if confirmed else 0.0
    libraries = run.get("libraries") or {}
    return {
        "study": document["study"],
        "data": scored_on.get("data"),
        "code": scored_on.get("code"),
        "measured": scored_on.get("metric"),
        "space": f"sha256:{document['space']['sha256'][:16]}",
        "proposed by": document["method"],
        "because": ", ".join(f"{key} {_brief(value)}" for key, value in document["reason"].items()),
        "derived from": " <- ".join(document["ancestors"]),
        "run": f"{run['id']} of {run['started_at']}" if run else "none: it was written outside of any",
        "command": " ".join(run.get("argv") or ()),
        "commit": _commit(run.get("git")),
        "libraries": ", ".join(f"{name} {version}" for name, version in libraries.items()),
        "host": run.get("host"),
        "seed": str(document["seed"]),
        "state": document["state"],
        document["metric"]: plus_minus(document["value"], document["std_error"]),
        "finished": document["finished_at"],
        "confirmed": f"{number(mean)}, the mean of {len(confirmed)}" if confirmed else "",
    }


def _commit(git: Mapping[str, Any] | None) -> str:
    """A commit in short, with the hash of what was changed since."""
    if not git:
        return ""
    changed = f" and changes {git['diff'][:12]}" if git.get("diff") else " and new files"
    return f"{git['commit'][:12]}{changed if git.get('dirty') else ''}"


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_brief(each)}" for key, each in value.items())
    return number(value) if isinstance(value, float) else str(value)


def _flat(document: Mapping[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    """Every field on a row of its own, nested ones by dotted name."""
    rows: list[dict[str, Any]] = []
    for key, value in document.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            rows += [row for i, each in enumerate(value) for row in _flat(each, f"{prefix}{key}.{i}.")]
        elif isinstance(value, list):
            rows.append({"field": f"{prefix}{key}", "value": " ".join(map(str, value))})
        else:
            rows.append({"field": f"{prefix}{key}", "value": value})
    return rows
