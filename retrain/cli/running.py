"""Running a command line, and what is printed when it fails."""

import errno
import logging
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches

import click
from click.shell_completion import shell_complete

from retrain.cli.common import Common
from retrain.console import (
    Notes,
    flush,
    has_no_reader,
    never_fail_to_encode,
    say,
    say_labelled,
    stand_in_for_closed,
)
from tuner.errors import ParamsError, RetrainError

__all__ = ["run_command"]

INTERRUPTED = 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
    last_resort, logging.lastResort = logging.lastResort, Notes(lambda: common.quiet)
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
        logging.lastResort = last_resort
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
    typed = re.match(r"No such command '([\w-]+)'", error.format_message())
    if context is not None and typed is not None:
        options = [option for each in context.command.params for option in each.opts]
        known = {option[2:]: option for option in options if option.startswith("--")}
        known |= {name: name for name in getattr(context.command, "commands", ())}
        if meant := get_close_matches(typed[1], known, n=1, cutoff=0.8):  # `orchestrator sumary`
            return f"{context.command_path} {known[meant[0]]}"
    return f"{context.command_path if context is not None else program} --help"
