"""`all`: several applications or architectures."""

import sys
from dataclasses import replace
from typing import Any

import click

from orchestrator.cli.options import AT_LEAST_ONE, AT_LEAST_ZERO, ManyWords, pool_options
from retrain.cli import Common, common_options, emit, note, pass_common

__all__ = ["everything"]

_SHARED = ("max_failed", "seed", "address", "experiment_timeout", "experiment_memory", "grace")


@click.command("all", cls=ManyWords, short_help="Run several applications or architectures, and sum up.")
@click.option(
    "--mode",
    type=click.Choice(("multistage", "maximal")),
    default="multistage",
    help="The [[stages]] of each (default), or one large study.",
)
@click.option(
    "--architectures",
    metavar="A...",
    multiple=True,
    help="Folders, files or [architectures.NAME]; all of these.",
)
@click.option("--n-trials", metavar="N", type=AT_LEAST_ONE, help="Candidates of each: as staged, or 100.")
@click.option("--method", metavar="M", default="bayesian", help="Of a large study; bayesian.")
@click.option("--parallel", metavar="P", type=AT_LEAST_ONE, default=1, help="So many side by side; 1.")
@click.option("--stop-on-error", is_flag=True, help="Stop all when one comes to no result.")
@pool_options
@click.option(
    "--max-failed", metavar="N", type=AT_LEAST_ZERO, default=0, help="More that failed end in exit code 5; 0."
)
@click.option("--seed", metavar="N", type=AT_LEAST_ZERO, help="Seed of new studies.")
@common_options
@pass_common
def everything(common: Common, /, **options: Any) -> int:
    """Run several applications or architectures, in a row or side by side, and sum up.

    The same command typed again continues where an interrupted one stopped.
    """
    from orchestrator.everything import Wish, run_everything
    from orchestrator.many_text import exit_code_of, many_text, next_line
    from orchestrator.signals import Interrupted, StopSignals

    shared = [(name, options[name]) for name in _SHARED if options[name] is not None]
    wish = Wish(
        mode=options["mode"],
        architectures=options["architectures"],
        config=common.config,
        db=common.db,
        n_trials=options["n_trials"],
        method=options["method"],
        parallel=options["parallel"],
        stop_on_error=options["stop_on_error"],
        timeout_s=options["timeout"],
        pool=options["pool"],
        n_workers=options["workers"],
        shared=[text for name, value in shared for text in (f"--{name.replace('_', '-')}", str(value))],
    )
    try:
        with StopSignals() as stop:
            outcomes = run_everything(wish, tell=lambda line: note(common, line), stop=stop)
    except Interrupted as interrupted:
        note(common, "interrupted before anything ran")
        return interrupted.exit_code
    emit(many_text(outcomes, common.output))
    line = next_line(outcomes, ["orchestrator", *sys.argv[1:]], replace(common, config=None).project_flags)
    if line is not None:
        note(common, line)
    return exit_code_of(outcomes, None if stop.stop_at is None else stop.exit_code)
