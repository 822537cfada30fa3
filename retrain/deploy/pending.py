"""Finishing what a killed process left: at the start of every command that deploys."""

from retrain.config import Config
from retrain.deploy.files import digest
from retrain.deploy.takeover import target_after
from retrain.deploy.target_file import TargetFile
from retrain.deploy.versions import VersionStore
from tuner.errors import ConfigError, MismatchError
from tuner.registry.base import ModelVersion, Registry, VersionState

__all__ = ["edits", "finish_pending", "give_up", "refuse_edits"]


def finish_pending(config: Config, registry: Registry) -> list[str]:
    """Discard half-made versions, and bring pointer and target file into agreement with the active version.

    A target file whose hyperparameters were edited by hand is left as it is. Safe while other processes
    deploy: their half-made work is behind the lock that is taken here.

    Returns:
        What was done or must be known, one sentence each.

    Raises:
        BusyError: another process is deploying, for longer than the lock is waited for.
        StorageError: the disk refuses.
    """
    store = VersionStore.of(config)
    if not store.exists() and not registry.versions(config.name):
        return []
    with store.lock():
        return _finish(config, registry, store)


def give_up(registry: Registry, store: VersionStore, version: ModelVersion) -> None:
    """Remove a version that is still staged, directory first, so that the row always leads to it."""
    for row in registry.versions(version.pipeline):
        if row.number == version.number and row.state == VersionState.STAGED:
            store.remove(row)
            registry.discard_version(row)


def _finish(config: Config, registry: Registry, store: VersionStore) -> list[str]:
    notes = []
    store.clean()
    for version in registry.versions(config.name):
        if version.state == VersionState.STAGED:
            give_up(registry, store, version)
            notes.append(f"discarded version {version.number}, which a killed process had not finished")
    active = registry.find_active(config.name)
    if active is not None:
        if store.point_at(active):
            notes.append(f"current.json points at version {active.number} again")
        target = TargetFile.of(config)
        if target is not None:
            target.clean()
            notes += _align(target, active, registry, store)
    store.retract(config.name)
    return notes


def _align(target: TargetFile, active: ModelVersion, registry: Registry, store: VersionStore) -> list[str]:
    """Write the target file where a process died before it could; never over a user's own hyperparameters."""
    present = target.read()
    try:
        if _agrees(target, present, active):
            return []
        if store.announced(active) != (target.name, digest(present)):
            return [_edited(target, active)]
        versions = {version.number: version for version in registry.versions(active.pipeline)}
        earlier = versions.get(registry.deployments(active.pipeline)[-1].from_version or 0)
        target.write(target_after(present, earlier, active, versions, target, store), "target")
    except ConfigError as error:
        return [f"{target.name} could not be brought to version {active.number}: {error}"]
    return [f"{target.name} was brought to version {active.number}, which a killed process had deployed"]


def edits(target: TargetFile, present: bytes | None, active: ModelVersion) -> tuple[str, ...]:
    """What to tell of a target file whose hyperparameters were edited by hand; nothing of any other.

    Raises:
        ConfigError: the content does not parse, or is ambiguous.
    """
    return () if _agrees(target, present, active) else (_edited(target, active),)


def refuse_edits(target: TargetFile, present: bytes | None, active: ModelVersion) -> None:
    """Nothing unattended overwrites what somebody set by hand, perhaps in an emergency.

    Raises:
        MismatchError: the hyperparameters in the target file were edited since `active` was deployed.
        ConfigError: the content does not parse, or is ambiguous.
    """
    if not _agrees(target, present, active):
        raise MismatchError(
            f"{target.name!r} must hold the hyperparameters of version {active.number}, but was edited by"
            " hand since.",
            "Deploy the edit with --apply-hp, or overwrite it with --force.",
        )


def _edited(target: TargetFile, active: ModelVersion) -> str:
    number = active.number
    return f"{target.name} was edited by hand since version {number}, which still counts as what is deployed"


def _agrees(target: TargetFile, present: bytes | None, active: ModelVersion) -> bool:
    """Whether the target file holds what the active version says, whatever else was edited in it.

    Raises:
        ConfigError: the content does not parse, or is ambiguous.
    """
    entry = active.manifest.get("target")
    if entry is None or entry["file"] != target.name:
        return True  # it was deployed without this file; the next deployment writes it
    return digest(present) == entry["after"] or target.holds(present, active.params)
