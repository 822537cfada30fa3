"""The command `retrain`, and what both commands share: common options, error printing, exit codes.

Nothing is decided here. A command parses, calls one function and prints what it returned. Results go to
stdout, everything else to stderr.
"""

import errno
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import shell_complete

from retrain.console import (
    emit,
    flush,
    has_no_reader,
    may_ask,
    never_fail_to_encode,
    say,
    say_labelled,
    stand_in_for_closed,
    wants_colour,
)
from retrain.passwords import without_password
from retrain.tables import FORMATS
from tuner.errors import ParamsError, RetrainError

if TYPE_CHECKING:
    from retrain.config import Config, Lookup
    from retrain.deploy import ApplyReport

__all__ = [
    "CONTEXT_SETTINGS",
    "Common",
    "cli",
    "common_options",
    "emit",
    "main",
    "may_ask",
    "note",
    "pass_common",
    "run_command",
]

INTERRUPTED = 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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
        """What a suggested command must repeat to mean the same project, such as " --db other.db"."""
        given = (("--config", self.config), ("--db", self.db))
        shown = ((name, without_password(str(value))) for name, value in given if value is not None)
        return "".join(f" {name} {shlex.quote(value)}" for name, value in shown)

    def load_config(self, overrides: Mapping[str, Any] | None = None) -> "Config":
        """Load the configuration that --config and --db point to, with further overrides by dotted name."""
        from retrain.config import load_config

        return load_config(self.config, self._with_flags(overrides))

    def look_up(self, overrides: Mapping[str, Any] | None = None) -> "Lookup":
        """The same for what only reports, and needs little of it."""
        from retrain.config import look_up

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


# ---- running a command, and what is printed when it fails


def run_command(command: click.Command, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; every error ends here, as two lines on stderr.

    Args:
        command: the root command. Its callback returns an exit code, or None for 0.
        name: what the user typed, "retrain" or "orchestrator".
        arguments: the command line without the program; `sys.argv[1:]` when not given.
    """
    stand_in_for_closed()
    for stream in (sys.stdout, sys.stderr):
        never_fail_to_encode(stream)
    instruction = os.environ.get(f"_{name.upper()}_COMPLETE")
    if instruction:
        return shell_complete(command, {}, name, f"_{name.upper()}_COMPLETE", instruction)
    common = Common()
    line = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with command.make_context(name, line, obj=common) as context:
            code = command.invoke(context)
        flush(sys.stdout)
        return int(code or 0)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("\ninterrupted")
        return INTERRUPTED
    except BrokenPipeError as error:
        return 1 if has_no_reader(sys.stdout) else _print_error(error, name)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback reaches a user unasked
        if common.debug:
            traceback.print_exc()
        return _print_error(error, name)
    finally:
        with suppress(RetrainError):  # said already, or beside the error that was
            flush(sys.stdout)


def _print_error(error: Exception, program: str) -> int:
    """Print an error as `error: <what>`, any problems, `try: <remedy>`; return the exit code."""
    problems: Sequence[str] = ()
    match error:
        case RetrainError():
            what, remedy, code = str(error), error.remedy, error.exit_code
            if isinstance(error, ParamsError):
                what, problems = _apart(what, error.problems)
        case click.ClickException():
            what, remedy, code = error.format_message(), _usage_remedy(error, program), error.exit_code
        case OSError() if error.filename is not None:
            what, remedy, code = f"{error.strerror}: {str(error.filename)!r}", "", 1
        case OSError() if error.errno in _NO_ROOM:
            what, code = f"Something could not be written: {error.strerror}.", 1
            remedy = "free some space where the output and the project are, then run the same command again"
        case _:
            what, code = f"{type(error).__name__}: {error}".rstrip(": "), 1
            remedy = "run again with --debug to see where it came from"
    say_labelled("error", what, "red")
    for problem in problems:
        say(f"  - {problem}")
    if remedy:
        say_labelled("try", remedy, "cyan")
    return code


def _apart(what: str, problems: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Take the list of problems out of the sentence that ends in it; a single one stays in the sentence."""
    listed = [problem for problem in problems if problem in what]
    if len(listed) < 2:
        return what, [problem for problem in problems if problem not in listed]
    return what[: what.index(listed[0])].rstrip(), problems


def _usage_remedy(error: click.ClickException, program: str) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context is not None else program} --help"


