"""`memory`: what studies taught, for those that come after."""

import click

from retrain.cli import Common, common_options, emit, pass_common
from retrain.cli.kinds import AtLeast

__all__ = ["memory"]


@click.command("memory")
@click.argument("pattern", type=AtLeast(1), required=False)
@click.option("--forget", is_flag=True, help="Start no study from this pattern any more.")
@click.option("--reason", metavar="TEXT", help="Why, for the log.")
@common_options
@pass_common
def memory(common: Common, /, pattern: int | None, forget: bool, reason: str | None) -> None:
    """List what studies taught; explain one PATTERN by its number, or forget it."""
    from orchestrator.memory import explain_pattern, forget_pattern, list_patterns

    if forget and pattern is None:
        raise click.UsageError("--forget goes with the number of a pattern: orchestrator memory 3 --forget")
    if reason is not None and not forget:
        raise click.UsageError("--reason goes with --forget.")
    config = common.look_up()
    if pattern is None:
        emit(list_patterns(config, common.output))
    elif forget:
        emit(forget_pattern(config, pattern, reason))
    else:
        emit(explain_pattern(config, pattern, common.output, colour=common.colour))
