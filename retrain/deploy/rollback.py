"""Back to an earlier version: verified first, then switched in one step."""

import math
from dataclasses import replace

from retrain.config import Config
from retrain.deploy.apply import Confirm
from retrain.deploy.crashpoints import crashpoint
from retrain.deploy.golden import check_model
from retrain.deploy.pending import edits, finish_pending, refuse_edits
from retrain.deploy.report import ApplyOutcome, ApplyReport
from retrain.deploy.scoring import direction_of
from retrain.deploy.switch import Order, Switch
from retrain.deploy.takeover import target_after
from retrain.deploy.target import unified_diff
from retrain.deploy.target_file import TargetFile
from retrain.deploy.versions import VersionStore
from tuner.errors import MismatchError, NotFoundError, StorageError
from tuner.registry.base import ModelVersion, RegistryReader, VersionState, writable

__all__ = ["rollback"]


def rollback(
    config: Config,
    registry: RegistryReader,
    version: int | None = None,
    *,
    who: str,
    reason: str = "",
    dry_run: bool = False,
    force: bool = False,
    confirm: Confirm | None = None,
) -> ApplyReport:
    """Make an earlier version the active one again, and restore the target file.

    Args:
        config: names the target and the versions folder.
        registry: writable, unless for a dry run.
        version: its number; when not given, the one that was active when the present one was deployed. So a
            second rollback goes one further back, and never forward again.
        who: for the ledger.
        reason: for the ledger.
        dry_run: verify and show, but change nothing.
        force: overwrite what was edited in the target file by hand, and without asking.
        confirm: asked before anything changes; not asked with `force`.

    Raises:
        NotFoundError: there is nothing to roll back to, no such version, or its directory is gone.
        StorageError: a file of the version was changed, or its model cannot be loaded in a fresh process or
            predicts its golden rows otherwise; the active version stays.
        ConfigError: the target file has no place for its hyperparameters.
        MismatchError: somebody else deployed, or edited the target file, at the same moment. Or its
            hyperparameters were edited since the last deployment, and neither is `force` given nor anybody
            there to confirm.
    """
    notes = () if dry_run else tuple(finish_pending(config, writable(registry)))
    store, target = VersionStore.of(config), TargetFile.of(config)
    versions = {v.number: v for v in registry.versions(config.name) if v.state != VersionState.STAGED}
    active = registry.find_active(config.name)
    if active is None:
        raise NotFoundError(
            "There is nothing to roll back to: nothing was deployed yet.", "retrain --history"
        )
    wanted = _wanted(active, version, versions, store)
    checked = ""
    if wanted is not active:
        checked = check_model(config, store.path(wanted.number), f"version {wanted.number}")
    before = None if target is None else target.read()
    after = None
    if target is not None:
        after = before if wanted is active else target_after(before, active, wanted, versions, target, store)
    if target is not None and dry_run:  # else `finish_pending` has said it
        notes = edits(target, before, active)
    notes += (checked,) if checked else ()
    notes += _what_goes(active, wanted, before, after, target)
    metric = active.manifest.get("metric") or config.pipeline.metric
    report = ApplyReport(
        ApplyOutcome.DRY_RUN if wanted is not active else ApplyOutcome.UNCHANGED,
        "rollback",
        config.name,
        wanted.params,
        active.params,
        version=active.number,
        from_version=active.number,
        experiment=wanted.experiment,
        before=active.manifest.get("metrics", {}),
        after=wanted.manifest.get("metrics", {}),
        target=None if target is None else target.name,
        diff="" if target is None else unified_diff(before, after, target.name),
        notes=notes,
        metric=metric,
        direction=config.pipeline.direction or (None if metric is None else direction_of(metric)),
        noise=_noise(active, wanted),
        wanted=wanted.number,
    )
    if dry_run or wanted is active:
        return report
    if force:
        confirm = None
    elif confirm is None and target is not None and before not in (None, after):
        refuse_edits(target, before, active)
    if confirm is not None and not confirm(report):
        return replace(report, outcome=ApplyOutcome.DECLINED)
    crashpoint("rollback.before_lock")
    with store.lock():
        if target is not None and target.read() != before:
            raise MismatchError(f"{target.name!r} was edited just now.", "Type the same command again.")
        order = Order("rollback", who, reason, wanted.experiment)
        switch = Switch(writable(registry), store, target, config)
        switch.return_to(wanted, order, active.number, before, after)
    return replace(report, outcome=ApplyOutcome.DEPLOYED, version=wanted.number)


def _what_goes(
    active: ModelVersion,
    wanted: ModelVersion,
    before: bytes | None,
    after: bytes | None,
    target: TargetFile | None,
) -> tuple[str, ...]:
    """What the wanted version does not have: one that was only found has no model, and perhaps no file."""
    notes = []
    if target is not None and before is not None and after is None:
        notes.append(f"{target.name} goes: there was none when version {wanted.number} was found")
    had, has = (
        any(name.startswith("model/") for name in each.manifest.get("files", {})) for each in (active, wanted)
    )
    if had and not has:
        notes.append(
            f"version {wanted.number} has no model: it was found, not fitted; `retrain --force` fits one"
        )
    return tuple(notes)


def _noise(active: ModelVersion, wanted: ModelVersion) -> float | None:
    """Standard error of the difference of their recorded values, where both were stored."""
    one, other = active.manifest.get("std_error"), wanted.manifest.get("std_error")
    return None if one is None or other is None else math.hypot(one, other)


def _wanted(
    active: ModelVersion, number: int | None, versions: dict[int, ModelVersion], store: VersionStore
) -> ModelVersion:
    """The version to return to, verified file by file."""
    if number is None:
        number = active.manifest.get("from_version")
        if number is None:
            raise NotFoundError(
                f"There is nothing to roll back to: version {active.number} is the first.",
                _valid(active, versions, store),
            )
    if number == active.number:
        return active
    wanted = versions.get(number)
    if wanted is None:
        raise NotFoundError(
            f"There is no version {number} of this pipeline.", _valid(active, versions, store)
        )
    try:
        store.check(wanted)
    except (NotFoundError, StorageError) as error:
        raise type(error)(
            f"{error} Version {active.number} stays.", _valid(active, versions, store)
        ) from error
    return wanted


def _valid(active: ModelVersion, versions: dict[int, ModelVersion], store: VersionStore) -> str:
    """The remedy: which versions could be rolled back to."""
    numbers = [v.number for v in versions.values() if v.number != active.number and store.is_intact(v)]
    listed = ", ".join(map(str, numbers))
    return f"retrain --rollback VERSION, with one of: {listed}" if listed else "retrain --history"