def note(common: Common, text: str, *, verbosity: int = 0) -> None:
    """Say something on stderr unless the user asked for less: 0 is said by default, 1 with -v."""
    if common.verbosity >= verbosity:
        say(text)


# ---- the command `retrain`

_MODES = ("tune", "tune_report", "apply_hp", "rollback", "history")
_ONLY_WITH = {  # option -> the modes it belongs to; "" is a plain `retrain`
    "tune_method": ("tune",),
    "tune_configs": ("tune",),
    "tune_guess": ("tune",),
    "warm_start": ("tune",),
    "dry_run": ("", "apply_hp", "rollback"),
    "force": ("", "apply_hp", "rollback"),
}
_PREVIOUS = "previous"


class _AtLeast(click.ParamType[int]):
    """A whole number, `least` or more."""

    name = "integer"

    def __init__(self, least: int) -> None:
        self.least = least

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number.", parameter, context)
        if number < self.least:
            self.fail(f"it must be at least {self.least}, but got {number}.", parameter, context)
        return number


class _VersionNumber(click.ParamType[int | str]):
    """`3`, `v3` or `000003`; None for the one before the present one."""

    name = "version"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> int | str:
        if value == _PREVIOUS:
            return _PREVIOUS
        digits = str(value).removeprefix("v")
        if not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 2**63):
            self.fail(f"{value!r} is not the number of a version, such as 3.", parameter, context)
        return int(digits)


@click.group(invoke_without_command=True, context_settings=CONTEXT_SETTINGS)
@click.option("--tune", is_flag=True, help="Write candidates for the orchestrator to run.")
@click.option("--tune-method", metavar="M", help="How: bayesian (default), random, grid, sobol ...")
@click.option(
    "--tune-configs", metavar="N", type=_AtLeast(1), help="How many: 20; for grid, its whole design."
)
@click.option("--tune-guess", metavar="HP", multiple=True, help="Queue your own: JSON, @FILE, -; repeatable.")
@click.option("--warm-start", metavar="STUDY", multiple=True, help="Learn from an earlier study; repeatable.")
@click.option("--tune-report", is_flag=True, help="Show how the tuning goes.")
@click.option("--apply-hp", metavar="HP", help="Retrain with it, gate, deploy: JSON, @FILE, -, ID, best.")
@click.option("--dry-run", is_flag=True, help="Go the whole way and show it, changing nothing.")
@click.option("--force", is_flag=True, help="Though nothing changed, and unasked. Gates stand.")
@click.option(
    "--rollback",
    metavar="[VERSION]",
    is_flag=False,
    flag_value=_PREVIOUS,
    type=_VersionNumber(),
    help="Return to the version before, or to this one.",
)
@click.option("--history", is_flag=True, help="Show what was deployed, when and by whom.")
@click.option("--study", metavar="NAME", help="Study to use; by default the configured one.")
@click.option("--seed", metavar="N", type=_AtLeast(0), help="Seed of a new study, and of splits and fits.")
@common_options
@pass_common
def cli(common: Common, /, study: str | None, seed: int | None, **options: Any) -> int | None:
    """Retrain a pipeline, and change its hyperparameters without fear.

    Without options: retrain with the deployed hyperparameters, test, gate, version and deploy.
    """
    context = click.get_current_context()
    mode = _mode(options)
    if context.invoked_subcommand is not None:
        _refuse_before_subcommand(context)
        return None
    warm_start = list(options["warm_start"]) or None
    overrides = {"study.name": study, "study.seed": seed, "study.warm_start": warm_start}
    flags = common.flags + (f" --study {shlex.quote(study)}" if study is not None else "")
    if mode == "tune_report":
        _tune_report(common, overrides, flags)
        return 0
    if mode == "history":
        _history(common, overrides)
        return 0
    config = common.load_config(overrides)
    _say_where(common, config)
    match mode:
        case "tune":
            _tune(common, config, options, flags)
        case _:
            return _deploy(common, config, mode, options, flags)
    return 0


