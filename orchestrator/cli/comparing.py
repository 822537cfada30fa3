"""`compare`: models x training sizes x sites, with and without tuning."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import AT_LEAST_ONE, ManyWords, flags_of, pool_options
from orchestrator.cli.running import on_workers
from retrain.cli import Common, common_options, emit, pass_common
from retrain.cli.kinds import Duration

__all__ = ["compare"]

_ASKED = ("sites", "models", "train_on")


@click.command("compare", cls=ManyWords, short_help="Compare models over sites and training sizes.")
@click.option("--data-path", metavar="PATH", type=click.Path(path_type=Path), help="Table; as configured.")
@click.option("--sites", metavar="S...", multiple=True, help="Which; all in the data.")
@click.option("--models", metavar="M...", multiple=True, help="Which; as configured.")
@click.option("--training-sizes", metavar="X...", multiple=True, type=float, help="Shares of the rows; 1.0.")
@click.option(
    "--train-on",
    metavar="K...",
    multiple=True,
    type=click.Choice(("all", "others", "own")),
    help="all, others or own sites; all others.",
)
@click.option("--tune-hyperparameters", "tune", is_flag=True, help="Compare defaults with tuned ones.")
@click.option(
    "--tuning-method",
    "method",
    metavar="M",
    default="bayesian",
    help="bayesian (default), random, grid, optuna or ray_tune.",
)
@click.option(
    "--tuning-trials", "trials", metavar="N", type=AT_LEAST_ONE, default=20, help="Of each tuning; 20."
)
@click.option("--tuning-timeout", metavar="T", type=Duration(), help="Of each tuning.")
@click.option("--tuning-metric", "metric", metavar="M", help="What is tuned; as configured.")
@click.option(
    "--output-dir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("comparison"),
    help="For results.csv and the plot; comparison.",
)
@pool_options
@common_options
@pass_common
def compare(common: Common, /, **options: Any) -> int:
    """Compare models over sites and training sizes, on known sites and new ones, with and without tuning.

    The same command typed again continues an interrupted one, and does nothing twice.
    """
    from orchestrator.comparison.design import Asked
    from orchestrator.comparison.run import compare
    from orchestrator.report.compared_files import write_files
    from orchestrator.report.compared_text import compared_text

    config = common.load_config()
    asked = Asked(
        data=options["data_path"],
        sizes=options["training_sizes"],
        timeout_s=options["tuning_timeout"],
        **{name: options[name] for name in (*_ASKED, "tune", "method", "trials", "metric")},
    )

    def run(config: Any, request: Any, **around: Any) -> Any:
        return compare(config, asked, options["output_dir"], request, **around)

    def show(compared: Any) -> None:
        files = write_files(compared)
        emit(compared_text(compared, common.output, files=files, verbose=common.verbosity > 0))

    return on_workers(run, show, common, config, flags_of(common, None), options, {})
