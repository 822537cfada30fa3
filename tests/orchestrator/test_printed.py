import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.printed import Follower


@pytest.fixture
def log(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    yield fd
    os.close(fd)


def test_only_whole_lines_until_the_last_look(log: int) -> None:
    follower = Follower([log])
    assert follower.lines() == ()
    os.write(log, b"one\ntw")
    assert follower.lines() == ("one",)
    assert follower.lines() == ()
    os.write(log, b"o\n\nthr")
    assert follower.lines() == ("two", "")
    assert follower.lines(last=True) == ("thr",)
    assert follower.lines(last=True) == ()


def test_a_flood_is_cut_and_said_so(log: int) -> None:
    follower = Follower([log])
    os.write(log, b"x" * 99 + b"\n")
    os.write(log, b"y\n" * 50_000)
    first, *lines = follower.lines()
    assert first == "... 36100 bytes are left out ..."
    assert set(lines) == {"y"}
    assert len(lines) == 32_000


def test_a_line_without_end_is_not_kept_for_ever(log: int) -> None:
    follower = Follower([log])
    for _ in range(2):
        os.write(log, b"z" * 40_000)
        lines = follower.lines()
    assert lines == ("z" * 80_000,)


def test_after_a_restart_nothing_of_before_is_told(log: int) -> None:
    follower = Follower([log])
    os.write(log, b"old\nol")
    follower.lines()
    os.ftruncate(log, 0)
    follower.restart()
    os.write(log, b"new\n")
    assert follower.lines() == ("new",)


def test_a_progress_bar_shows_its_last_state_and_rays_own_lines_nothing(log: int) -> None:
    os.write(log, b":job_id:01\n 1%\r 50%\r100%\r\n:actor_name:A\n\xff\n")
    assert Follower([log]).lines() == ("100%", "�")


@pytest.mark.parametrize(("err", "lines"), [("out", "('one', 'two')"), ("err", "('one', 'two')")])
def test_a_process_follows_its_own_output(tmp_path: Path, err: str, lines: str) -> None:
    """Both streams, in one file or in two."""
    program = """
import sys
from orchestrator.printed import Follower, open_own_output
follower = Follower(open_own_output())
print("one", flush=True)
print("two", file=sys.stderr, flush=True)
open("told", "w").write(str(follower.lines()))
"""
    with (tmp_path / "out").open("ab") as out, (tmp_path / err).open("ab") as other:
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, stdout=out, stderr=other, check=True)
    assert (tmp_path / "told").read_text() == lines