def _mode(options: Mapping[str, Any]) -> str:
    """Which one of the things that `retrain` does was asked for; "" for a plain `retrain`."""
    chosen = [name for name in _MODES if options[name] not in (None, False)]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(map(_flag, chosen))} exclude each other: give one of them.")
    mode = chosen[0] if chosen else ""
    for name, modes in _ONLY_WITH.items():
        if options[name] not in (None, False, ()) and mode not in modes:
            fitting = ", ".join(_flag(each) if each else "a plain `retrain`" for each in modes)
            with_what = f"not with {_flag(mode)}" if mode else "not alone"
            raise click.UsageError(f"{_flag(name)} goes with {fitting}, {with_what}.")
    return mode


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _refuse_before_subcommand(context: click.Context) -> None:
    given = [
        _flag(name)
        for name in context.params
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        command = context.invoked_subcommand
        raise click.UsageError(f"{', '.join(given)} and the subcommand {command!r} exclude each other.")


def _tune(common: Common, config: "Config", options: Mapping[str, Any], flags: str) -> None:
    from retrain.tuning import write_candidates, written_text
    from retrain.typed_json import parse_guesses

    written = write_candidates(
        config,
        method=options["tune_method"],
        n=options["tune_configs"],
        guesses=parse_guesses(options["tune_guess"], "--tune-guess"),
    )
    emit(written_text(written, common.output, flags=flags))


def _say_where(common: Common, config: "Config | Lookup") -> None:
    note(common, f"configuration {config.source}, registry {without_password(config.db)}", verbosity=1)


def _tune_report(common: Common, overrides: Mapping[str, Any], flags: str) -> None:
    from retrain.tune_report import report_on

    config = common.look_up(overrides)
    _say_where(common, config)
    emit(report_on(config, common.output, flags=flags, colour=common.colour))


def _history(common: Common, overrides: Mapping[str, Any]) -> None:
    from retrain.history import history_on

    config = common.look_up(overrides)
    _say_where(common, config)
    emit(history_on(config, common.output, verbose=common.verbosity > 0))


def _deploy(common: Common, config: "Config", mode: str, options: Mapping[str, Any], flags: str) -> int:
    from retrain import deploying
    from retrain.apply_text import apply_text

    dry_run, force = options["dry_run"], options["force"]
    asked = may_ask() and not force and not dry_run
    confirm = _confirm if asked else None
    tell = partial(note, common)
    match mode:
        case "apply_hp":
            report = deploying.apply_hyperparameters(
                config, options["apply_hp"], dry_run=dry_run, force=force, confirm=confirm, tell=tell
            )
        case "rollback":
            number = None if options["rollback"] == _PREVIOUS else options["rollback"]
            report = deploying.roll_back(config, number, dry_run=dry_run, confirm=confirm)
        case _:
            report = deploying.retrain_deployed(
                config, dry_run=dry_run, force=force, confirm=confirm, tell=tell
            )
    emit(apply_text(report, common.output, brief=asked, flags=flags, colour=common.colour))
    report.raise_if_refused()
    return int(report.outcome == "declined")


def _confirm(report: "ApplyReport") -> bool:
    """Show what would happen, and ask. Both on stderr: stdout is for the result."""
    from retrain.apply_text import preview_text

    emit(preview_text(report, colour=wants_colour(sys.stderr)), sys.stderr)
    question = "Deploy this?" if report.wanted is None else f"Roll back to v{report.wanted}?"
    return click.confirm(question, default=False, err=True)


@cli.command("init")
@click.option("--example", metavar="NAME", help="A project that runs: breast_cancer, digits or diabetes.")
@common_options
@pass_common
def _init(common: Common, example: str | None) -> None:
    """Write a retrain.toml to start from, here. Overwrites nothing."""
    from retrain.init import init, started_text

    emit(started_text(init(Path(), example), common.output))


@cli.command("doctor")
@click.option("--deep", is_flag=True, help="Check what must hold for every row of the registry, too.")
@common_options
@pass_common
def _doctor(common: Common, /, deep: bool) -> int:
    """Check all that the project stands on: libraries, files, registry, versions."""
    from retrain.doctor import doctor, findings_text, trouble_text

    findings = doctor(common.config, db=common.db, deep=deep, tell=partial(note, common))
    emit(findings_text(findings, common.output))
    if (trouble := trouble_text(findings)) is None:
        return 0
    say_labelled("error", trouble, "red")
    return 1


def main() -> None:
    """Entry point of the console script `retrain`."""
    sys.exit(run_command(cli, "retrain"))
