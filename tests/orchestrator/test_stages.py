"""`orchestrator stages`: each more thorough and begun with the best, resumed anywhere, its scores apart."""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import orchestrator.launch as launch_module
import orchestrator.stages as stages_module
from orchestrator.alone import alone, stages_lock
from orchestrator.cli import cli
from orchestrator.pool import Task
from orchestrator.request import Request
from orchestrator.stages import with_budget
from retrain.cli import run_command
from retrain.config import load_config
from retrain.config.stages import FidelityConfig, StageConfig
from tests.orchestrator.fakes import Act, FakeClock, FakePool
from tests.orchestrator.projects import HANG, Project
from tuner.errors import BusyError, UsageError
from tuner.experiment import Evaluation, Experiment, Measurement, State
from tuner.registry import open_registry
from tuner.space import SearchSpace

Run = Callable[..., tuple[int, str, str]]
LOCAL = ("--pool", "local", "--workers", "1", "--no-progress")

CONFIG = """
name = "toy"
[pipeline]
kind = "train.py:objective"
metric = "loss"
direction = "minimize"
[space.params]
x = { type = "float", low = 0.0, high = 1.0, default = 0.5 }
epochs = { type = "int", low = 1, high = 100, default = 10 }
kind = ["a", "b", "c"]
"""
STAGES = """
[[stages]]
name = "S0"
configs = 6
method = "sobol"
fidelity = { fixed = { epochs = 2 } }
[[stages]]
name = "S1"
configs = 4
method = "random"
narrow = 0.5
[[stages]]
name = "S2"
configs = 4
narrow = 0.25
"""
ONE = '[[stages]]\nname = "S0"\nconfigs = 3\n'
TRAIN = """
def objective(params):
    return abs(params["x"] - 0.3) + 1 / params["epochs"] + (params["kind"] != "b")
"""


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "retrain.toml").write_text(CONFIG + STAGES)
    (tmp_path / "train.py").write_text(TRAIN)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *arguments])
        code = run_command(cli, "orchestrator")
        return code, *capsys.readouterr()

    return run


def rows_of(study: str) -> list[Experiment]:
    with open_registry("experiments.db", create=False, read_only=True) as registry:
        return registry.experiments(registry.find_study(study))


def space_of(study: str) -> SearchSpace:
    with open_registry("experiments.db", create=False, read_only=True) as registry:
        found = registry.find_study(study)
        assert found is not None
        return SearchSpace.from_dict(found.space)


def test_each_stage_starts_from_the_last_and_the_best_is_scored_in_the_study(run: Run) -> None:
    code, out, err = run("stages", "--format", "json", *LOCAL)
    assert (code, "Traceback" in err) == (0, False)
    result = json.loads(out)
    assert [(each["stage"], each["complete"]) for each in result["stages"]] == [
        ("S0", 7),
        ("S1", 5),
        ("S2", 5),
    ]
    assert [each["fidelity"] for each in result["stages"]] == ["epochs=2", "full", "full"]
    assert [each["params"] for each in result["stages"]] == [2, 3, 3]

    first, second, third = (space_of(f"toy-{name}") for name in ("S0", "S1", "S2"))
    assert "epochs" not in first.params
    widths = [each.params["x"].high - each.params["x"].low for each in (first, second, third)]  # type: ignore[union-attr]
    assert widths[0] == 1.0 > widths[1] > widths[2]
    assert (second.params["epochs"].low, second.params["epochs"].high) == (1, 100)  # type: ignore[union-attr]
    best_of_first = min((each for each in rows_of("toy-S0")), key=lambda each: each.value or 9.0)
    start = rows_of("toy-S1")[0]
    assert (start.method, start.params["x"]) == ("default", best_of_first.params["x"])
    assert rows_of("toy-S2")[1].reason["earlier"] == {"toy-S1": 5}

    final = rows_of("toy")
    assert [each.method for each in final] == ["default", "guess", "guess", "guess"]
    assert result["best"]["experiment"] == min(final, key=lambda each: each.value or 9.0).public_id
    assert result["study"] == "toy"
    assert result["baseline"]["value"] == pytest.approx(0.2 + 0.1 + 1)


