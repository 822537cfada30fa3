"""The command `orchestrator`: run experiments, and report on them.

Nothing is decided here. A command parses, calls one function and prints what it returned.
"""

import shlex
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from retrain.cli import (
    CONTEXT_SETTINGS,
    Common,
    common_options,
    emit,
    may_ask,
    note,
    pass_common,
    run_command,
)
from retrain.cli.kinds import Duration
from retrain.console import say, say_labelled

__all__ = ["cli", "main"]

STATES = ("waiting", "running", "complete", "pruned", "failed")


_AT_LEAST_ONE = click.IntRange(min=1)
_AT_LEAST_ZERO = click.IntRange(min=0)


_study = click.option("--study", metavar="NAME", help="Study to use; by default the configured one.")


def _pool_options(command: Any) -> Any:
    """The options of whatever runs on workers."""
    for option in reversed(
        (
            click.option(
                "--workers", metavar="W", type=_AT_LEAST_ONE, help="Experiments at a time; one per core."
            ),
            click.option(
                "--pool", metavar="POOL", default="ray", help="ray (default) or local: processes, no Ray."
            ),
            click.option("--address", metavar="ADDR", help="Ray cluster to use: host:port or auto."),
            click.option(
                "--timeout", metavar="T", type=Duration(), help="Begin none after it: 90, 90s, 10m, 1h."
            ),
            click.option(
                "--experiment-timeout", metavar="T", type=Duration(), help="End an experiment after it."
            ),
            click.option(
                "--grace",
                metavar="T",
                type=Duration(),
                default=30.0,
                help="What runs may go on after a stop.",
            ),
        )
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True, context_settings=CONTEXT_SETTINGS)
@click.option("--method", metavar="M", help="Propose candidates: bayesian, random, grid, sobol, lhs ...")
@click.option("--configs", metavar="N", type=_AT_LEAST_ONE, help="How many: 20; for grid, its whole design.")
@click.option("--warm-start", metavar="STUDY", multiple=True, help="Learn from an earlier study; repeatable.")
@_pool_options
@click.option("--max-failed", metavar="N", type=_AT_LEAST_ZERO, default=0, help="More than it: exit code 5.")
@click.option(
    "--same-error", metavar="N", type=_AT_LEAST_ZERO, default=3, help="So many in a row stop it: 3; 0: never."
)
@_study
@click.option("--seed", metavar="N", type=_AT_LEAST_ZERO, help="Seed of a new study.")
@click.option(
    "--confirm", metavar="K", type=_AT_LEAST_ZERO, default=0, help="At the end, confirm the best K: 0."
)
@click.option("--summary", is_flag=True, help="Report: best, baseline, improvement, cost, failures.")
@click.option("--top", metavar="N", type=_AT_LEAST_ONE, help="How many of the best to report; 5.")
@common_options
@pass_common
def cli(common: Common, /, study: str | None, summary: bool, top: int | None, **options: Any) -> int | None:
    """Run experiments on a pool of workers, and report on them.

    With --method or --configs: propose candidates and run them. Without: run what waits. The same
    command typed again continues where an interrupted one stopped.
    """
    if _is_followed_by_subcommand():
        return None
    flags = _flags(common, study)
    if summary:
        from orchestrator.looking import summarize_study

        _refuse_with("--summary", but=("summary", "study", "top"))
        config = common.look_up({"study.name": study})
        emit(summarize_study(config, common.output, top=top or 5, flags=flags, colour=common.colour))
        return 0
    if top is not None:
        raise click.UsageError("--top goes with --summary.")
    if options["warm_start"] and options["method"] is None and options["configs"] is None:
        raise click.UsageError("--warm-start goes with --method or --configs.")
    overrides = {"study.name": study, "study.warm_start": list(options["warm_start"]) or None}
    return _run(common, common.load_config(overrides), flags, options)


def _flags(common: Common, study: str | None) -> str:
    """What a suggested command must repeat to mean the same study."""
    return common.flags + (f" --study {shlex.quote(study)}" if study is not None else "")


