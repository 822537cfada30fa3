"""`orchestrator all`: several architectures, in a row or side by side, with one summary."""

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli import cli
from orchestrator.many import Outcome, Part, find_parts, n_workers_each, run_parts
from orchestrator.many_text import exit_code_of, many_text, next_line
from orchestrator.signals import StopRequest
from retrain.cli import run_command
from tests.orchestrator.projects import HANG, Project
from tuner.errors import ConfigError
from tuner.experiment import State
from tuner.registry import open_registry

Run = Callable[..., tuple[int, str, str]]
LOCAL = ("--pool", "local", "--workers", "1")

CONFIG = """
name = "toy"
[pipeline]
kind = "train.py:objective"
metric = "loss"
direction = "minimize"
[space.params]
x = { type = "float", low = 0.0, high = 1.0, default = 0.5 }
[architectures.near.pipeline.fixed]
shift = 0.25
[architectures.far.pipeline.fixed]
shift = 7
"""
TABLE = """
[pipeline]
model = "ridge"
data = "rows.csv"
target = "y"
metric = "r2"
[space]
preset = "default"
"""
PROGRAM = """
[pipeline]
kind = "command"
command = "./train"
metric = "loss"
direction = "minimize"
[space.params]
x = [1, 2]
"""
TRAIN = "def objective(params):\n    return abs(params['x'] - params['shift'])\n"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "retrain.toml").write_text(CONFIG)
    (tmp_path / "train.py").write_text(TRAIN)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *arguments])
        code = run_command(cli, "orchestrator")
        return code, *capsys.readouterr()

    return run


# ---- what is meant


def test_a_word_is_a_section_a_folder_or_a_file(run: Run, tmp_path: Path) -> None:
    for name in ("sub", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "sub" / "retrain.toml").write_text(CONFIG)
    (tmp_path / "other.toml").write_text(CONFIG)
    assert find_parts(["near", "sub", "other.toml", "sub/retrain.toml#far"][:3], None) == [
        Part("near", "retrain.toml#near"),
        Part("sub", "sub"),
        Part("other", "other.toml"),
    ]
    assert [each.name for each in find_parts([], None)] == ["near", "far"]
    assert find_parts(["far"], Path("other.toml")) == [Part("far", "other.toml#far")]
    with pytest.raises(ConfigError, match=r"no architecture 'nea'. Did you mean 'near'\?") as caught:
        find_parts(["nea"], None)
    assert "There are: near, far, sub." in caught.value.remedy
    with pytest.raises(ConfigError, match="no architecture 'empty'"):
        find_parts(["empty"], None)
    with pytest.raises(ConfigError, match="'near' is named twice"):
        find_parts(["near", "near"], None)


