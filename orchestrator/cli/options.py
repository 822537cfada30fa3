"""The options that several subcommands take."""

import shlex
from collections.abc import Collection, Sequence
from typing import Any

import click

from retrain.cli import Common, phase_options
from retrain.cli.kinds import AtLeast, Duration, Size

__all__ = ["AT_LEAST_ONE", "AT_LEAST_ZERO", "ManyWords", "flags_of", "pool_options", "spread", "study_option"]

AT_LEAST_ONE = AtLeast(1)
AT_LEAST_ZERO = AtLeast(0)


def study_option(command: Any) -> Any:
    """The options that say which study."""
    study = click.option("--study", metavar="NAME", help="Study to use; by default the configured one.")
    return study(phase_options(command))


def pool_options(command: Any) -> Any:
    """The options of whatever runs on workers."""
    for option in reversed(
        (
            click.option(
                "--workers",
                "--n-workers",
                "workers",
                metavar="W",
                type=AT_LEAST_ONE,
                help="Experiments at a time; one per core.",
            ),
            click.option(
                "--pool", metavar="POOL", default="ray", help="ray (default) or local: processes, no Ray."
            ),
            click.option("--address", metavar="ADDR", help="Ray cluster to use: host:port or auto."),
            click.option(
                "--timeout", metavar="T", type=Duration(), help="End the whole after it: 90, 90s, 10m, 1h."
            ),
            click.option(
                "--experiment-timeout", metavar="T", type=Duration(), help="End an experiment after it."
            ),
            click.option(
                "--experiment-memory", metavar="SIZE", type=Size(), help="End an experiment that needs more."
            ),
            click.option(
                "--grace",
                metavar="T",
                type=Duration(zero=True),
                default=30.0,
                help="How long running ones may go on after a stop; 30s.",
            ),
        )
    ):
        command = option(command)
    return command


def flags_of(common: Common, study: str | None) -> str:
    """What a suggested command must repeat to mean the same study."""
    return common.flags + (f" --study {shlex.quote(study)}" if study is not None else "")


class ManyWords(click.Command):
    """A command whose repeatable options also take several words: `--sites A B` is `--sites A --sites B`.

    So it has no arguments: every word after such an option, up to the next option, belongs to it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click."""
        several = (each for each in self.params if isinstance(each, click.Option) and each.multiple)
        return super().parse_args(ctx, spread(args, {name for each in several for name in each.opts}))


def spread(words: Sequence[str], names: Collection[str]) -> list[str]:
    """Repeat an option of `names` before each of the words that follow it, which do not begin with "-"."""
    spread_out: list[str] = []
    repeated, takes_any = "", False
    for word in words:
        if repeated and (takes_any or not word.startswith("-")):
            spread_out += [word] if takes_any else [repeated, word]
            takes_any = False
            continue
        repeated = word.partition("=")[0] if word.partition("=")[0] in names else ""
        takes_any = word == repeated != ""
        spread_out.append(word)
    return spread_out