def _run(common: Common, config: Any, flags: str, options: dict[str, Any]) -> int:
    from orchestrator.launch import launch
    from orchestrator.result import result_text, traceback_text, trouble_text

    asked = {
        "method": options["method"],
        "n_configs": options["configs"],
        "warm_start": config.study.warm_start,
        "max_failed": options["max_failed"],
        "same_error": options["same_error"],
        "confirm": options["confirm"],
        "seed": options["seed"],
    }

    def show(result: Any) -> None:
        emit(result_text(result, common.output))
        if (trace := traceback_text(result)) is not None:
            say(trace)
        if (trouble := trouble_text(result)) is not None:
            what, remedy = trouble
            say_labelled("error", what, "red")
            say_labelled("try", remedy, "cyan")

    return _on_workers(launch, show, common, config, flags, options, asked)


def _on_workers(
    run: Callable[..., Any],
    show: Callable[[Any], None],
    common: Common,
    config: Any,
    flags: str,
    options: Mapping[str, Any],
    asked: Mapping[str, Any],
) -> int:
    """Run with the options of `_pool_options` and what else was asked, and show what came of it."""
    from orchestrator.progress import open_display
    from orchestrator.request import Request
    from orchestrator.signals import Interrupted, StopSignals

    request = Request(
        n_workers=options["workers"],
        pool=options["pool"],
        address=options["address"],
        timeout_s=options["timeout"],
        experiment_timeout_s=options["experiment_timeout"],
        grace_s=options["grace"],
        echo=common.verbosity > 0,
        command=("orchestrator", *sys.argv[1:]),
        flags=flags,
        **asked,
    )
    try:
        with StopSignals() as stop, open_display(progress=common.progress, quiet=common.quiet) as display:
            result = run(config, request, display=display, stop=stop)
    except Interrupted as interrupted:
        note(common, "interrupted before anything ran")
        return interrupted.exit_code
    show(result)
    return int(result.exit_code)


def _is_followed_by_subcommand() -> bool:
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        return False
    _refuse_with(f"the subcommand {context.invoked_subcommand!r}", but=())
    return True


def _refuse_with(what: str, *, but: tuple[str, ...]) -> None:
    context = click.get_current_context()
    given = [
        "--" + name.replace("_", "-")
        for name in context.params
        if name not in but and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)} and {what} exclude each other.")


def _confirming(command: Any) -> Any:
    """The options of what scores the best once more."""
    repeats = click.option(
        "--repeats", metavar="R", type=click.IntRange(min=2), default=5, help="At most; 5."
    )
    return repeats(_pool_options(_study(command)))


@cli.command("confirm")
@click.option("--top", metavar="K", type=_AT_LEAST_ONE, default=5, help="How many of the best; 5.")
@_confirming
@common_options
@pass_common
def _confirm(common: Common, /, top: int, study: str | None, **options: Any) -> int:
    """Score the best once more on fresh folds: which is really the best, and by how much.

    Clear losers stop early. The same command typed again continues where an interrupted one stopped.
    """
    from orchestrator.confirming import confirm

    return _confirm_with(confirm, common, top, study, options)


@cli.command("revalidate")
@click.option("--top", metavar="K", type=_AT_LEAST_ONE, default=5, help="How many of before; 5.")
@_confirming
@common_options
@pass_common
def _revalidate(common: Common, /, top: int, study: str | None, **options: Any) -> int:
    """Score the best of other data, code or metric on what is there now, and confirm the best of all."""
    from orchestrator.revalidating import revalidate

    return _confirm_with(revalidate, common, top, study, options)


def _confirm_with(
    run: Callable[..., Any], common: Common, top: int, study: str | None, options: dict[str, Any]
) -> int:
    from orchestrator.confirm_text import confirm_text

    config = common.load_config({"study.name": study})
    asked = {"confirm": top, "repeats": options["repeats"]}

    def show(result: Any) -> None:
        emit(confirm_text(result, common.output, colour=common.colour))

    return _on_workers(run, show, common, config, _flags(common, study), options, asked)


