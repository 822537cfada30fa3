"""What the target file must hold when one version takes over from another, without losing a user's own edits.

The bytes of the file are restored exactly where they are known: forwards where the file is what this version
started from, backwards along the versions deployed in between. Else only the hyperparameters change.
"""

from collections.abc import Mapping

from retrain.deploy.files import digest
from retrain.deploy.target_file import TargetFile
from retrain.deploy.versions import VersionStore
from tuner.registry.base import ModelVersion

__all__ = ["target_after"]


def target_after(
    present: bytes | None,
    active: ModelVersion | None,
    wanted: ModelVersion,
    versions: Mapping[int, ModelVersion],
    target: TargetFile,
    store: VersionStore,
) -> bytes | None:
    """Return the content of the target file once `wanted` has taken over; None where there must be no file.

    Args:
        present: the present content.
        active: the version that the present content belongs to, or None.
        wanted: the version that takes over.
        versions: all versions of the pipeline by number.
        target: the target file.
        store: the versions folder.

    Raises:
        ConfigError: the present content has no place for a parameter.
    """
    name = target.name
    if _has_target(wanted, name) and wanted.manifest["target"]["before"] == digest(present):
        forwards = _content(store, wanted, "target", name)
        if forwards is not None:
            return forwards
    undone = active and _undo(present, active, wanted, versions, target, store)
    if undone:
        return undone[0]
    if present is None and _has_target(wanted, name):
        whole = _content(store, wanted, "target", name)
        if whole is not None:
            return whole
    others = {} if active is None else active.params
    inactive = {name: value for name, value in others.items() if name not in wanted.params}
    return target.rendered(present, wanted.params, inactive)


def _undo(
    present: bytes | None,
    active: ModelVersion,
    wanted: ModelVersion,
    versions: Mapping[int, ModelVersion],
    target: TargetFile,
    store: VersionStore,
) -> tuple[bytes | None] | None:
    """Undo one deployment after the other, from `active` back to `wanted`, as long as each is exactly known.

    Returns:
        The content in a tuple of one (None in it: no file), or None where it cannot be undone exactly.
    """
    content, version = present, active
    while version.number != wanted.number:
        if not _has_target(version, target.name) or version.manifest["target"]["after"] != digest(content):
            return None
        before = version.manifest["target"]["before"]
        content = None if before is None else _content(store, version, "before", target.name)
        if before is not None and content is None:
            return None
        earlier = versions.get(version.manifest.get("from_version") or 0)
        if earlier is None:
            return None
        version = earlier
    return (content,)


def _has_target(version: ModelVersion, name: str) -> bool:
    """Whether a version was deployed into this very target file."""
    entry = version.manifest.get("target")
    return entry is not None and entry["file"] == name


def _content(store: VersionStore, version: ModelVersion, part: str, name: str) -> bytes | None:
    return store.read(version, f"{part}/{name.rsplit('/', 1)[-1]}")
