"""The command `retrain`, and what both commands share: common options, error printing, exit codes.

Nothing is decided here. A command parses, calls one function and prints what it returned. Results go to
stdout, everything else to stderr.
"""

import os
import select
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click
from click.shell_completion import shell_complete

from retrain.tables import FORMATS, printable
from tuner.errors import ParamsError, RetrainError

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["Common", "common_options", "emit", "may_ask", "note", "pass_common", "run_command"]

INTERRUPTED = 130
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

    @property
    def verbosity(self) -> int:
        """-1 with --quiet, 0 by default, 1 or more with -v."""
        return -1 if self.quiet else self.verbose

    @property
    def colour(self) -> bool:
        """Whether results may be coloured: a terminal on stdout, and NO_COLOR not set."""
        return wants_colour(sys.stdout)

    def load_config(self, overrides: Mapping[str, Any] | None = None) -> "Config":
        """Load the configuration that --config and --db point to, with further overrides by dotted name."""
        from retrain.config import load_config

        flags = dict(overrides or {})
        if self.db is not None:
            flags["db"] = self.db
        return load_config(self.config, flags)


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
            _common("--config", metavar="PATH", type=click.Path(path_type=Path), help="Configuration file."),
            _common("--db", metavar="URL", help="Registry: a file or a database URL."),
            _common("--format", "output", type=click.Choice(FORMATS), help="How results are printed."),
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
    for stream in (sys.stdout, sys.stderr):
        _never_fail_to_encode(stream)
    instruction = os.environ.get(f"_{name.upper()}_COMPLETE")
    if instruction:
        return shell_complete(command, {}, name, f"_{name.upper()}_COMPLETE", instruction)
    common = Common()
    line = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with command.make_context(name, line, obj=common) as context:
            code = command.invoke(context)
        return int(code or 0)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("\ninterrupted")
        return INTERRUPTED
    except BrokenPipeError as error:
        return 1 if _has_no_reader(sys.stdout) else _print_error(error, name)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback reaches a user unasked
        if common.debug:
            traceback.print_exc()
        return _print_error(error, name)
    finally:
        _flush(sys.stdout)


def _print_error(error: Exception, program: str) -> int:
    """Print an error as `error: <what>`, any problems, `try: <remedy>`; return the exit code."""
    problems: Sequence[str] = ()
    match error:
        case RetrainError():
            what, remedy, code = str(error), error.remedy, error.exit_code
            if isinstance(error, ParamsError):
                problems = [problem for problem in error.problems if problem not in what]
        case click.ClickException():
            what, remedy, code = error.format_message(), _usage_remedy(error, program), error.exit_code
        case OSError() if error.filename is not None:
            what, remedy, code = f"{error.strerror}: {str(error.filename)!r}", "", 1
        case _:
            what, code = f"{type(error).__name__}: {error}".rstrip(": "), 1
            remedy = "run again with --debug to see where it came from"
    _echo_labelled("error", what, "red")
    for problem in problems:
        _say(f"  - {printable(problem)}")
    if remedy:
        _echo_labelled("try", remedy, "cyan")
    return code


def _usage_remedy(error: click.ClickException, program: str) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context is not None else program} --help"


def _echo_labelled(label: str, text: str, colour: str) -> None:
    styled = click.style(f"{label}:", fg=colour, bold=True) if wants_colour(sys.stderr) else f"{label}:"
    _say(f"{styled} {printable(text)}")


def wants_colour(stream: TextIO) -> bool:
    """True for a terminal whose user did not set NO_COLOR (see no-color.org) or TERM=dumb."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _never_fail_to_encode(stream: TextIO) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


# ---- talking to the user


def emit(text: str) -> None:
    """Print a result on stdout. A reader who has left (`| head`) is not an error: the work was done."""
    _write(text, sys.stdout)


def note(common: Common, text: str, *, verbosity: int = 0) -> None:
    """Say something on stderr unless the user asked for less: 0 is said by default, 1 with -v."""
    if common.verbosity >= verbosity:
        _say("\n".join(map(printable, text.split("\n"))))


def _say(text: str) -> None:
    _write(text, sys.stderr)


def _write(text: str, stream: TextIO) -> None:
    try:
        click.echo(text, file=stream, color=True)
    except BrokenPipeError:
        _to_nowhere(stream)


def _flush(stream: TextIO) -> None:
    try:
        stream.flush()
    except BrokenPipeError:
        _to_nowhere(stream)


def _has_no_reader(stream: TextIO) -> bool:
    """Whether it was our own output that broke, and not some pipe inside the work."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except OSError:  # a stream without a file
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _to_nowhere(stream: TextIO) -> None:
    """Point a stream at nothing, so that the interpreter's own flush at exit stays quiet, too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def may_ask() -> bool:
    """True where a question reaches a person: stdin and stderr are both terminals."""
    return sys.stdin.isatty() and sys.stderr.isatty()


@click.group(invoke_without_command=True, context_settings=CONTEXT_SETTINGS)
@common_options
@pass_common
def cli(common: Common) -> None:
    """Retrain one pipeline, and change its hyperparameters safely."""


def main() -> None:
    """Entry point of the console script `retrain`."""
    sys.exit(run_command(cli, "retrain"))
