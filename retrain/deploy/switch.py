"""The order of an atomic deployment, and what a death at each step leaves.

    stage a row                      a staged row: discarded by the next command
    write 000007.tmp-*, sync         a temporary directory besides: removed, too
    rename to 000007, sync           a directory that its row, still staged, leads to: removed with it
    load its model in a new process  the same
    note what the target file holds  the same
    commit: flip active, ledger      the new version is active, whole; pointer and target file are behind:
    current.json                       the next command sees the note, and brings both forward
    the target file
    remove the note                  nothing is left to do

All of it happens under the deploy lock, so what is half-made there belongs to a process that died.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrain.config import Config
from retrain.deploy.crashpoints import crashpoint
from retrain.deploy.golden import check_model
from retrain.deploy.manifest import Draft
from retrain.deploy.pending import give_up
from retrain.deploy.target_file import TargetFile
from retrain.deploy.versions import VersionStore
from tuner.errors import RetrainError, StorageError
from tuner.registry.base import ModelVersion, Registry

__all__ = ["Order", "Switch"]


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants what, and why: what the ledger keeps.

    Attributes:
        action: "apply", "retrain", "rollback" or "found".
        who: the person or the program.
        reason: in their words.
        experiment: public id of the experiment behind it, or None.
        gates: the verdicts, JSON-ready.
    """

    action: str
    who: str
    reason: str
    experiment: str | None = None
    gates: Sequence[Mapping[str, Any]] = field(default=())


@dataclass(frozen=True, slots=True)
class Switch:
    """Switches one pipeline from version to version. Only under the lock of its store."""

    registry: Registry
    store: VersionStore
    target: TargetFile | None
    config: Config

    @property
    def pipeline(self) -> str:
        """Its name."""
        return self.config.name

    def publish(self, draft: Draft, order: Order) -> ModelVersion:
        """Make a new version of the draft, and make it the active one.

        Raises:
            MismatchError: the version it takes over from is not active any more; nothing was changed.
            StorageError: the disk refused; says whether the new version is active all the same. Or the model
                cannot be loaded again: nothing was changed.
        """
        self._check_target(draft.before, draft.after)
        version = self.registry.stage_version(
            self.pipeline, draft.params, manifest={"token": draft.token}, experiment=order.experiment
        )
        crashpoint("apply.after_stage")
        try:
            manifest = self.store.write(version, draft)
            check_model(self.config, self.store.path(version.number), f"version {version.number}")
            crashpoint("apply.after_check")
            self._commit(version, order, draft.from_version, draft.before, draft.after, manifest)
        except BaseException:
            with contextlib.suppress(RetrainError):  # what cannot be removed now, the next command removes
                give_up(self.registry, self.store, version)
            raise
        self._settle(version, draft.before, draft.after)
        return version

    def return_to(
        self, version: ModelVersion, order: Order, active: int, before: bytes | None, after: bytes | None
    ) -> None:
        """Make an earlier version the active one again; the target file changes from `before` to `after`.

        Raises:
            MismatchError: `active` is not active any more; nothing was changed.
            StorageError: the disk refused; says whether `version` is active all the same.
        """
        self._check_target(before, after)
        self._commit(version, order, active, before, after, None)
        self._settle(version, before, after)

    def _check_target(self, before: bytes | None, after: bytes | None) -> None:
        if self.target is not None and before != after:
            self.target.check_writable()

    def _commit(
        self,
        version: ModelVersion,
        order: Order,
        expect_active: int | None,
        before: bytes | None,
        after: bytes | None,
        manifest: Mapping[str, Any] | None,
    ) -> None:
        if self.target is not None and before != after:
            self.store.announce(version, self.target.name, before)
        crashpoint("switch.before_commit")
        self.registry.activate(
            version,
            action=order.action,
            who=order.who,
            reason=order.reason,
            manifest=manifest,
            gates=order.gates,
            expect_active=expect_active,
        )
        crashpoint("switch.after_commit")

    def _settle(self, version: ModelVersion, before: bytes | None, after: bytes | None) -> None:
        """Bring what is derived from the registry into agreement with it."""
        with _active_all_the_same(version):
            self.store.point_at(version)
            crashpoint("switch.after_pointer")
            if self.target is not None and before != after:
                self.target.write(after, "target")
                crashpoint("switch.after_target")
            self.store.retract(self.pipeline)
            crashpoint("switch.end")


@contextlib.contextmanager
def _active_all_the_same(version: ModelVersion) -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise StorageError(
            f"Version {version.number} is active, but not everything could be brought to it: {error}",
            "Mend the cause; the next `retrain` command does the rest.",
        ) from error
