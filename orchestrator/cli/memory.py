"""`memory`: what studies taught, for those that come after."""

import click

from retrain.cli import Common, common_options, emit, pass_common
from retrain.cli.kinds import AtLeast

__all__ = ["memory"]


@click.command("memory", short_help="List what studies taught; explain or forget it.")
@click.argument("pattern", type=AtLeast(1), required=False)
@click.option("--forget", is_flag=True, help="Start no study from this pattern any more.")
@click.option("--reason", metavar="TEXT", help="Why, for the log.")
@click.option(
    "--events",
    "salience",
    metavar="[X]",
    is_flag=False,
    flag_value=0.5,
    type=click.FloatRange(0, 1),
    help="List what mattered in this registry, by a salience of X (0.5) or more.",
)
@common_options
@pass_common
def memory(
    common: Common, /, pattern: int | None, forget: bool, reason: str | None, salience: float | None
) -> None:
    """List what studies taught; explain one PATTERN by its number, or forget it."""
    from orchestrator.memory import explain_pattern, forget_pattern, list_events, list_patterns

    if forget and pattern is None:
        raise click.UsageError("--forget goes with the number of a pattern: orchestrator memory 3 --forget")
    if reason is not None and not forget:
        raise click.UsageError("--reason goes with --forget.")
    if salience is not None and (pattern is not None or forget):
        raise click.UsageError("--events lists what mattered in the whole registry: give it alone.")
    config = common.look_up()
    if salience is not None:
        emit(list_events(config, salience, common.output))
    elif pattern is None:
        emit(list_patterns(config, common.output))
    elif forget:
        emit(forget_pattern(config, pattern, reason))
    else:
        emit(explain_pattern(config, pattern, common.output, colour=common.colour))