def test_a_stage_searches_the_whole_space_unless_it_says_narrow(run: Run, tmp_path: Path) -> None:
    """What is cut off early does not come back, and costs more than it saves (docs/stages.md)."""
    (tmp_path / "retrain.toml").write_text(CONFIG + ONE + ONE.replace("S0", "S1"))
    assert run("stages", *LOCAL)[0] == 0
    first, second = (space_of(f"toy-{name}") for name in ("S0", "S1"))
    for name, param in first.params.items():
        assert replace(second.params[name], default=param.default) == param


def test_the_same_command_again_runs_what_is_lacking_and_mixes_nothing(run: Run, tmp_path: Path) -> None:
    """Two full-length stages, then the same, a larger budget, and another space."""
    two = STAGES[: STAGES.index('[[stages]]\nname = "S2"')]
    (tmp_path / "retrain.toml").write_text(CONFIG + two)
    assert run("stages", *LOCAL)[0] == 0
    scored_on = {study: rows_of(study)[0].provenance for study in ("toy-S0", "toy-S1", "toy")}
    assert scored_on["toy-S0"] != scored_on["toy-S1"] == scored_on["toy"]
    before = {study: len(rows_of(study)) for study in scored_on}

    code, out, err = run("stages", *LOCAL)
    assert (code, err.count("done before")) == (0, 2)
    assert {study: len(rows_of(study)) for study in before} == before
    assert "best loss" in out

    (tmp_path / "retrain.toml").write_text(CONFIG + two.replace("configs = 6", "configs = 9"))
    assert run("stages", *LOCAL)[0] == 0
    assert [len(rows_of(f"toy-{name}")) for name in ("S0", "S1")] == [10, 5]

    elsewhere = CONFIG.replace("low = 0.0, high = 1.0, default = 0.5", "low = 7.0, high = 8.0")
    (tmp_path / "retrain.toml").write_text(elsewhere + two)
    code, _, err = run("stages", *LOCAL)
    assert code == 2
    assert "must lie within the configured space" in err
    assert "--study NAME" in err


def test_the_number_in_all_is_shared_out_and_a_timeout_leaves_the_rest(run: Run) -> None:
    _, out, _ = run("stages", "--configs", "7", "--timeout", "0.001", *LOCAL)
    assert "Continue with" in out
    code, out, _ = run("stages", "--configs", "7", "--format", "csv", *LOCAL)
    assert code == 0
    assert [row.split(",")[5:7] for row in out.splitlines()[1:]] == [["3", "4"], ["2", "3"], ["2", "3"]]


@pytest.mark.parametrize(
    ("n", "shares"), [(3, [1, 1, 1]), (4, [2, 1, 1]), (78, [8, 20, 50]), (500, [52, 127, 321])]
)
def test_shares_add_up(n: int, shares: list[int]) -> None:
    stages = [StageConfig(name=f"S{i}", configs=each) for i, each in enumerate((8, 20, 50))]
    found = [each.configs for each in with_budget(stages, n)]
    assert sum(found) == n
    assert all(abs(each - share) <= 2 for each, share in zip(found, shares, strict=True))


def test_fewer_than_stages_are_refused() -> None:
    stages = [StageConfig(name=f"S{i}", configs=5) for i in range(3)]
    with pytest.raises(UsageError, match="Each of 3 stages needs a candidate, but there are 2"):
        with_budget(stages, 2)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("", "declares no stages"),
        ('[[stages]]\nname = "S0"\n', "stages[0].configs"),
        ('[[stages]]\nname = "S 0"\nconfigs = 3\n', "stages[0].name"),
        (ONE + 'method = "magic"\n', "unknown method, 'magic'"),
        (ONE + "narrow = 0.0\n", "stages[0].narrow"),
        (
            ONE + ONE,
            "is there twice: 'S0'",
        ),
        (ONE + "fidelity = { folds = 2 }\n", "has no meaning for kind"),
        (ONE + "fidelity = { epochs = 3 }\n", "is for sgd: give a parameter in fidelity.fixed"),
        (ONE + "fidelity = { rounds = 3 }\n", "is for xgboost, lightgbm, gradient_boosting: give"),
        (
            ONE + "fidelity = { fixed = { epoch = 2 } }\n",
            "Did you mean 'epochs'?",
        ),
        (
            ONE + "fidelity = { fixed = { epochs = 'few' } }\n",
            "no value of its type",
        ),
        (f'[[stages]]\nname = "{"S" * 63}"\nconfigs = 3\n', "Give the stage a shorter name"),
        ('[[objective]]\nmetric = "time"\ndirection = "minimize"\n' + STAGES, "there is no one best"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    run: Run, tmp_path: Path, stages: str, message: str
) -> None:
    (tmp_path / "retrain.toml").write_text(CONFIG + stages)
    code, out, err = run("stages", *LOCAL)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "experiments.db").exists()


