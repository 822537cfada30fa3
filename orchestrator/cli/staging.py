"""`stages`: a search in steps."""

from typing import Any

import click

from orchestrator.cli.options import AT_LEAST_ONE, AT_LEAST_ZERO, flags_of, pool_options, study_option
from orchestrator.cli.running import on_workers
from retrain.cli import Common, common_options, emit, pass_common

__all__ = ["stages"]


@click.command("stages", short_help="Run the [[stages]] of the configuration.")
@click.option("--configs", metavar="N", type=AT_LEAST_ONE, help="Candidates in all, shared out as declared.")
@pool_options
@click.option(
    "--max-failed", metavar="N", type=AT_LEAST_ZERO, default=0, help="More that failed end in exit code 5; 0."
)
@study_option
@click.option("--seed", metavar="N", type=AT_LEAST_ZERO, help="Seed of new studies.")
@common_options
@pass_common
def stages(common: Common, /, configs: int | None, study: str | None, **options: Any) -> int:
    """Run the [[stages]] of the configuration, each more thorough than the last, whose best it begins with.

    At the end the best are scored at full fidelity, and the winner is looked at once on the holdout. The
    same command typed again continues where an interrupted one stopped.
    """
    from orchestrator.stages import run_stages, with_budget
    from orchestrator.stages_text import stages_text

    config = common.load_config({"study.name": study, "study.seed": options["seed"]})
    if configs is not None and config.stages:
        config = config.model_copy(update={"stages": with_budget(config.stages, configs)})
    asked = {
        "max_failed": options["max_failed"],
        "seed": options["seed"],
        "pruner": config.pruning.pruner,
        "pruner_options": config.pruning.options,
    }

    def show(result: Any) -> None:
        emit(stages_text(result, common.output, colour=common.colour))

    return on_workers(run_stages, show, common, config, flags_of(common, study), options, asked)
