"""What only looks: `ls`, `show`, `diff`; and `replay`, which runs and stores nothing."""

from functools import partial

import click

from orchestrator.cli.options import AT_LEAST_ONE, study_option
from retrain.cli import Common, common_options, emit, note, pass_common

__all__ = ["diff", "ls", "replay", "show"]


_STATES = ("waiting", "running", "complete", "pruned", "failed")


@click.command("ls")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Only these; repeatable.")
@click.option("--method", metavar="M", help="Only those that this method proposed.")
@click.option("--limit", metavar="N", type=AT_LEAST_ONE, help="Only the newest so many.")
@study_option
@common_options
@pass_common
def ls(
    common: Common, /, states: tuple[str, ...], method: str | None, limit: int | None, study: str | None
) -> None:
    """List the experiments of the study."""
    from orchestrator.looking import list_experiments

    config = common.look_up({"study.name": study})
    emit(list_experiments(config, common.output, states=states, method=method, limit=limit))


@click.command("show", short_help="Show all about one experiment.")
@click.argument("experiment")
@click.option("--lineage", is_flag=True, help="Where it came from, and where it was deployed.")
@study_option
@common_options
@pass_common
def show(common: Common, /, experiment: str, lineage: bool, study: str | None) -> None:
    """Show all about one EXPERIMENT: its id, the start of it, or best."""
    from orchestrator.looking import describe, trace

    config = common.look_up({"study.name": study})
    emit((trace if lineage else describe)(config, experiment, common.output, colour=common.colour))


@click.command("replay", short_help="Run one experiment again: does it come out the same?")
@click.argument("experiment")
@click.option("--tolerance", metavar="X", type=click.FloatRange(min=0), help="Relative; 1e-6.")
@study_option
@common_options
@pass_common
def replay(common: Common, /, experiment: str, tolerance: float | None, study: str | None) -> int:
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


@click.command("diff", short_help="Show in what two experiments differ.")
@click.argument("first")
@click.argument("second")
@study_option
@common_options
@pass_common
def diff(common: Common, /, first: str, second: str, study: str | None) -> None:
    """Show in what two experiments differ, and what it was worth. Either may be best."""
    from orchestrator.looking import compare

    config = common.look_up({"study.name": study})
    emit(compare(config, first, second, common.output, colour=common.colour))
