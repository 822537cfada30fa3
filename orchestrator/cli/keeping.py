"""What changes or copies the registry and runs nothing: `cancel`, `backup`."""

from functools import partial
from pathlib import Path

import click

from orchestrator.cli.options import study_option
from retrain.cli import Common, common_options, emit, may_ask, pass_common

__all__ = ["backup", "cancel"]


@click.command("cancel", short_help="Cancel experiments that wait.")
@click.argument("experiments", nargs=-1, metavar="[EXPERIMENT]...")
@click.option("--waiting", is_flag=True, help="All that wait in the study.")
@click.option("--reason", metavar="TEXT", help="Why, for the log.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@study_option
@common_options
@pass_common
def cancel(
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


@click.command("backup", short_help="Copy the registry to a new file, while experiments run.")
@click.argument("path", type=click.Path(path_type=Path))
@common_options
@pass_common
def backup(common: Common, /, path: Path) -> None:
    """Copy the registry to a new file at PATH; safe while experiments run."""
    from orchestrator.looking import back_up

    emit(back_up(common.look_up(), path))
