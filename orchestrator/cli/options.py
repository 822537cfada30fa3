"""The options that several subcommands take."""

import shlex
from typing import Any

import click

from retrain.cli import Common
from retrain.cli.kinds import Duration

__all__ = ["AT_LEAST_ONE", "AT_LEAST_ZERO", "flags_of", "pool_options", "study_option"]

AT_LEAST_ONE = click.IntRange(min=1)
AT_LEAST_ZERO = click.IntRange(min=0)


study_option = click.option("--study", metavar="NAME", help="Study to use; by default the configured one.")


def pool_options(command: Any) -> Any:
    """The options of whatever runs on workers."""
    for option in reversed(
        (
            click.option(
                "--workers", metavar="W", type=AT_LEAST_ONE, help="Experiments at a time; one per core."
            ),
            click.option(
                "--pool", metavar="POOL", default="ray", help="ray (default) or local: processes, no Ray."
            ),
            click.option("--address", metavar="ADDR", help="Ray cluster to use: host:port or auto."),
            click.option(
                "--timeout", metavar="T", type=Duration(), help="Begin none after it: 90, 90s, 10m, 1h."
            ),
            click.option(
                "--experiment-timeout", metavar="T", type=Duration(), help="End an experiment after it."
            ),
            click.option(
                "--grace",
                metavar="T",
                type=Duration(),
                default=30.0,
                help="What runs may go on after a stop.",
            ),
        )
    ):
        command = option(command)
    return command


def flags_of(common: Common, study: str | None) -> str:
    """What a suggested command must repeat to mean the same study."""
    return common.flags + (f" --study {shlex.quote(study)}" if study is not None else "")