def test_epochs_and_rounds_of_a_stage_are_those_of_the_models_that_have_them() -> None:
    fidelity = FidelityConfig(epochs=3, rounds=20, fixed={"ridge_alpha": 1.0})
    assert fidelity.fixed_for(["sgd", "xgboost", "ridge", "naive_bayes"]) == {
        "sgd_epochs": 3,
        "xgboost_n_estimators": 20,
        "ridge_alpha": 1.0,
    }
    assert FidelityConfig(epochs=3).fixed_for(["sgd"]) == {"epochs": 3}
    assert FidelityConfig(rounds=3).fixed_for(["gradient_boosting"]) == {"n_estimators": 3}


def test_a_stage_of_three_epochs_leaves_them_to_be_searched_by_the_next(run: Run, tmp_path: Path) -> None:
    (tmp_path / "retrain.toml").write_text(
        "[pipeline]\nmodel = 'sgd'\ndata = 'breast_cancer'\nmetric = 'accuracy'\n[splits]\nfolds = 2\n"
        "[pruning]\nsteps = 'epochs'\n[space]\npreset = 'conservative'\n"
        "[[stages]]\nname = 'S0'\nconfigs = 2\nmethod = 'random'\nfidelity = { epochs = 3 }\n"
        "[[stages]]\nname = 'S1'\nconfigs = 1\nmethod = 'random'\n"
    )
    code, out, err = run("stages", *LOCAL, "--format", "json")
    assert code == 0, err
    assert [each["fidelity"] for each in json.loads(out)["stages"]] == ["3 epochs", "full"]
    first, second = rows_of("sgd-breast_cancer-S0"), rows_of("sgd-breast_cancer-S1")
    assert not any("epochs" in each.params for each in first)
    assert all(9 <= int(str(each.params["epochs"])) <= 27 for each in second)


def test_the_best_of_the_last_stage_come_to_their_end_whatever_prunes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is worse than those before stops at its second report; only at full fidelity there are any."""
    clock = FakeClock()

    def behave(task: Task) -> Act:
        loss = abs(float(str(task.params["x"])) - 0.3) + (task.params["kind"] != "b")
        reports = tuple((step, {"loss": loss}) for step in (1, 2, 3)) if "epochs" in task.params else ()
        told = tuple(Measurement(step, "loss", loss) for step, _ in reports)
        return Act(Evaluation(loss, measurements=told), 4.0, reports, paced=True)

    def start_pool(request: Request, pipeline: object, data: object, n_workers: int) -> FakePool:
        return FakePool(behave, clock, n_workers)

    monkeypatch.setattr(stages_module, "start_pool", start_pool)
    pruning, (one, *_) = (
        '[pruning]\npruner = "median"\nstartup = 1\n',
        STAGES.split('[[stages]]\nname = "S1"'),
    )
    (tmp_path / "retrain.toml").write_text(CONFIG + pruning + one)
    assert run("stages", *LOCAL)[0] == 0
    final = rows_of("toy")
    assert sum(each.method == "guess" for each in final) >= 2
    assert {each.state for each in final} == {State.COMPLETE}


def stages_that_take(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[dict[str, Any]]:
    """By a clock that every run of a stage or of finalists moves on; what each was called with."""
    asked: list[dict[str, Any]] = []
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + seconds * len(asked))

    def conduct(*given: Any, **named: Any) -> Any:
        result = launch_module.conduct(*given, **named)
        asked.append(named)
        return result

    def start_pool(request: Request, pipeline: object, data: object, n_workers: int) -> FakePool:
        return FakePool(lambda task: Act(Evaluation(float(task.seed % 7))), FakeClock(), n_workers)

    monkeypatch.setattr(stages_module, "conduct", conduct)
    monkeypatch.setattr(stages_module, "start_pool", start_pool)
    for module in (stages_module, launch_module):
        monkeypatch.setattr(module, "time", clock)
    return asked


def test_the_stages_before_it_are_no_part_of_the_start_of_a_stage(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the start took is kept for the end: 750 of 1,000 s would leave none to learn from it."""
    began = time.monotonic() - 5.0
    monkeypatch.setattr("orchestrator.allowance.began_at", lambda: began)
    asked = stages_that_take(monkeypatch, 250.0)
    assert run("stages", "--timeout", "1000s", *LOCAL)[0] == 0
    assert [each["started_at"] for each in asked] == [began] * 4
    with open_registry("experiments.db", create=False, read_only=True) as registry:
        assert [each.study for each in registry.patterns()] == ["toy-S0", "toy-S1", "toy-S2", "toy"]