def test_without_any_it_is_said_what_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no architectures here to run") as caught:
        find_parts([], None)
    assert "--architectures A B" in caught.value.remedy


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("--architectures near farr", 2, "Did you mean 'far'?"),
        ("--mode multistage", 2, "near: retrain.toml declares no stages"),
        ("--mode maximal --method magic", 2, "Unknown method 'magic'"),
        ("--mode maximal --pool cloud", 2, "Unknown pool 'cloud'"),
        ("--mode fast", 2, "'fast' is not one of 'multistage', 'maximal'"),
        ("--mode maximal --architectures near retrain.toml sub", 2, "There is no architecture 'sub'"),
        (
            "--mode maximal --architectures retrain.toml twin",
            2,
            "would share the study 'toy' of one registry",
        ),
        ("--mode maximal --architectures near absent", 2, "absent/rows.csv' do not exist"),
        ("--mode maximal --architectures near headless", 2, "headless: The data have no column 'y'"),
        ("--mode maximal --architectures near program", 2, "program: There is no program './train'"),
        ("--mode maximal --architectures near bad", 2, "bad: bad/retrain.toml: `pipeline.metrik` is"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_does(
    run: Run, tmp_path: Path, arguments: str, code: int, message: str
) -> None:
    (tmp_path / "rows.csv").write_text("x,z\n1,2\n")
    for name, text in (
        ("twin", f'db = "{tmp_path}/experiments.db"\n{CONFIG}'),
        ("bad", CONFIG),
        ("absent", TABLE),
        ("headless", TABLE.replace("rows.csv", "../rows.csv")),
        ("program", PROGRAM),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "retrain.toml").write_text(text)
        (tmp_path / name / "train.py").write_text(TRAIN)
    (tmp_path / "bad" / "retrain.toml").write_text(CONFIG.replace("metric", "metrik"))
    given, out, err = run("all", *arguments.split())
    assert (given, out) == (code, "")
    assert message in err
    assert "begins" not in err
    assert not (tmp_path / "experiments.db").exists()


# ---- running


def test_they_run_side_by_side_with_one_summary(run: Run) -> None:
    arguments = ("all", "--mode", "maximal", "--architectures", "near", "far", "--n-trials", "3")
    code, out, err = run(*arguments, "--parallel", "2", *LOCAL, "--format", "json")
    assert code == 0, err
    found = json.loads(out)
    assert list(found) == ["near", "far"]
    assert {name: each["result"]["n_complete"] for name, each in found.items()} == {"near": 4, "far": 4}
    assert found["far"]["result"]["best"]["value"] >= 6
    assert err.index("far: begins") < err.index(": ended with")
    assert "near | " in err
    next_ = "next: orchestrator --summary --config 'retrain.toml#near', and so on for 'retrain.toml#far'"
    assert err.endswith(f"{next_}\n")
    with open_registry("experiments.db", create=False, read_only=True) as registry:
        assert {each.name for each in registry.studies()} == {"toy-near", "toy-far"}


def quickly(part: Part, _: float | None) -> list[str]:
    return ["--nonsense"] if part.name == "bad" else ["--version"]


PARTS = [Part(name, name) for name in ("bad", "good", "better")]


def test_one_that_fails_does_not_keep_the_others_unless_asked_to() -> None:
    told: list[str] = []
    outcomes = run_parts(PARTS, quickly, tell=told.append, stop=StopRequest())
    assert [each.code for each in outcomes] == [2, 0, 0]
    assert any(line.startswith("bad | ") and "--nonsense" in line for line in told)
    outcomes = run_parts(PARTS, quickly, stop_on_error=True, tell=told.append, stop=StopRequest())
    assert [each.code for each in outcomes] == [2, None, None]


def test_what_was_not_begun_when_the_time_is_up_is_left() -> None:
    outcomes = run_parts(PARTS, quickly, timeout_s=0.0, tell=lambda _: None, stop=StopRequest())
    assert [each.code for each in outcomes] == [None] * 3
    stop = StopRequest()
    stop.stop_at = time.monotonic()
    outcomes = run_parts(PARTS, quickly, tell=lambda _: None, stop=stop)
    assert [each.code for each in outcomes] == [None] * 3


@pytest.mark.parametrize(("parallel", "parts_of"), [(1, [3, 2, 1]), (2, [2, 1, 1]), (9, [1, 1, 1])])
def test_the_time_is_shared_among_those_that_are_still_to_begin(parallel: int, parts_of: list[int]) -> None:
    given: list[float] = []

    def arguments(_: Part, left_s: float | None) -> list[str]:
        assert left_s is not None
        given.append(left_s)
        return ["--version"]

    hour = 3600.0
    run_parts(PARTS, arguments, parallel=parallel, timeout_s=hour, tell=lambda _: None, stop=StopRequest())
    assert [round(hour / each) for each in given] == parts_of, "each of them took next to nothing"


@pytest.mark.parametrize(
    ("before", "number", "code"),
    [
        ("", signal.SIGINT, 130),
        ("", signal.SIGTERM, 143),
        # As in the background of a shell, which those that it starts inherit.
        ("import signal; signal.default_int_handler = signal.SIG_IGN", signal.SIGTERM, 143),
    ],
)
def test_an_interruption_is_passed_on(before: str, number: signal.Signals, code: int, tmp_path: Path) -> None:
    project = Project(tmp_path, body=HANG)
    try:
        with (tmp_path / "retrain.toml").open("a") as file:
            file.write("[architectures.one]\n[architectures.two]\n")
        command = ("all", "--mode", "maximal", "--n-trials", "2", *LOCAL, "--grace", "0")
        process = project.start_command(*command, before=before)
        project.await_events(b"(", 1)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code
        assert "interrupted" in out
        assert "not begun" in out
        assert "two: begins" not in err
        assert project.count(State.RUNNING) == 0
    finally:
        project.close()


# ---- the summary


def outcome(name: str, code: int | None, **document: object) -> Outcome:
    return Outcome(Part(name, name), code, document, 90.0)


def test_the_summary_has_a_line_for_each() -> None:
    staged = outcome(
        "a",
        0,
        metric="auc",
        ended="done",
        best={"value": 0.9},
        baseline={"value": 0.8},
        holdout={"metrics": {"test_auc": 0.85}},
        stages=[{"complete": 9}, {"complete": 21}],
    )
    cut = outcome("d", 0, metric="auc", n_complete=3, ended="timeout")
    text = many_text([staged, outcome("b", 6, metric="auc", n_complete=0), outcome("c", None), cut])
    lines = [line.split() for line in text.splitlines()[2:]]
    assert lines[0] == ["a", "auc", "0.8", "0.9", "0.85", "30", "1", "min", "30", "s", "done"]
    assert lines[1][-2:] == ["no", "result"]
    assert lines[2] == ["c", "not", "begun"]
    assert lines[3] == ["d", "auc", "3", "1", "min", "30", "s", "time", "is", "up"]


def test_the_next_command_is_named() -> None:
    found = outcome("a b", 0, best={"value": 0.9})
    staged = outcome("s", 0, best={"value": 0.9}, stages=[])
    several = outcome("c", 5, best=None, front=["x"])
    nothing, cut = outcome("b", 6, n_complete=0), outcome("d", 0, best={"value": 0.9}, ended="timeout")
    command = ["orchestrator", "all", "--n-trials", "3"]
    assert next_line([nothing, found], command) == "next: orchestrator --summary --config 'a b'"
    after = next_line([staged, several, nothing], command, " --db all.db")
    assert after == "next: retrain --apply-hp best --dry-run --config s --db all.db, and so on for c"
    assert next_line([nothing], command) is None
    for left in (cut, outcome("e", None), outcome("f", 130), outcome("g", 143)):
        assert next_line([found, left], command) == "continue with: orchestrator all --n-trials 3"


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((0, 0), 0), ((0, 5), 5), ((0, 6, 1), 6), ((0, None), 6), ((None,), 6), ((1, None), 1)],
)
def test_the_exit_code_is_that_of_the_first_without_a_result(
    codes: tuple[int | None, ...], expected: int
) -> None:
    assert exit_code_of([outcome("x", code) for code in codes]) == expected
    assert exit_code_of([outcome("x", code) for code in codes], 130) == 130


@pytest.mark.parametrize(("n", "parallel"), [(1, 1), (5, 2), (2, 100)])
def test_the_cores_are_shared_among_those_that_run_at_once(n: int, parallel: int) -> None:
    assert 1 <= n_workers_each(n, parallel) <= n_workers_each(1, 1)
