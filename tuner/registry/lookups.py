"""Questions about studies, runs, versions, the ledger, looks at the holdout and events.

Functions of a `Read`, as in `queries`.
"""

from tuner.errors import NotFoundError
from tuner.experiment import Study
from tuner.registry import codec
from tuner.registry.records import (
    Deployment,
    Event,
    HoldoutRead,
    Lesson,
    ModelVersion,
    Pattern,
    Run,
    VersionState,
)
from tuner.registry.sql import Read

__all__ = [
    "deployments_of",
    "find_active",
    "find_study",
    "get_deployment",
    "get_run",
    "get_version",
    "holdout_reads_of",
    "latest_events",
    "lessons_of",
    "list_studies",
    "patterns_of",
    "versions_of",
]

_STUDIES = "SELECT id, name, space, metric, direction, baseline, seed, created_at, goals FROM studies"
_RUNS = """
    SELECT r.id, r.study_id, r.method, r.n_wanted, r.seed, r.started_at, r.ended_at, r.info, owners.token
    FROM runs AS r
    JOIN owners ON owners.id = r.owner_id"""
_VERSIONS = """
    SELECT v.number, v.pipeline, v.state, v.params, v.manifest, v.created_at, e.public_id
    FROM model_versions AS v
    LEFT JOIN experiments AS e ON e.id = v.experiment_id"""
_DEPLOYMENTS = """
    SELECT d.id, d.pipeline, d.action, d.from_version, d.to_version, d.who, d.reason, d.at, d.gates,
           e.public_id
    FROM deployments AS d
    JOIN model_versions AS v ON v.number = d.to_version
    LEFT JOIN experiments AS e ON e.id = v.experiment_id"""
_HOLDOUT_READS = """
    SELECT h.pipeline, h.version, h.params, h.metrics, h.intervals, h.n_rows, h.data, h.code, h.metric, h.why,
           h.who, h.at, e.public_id
    FROM holdout_reads AS h
    LEFT JOIN experiments AS e ON e.id = h.experiment_id"""
_PATTERNS = """
    SELECT p.id, p.traits, p.params, p.value, p.created_at, e.public_id, t.name AS study,
           v.data AS on_data, v.code AS on_code, v.metric AS on_metric
    FROM patterns AS p
    JOIN experiments AS e ON e.id = p.experiment_id
    JOIN studies AS t ON t.id = e.study_id
    JOIN provenances AS v ON v.id = e.provenance_id"""
_LESSONS = """
    SELECT l.pattern_id, l.kind, l.weight, l.why, l.at, t.name AS study
    FROM lessons AS l
    LEFT JOIN studies AS t ON t.id = l.study_id"""
_EVENTS = "SELECT at, kind, message, salience, data FROM events"


def find_study(read: Read, name: str) -> Study | None:
    """See `RegistryReader.find_study`."""
    rows = read(f"{_STUDIES} WHERE name = ?", [name])
    return codec.read(codec.to_study, rows[0]) if rows else None


def list_studies(read: Read) -> list[Study]:
    """See `RegistryReader.studies`."""
    return [codec.read(codec.to_study, row) for row in read(f"{_STUDIES} ORDER BY id", [])]


def get_run(read: Read, id_: int) -> Run:
    """The run with this row id, which must be there."""
    [row] = read(f"{_RUNS} WHERE r.id = ?", [id_])
    return codec.read(codec.to_run, row)


def get_version(read: Read, number: int) -> ModelVersion:
    """The version of this number.

    Raises:
        NotFoundError: there is none.
    """
    rows = read(f"{_VERSIONS} WHERE v.number = ?", [number])
    if not rows:
        raise NotFoundError(f"There is no version {number}.", "List them with: retrain --history")
    return codec.read(codec.to_model_version, rows[0])


def find_active(read: Read, pipeline: str) -> ModelVersion | None:
    """See `RegistryReader.find_active`."""
    # The state stands in the text, since SQLite looks there for a partial index that fits.
    rows = read(f"{_VERSIONS} WHERE v.pipeline = ? AND v.state = '{VersionState.ACTIVE}'", [pipeline])
    return codec.read(codec.to_model_version, rows[0]) if rows else None


def versions_of(read: Read, pipeline: str) -> list[ModelVersion]:
    """See `RegistryReader.versions`."""
    rows = read(f"{_VERSIONS} WHERE v.pipeline = ? ORDER BY v.number", [pipeline])
    return [codec.read(codec.to_model_version, row) for row in rows]


def get_deployment(read: Read, id_: int) -> Deployment:
    """The entry of the ledger with this row id, which must be there."""
    [row] = read(f"{_DEPLOYMENTS} WHERE d.id = ?", [id_])
    return codec.read(codec.to_deployment, row)


def deployments_of(read: Read, pipeline: str) -> list[Deployment]:
    """See `RegistryReader.deployments`."""
    rows = read(f"{_DEPLOYMENTS} WHERE d.pipeline = ? ORDER BY d.id", [pipeline])
    return [codec.read(codec.to_deployment, row) for row in rows]


def holdout_reads_of(read: Read, pipeline: str) -> list[HoldoutRead]:
    """See `RegistryReader.holdout_reads`."""
    rows = read(f"{_HOLDOUT_READS} WHERE h.pipeline = ? ORDER BY h.id", [pipeline])
    return [codec.read(codec.to_holdout_read, row) for row in rows]


def patterns_of(read: Read) -> list[Pattern]:
    """See `RegistryReader.patterns`."""
    return [codec.read(codec.to_pattern, row) for row in read(f"{_PATTERNS} ORDER BY p.id", [])]


def lessons_of(read: Read) -> list[Lesson]:
    """See `RegistryReader.lessons`."""
    return [codec.read(codec.to_lesson, row) for row in read(f"{_LESSONS} ORDER BY l.id", [])]


def latest_events(read: Read, limit: int, kind: str | None) -> list[Event]:
    """See `RegistryReader.events`."""
    of_kind, given = ("", []) if kind is None else (" WHERE kind = ?", [kind])
    rows = read(f"{_EVENTS}{of_kind} ORDER BY id DESC LIMIT ?", [*given, limit])
    return [codec.read(codec.to_event, row) for row in rows]