@cli.command("ls")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only these; repeatable.")
@click.option("--method", metavar="M", help="Only those that this method proposed.")
@click.option("--limit", metavar="N", type=_AT_LEAST_ONE, help="Only the newest so many.")
@_study
@common_options
@pass_common
def _ls(
    common: Common, /, states: tuple[str, ...], method: str | None, limit: int | None, study: str | None
) -> None:
    """List the experiments of the study."""
    from orchestrator.looking import list_experiments

    config = common.look_up({"study.name": study})
    emit(list_experiments(config, common.output, states=states, method=method, limit=limit))


@cli.command("show")
@click.argument("experiment")
@click.option("--lineage", is_flag=True, help="Where it came from, and where it was deployed.")
@_study
@common_options
@pass_common
def _show(common: Common, /, experiment: str, lineage: bool, study: str | None) -> None:
    """Show all about one EXPERIMENT: its id, the start of it, or best."""
    from orchestrator.looking import describe, trace

    config = common.look_up({"study.name": study})
    emit((trace if lineage else describe)(config, experiment, common.output, colour=common.colour))


@cli.command("replay")
@click.argument("experiment")
@click.option("--tolerance", metavar="X", type=click.FloatRange(min=0), help="Relative; 1e-6.")
@_study
@common_options
@pass_common
def _replay(common: Common, /, experiment: str, tolerance: float | None, study: str | None) -> int:
    """Run one EXPERIMENT again from what is stored, and say whether it comes out the same. Stores nothing."""
    from orchestrator.replay import TOLERANCE, replay, replay_text

    config = common.load_config({"study.name": study})
    found = replay(
        config,
        experiment,
        tolerance=TOLERANCE if tolerance is None else tolerance,
        tell=partial(note, common),
    )
    emit(replay_text(found, common.output, colour=common.colour))
    return found.exit_code


@cli.command("diff")
@click.argument("first")
@click.argument("second")
@_study
@common_options
@pass_common
def _diff(common: Common, /, first: str, second: str, study: str | None) -> None:
    """Show in what two experiments differ, and what it was worth. Either may be best."""
    from orchestrator.looking import compare

    config = common.look_up({"study.name": study})
    emit(compare(config, first, second, common.output, colour=common.colour))


@cli.command("cancel")
@click.argument("experiments", nargs=-1, metavar="[EXPERIMENT]...")
@click.option("--waiting", is_flag=True, help="All that wait in the study.")
@click.option("--reason", metavar="TEXT", help="Why, for the log.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_study
@common_options
@pass_common
def _cancel(
    common: Common,
    /,
    experiments: tuple[str, ...],
    waiting: bool,
    reason: str | None,
    yes: bool,
    study: str | None,
) -> int:
    """Cancel experiments that wait: some by their ids, or all with --waiting. What runs goes on."""
    from orchestrator.cancelling import cancel_waiting, cancelled_text

    if bool(experiments) is waiting:
        raise click.UsageError("cancel takes the ids of experiments, or --waiting for all that wait.")
    confirm = partial(click.confirm, default=False, err=True) if may_ask() and not yes else None
    config = common.load_config({"study.name": study})
    done = cancel_waiting(config, experiments, reason=reason, confirm=confirm)
    emit(cancelled_text(done, common.output))
    return int(done.declined)


@cli.command("backup")
@click.argument("path", type=click.Path(path_type=Path))
@common_options
@pass_common
def _backup(common: Common, /, path: Path) -> None:
    """Copy the registry to a new file at PATH; safe while experiments run."""
    from orchestrator.looking import back_up

    emit(back_up(common.look_up(), path))


def main() -> None:
    """Entry point of the console script `orchestrator`."""
    sys.exit(run_command(cli, "orchestrator"))
