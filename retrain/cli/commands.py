"""The command `retrain`.

Nothing is decided here. A command parses, calls one function and prints what it returned. Results go to
stdout, everything else to stderr.
"""

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from retrain.cli import actions
from retrain.cli.common import (
    CONTEXT_SETTINGS,
    Common,
    common_options,
    memory_option,
    note,
    pass_common,
    phase_options,
)
from retrain.cli.kinds import PREVIOUS, AtLeast, Duration, VersionNumber
from retrain.cli.modes import mode_of, refuse_before_subcommand
from retrain.cli.running import run_command
from retrain.console import emit, say_labelled

__all__ = ["cli", "main"]


@click.group(invoke_without_command=True, context_settings=CONTEXT_SETTINGS)
@click.option("--tune", is_flag=True, help="Write candidates for the orchestrator to run.")
@click.option("--tune-method", metavar="M", help="How: bayesian (default), random, grid, sobol ...")
@click.option(
    "--tune-configs", metavar="N", type=AtLeast(1), help="How many: 20; for grid, its whole design."
)
@click.option("--tune-guess", metavar="HP", multiple=True, help="Queue your own: JSON, @FILE, -; repeatable.")
@click.option("--warm-start", metavar="STUDY", multiple=True, help="Learn from an earlier study; repeatable.")
@memory_option
@click.option("--tune-report", is_flag=True, help="Show how the tuning goes.")
@click.option("--apply-hp", metavar="HP", help="Retrain with it, gate, deploy: JSON, @FILE, -, ID, best.")
@click.option("--dry-run", is_flag=True, help="Go the whole way and show it, changing nothing.")
@click.option("--force", is_flag=True, help="Although nothing changed, without asking. Gates stand.")
@click.option(
    "--rollback",
    metavar="[VERSION]",
    is_flag=False,
    flag_value=PREVIOUS,
    type=VersionNumber(),
    help="Return to the version before, or to this one.",
)
@click.option(
    "--watch-metric",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Tune a little if the last entry breaks --min or --max.",
)
@click.option("--min", "low", metavar="X", type=float, help="Floor of the watched metric.")
@click.option("--max", "high", metavar="X", type=float, help="Ceiling of the watched metric.")
@click.option("--history", is_flag=True, help="Show what was deployed, when and by whom.")
@click.option("--at", metavar="WHEN", help="What was live then: 2026-11-01 or 2026-11-01T12:00, UTC.")
@click.option("--override-gate", metavar="NAME", multiple=True, help="Deploy though this gate is not met.")
@click.option("--reason", metavar="TEXT", help="Why, for the ledger; an override needs one.")
@click.option("--study", metavar="NAME", help="Study to use; by default the configured one.")
@click.option("--seed", metavar="N", type=AtLeast(0), help="Seed of a new study, and of splits and fits.")
@phase_options
@common_options
@pass_common
def cli(common: Common, /, study: str | None, seed: int | None, **options: Any) -> int | None:
    """Retrain a pipeline, and change its hyperparameters without fear.

    Without options: retrain with the deployed hyperparameters, test, gate, version and deploy.
    """
    context = click.get_current_context()
    mode = mode_of(options, common.phase_flag)
    if context.invoked_subcommand is not None:
        refuse_before_subcommand(context)
        return None
    warm_start = list(options["warm_start"]) or None
    overrides = {
        "study.name": study,
        "study.seed": seed,
        "study.warm_start": warm_start,
        "study.memory": options["memory"],
    }
    of_study = f" --study {shlex.quote(study)}" if study is not None else ""
    flags = common.flags + of_study
    if mode == "tune_report":
        actions.tune_report(common, overrides, flags)
        return 0
    if mode == "history":
        actions.history(common, overrides, options["at"])
        return 0
    config = common.load_config(overrides)
    actions.say_where(common, config)
    match mode:
        case "tune":
            actions.tune(common, config, options, flags)
        case "watch_metric":
            return actions.watch(common, config, options)
        case _:
            return actions.deploy(common, config, mode, options, common.project_flags + of_study)
    return 0


@cli.command("init")
@click.option("--example", metavar="NAME", help="A project that runs: breast_cancer, digits or diabetes.")
@common_options
@pass_common
def _init(common: Common, example: str | None) -> None:
    """Write a retrain.toml to start from, here. Overwrites nothing."""
    from retrain.init import init, started_text

    emit(started_text(init(Path(), example), common.output))


@cli.command("doctor", short_help="Check all that the project stands on.")
@click.option("--deep", is_flag=True, help="Check what must hold for every row of the registry, too.")
@common_options
@pass_common
def _doctor(common: Common, /, deep: bool) -> int:
    """Check all that the project stands on: libraries, files, registry, versions."""
    from retrain.doctor import doctor, findings_text, trouble_text

    findings = doctor(common.config, db=common.db, deep=deep, tell=partial(note, common))
    emit(findings_text(findings, common.output))
    if (trouble := trouble_text(findings)) is None:
        return 0
    say_labelled("error", trouble, "red")
    return 1


@cli.command("lint", short_help="Look for what makes the scores of the pipeline wrong.")
@click.option("--runs", metavar="N", type=AtLeast(1), help="At most so many evaluations; as needed.")
@click.option("--timeout", metavar="T", type=Duration(), default=600.0, help="Start none after it: 10m.")
@common_options
@pass_common
def _lint(common: Common, /, runs: int | None, timeout: float) -> int:
    """Run the pipeline a few times and look for what makes its scores wrong."""
    from retrain.doctor import findings_text, trouble_text
    from retrain.lint import lint

    findings = lint(common.load_config(), runs=runs, timeout_s=timeout, tell=partial(note, common))
    emit(findings_text(findings, common.output))
    if (trouble := trouble_text(findings)) is None:
        return 0
    say_labelled("error", trouble, "red")
    return 1


def main() -> None:
    """Entry point of the console script `retrain`."""
    sys.exit(run_command(cli, "retrain"))
