"""What both commands share: where options may stand, how errors look, and with which code a command ends."""

import errno
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from retrain.cli import CONTEXT_SETTINGS, Common, common_options, emit, note, pass_common, run_command
from tuner.errors import (
    BusyError,
    ConfigError,
    GateError,
    MismatchError,
    NotFoundError,
    ParamsError,
    RetrainError,
)

Act = Callable[[Common], int | None]


def program(act: Act) -> click.Command:
    """A command `tool` with one subcommand `ls`; both do `act`."""

    @click.group(invoke_without_command=True, context_settings=CONTEXT_SETTINGS)
    @common_options
    @pass_common
    def tool(common: Common) -> int | None:
        """A tool."""
        return None if click.get_current_context().invoked_subcommand else act(common)

    @tool.command("ls")
    @common_options
    @pass_common
    def ls(common: Common) -> int | None:
        """List."""
        return act(common)

    return tool


def run(act: Act, *arguments: str) -> int:
    return run_command(program(act), "tool", arguments)


def raising(error: BaseException) -> Act:
    def act(_: Common) -> int | None:
        raise error

    return act


def quiet(_: Common) -> None:
    return None


@pytest.mark.parametrize(
    "line",
    [
        "--config a.toml --db x.db --format json --no-progress -q -vv --debug ls",
        "ls --config a.toml --db x.db --format json --no-progress -q -vv --debug",
        "--config a.toml --format json -v ls --db x.db --no-progress -v --quiet --debug",
        "--format csv --config b ls --config a.toml --db x.db --format json -qvv --no-progress --debug",
    ],
)
def test_common_options_stand_before_or_after_the_subcommand(line: str) -> None:
    seen: list[Common] = []
    assert run(lambda common: seen.append(common), *line.split()) == 0
    assert seen == [Common(Path("a.toml"), "x.db", "json", progress=False, quiet=True, verbose=2, debug=True)]