def test_a_look_at_the_holdout_that_would_come_too_late_is_left_to_the_next_call(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "retrain.toml").write_text(
        "[pipeline]\nmodel = 'sgd'\ndata = 'breast_cancer'\nmetric = 'accuracy'\n[splits]\nfolds = 2\n" + ONE
    )
    stages_that_take(monkeypatch, 600.0)
    code, out, err = run("stages", "--timeout", "1000s", *LOCAL, "--format", "json")
    assert (code, json.loads(out)["holdout"]) == (0, None)
    assert "no time is left to fit" in err


def test_a_second_command_is_refused_while_one_runs(run: Run, tmp_path: Path) -> None:
    config = load_config(tmp_path, environ={})
    lock = stages_lock(config.db, config.root, "toy")
    assert lock.parent == tmp_path
    with alone(lock, "something"):
        code, out, err = run("stages", *LOCAL)
        assert (code, out) == (4, "")
        assert "error: Another process is running the stages of study 'toy'." in err
        assert run("stages", "--study", "another", "--configs", "3", *LOCAL)[0] == 0
        with open_registry("experiments.db", create=False, read_only=True) as registry:
            assert {each.name for each in registry.studies()} == {
                "another",
                *(f"another-S{i}" for i in range(3)),
            }
    assert run("stages", "--configs", "3", *LOCAL)[0] == 0
    assert not list(tmp_path.glob("*.lock"))


def test_a_lock_that_its_holder_removed_meanwhile_locks_nobody_out(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with alone(lock, "one"):
        lock.unlink()
        with alone(lock, "another"), pytest.raises(BusyError), alone(lock, "a third"):
            pass


def test_a_stage_without_a_success_ends_the_stages(run: Run, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("def objective(params):\n    raise ValueError(params['x'])\n")
    code, out, _ = run("stages", *LOCAL, "--format", "json")
    result = json.loads(out)
    assert code in (1, 6)
    assert [each["stage"] for each in result["stages"]] == ["S0"]


# ---- interrupted


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    found = Project(tmp_path, body=f"{HANG} if params['x'] != 0.5 and os.path.exists('hang') else None")
    with (tmp_path / "retrain.toml").open("a") as file:
        file.write('[[stages]]\nname = "A"\nconfigs = 4\nmethod = "random"\n')
        file.write('[[stages]]\nname = "B"\nconfigs = 3\nmethod = "random"\n')
    yield found
    found.close()


def in_stage(project: Project, name: str) -> list[Any]:
    with open_registry(project.folder / "experiments.db", create=False, read_only=True) as registry:
        study = registry.find_study(f"events-{name}")
        return [] if study is None else registry.experiments(study)


def test_an_interruption_within_a_stage_loses_nothing(project: Project) -> None:
    """The first stage hangs in its second experiment."""
    (project.folder / "hang").touch()
    process = project.start_command("stages", *LOCAL, "--grace", "0")
    project.await_events(b"(", 2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert sum(each.state is State.COMPLETE for each in in_stage(project, "A")) == 1
    assert in_stage(project, "B") == []

    (project.folder / "hang").unlink()
    process = project.start_command("stages", *LOCAL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert [len(in_stage(project, name)) for name in "AB"] == [5, 4]
    assert {each.state for name in "AB" for each in in_stage(project, name)} == {State.COMPLETE}


def test_after_a_kill_in_a_later_stage_the_earlier_ones_stand(project: Project) -> None:
    """The second stage hangs in its first experiment that is not its default."""
    process = project.start_command("stages", *LOCAL, "--grace", "0")
    project.await_events(b")", 5)
    (project.folder / "hang").touch()
    project.await_events(b"(", 1)
    process.kill()
    process.communicate(timeout=60)
    (project.folder / "hang").unlink()
    before = [each.public_id for each in in_stage(project, "A")]
    process = project.start_command("stages", *LOCAL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "stage A: done before" in err
    assert [each.public_id for each in in_stage(project, "A")] == before
    assert [len(in_stage(project, name)) for name in "AB"] == [5, 4]
