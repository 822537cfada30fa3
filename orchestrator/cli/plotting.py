"""`plot`: a picture of a study, in a file."""

from pathlib import Path

import click

from orchestrator.cli.options import study_option
from retrain.cli import Common, common_options, emit, pass_common

__all__ = ["plot"]


@click.command("plot", short_help="Draw a picture of the study.")
@click.argument("kind")
@click.option(
    "-o",
    "--output",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Ends in .png, .svg or .html; KIND.html.",
)
@study_option
@common_options
@pass_common
def plot(common: Common, /, kind: str, path: Path | None, study: str | None) -> None:
    """Draw a picture of the study into a file.

    KIND is convergence, front (of several objectives), importance, parallel, slice, learning-curves or
    default-against-tuned.
    """
    from orchestrator.looking import draw

    config = common.look_up({"study.name": study})
    emit(draw(config, kind, Path(f"{kind}.html") if path is None else path))
