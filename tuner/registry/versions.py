"""Model versions, the ledger of deployments, and the log of events. Functions of an open connection."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from tuner.errors import MismatchError, NotFoundError, UsageError
from tuner.experiment import Params
from tuner.registry import codec
from tuner.registry.base import Deployment, Event, ModelVersion, VersionState
from tuner.registry.queries import get_experiment
from tuner.registry.schema import deployments, events, experiments, model_versions

__all__ = [
    "activate",
    "deployments_of",
    "discard",
    "find_active",
    "latest_events",
    "log",
    "stage",
    "versions_of",
]

_VERSIONS: Select[Any] = select(model_versions, experiments.c.public_id).outerjoin(
    experiments, experiments.c.id == model_versions.c.experiment_id
)
_DEPLOYMENTS: Select[Any] = (
    select(deployments, experiments.c.public_id)
    .join(model_versions, model_versions.c.number == deployments.c.to_version)
    .outerjoin(experiments, experiments.c.id == model_versions.c.experiment_id)
)


def stage(
    connection: Connection,
    pipeline: str,
    params: Params,
    *,
    manifest: Mapping[str, Any],
    experiment: str | None,
    now: float,
) -> ModelVersion:
    """See `Registry.stage_version`."""
    number = connection.execute(
        insert(model_versions)
        .values(
            pipeline=pipeline,
            state=VersionState.STAGED,
            params=codec.dump(codec.plain_params(params)),
            manifest=codec.dump(manifest),
            experiment_id=None if experiment is None else get_experiment(connection, experiment).id,
            created_at=now,
        )
        .returning(model_versions.c.number)
    ).scalar_one()
    return _get(connection, number)


def activate(
    connection: Connection,
    version: ModelVersion,
    *,
    action: str,
    who: str,
    reason: str,
    manifest: Mapping[str, Any] | None,
    gates: Sequence[Mapping[str, Any]],
    expect_active: int | None,
    now: float,
) -> Deployment:
    """See `Registry.activate`."""
    pipeline = _get(connection, version.number).pipeline
    active = find_active(connection, pipeline)
    before = None if active is None else active.number
    if before != expect_active:
        raise MismatchError(
            f"The version in production of {pipeline!r} must still be {_spoken(expect_active)}, but it is"
            f" {_spoken(before)} by now.",
            "Look at `retrain --history`, then run the same command again.",
        )
    if before == version.number:
        raise MismatchError(f"Version {before} of {pipeline!r} is already in production.")
    connection.execute(
        update(model_versions).where(model_versions.c.number == before).values(state=VersionState.RETIRED)
    )
    values: dict[str, Any] = {"state": VersionState.ACTIVE}
    if manifest is not None:
        values["manifest"] = codec.dump(manifest)
    connection.execute(update(model_versions).where(model_versions.c.number == version.number).values(values))
    id_ = connection.execute(
        insert(deployments)
        .values(
            pipeline=pipeline,
            action=action,
            from_version=before,
            to_version=version.number,
            who=codec.clean_text(who),
            reason=codec.clean_text(reason),
            gates=codec.dump(list(gates)),
            at=now,
        )
        .returning(deployments.c.id)
    ).scalar_one()
    return codec.read(
        codec.to_deployment, connection.execute(_DEPLOYMENTS.where(deployments.c.id == id_)).one()
    )


def _spoken(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def discard(connection: Connection, version: ModelVersion) -> None:
    """See `Registry.discard_version`."""
    stored = _get(connection, version.number)
    if stored.state != VersionState.STAGED:
        raise MismatchError(
            f"Only a staged version can be discarded, but version {stored.number} is {stored.state}."
        )
    connection.execute(delete(model_versions).where(model_versions.c.number == stored.number))


def _get(connection: Connection, number: int) -> ModelVersion:
    row = connection.execute(_VERSIONS.where(model_versions.c.number == number)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no version {number}.", "List them with: retrain --history")
    return codec.read(codec.to_model_version, row)


def find_active(connection: Connection, pipeline: str) -> ModelVersion | None:
    """See `Registry.find_active`."""
    row = connection.execute(
        _VERSIONS.where(model_versions.c.pipeline == pipeline, model_versions.c.state == VersionState.ACTIVE)
    ).one_or_none()
    return None if row is None else codec.read(codec.to_model_version, row)


def versions_of(connection: Connection, pipeline: str) -> list[ModelVersion]:
    """See `Registry.versions`."""
    rows = connection.execute(
        _VERSIONS.where(model_versions.c.pipeline == pipeline).order_by(model_versions.c.number)
    )
    return [codec.read(codec.to_model_version, row) for row in rows]


def deployments_of(connection: Connection, pipeline: str) -> list[Deployment]:
    """See `Registry.deployments`."""
    rows = connection.execute(
        _DEPLOYMENTS.where(deployments.c.pipeline == pipeline).order_by(deployments.c.id)
    )
    return [codec.read(codec.to_deployment, row) for row in rows]


def log(
    connection: Connection, kind: str, message: str, salience: float, data: Mapping[str, Any], now: float
) -> None:
    """See `Registry.log`."""
    if not 0 <= salience <= 1:
        raise UsageError(f"`0 <= salience <= 1` must hold for an event, but got {salience!r}.")
    connection.execute(
        insert(events).values(
            at=now,
            kind=kind,
            message=codec.clean_text(message),
            salience=salience,
            data=codec.dump(data),
        )
    )


def latest_events(connection: Connection, limit: int) -> list[Event]:
    """See `Registry.events`."""
    rows = connection.execute(select(events).order_by(events.c.id.desc()).limit(limit))
    return [codec.read(codec.to_event, row) for row in rows]
