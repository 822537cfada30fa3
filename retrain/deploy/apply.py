"""Deploying hyperparameters: scored, gated, confirmed, then switched in one step (see `switch`).

Scoring, and waiting for a person's answer, happen outside the deploy lock. Should another deployment come
between, the challenger is judged again, against the new champion.
"""

import math
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from retrain.code_version import git_version, library_versions
from retrain.config import Config
from retrain.deploy.crashpoints import crashpoint
from retrain.deploy.deployed import Deployed, find_deployed, inactive_defaults
from retrain.deploy.gate import (
    NO_OVERRIDES,
    Figures,
    Needs,
    Overrides,
    Verdict,
    gate_error,
    judge,
    load_checks,
    same_shape,
    scored_on,
    std_error_of_difference,
)
from retrain.deploy.golden import check_model
from retrain.deploy.manifest import GOLDEN_FILE, Draft, write_json
from retrain.deploy.pending import edits, finish_pending, refuse_edits
from retrain.deploy.report import ApplyOutcome, ApplyReport, RefusedError
from retrain.deploy.scoring import Scored, Scorer
from retrain.deploy.switch import Order, Switch
from retrain.deploy.target import unified_diff
from retrain.deploy.target_file import TargetFile
from retrain.deploy.versions import VersionStore
from retrain.holdout import count_look
from retrain.improvement import folds_of
from retrain.metrics import direction_of
from retrain.pipeline import Pipeline, Scores
from retrain.tune_rows import tuned_on
from tuner.errors import BusyError, ParamsError, RetrainError
from tuner.experiment import Params
from tuner.registry.base import ModelVersion, RegistryReader, writable
from tuner.space import config_key

__all__ = ["Confirm", "apply", "retrain"]

Confirm = Callable[[ApplyReport], bool]
"""Shows a report of what would happen, and returns whether to go on."""

_ROUNDS = 1000

_NOT_COUNTED = "this was a look at the holdout; a dry run writes nothing, so that it is not counted"


def apply(
    config: Config,
    pipeline: Pipeline,
    registry: RegistryReader,
    params: Params,
    *,
    who: str,
    reason: str = "",
    experiment: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    confirm: Confirm | None = None,
    overrides: Overrides = NO_OVERRIDES,
) -> ApplyReport:
    """Deploy hyperparameters, if they pass the gate.

    Args:
        config: names the target, the versions folder, the gates and the seed.
        pipeline: loaded with its data.
        registry: writable, unless for a dry run.
        params: a complete configuration.
        who: for the ledger.
        reason: for the ledger.
        experiment: public id of the experiment they come from.
        dry_run: go the whole way, but change nothing: no file, no row.
        force: deploy although nothing changed, and without asking. Validation and gate stand.
        confirm: asked after the gate, before anything changes; not asked with `force`.
        overrides: gates that a person lets it through all the same; recorded with the reason.

    Returns:
        What was done; `outcome` is UNCHANGED where the same hyperparameters, data and code are active.

    Raises:
        ParamsError: the configuration is not in the space.
        ConfigError: the target file cannot hold it.
        RefusedError: a bound is not met, or cannot be judged. A dry run returns REFUSED instead.
        StorageError: the disk or the registry refuses.
    """
    wanted = pipeline.space.validate(params)
    order = Order("apply", who, reason, experiment)
    run = _Deployment(
        config, pipeline, registry, order, overrides, dry_run=dry_run, force=force, confirm=confirm
    )
    return run.deploy(lambda _: wanted)


def retrain(
    config: Config,
    pipeline: Pipeline,
    registry: RegistryReader,
    *,
    who: str,
    reason: str = "",
    dry_run: bool = False,
    force: bool = False,
    confirm: Confirm | None = None,
    overrides: Overrides = NO_OVERRIDES,
) -> ApplyReport:
    """Fit anew with the deployed hyperparameters, test, gate, and deploy; nothing where nothing changed.

    Arguments and errors as for `apply`; besides:

    Raises:
        MismatchError: the target file was edited by hand since the last deployment, and `force` is not given.
    """

    def keep(deployed: Deployed) -> Params:
        try:
            return pipeline.space.complete(deployed.params)
        except ParamsError:  # the space may have moved on; what is in production is fitted as it is
            return deployed.params

    order = Order("retrain", who, reason)
    run = _Deployment(
        config, pipeline, registry, order, overrides, dry_run=dry_run, force=force, confirm=confirm
    )
    return run.deploy(keep)