def test_without_options_the_defaults_hold() -> None:
    seen: list[Common] = []
    run(lambda common: seen.append(common), "ls")
    assert seen == [Common(None, None, "table", progress=True, quiet=False, verbose=0, debug=False)]


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (RetrainError("It broke."), 1, ["error: It broke."]),
        (ConfigError("No target.", "Add one."), 2, ["error: No target.", "try: Add one."]),
        (MismatchError("Another space.", "x"), 2, ["error: Another space.", "try: x"]),
        (GateError("Too low.", "Look."), 3, ["error: Too low.", "try: Look."]),
        (BusyError("Locked."), 4, ["error: Locked."]),
        (NotFoundError("None.", "retrain --tune"), 6, ["error: None.", "try: retrain --tune"]),
        (
            ParamsError("Two faults.", "Mend them.", ["'a' is unknown.", "'b' is too high."]),
            2,
            ["error: Two faults.", "  - 'a' is unknown.", "  - 'b' is too high.", "try: Mend them."],
        ),
        (
            ValueError("surprise"),
            1,
            ["error: ValueError: surprise", "try: run again with --debug to see where it came from"],
        ),
        (MemoryError(), 1, ["error: MemoryError", "try: run again with --debug to see where it came from"]),
        (FileNotFoundError(2, "No such file", "x.csv"), 1, ["error: No such file: 'x.csv'"]),
        (RetrainError("two\nlines \x1b[31m"), 1, ["error: two\\nlines \\x1b[31m"]),
    ],
)
def test_every_error_is_two_lines_and_its_code(
    error: Exception, code: int, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(raising(error), "ls") == code
    out, err = capsys.readouterr()
    assert err.splitlines() == expected
    assert out == ""


def test_a_problem_that_the_sentence_states_is_not_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    run(raising(ParamsError("'a' is unknown.", "", ["'a' is unknown."])))
    assert capsys.readouterr().err == "error: 'a' is unknown.\n"


@pytest.mark.parametrize("error", [ValueError("surprise"), ConfigError("No target.", "Add one.")])
@pytest.mark.parametrize("line", [("--debug", "ls"), ("ls", "--debug")])
def test_a_traceback_only_with_debug(
    error: Exception, line: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(raising(error), *line)
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lss", "error: No such command 'lss'. Did you mean 'ls'?\ntry: tool ls\n"),
        ("formt", "error: No such command 'formt'.\ntry: tool --format\n"),
        (
            "ls --formt json",
            "error: No such option '--formt'. Did you mean '--format'?\ntry: tool ls --help\n",
        ),
        ("ls --db", "error: Option '--db' requires an argument.\ntry: tool --help\n"),
        ("ls extra", "error: Got unexpected extra argument (extra)\ntry: tool ls --help\n"),
    ],
)
def test_usage_errors_have_the_same_form(
    line: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(quiet, *line.split()) == 2
    assert capsys.readouterr().err == expected


def test_an_unknown_format_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(quiet, "--format", "jsno") == 2
    assert "'table', 'json', 'csv', 'markdown'" in capsys.readouterr().err


def test_an_interrupt_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"


def test_a_returned_code_is_the_exit_code() -> None:
    assert run(lambda _: 5, "ls") == 5
    assert run(lambda _: 5) == 5


@pytest.mark.parametrize(("flags", "said"), [("", "a"), ("-q", ""), ("-v", "ab"), ("-vv", "abc")])
def test_notes_follow_verbosity_and_stay_off_stdout(
    flags: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def act(common: Common) -> None:
        for verbosity, text in enumerate("abc"):
            note(common, text, verbosity=verbosity)
        emit("result")

    run(act, *flags.split())
    out, err = capsys.readouterr()
    assert (out, err.replace("\n", "")) == ("result\n", said)


@pytest.mark.parametrize(("flags", "said"), [("", "odd data\nlost\n"), ("-q", "lost\n"), ("ls -q", "lost\n")])
def test_quiet_silences_logged_warnings_and_no_errors(
    flags: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger("test_console.data")
    monkeypatch.setattr(log, "propagate", False)  # to nobody but the last resort, as outside of pytest

    def act(_: Common) -> None:
        log.warning("odd %s", "data")
        log.error("lost")

    run(act, *flags.split())
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_on_every_level(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(quiet, flag) == run(quiet, "ls", flag) == 0
    out = capsys.readouterr().out
    assert "A tool." in out
    assert "List." in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(quiet, "--version") == 0
    assert capsys.readouterr().out.startswith("tool ")


# ---- as a process: pipes, terminals and encodings

SCRIPT = """
import sys
import click
from retrain.cli import *
from retrain.cli import CONTEXT_SETTINGS
from tuner.errors import ConfigError

@click.group(invoke_without_command=True, context_settings=CONTEXT_SETTINGS)
@common_options
@pass_common
def tool(common):
    pass

@tool.command()
@common_options
@pass_common
def many(common):
    for _ in range(20000):
        emit("a line of a long result")
    note(Common(), "worked to the end")

@tool.command()
def symbols():
    emit("0.5 \\u00b1 0.1 \\udc80")

@tool.command()
def broken():
    raise BrokenPipeError(32, "Broken pipe")

@tool.command()
def wrong():
    raise ConfigError("No target.", "Add one.")

@tool.command()
def long():
    import logging
    from orchestrator.progress import open_display
    words = "several words " * 9
    note(Common(), words.strip())
    logging.getLogger("a.library").warning("  - " + words)
    for progress in (True, False):
        with open_display(progress=progress) as display:
            display.note("In a run " + words)
    note(Common(), words + "and next: " + COMMAND)
    raise ConfigError("No target, and " + words.strip() + ".", COMMAND)

COMMAND = "orchestrator --summary --config " + "folder/" * 12 + "retrain.toml --db all.db"

sys.exit(run_command(tool, "tool"))
"""


def spawn(*arguments: str, environment: dict[str, str] | None = None, then: str = "") -> tuple[int, str, str]:
    root = Path(__file__).parents[2]
    base = {**os.environ, "PYTHONPATH": str(root), **(environment or {})}
    base.pop("PYTHONUNBUFFERED", None)
    command = [sys.executable, "-c", SCRIPT, *arguments]
    if not then:
        done = subprocess.run(command, capture_output=True, env=base, timeout=60)
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode()
    script = 'set -o pipefail; "$@" ' + then
    done = subprocess.run(["bash", "-c", script, "x", *command], capture_output=True, env=base, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_reader_that_leaves_early_is_no_error() -> None:
    assert spawn("many", then="| head -1") == (0, "a line of a long result\n", "worked to the end\n")


def test_a_broken_pipe_inside_the_work_is_an_error() -> None:
    code, _, err = spawn("broken")
    assert code == 1
    assert err.startswith("error: BrokenPipeError")


def test_a_poor_encoding_shows_escapes_instead_of_failing() -> None:
    code, out, _ = spawn("symbols", environment={"PYTHONIOENCODING": "ascii"})
    assert (code, out) == (0, "0.5 \\xb1 0.1 \\udc80\n")


def test_errors_without_a_terminal_have_no_colour() -> None:
    assert spawn("wrong") == (2, "", "error: No target.\ntry: Add one.\n")


def in_a_terminal(*arguments: str, **environment: str) -> str:
    """What a terminal receives from the script."""
    import pty

    root = Path(__file__).parents[2]
    controller, terminal = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    env |= {"PYTHONPATH": str(root), "TERM": "xterm", **environment}
    subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=env,
        timeout=60,
    )
    os.close(terminal)
    received = os.read(controller, 65536).decode()
    os.close(controller)
    return received


def test_errors_on_a_terminal_are_coloured_unless_asked_not_to() -> None:
    assert "\x1b[1;31merror:\x1b[0m No target." in in_a_terminal("wrong")
    assert "\x1b" not in in_a_terminal("wrong", NO_COLOR="1")
    assert "\x1b" not in in_a_terminal("wrong", TERM="dumb")


def test_messages_are_as_wide_as_the_terminal_and_commands_stay_whole() -> None:
    command = f"orchestrator --summary --config {'folder/' * 12}retrain.toml --db all.db"
    shown = re.sub(r"\x1b\[[^m]*?[a-zA-Z]", "", in_a_terminal("long", NO_COLOR="1")).replace("\r", "")
    lines = [line for line in shown.splitlines() if line]
    assert [line for line in lines if len(line) > 80] == [f"  {command}", f"try: {command}"]
    assert sum(line.startswith("  ") for line in lines) >= 7, "what follows a break hangs"
    assert " ".join(shown.split()).count("several words") == 9 * 6
    assert "\n  - several" in shown
    code, _, piped = spawn("long")
    assert code == 2
    assert piped.splitlines() == [
        ("several words " * 9).strip(),
        f"  - {'several words ' * 9}",
        *[f"In a run {'several words ' * 9}"] * 2,
        f"{'several words ' * 9}and next: {command}",
        f"error: No target, and {('several words ' * 9).strip()}.",
        f"try: {command}",
    ]


def test_a_terminal_that_was_closed_is_no_error() -> None:
    """Its end of the line answers every write with EIO."""
    import pty

    controller, terminal = pty.openpty()
    os.close(controller)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "many"], stdout=terminal, stderr=subprocess.PIPE, env=env, timeout=60
    )
    os.close(terminal)
    assert (done.returncode, done.stderr) == (0, b"worked to the end\n")


@pytest.mark.parametrize("arguments", [["many"], ["symbols"], ["--help"], ["--version"]], ids=str)
def test_a_result_that_cannot_be_written_is_said_in_one_sentence(arguments: list[str]) -> None:
    code, _, err = spawn(*arguments, then="> /dev/full")
    assert code == 1
    what, remedy = err.splitlines()
    assert re.fullmatch(r"error: \S.* could not be written: No space left on device\..*", what)
    assert remedy.startswith("try: ")


def test_messages_that_cannot_be_written_end_nothing() -> None:
    code, out, _ = spawn("many", then="2> /dev/full")
    assert (code, len(out.splitlines())) == (0, 20_000)
    assert spawn("wrong", then="2> /dev/full")[0] == 2


def test_what_the_program_itself_could_not_write_is_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(OSError(errno.ENOSPC, "No space left on device"))) == 1
    assert "error: Something could not be written: No space left on device." in capsys.readouterr().err


CLOSED = """
import os, sys
from tests.retrain.test_console import emit, note, run
def act(common):
    with open(sys.argv[1], "w") as file:
        emit("result")
        print("said", file=sys.stderr)
        for number in (1, 2):
            os.write(number, b"noise")
        file.write("kept")
    sys.stdin.read()
    return 7
sys.exit(run(act, "ls"))
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_was_closed_before_the_start_is_no_error(closed: str, tmp_path: Path) -> None:
    """And no file that is opened later takes its place, to be printed into."""
    kept = tmp_path / "kept"
    script = f'exec "$@" {closed}'
    done = subprocess.run(
        ["sh", "-c", script, "x", sys.executable, "-c", CLOSED, kept],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert (done.returncode, kept.read_text()) == (7, "kept"), done.stderr
    assert done.stdout == (b"" if " >&-" in f" {closed}" else b"result\nnoise")
    assert done.stderr == (b"" if "2>&-" in closed else b"said\nnoise")


def test_completion_knows_commands_and_options() -> None:
    variables = {"_TOOL_COMPLETE": "bash_complete", "COMP_WORDS": "tool ma", "COMP_CWORD": "1"}
    assert spawn(environment=variables)[:2] == (0, "plain,many\n")
