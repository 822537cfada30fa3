"""`confirm` and `revalidate`: what scores the best once more."""

from collections.abc import Callable
from typing import Any

import click

from orchestrator.cli.options import AT_LEAST_ONE, flags_of, pool_options, study_option
from orchestrator.cli.running import on_workers
from retrain.cli import Common, common_options, emit, pass_common
from retrain.cli.kinds import AtLeast

__all__ = ["confirm", "revalidate"]


def _confirming(command: Any) -> Any:
    """The options of what scores the best once more."""
    repeats = click.option(
        "--repeats", metavar="R", type=AtLeast(2), default=5, help="How often each of them, at most; 5."
    )
    return repeats(pool_options(study_option(command)))


@click.command("confirm", short_help="Score the best once more on fresh folds.")
@click.option("--top", metavar="K", type=AT_LEAST_ONE, default=5, help="How many of the best; 5.")
@_confirming
@common_options
@pass_common
def confirm(common: Common, /, top: int, study: str | None, **options: Any) -> int:
    """Score the best once more on fresh folds: which is really the best, and by how much.

    Clear losers stop early. The same command typed again continues where an interrupted one stopped.
    """
    from orchestrator.confirming import confirm

    return _confirm_with(confirm, common, top, study, options)


@click.command("revalidate", short_help="Score the best of before on what is there now.")
@click.option("--top", metavar="K", type=AT_LEAST_ONE, default=5, help="How many of before; 5.")
@_confirming
@common_options
@pass_common
def revalidate(common: Common, /, top: int, study: str | None, **options: Any) -> int:
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

    return on_workers(run, show, common, config, flags_of(common, study), options, asked)