@dataclass(frozen=True, slots=True)
class _Plan:
    """One intended switch: from what is deployed to `params`; the target file from `before` to `after`."""

    deployed: Deployed
    params: Params
    before: bytes | None
    after: bytes | None
    notes: tuple[str, ...]

    @property
    def from_version(self) -> int | None:
        return None if self.deployed.version is None else self.deployed.version.number

    @property
    def is_same(self) -> bool:
        """Whether the hyperparameters stay."""
        return config_key(self.params) == config_key(self.deployed.params)


class _Deployment:
    """One apply or retrain."""

    def __init__(
        self,
        config: Config,
        pipeline: Pipeline,
        registry: RegistryReader,
        order: Order,
        overrides: Overrides,
        *,
        dry_run: bool,
        force: bool,
        confirm: Confirm | None,
    ) -> None:
        self.config = config
        self.pipeline = pipeline
        self.registry = registry
        self.order = order
        self.overrides = overrides
        self.dry_run = dry_run
        self.force = force
        self.confirm = None if force else confirm
        self.target = TargetFile.of(config)
        self.store = VersionStore.of(config)
        self.checks = load_checks(config.gate, config.root)
        self.needs = Needs.of(config.gate, splits_follow_seed=pipeline.splits_follow_seed)
        self.scorer = Scorer(pipeline, config.study.seed, self.needs, None if dry_run else self._count_look)
        self._wanted: str | None = None

    def _switch(self) -> Switch:
        return Switch(writable(self.registry), self.store, self.target, self.config)

    def deploy(self, choose: Callable[[Deployed], Params]) -> ApplyReport:
        notes = () if self.dry_run else tuple(finish_pending(self.config, writable(self.registry)))
        for _ in range(_ROUNDS):
            plan = self._plan(choose, notes)
            if not self.force and self._is_active(plan):
                return self._report(plan, ApplyOutcome.UNCHANGED)
            self._wanted = config_key(plan.params)
            challenger = self.scorer.score(plan.params, self._repeats(plan))
            champion, no_champion = self._champion(plan)
            preview = self._judged(plan, challenger, champion, no_champion)
            if self.dry_run:
                self._try_saving(plan)
                looked = (_NOT_COUNTED,) if self.pipeline.can_fit else ()
                return replace(preview, notes=(*preview.notes, *looked))
            if preview.outcome is ApplyOutcome.REFUSED:
                self._refuse(preview)
            if self.confirm is not None and not self.confirm(preview):
                return replace(preview, outcome=ApplyOutcome.DECLINED)
            crashpoint("apply.before_lock")
            with self.store.lock():
                if self._still_stands(plan):
                    return self._publish(plan, preview, challenger, champion)
            notes = tuple(finish_pending(self.config, writable(self.registry)))
        raise BusyError("Other processes keep deploying.", "Type the same command again when they are done.")

    def _count_look(self, params: Params, scores: Scores) -> None:
        """Each look at the holdout is written down: what was asked for, and what is deployed beside it."""
        key = config_key(params)
        active = self.registry.find_active(self.config.name)
        count_look(
            writable(self.registry),
            self.pipeline,
            params,
            scores,
            why="retrain --apply-hp" if self.order.action == "apply" else "retrain",
            who=self.order.who,
            experiment=self.order.experiment if key == self._wanted else None,
            version=active.number if active is not None and config_key(active.params) == key else None,
        )

    def _plan(self, choose: Callable[[Deployed], Params], notes: tuple[str, ...]) -> _Plan:
        space = self.pipeline.space
        deployed = find_deployed(self.config, self.registry, space)
        params = choose(deployed)
        if self.target is None:
            return _Plan(deployed, params, None, None, notes)
        before = self.target.read()
        if deployed.version is not None:
            if self.order.action == "retrain" and not self.force:
                refuse_edits(self.target, before, deployed.version)
            if self.dry_run:  # else `finish_pending` has said it
                notes += edits(self.target, before, deployed.version)
        after = self.target.rendered(before, params, inactive_defaults(space, params), list(space.params))
        return _Plan(deployed, params, before, after, notes)

    def _is_active(self, plan: _Plan) -> bool:
        """Whether the same hyperparameters, fitted on the same data by the same code, are in production."""
        version = plan.deployed.version
        if version is None or config_key(version.params) != config_key(plan.params):
            return False
        in_target = self.target is None or self.target.holds(plan.before, plan.params)
        same = version.manifest.get("provenance") == asdict(self.pipeline.provenance())
        return in_target and same and self.store.is_intact(version)

    def _repeats(self, plan: _Plan) -> int:
        """Fresh cross-validations of the challenger; a bound on an improvement asks for none of itself."""
        return self.needs.alone if plan.is_same else self.needs.challenger

    def _champion(self, plan: _Plan) -> tuple[Figures | None, str]:
        """Figures of what is deployed, or None and the reason."""
        try:
            repeats = 0 if plan.is_same else self.needs.champion
            return self.scorer.score(plan.deployed.params, repeats).figures, ""
        except RetrainError as error:
            return None, str(error)

    def _judged(
        self, plan: _Plan, challenger: Scored, champion: Figures | None, no_champion: str
    ) -> ApplyReport:
        verdicts = judge(
            self.config.gate,
            challenger.figures,
            champion,
            metric=self.pipeline.metric,
            direction=self.pipeline.direction,
            direction_of=lambda metric: direction_of(metric.removeprefix("test_")),
            same_params=plan.is_same,
            recorded=_recorded(plan.deployed.version, self.pipeline.metric),
            no_champion=no_champion,
            n_folds=folds_of(self.config),
            splits_follow_seed=self.pipeline.splits_follow_seed,
            checks=self.checks,
            params=plan.params,
            deployed=plan.deployed.params,
        )
        unlike = _on_a_like_table(plan.deployed.version, challenger)
        refused = unlike if self.order.action == "retrain" else []  # else a person looks at it
        verdicts = self.overrides.applied([*verdicts, *self._on_these_data(), *refused])
        met = all(verdict.lets_through for verdict in verdicts)
        new, noise = challenger.figures, None
        before = _recorded(plan.deployed.version, self.pipeline.metric) if plan.is_same else champion
        if before is not None:
            noise = std_error_of_difference(new, before, folds_of(self.config))
        report = replace(
            self._report(plan, ApplyOutcome.DRY_RUN if met else ApplyOutcome.REFUSED),
            before={} if before is None else before.metrics,
            after=new.metrics,
            verdicts=verdicts,
            noise=noise,
            notes=plan.notes + self._tuned_on() + challenger.notes,
        )
        warnings = [*self._warnings(report, new.n_test_rows), *self.pipeline.suspicions()]
        warnings += [] if refused else [verdict.why for verdict in unlike]
        return replace(report, warnings=tuple(warnings))

    def _on_these_data(self) -> list[Verdict]:
        """The verdict on an experiment that was chosen by a score on other data, if there is one."""
        if self.order.experiment is None:
            return []
        experiment = self.registry.get_experiment(self.order.experiment)
        present = self.pipeline.provenance()
        rescored = [
            confirmation.experiment
            for study in self.registry.studies()
            if study.id == experiment.study_id
            for confirmation in self.registry.confirmations(study)
            if confirmation.provenance.data == present.data
        ]
        verdict = scored_on(experiment, present, rescored)
        return [] if verdict is None else [verdict]

    def _tuned_on(self) -> tuple[str, ...]:
        """That the experiment was chosen by its score on a part of the rows, where it was."""
        if self.order.experiment is None:
            return ()
        part = tuned_on(self.registry.get_experiment(self.order.experiment).provenance)
        return () if part is None else (f"{self.order.experiment} was {part}; here it is scored on all",)

    def _warnings(self, report: ApplyReport, n_test_rows: int | None) -> tuple[str, ...]:
        """What the search never saw says otherwise, and no configured bound looks there."""
        metric = f"test_{self.pipeline.metric}"
        if report.standing(metric) != "worse" or any(gate.metric == metric for gate in self.config.gate):
            return ()
        change = f"{metric} {report.before[metric]:.4g} -> {report.after[metric]:.4g}"
        rows = "" if n_test_rows is None else f" on {n_test_rows} rows"
        return (f"on the holdout it is worse: {change}{rows}; the gate does not look at it",)

    def _report(self, plan: _Plan, outcome: ApplyOutcome) -> ApplyReport:
        name = None if self.target is None else self.target.name
        return ApplyReport(
            outcome,
            self.order.action,
            self.config.name,
            plan.params,
            plan.deployed.params,
            version=plan.from_version,
            from_version=plan.from_version,
            experiment=self.order.experiment,
            target=name,
            diff="" if name is None else unified_diff(plan.before, plan.after, name),
            notes=plan.notes,
            metric=self.pipeline.metric,
            direction=self.pipeline.direction,
        )

    def _try_saving(self, plan: _Plan) -> None:
        """Show that the model could be saved, and loaded again, somewhere that goes away."""
        if not self.pipeline.can_fit:
            return
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "model").mkdir()
            self.scorer.save(plan.params, folder / "model")
            golden = self.scorer.golden(plan.params, self.config)
            if golden is not None:
                write_json(folder / GOLDEN_FILE, golden)
            check_model(self.config, folder, "the new version")

    def _refuse(self, preview: ApplyReport) -> None:
        error = gate_error(preview.verdicts)
        writable(self.registry).log(
            "gate_refused",
            str(error),
            salience=0.8,
            pipeline=self.config.name,
            experiment=self.order.experiment,
            verdicts=[verdict.to_dict() for verdict in preview.verdicts],
        )
        raise RefusedError(str(error), error.remedy, preview)

    def _still_stands(self, plan: _Plan) -> bool:
        """Whether nobody deployed, and nobody edited the target file, since the plan was made."""
        active = self.registry.find_active(self.config.name)
        number = None if active is None else active.number
        present = None if self.target is None else self.target.read()
        return number == plan.from_version and present == plan.before

    def _publish(
        self, plan: _Plan, preview: ApplyReport, challenger: Scored, champion: Figures | None
    ) -> ApplyReport:
        from_version = plan.from_version
        if from_version is None:
            from_version = self._keep_found(plan, champion)
        draft = Draft(
            plan.params,
            from_version,
            self.config.study.seed,
            challenger.figures.metrics,
            self.pipeline.provenance(),
            preview.target,
            plan.before,
            plan.after,
            save=partial(self.scorer.save, plan.params) if self.pipeline.can_fit else None,
            golden=self.scorer.golden(plan.params, self.config),
            code=git_version(self.config.root),
            libraries=library_versions(),
            metric=self.pipeline.metric,
            std_error=challenger.figures.std_error,
            fit=challenger.fit,
        )
        order = replace(self.order, gates=[verdict.to_dict() for verdict in preview.verdicts])
        version = self._switch().publish(draft, order)
        return replace(
            preview, outcome=ApplyOutcome.DEPLOYED, version=version.number, from_version=from_version
        )

    def _keep_found(self, plan: _Plan, champion: Figures | None) -> int:
        """Record what was in place before the first deployment, so that it can be rolled back to."""
        metrics = {} if champion is None else champion.metrics
        name = None if self.target is None else self.target.name
        found = Draft(
            plan.deployed.params,
            None,
            self.config.study.seed,
            metrics,
            None,
            name,
            plan.before,
            plan.before,
            metric=self.pipeline.metric,
            std_error=None if champion is None else champion.std_error,
        )
        reason = f"in place before the first deployment (from the {plan.deployed.source})"
        return self._switch().publish(found, Order("found", self.order.who, reason)).number


def _on_a_like_table(version: ModelVersion | None, challenger: Scored) -> list[Verdict]:
    """The verdict on a table that is not like the one of the active version, if there is one."""
    if version is None:
        return []
    verdict = same_shape(version.number, version.manifest.get("fit"), challenger.fit)
    return [] if verdict is None else [verdict]


def _recorded(version: ModelVersion | None, metric: str) -> Figures | None:
    """What was stored when a version was deployed; None of one that was only found and never scored.

    A version that was fitted, but of which the metric is not stored, has figures without it: that is refused.
    """
    if version is None:
        return None
    metrics = version.manifest.get("metrics") or {}
    if metric not in metrics and version.manifest.get("provenance") is None:
        return None
    std_error = version.manifest.get("std_error")
    return Figures(metrics.get(metric, math.nan), std_error, metrics=metrics)
