"""Writing model versions, the ledger, and the log of events. Functions of an open connection."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from tuner.errors import MismatchError, UsageError
from tuner.experiment import Params
from tuner.registry import codec
from tuner.registry.base import Deployment, ModelVersion, VersionState
from tuner.registry.lookups import find_active, get_deployment, get_version
from tuner.registry.queries import get_experiment
from tuner.registry.schema import deployments, events, model_versions
from tuner.registry.sql import reading

__all__ = ["activate", "discard", "log", "stage"]


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
            experiment_id=None if experiment is None else get_experiment(reading(connection), experiment).id,
            created_at=now,
        )
        .returning(model_versions.c.number)
    ).scalar_one()
    return get_version(reading(connection), number)


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
    pipeline = get_version(reading(connection), version.number).pipeline
    active = find_active(reading(connection), pipeline)
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
    return get_deployment(reading(connection), id_)


def _spoken(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def discard(connection: Connection, version: ModelVersion) -> None:
    """See `Registry.discard_version`."""
    stored = get_version(reading(connection), version.number)
    if stored.state != VersionState.STAGED:
        raise MismatchError(
            f"Only a staged version can be discarded, but version {stored.number} is {stored.state}."
        )
    connection.execute(delete(model_versions).where(model_versions.c.number == stored.number))


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
