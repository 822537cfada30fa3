"""The options that every command of both programs takes."""

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from retrain.console import emit, say, wants_colour
from retrain.passwords import without_password
from retrain.tables import FORMATS

if TYPE_CHECKING:
    from retrain.config import Config, Lookup

__all__ = [
    "CONTEXT_SETTINGS",
    "Common",
    "common_options",
    "memory_option",
    "note",
    "pass_common",
    "phase_options",
]

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class Common:
    """The common options of one invocation, wherever on the line they stood."""

    config: Path | None = None
    db: str | None = None
    output: str = "table"
    progress: bool = True
    quiet: bool = False
    verbose: int = 0
    debug: bool = False
    allow_network_fs: bool = False
    phase: str | None = None
    phase2: bool = False

    @property
    def verbosity(self) -> int:
        """-1 with --quiet, 0 by default, 1 or more with -v."""
        return -1 if self.quiet else self.verbose

    @property
    def colour(self) -> bool:
        """Whether results may be coloured: a terminal on stdout, and NO_COLOR not set."""
        return wants_colour(sys.stdout)

    @property
    def flags(self) -> str:
        """What a suggested command must repeat to mean the same project and phase."""
        phase = f" --phase {shlex.quote(self.phase)}" if self.phase is not None else ""
        return self.project_flags + phase + (" --phase2" if self.phase2 else "")

    @property
    def project_flags(self) -> str:
        """What it must repeat to mean the same project, such as " --db other.db"."""
        given = (("--config", self.config), ("--db", self.db))
        shown = ((name, without_password(str(value))) for name, value in given if value is not None)
        return "".join(f" {name} {shlex.quote(value)}" for name, value in shown)

    @property
    def phase_flag(self) -> str | None:
        """How the phase was asked for; None where it was not."""
        if self.phase is not None and self.phase2:
            raise click.UsageError("--phase and --phase2 exclude each other: give one of them.")
        return "--phase" if self.phase is not None else "--phase2" if self.phase2 else None

    def load_config(self, overrides: Mapping[str, Any] | None = None) -> "Config":
        """Load the configuration that --config and --db point to, with further overrides by dotted name.

        It is that of the phase that was asked for.
        """
        from retrain.config import load_config

        config = load_config(self.config, self._with_flags(overrides))
        if self.phase_flag is None:
            return config
        return config.in_phase(self.phase if self.phase is not None else config.second_phase)

    def look_up(self, overrides: Mapping[str, Any] | None = None) -> "Lookup":
        """The same for what only reports, and needs little of it."""
        from retrain.config import Lookup, look_up

        if self.phase_flag is not None:
            return Lookup.of(self.load_config(overrides))
        return look_up(self.config, self._with_flags(overrides))

    def _with_flags(self, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
        given = {"db": self.db, "allow_network_fs": self.allow_network_fs or None}
        return {**(overrides or {}), **{name: value for name, value in given.items() if value is not None}}


pass_common = click.make_pass_decorator(Common, ensure=True)


def _store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep what was typed; a default never overwrites what another level of the command line said."""
    common = context.ensure_object(Common)
    if value is None or parameter.name is None:
        return
    if parameter.name == "no_progress":
        common.progress = False
    elif parameter.name == "verbose":
        common.verbose += value
    else:
        setattr(common, parameter.name, value)


def _version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("retrain")
    except PackageNotFoundError:
        number = "(not installed)"
    emit(f"{context.find_root().info_name} {number}")
    context.exit()


def _common(*names: str, **settings: Any) -> Callable[[Function], Function]:
    return click.option(*names, expose_value=False, callback=_store, default=None, **settings)


def common_options(function: Function) -> Function:
    """Add the options that every command of both programs takes, before or after a subcommand."""
    for option in reversed(
        [
            _common(
                "--config",
                metavar="PATH",
                type=click.Path(path_type=Path),
                help="Configuration; retrain.toml here by default.",
            ),
            _common("--db", metavar="URL", help="Registry: a file or a database URL."),
            _common(
                "--allow-network-fs",
                is_flag=True,
                flag_value=True,
                help="Write to a registry on a network file system, too.",
            ),
            _common(
                "--format",
                "output",
                metavar="FORMAT",
                type=click.Choice(FORMATS),
                help="table, json, csv or markdown.",
            ),
            _common("--no-progress", is_flag=True, flag_value=True, help="No live progress."),
            _common("-q", "--quiet", is_flag=True, flag_value=True, help="Only results and errors."),
            _common("-v", "--verbose", count=True, help="Say more; twice for everything."),
            _common("--debug", is_flag=True, flag_value=True, is_eager=True, help="Tracebacks with errors."),
            click.option(
                "--version",
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_version,
                help="Print the version.",
            ),
        ]
    ):
        function = option(function)
    return function


def memory_option(function: Function) -> Function:
    """Add the option of whatever proposes candidates and may learn from similar studies."""
    option = click.option(
        "--memory/--no-memory", default=None, help="Start from what similar studies taught, or not (default)."
    )
    return option(function)


def phase_options(function: Function) -> Function:
    """Add the options of whatever can work on a later phase instead of `[space]` itself."""
    for option in (
        _common("--phase2", is_flag=True, flag_value=True, help="The second phase: phase2, or the next one."),
        _common("--phase", metavar="NAME", help="Work on the space of this later phase."),
    ):
        function = option(function)
    return function


def note(common: Common, text: str, *, verbosity: int = 0) -> None:
    """Say something on stderr unless the user asked for less: 0 is said by default, 1 with -v."""
    if common.verbosity >= verbosity:
        say(text)
