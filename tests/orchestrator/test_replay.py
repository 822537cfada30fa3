"""An experiment runs again from what is stored of it, and comes out the same, or it is said why not."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import cli
from orchestrator.pool import Task
from orchestrator.replay import Replay, Sameness, replay, replay_text
from orchestrator.worker import run_task
from retrain.cli import run_command
from retrain.code_version import library_versions
from retrain.config import Config
from retrain.pipelines import load_pipeline
from tests.retrain.projects import config_in, mixed_frame, tabular
from tuner.errors import UsageError
from tuner.experiment import Evaluation, Failure, Outcome, State, Suggestion
from tuner.registry import Limits, StudySpec, open_registry

NO_RETRY = Limits(failures=1, deaths=1)
TOML = """
name = "toy"
[pipeline]
kind = "{file}:train"
metric = "loss"
direction = "minimize"
[space.params]
x = {{ type = "float", low = 0.0, high = 1.0, default = 0.5 }}
"""
CODE = """
def train(params, report):
    for step in range(3):
        report(step, {"loss": params["x"] + step})
    return params["x"] + 1.0
"""


def toy(folder: Path, code: str = CODE, name: str = "objective.py") -> Config:
    (folder / name).write_text(code)
    return config_in(folder, TOML.format(file=name), db=str(folder / "experiments.db"))


def run(config: Config, info: Mapping[str, Any] | None = None, *, add: float = 0.0) -> str:
    """One experiment, stored as the driver does, its value moved by `add`; its public id."""
    pipeline = load_pipeline(config)
    pipeline.use(pipeline.load())
    spec = StudySpec(
        config.study_name,
        pipeline.space.to_dict(),
        pipeline.metric,
        pipeline.direction,
        pipeline.space.defaults(),
        3,
    )
    with open_registry(config.db, create=True) as registry:
        study = registry.open_study(spec)
        of = registry.start_run(study, method="random", n_wanted=1, seed=3, info=info or {})
        registry.add(study, [Suggestion(pipeline.space.defaults(), "random")], run=of)
        [claim] = registry.claim(study)
        experiment = claim.experiment
        result = run_task(pipeline, Task("x", experiment.params, experiment.seed), lambda *_: None)
        if isinstance(result, Failure):
            return registry.fail(claim, result, NO_RETRY).public_id
        assert isinstance(result, Evaluation)
        moved = Evaluation(result.value + add, result.std_error, result.metrics, result.measurements)
        return registry.complete(claim, moved, pipeline.provenance()).public_id


def again(config: Config, prefix: str, **options: Any) -> Replay:
    told: list[str] = []
    found = replay(config, prefix, tell=told.append, **options)
    assert told[0].startswith("running ")
    return found


def test_a_table_comes_out_identical_and_nothing_is_written(tmp_path: Path) -> None:
    mixed_frame(60).drop(columns="day").to_csv(tmp_path / "data.csv", index=False)
    config = tabular(
        tmp_path, model="logistic_regression", overrides={"db": str(tmp_path / "experiments.db")}
    )
    public_id = run(config)
    before = (tmp_path / "experiments.db").read_bytes()
    found = again(config, "best")
    assert (found.experiment, found.verdict, found.exit_code) == (public_id, Sameness.IDENTICAL, 0)
    assert len(found.reports) == 5
    assert all(then == now for _, then, now in found.reports)
    assert found.differs == ()
    assert (tmp_path / "experiments.db").read_bytes() == before


def test_other_data_are_named(tmp_path: Path) -> None:
    mixed_frame(60).drop(columns="day").to_csv(tmp_path / "data.csv", index=False)
    config = tabular(
        tmp_path, model="logistic_regression", overrides={"db": str(tmp_path / "experiments.db")}
    )
    public_id = run(config)
    mixed_frame(60, seed=1).drop(columns="day").to_csv(tmp_path / "data.csv", index=False)
    found = again(config, public_id)
    assert (found.verdict, found.exit_code) == (Sameness.DIVERGED, 1)
    assert found.why == "not the same as then: the data"
    [data] = found.differs
    assert data.startswith("the data: sha256:")


@pytest.mark.parametrize(
    ("moved", "tolerance", "verdict"),
    [
        (1e-9, 1e-6, Sameness.WITHIN),
        (1e-9, 0.0, Sameness.DIVERGED),
        (1e-3, 1e-6, Sameness.DIVERGED),
        (0.0, 0.0, Sameness.IDENTICAL),
    ],
)
def test_the_tolerance(moved: float, tolerance: float, verdict: Sameness, tmp_path: Path) -> None:
    config = toy(tmp_path)
    found = again(config, run(config, add=moved), tolerance=tolerance)
    assert found.verdict is verdict
    if verdict is Sameness.DIVERGED:
        assert found.why.startswith("nothing that is recorded differs, and it gives the same twice here")


def test_code_that_changed_is_named_also_where_it_makes_no_difference(tmp_path: Path) -> None:
    public_id = run(toy(tmp_path))
    same = toy(tmp_path, CODE + "# changed\n", "renamed.py")
    found = again(same, public_id)
    assert found.verdict is Sameness.IDENTICAL
    assert [each.partition(":")[0] for each in found.differs] == ["the code"]
    other = toy(tmp_path, CODE.replace("1.0", "2.0"), "other.py")
    found = again(other, public_id)
    assert (found.then, found.now, found.verdict) == (1.5, 2.5, Sameness.DIVERGED)
    assert found.why == "not the same as then: the code"


def test_other_libraries_are_named(tmp_path: Path) -> None:
    config = toy(tmp_path)
    versions = library_versions()
    info = {
        "python": versions["python"],
        "libraries": {"numpy": "1.0.0", "pandas": versions["pandas"], "gone": "1"},
    }
    public_id = run(config, info, add=0.5)
    found = again(config, public_id)
    assert found.differs == (
        f"the libraries: numpy 1.0.0 then, {versions['numpy']} now, gone 1 then, missing now",
    )
    assert found.why == "data and code are the same, and it gives the same twice here: the libraries are not"


def test_a_pipeline_that_never_gives_the_same_is_found_out(tmp_path: Path) -> None:
    code = "from itertools import count\nNEXT = count()\ndef train(params):\n    return float(next(NEXT))\n"
    config = toy(tmp_path, code)
    found = again(config, run(config))
    assert found.verdict is Sameness.DIVERGED
    assert found.why == "the pipeline is not deterministic: with seed 3 it gave 1.0 and then 2.0"


def test_a_failure_is_replayed_too(tmp_path: Path) -> None:
    config = toy(tmp_path, 'def train(params):\n    raise ValueError("no")\n')
    public_id = run(config)
    found = again(config, public_id)
    assert (found.verdict, found.now) == (Sameness.IDENTICAL, "error: ValueError: no")
    mended = toy(tmp_path, CODE, "mended.py")
    found = again(mended, public_id)
    assert (found.verdict, found.then, found.now) == (Sameness.DIVERGED, "error: ValueError: no", 1.5)


@pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.WORKER_LOST, Outcome.TIMEOUT, None])
def test_what_the_pipeline_did_not_end_itself_is_refused(outcome: Outcome | None, tmp_path: Path) -> None:
    config = toy(tmp_path)
    pipeline = load_pipeline(config)
    spec = StudySpec(
        "toy", pipeline.space.to_dict(), "loss", pipeline.direction, pipeline.space.defaults(), 3
    )
    with open_registry(config.db, create=True) as registry:
        study = registry.open_study(spec)
        [experiment] = registry.add(study, [Suggestion(pipeline.space.defaults(), "random")])
        if outcome is not None:
            [claim] = registry.claim(study)
            assert registry.fail(claim, Failure(outcome, "x"), NO_RETRY).state is State.FAILED
    with pytest.raises(UsageError, match=f"is {outcome or 'waiting'}"):
        again(config, experiment.public_id)


def test_it_is_told() -> None:
    found = Replay(
        "a_1",
        Sameness.DIVERGED,
        0.5,
        0.25,
        1e-6,
        ((0, 0.5, 0.25), (1, None, 0.5)),
        ("the data: a then, b now",),
        "x",
    )
    text = replay_text(found)
    for part in ("a_1: diverged", "then  0.5", "now   0.25", "-0.25", "the data: a then, b now", "Why"):
        assert part in text
    document = json.loads(replay_text(found, "json"))
    assert (document["verdict"], document["reports"][0]["difference"]) == ("diverged", -0.25)
    assert replay_text(found, "csv").splitlines()[:2] == ["step,then,now,difference", "value,0.5,0.25,"]
    same = Replay("a_1", Sameness.IDENTICAL, 0.5, 0.5, 1e-6, ((0, 0.5, 0.5),), ())
    assert replay_text(same) == "a_1: identical\n  then  0.5\n  now   0.5"


def test_the_command_ends_in_code_1_where_it_diverged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = toy(tmp_path)
    public_id = run(config, add=0.001)
    line = ["replay", public_id[:8], "--config", str(tmp_path), "--db", config.db]
    assert run_command(cli, "orchestrator", line) == 1
    assert f"{public_id}: diverged" in capsys.readouterr().out
    assert run_command(cli, "orchestrator", [*line, "--tolerance", "0.1"]) == 0
    assert f"{public_id}: within tolerance 0.1" in capsys.readouterr().out
    assert run_command(cli, "orchestrator", [*line, "--tolerance", "-1"]) == 2
