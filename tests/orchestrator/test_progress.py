"""What users see on stderr, and that a stream which is gone never ends a run."""

import io
import re
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.progress import Bar, Plain, Silent, Status, open_display

STATUS = Status(
    n_done=5,
    n_total=20,
    n_failed=1,
    n_running=2,
    elapsed_s=18.0,
    working_s=10.0,
    metric="roc_auc",
    best=0.81234567,
    baseline=0.79,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    """A pipe whose reader has left, or a terminal that was closed."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


def test_the_line_says_how_far_how_long_and_how_good() -> None:
    assert STATUS.line() == "5/20 done, 1 failed, 2 running, 30 s to go, best roc_auc 0.81235 (baseline 0.79)"
    nothing = Status(n_done=0, n_total=4, n_failed=0, n_running=0, elapsed_s=3.0, working_s=1.0, metric="mse")
    assert nothing.line() == "0/4 done"
    assert replace(nothing, n_done=4).line() == "4/4 done"


def test_a_bar_shows_the_digits_that_the_end_will_show() -> None:
    status = replace(STATUS, best=0.991736, best_error=0.00612, baseline=0.98719, baseline_error=0.0099)
    assert status.score() == "best roc_auc 0.9917 (baseline 0.9872)"


def test_before_the_first_end_there_is_a_clock() -> None:
    nothing = replace(STATUS, n_done=0, n_running=0, elapsed_s=7.6)
    assert nothing.pace() == "workers are starting, 8 s"
    assert replace(nothing, n_running=2).pace() == "8 s"
    assert "workers are starting, 8 s" in drawn(nothing)


def drawn(*statuses: Status) -> str:
    stream = Terminal()
    with Bar(stream) as display:
        for status in statuses:
            display.show(status)
    return stream.getvalue()


def test_nothing_of_nothing_is_not_shown() -> None:
    nothing = replace(STATUS, n_done=0, n_total=0, elapsed_s=9.0)
    assert drawn(nothing) == ""
    stream = io.StringIO()
    with Plain(stream) as display:
        display.show(nothing)
    assert stream.getvalue() == ""


def test_plain_lines_come_every_few_seconds_and_once_at_the_end() -> None:
    stream = io.StringIO()
    with Plain(stream, every_s=5.0) as display:
        for elapsed_s in (0.0, 4.9, 5.0, 9.9):
            display.show(replace(STATUS, elapsed_s=elapsed_s, n_done=6))
        display.show(replace(STATUS, elapsed_s=10.0, n_done=20, n_running=0))
        display.show(replace(STATUS, elapsed_s=10.1, n_done=20, n_running=0))
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["6/20", "20/20"]


def test_a_line_is_not_repeated_while_nothing_changes() -> None:
    stream = io.StringIO()
    with Plain(stream, every_s=5.0) as display:
        for elapsed_s in range(0, 60, 5):
            display.show(replace(STATUS, n_done=0, elapsed_s=float(elapsed_s)))
    assert len(stream.getvalue().splitlines()) == 1


def test_no_progress_keeps_the_notes_and_quiet_leaves_all_out() -> None:
    stream = io.StringIO()
    with open_display(stream, progress=False) as display:
        display.note("recovered 3 experiments")
        display.show(replace(STATUS, elapsed_s=99.0))
    assert stream.getvalue() == "recovered 3 experiments\n"
    with open_display(stream, quiet=True) as display:
        assert isinstance(display, Silent)


def test_text_of_users_cannot_steer_the_terminal() -> None:
    for stream, display in [(s := io.StringIO(), Plain(s)), (s := Terminal(), Bar(s))]:
        display.note("ValueError: \x1b]0;owned\x07 [red]not markup[/red] :smile:")
        display.close()
        assert "\x1b]0;" not in stream.getvalue()
        assert "[red]not markup[/red] :smile:" in stream.getvalue()


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with open_display(stream) as display:
        assert isinstance(display, Bar)
        display.note("starting 2 workers ...")
        display.show(STATUS)
        display.note("random_1 failed")
        display.show(replace(STATUS, n_done=20))
    text = stream.getvalue()
    for piece in (
        "starting 2 workers ...",
        "20/20",
        "30 s to go",
        "1 failed",
        "best roc_auc 0.81235 (baseline 0.79)",
    ):
        assert piece in text


def test_a_bar_is_drawn_ten_times_a_second_at_most_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with Bar(stream) as display:
        for n_done in range(1, 1000):  # half a second
            display.show(replace(STATUS, n_total=2000, n_done=n_done, elapsed_s=n_done / 2000))
    drawn_ones = list(dict.fromkeys(re.findall(r"(\d+)/2000", stream.getvalue())))
    assert (drawn_ones[0], drawn_ones[-1]) == ("1", "999")
    assert len(drawn_ones) == 6


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    def colours(**environ: str) -> bool:
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        stream = Terminal()
        with open_display(stream) as display:
            display.show(STATUS)
        return "\x1b[3" in stream.getvalue()

    assert colours()
    assert not colours(NO_COLOR="1")


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_display(Terminal()), Plain)


@pytest.mark.parametrize("kind", [Plain, Bar])
@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(5, "Input/output error"), ValueError("closed file")]
)
def test_a_stream_that_is_gone_ends_nothing(kind: Any, error: Exception) -> None:
    display = kind(Closed(error))
    display.note("starting")
    display.show(replace(STATUS, elapsed_s=99.0))
    display.close()
    display.note("done")
