"""What `retrain`, `--apply-hp` and `--rollback` do: from a configuration to a report.

What can be refused is refused before the data are read, and before anything is written.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from retrain import deploy
from retrain.best import CONFIRM, check_comparable
from retrain.config import Config
from retrain.deploy import ApplyOutcome, ApplyReport, Confirm, Overrides
from retrain.deploy.report import RefusedError
from retrain.deploy.rivals import RETUNE, Rival, rivals_lines, score_rivals, to_retune
from retrain.opening import open_or_make, open_up_to_date
from retrain.phases import deploying, of_another_phase, phase_of, searching
from retrain.pipeline import Pipeline
from retrain.pipelines import load_pipeline
from retrain.who import who
from tuner.errors import NotFoundError, ParamsError, RetrainError
from tuner.experiment import Params
from tuner.registry import open_registry
from tuner.registry.base import Registry, RegistryReader

__all__ = ["apply_hyperparameters", "retrain_deployed", "roll_back"]

Tell = Callable[[str], None]


def _silent(_: str) -> None:
    """Nobody wants to know."""


def apply_hyperparameters(
    config: Config,
    text: str,
    *,
    dry_run: bool = False,
    force: bool = False,
    confirm: Confirm | None = None,
    tell: Tell = _silent,
    reason: str = "",
    override_gates: Sequence[str] = (),
) -> ApplyReport:
    """Deploy what was typed after `--apply-hp`; see `parse_params_input` and `apply` in `retrain.deploy`.

    `tell` hears what is being done, before what takes long. `reason` is kept by the ledger, with what
    `override_gates` names.
    """
    overrides = Overrides.of(config, override_gates, reason)
    search = _search(config, text, dry_run=dry_run)
    searched = load_pipeline(search)
    with _for_reading(search, changing=not dry_run) as registry:
        try:
            given = deploy.parse_params_input(text, search, registry, searched.space)
        except ParamsError as error:
            raise of_another_phase(search, error) or error from None
    config = deploying(search)
    pipeline = load_pipeline(config) if search.phase is not None or search.held else searched
    if given.best is not None:
        tell(given.best.note if given.best.confirmed else f"{given.best.note}; to know more: {CONFIRM}")
    tell("retraining with what is deployed and with what is asked for ...")
    _use_data(pipeline, searched)
    if given.best is not None:
        check_comparable(given.best, searched.provenance())
    params = {**search.held, **given.params}
    with _for_deploying(config, pipeline, dry_run, params) as registry:
        return deploy.apply(
            config,
            pipeline,
            registry,
            params,
            who=who(),
            reason=reason or (f"phase {search.phase}" if search.phase is not None else ""),
            experiment=given.experiment,
            dry_run=dry_run,
            force=force,
            confirm=confirm,
            overrides=overrides,
        )


def _search(config: Config, text: str, *, dry_run: bool) -> Config:
    """The configuration as it searches: in the phase of the experiment, where no phase was asked for."""
    if not config.space.phases:
        return config
    with _for_reading(config, changing=not dry_run) as registry:
        phase = phase_of(config, registry, text) if config.phase is None else None
        return searching(config if phase is None else config.in_phase(phase), registry)


def retrain_deployed(
    config: Config,
    *,
    dry_run: bool = False,
    force: bool = False,
    confirm: Confirm | None = None,
    tell: Tell = _silent,
    reason: str = "",
    override_gates: Sequence[str] = (),
) -> ApplyReport:
    """Retrain with the deployed hyperparameters; see `apply_hyperparameters` and `retrain.deploy.retrain`."""
    overrides = Overrides.of(config, override_gates, reason)
    search = searching(config)
    config = deploying(search)
    pipeline = load_pipeline(config)
    searched = load_pipeline(search) if search.held else pipeline
    tell("retraining with the deployed hyperparameters ...")
    _use_data(pipeline, searched)
    with _for_deploying(config, pipeline, dry_run) as registry:
        deployed = deploy.find_deployed(search, registry, searched.space).params
        try:
            report = deploy.retrain(
                config,
                pipeline,
                registry,
                who=who(),
                reason=reason,
                dry_run=dry_run,
                force=force,
                confirm=confirm,
                overrides=overrides,
            )
        except RefusedError as error:  # worse on what is there now: all the more reason to look at the others
            found = _rivals(search, registry, searched, deployed, tell)
            if to_retune(found) is None:
                raise
            said, command = rivals_lines(found)
            remedy = f"{command.strip()} ({said}). Or: {error.remedy}"
            raise RefusedError(str(error), remedy, replace(error.report, rivals=tuple(found))) from error
        if report.outcome is ApplyOutcome.UNCHANGED:
            return report
        return replace(report, rivals=_rivals(search, registry, searched, deployed, tell))


def _rivals(
    config: Config, registry: RegistryReader, pipeline: Pipeline, deployed: Params, tell: Tell
) -> tuple[Rival, ...]:
    """The best of before on what is there now; an event where one has overtaken what is deployed."""
    if config.deploy.rivals and registry.find_study(config.study_name) is not None:
        tell("scoring the best experiments of before along ...")
    try:
        found = score_rivals(config, registry, pipeline, deployed)
    except RetrainError as error:
        tell(f"whether to retune is not known: {error}")
        return ()
    overtook = to_retune(found)
    if overtook is not None and isinstance(registry, Registry):
        registry.log(
            RETUNE, rivals_lines(found)[0], salience=0.8, pipeline=config.name, rival=overtook.to_dict()
        )
    return tuple(found)


def roll_back(
    config: Config,
    version: int | None = None,
    *,
    reason: str = "",
    dry_run: bool = False,
    force: bool = False,
    confirm: Confirm | None = None,
) -> ApplyReport:
    """Return to an earlier version; see `retrain.deploy.rollback`."""
    with open_registry(
        config.db, create=False, read_only=dry_run, allow_network_fs=config.allow_network_fs
    ) as registry:
        return deploy.rollback(
            config,
            registry,
            version,
            who=who(),
            reason=reason,
            dry_run=dry_run,
            force=force,
            confirm=confirm,
        )


def _use_data(pipeline: Pipeline, searched: Pipeline) -> None:
    """Load the data once, for both."""
    data = pipeline.load()
    pipeline.use(data)
    if searched is not pipeline:
        searched.use(data)


@contextmanager
def _for_reading(config: Config, *, changing: bool) -> Iterator[RegistryReader]:
    """The registry as it is; where there is none yet, an empty one that goes away: looking leaves no file.

    One of an older schema is brought up to date where something is to be `changing` anyway.
    """
    try:
        registry = (
            open_up_to_date(config) if changing else open_registry(config.db, create=False, read_only=True)
        )
    except NotFoundError:
        with (
            tempfile.TemporaryDirectory() as folder,
            open_registry(Path(folder) / "none.db", create=True) as empty,
        ):
            yield empty
    else:
        with registry:
            yield registry


@contextmanager
def _for_deploying(
    config: Config, pipeline: Pipeline, dry_run: bool, params: Params | None = None
) -> Iterator[RegistryReader]:
    """The registry; made where there is none, if the target file can hold what is deployed first."""

    def check() -> None:
        wanted = params or deploy.found_in_place(config, pipeline.space).params
        deploy.check_place(config, pipeline.space, wanted)

    with _for_reading(config, changing=False) if dry_run else open_or_make(config, check) as registry:
        yield registry
