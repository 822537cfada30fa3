"""`orchestrator` itself: run experiments, or report on them with --summary."""

from typing import Any

import click
from click.core import ParameterSource

from orchestrator.cli.options import AT_LEAST_ONE, AT_LEAST_ZERO, flags_of, pool_options, study_option
from orchestrator.cli.running import on_workers, request_of
from retrain.cli import CONTEXT_SETTINGS, Common, common_options, emit, memory_option, pass_common
from retrain.console import say, say_labelled

__all__ = ["cli"]


@click.group(invoke_without_command=True, context_settings=CONTEXT_SETTINGS)
@click.option("--method", metavar="M", help="Propose candidates: bayesian, random, grid, sobol, lhs ...")
@click.option("--configs", metavar="N", type=AT_LEAST_ONE, help="How many: 20; for grid, its whole design.")
@click.option("--warm-start", metavar="STUDY", multiple=True, help="Learn from an earlier study; repeatable.")
@memory_option
@pool_options
@click.option(
    "--max-failed", metavar="N", type=AT_LEAST_ZERO, default=0, help="More that failed end in exit code 5; 0."
)
@click.option(
    "--same-error",
    metavar="N",
    type=AT_LEAST_ZERO,
    default=3,
    help="So many in a row by one error stop the run: 3; 0: never.",
)
@click.option("--pruner", metavar="P", help="Stop bad ones early: asha, hyperband, median, wilcoxon, none.")
@study_option
@click.option("--seed", metavar="N", type=AT_LEAST_ZERO, help="Seed of a new study.")
@click.option(
    "--confirm", metavar="K", type=AT_LEAST_ZERO, default=0, help="At the end, confirm the best K: 0."
)
@click.option("--preview", is_flag=True, help="Only say how many, how long, at what cost; run nothing.")
@click.option("--summary", is_flag=True, help="Report: best, baseline, improvement, cost, failures.")
@click.option("--top", metavar="N", type=AT_LEAST_ONE, help="With --summary: how many of the best; 5.")
@common_options
@pass_common
def cli(common: Common, /, study: str | None, summary: bool, top: int | None, **options: Any) -> int | None:
    """Run experiments on a pool of workers, and report on them.

    With --method or --configs: propose candidates and run them. Without: run what waits. The same
    command typed again continues where an interrupted one stopped.
    """
    if _is_followed_by_subcommand():
        return None
    flags = flags_of(common, study)
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
    if options["memory"] and options["method"] is None and options["configs"] is None:
        raise click.UsageError("--memory goes with --method or --configs.")
    overrides = {
        "study.name": study,
        "study.warm_start": list(options["warm_start"]) or None,
        "study.memory": options["memory"],
        "pruning.pruner": options["pruner"],
    }
    return _run(common, common.load_config(overrides), flags, options)


def _run(common: Common, config: Any, flags: str, options: dict[str, Any]) -> int:
    from orchestrator.launch import launch
    from orchestrator.result import result_text, traceback_text, trouble_text

    asked = {
        "method": options["method"],
        "n_configs": options["configs"],
        "warm_start": config.study.warm_start,
        "memory": config.study.similarity,
        "hints_at_memory": config.study.memory is False and options["memory"] is None,
        "max_failed": options["max_failed"],
        "same_error": options["same_error"],
        "confirm": options["confirm"],
        "pruner": config.pruning.pruner,
        "pruner_options": config.pruning.options,
        "seed": options["seed"],
    }

    if options["preview"]:
        from orchestrator.preview import preview, preview_text

        found = preview(config, request_of(common, config, flags, options, asked))
        emit(preview_text(found, common.output))
        return 0

    def show(result: Any) -> None:
        emit(result_text(result, common.output))
        if (trace := traceback_text(result)) is not None:
            say(trace, as_it_is=True)
        if (trouble := trouble_text(result)) is not None:
            what, remedy = trouble
            say_labelled("error", what, "red")
            say_labelled("try", remedy, "cyan")

    return on_workers(launch, show, common, config, flags, options, asked)


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
