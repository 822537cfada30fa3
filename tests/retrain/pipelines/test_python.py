import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest

from retrain.pipeline import Pipeline
from retrain.pipelines import ObjectivePipeline, load_pipeline
from tests.contracts.pipeline_contract import PipelineContract, evaluate
from tests.retrain.projects import SPACE, config_in
from tuner.errors import ConfigError
from tuner.experiment import Direction

FUNCTION = """
from helper import OFFSET
def objective(params):
    return params["x"] + OFFSET
def reporting(params, report):
    report(0, {"accuracy": 0.5})
    return {"accuracy": params["x"], "n": params.get("n", 0)}
def seeded(params, report, seed):
    report(0, {"accuracy": seed / 10})
    return {"accuracy": seed / 10}
number = 3
class Other: pass
"""

PIPELINE = """
from pathlib import Path
import numpy as np
from retrain.pipeline import Pipeline, Scores
from tuner.experiment import Direction, Evaluation, Provenance
from tuner.space import FloatParam, SearchSpace

class Line(Pipeline):
    name, metric, direction = "line", "error", Direction.MINIMIZE
    space = SearchSpace([FloatParam("x", 0.0, 1.0)])
    def load(self):
        return np.arange(4.0)
    def use(self, data):
        self.data = data
    def provenance(self):
        return Provenance(data=str(self.data.sum()), code="1", metric="error")
    def evaluate(self, params, report, seed):
        report(0, {"error": params["x"]})
        return Evaluation(params["x"] * float(self.data.mean()) + params.get("n", 0), 0.1, duration_s=0.0)
    @property
    def can_fit(self):
        return True
    def fit(self, params, seed):
        return params["x"] + params.get("n", 0)
    def test(self, model):
        return Scores({"test_error": model}, 4)
    def save(self, model, folder):
        (folder / "line.txt").write_text(str(model))
        return [folder / "line.txt"]

class Configured(Line):
    def __init__(self, config):
        self.target = config.pipeline.target

class Incomplete(Pipeline):
    def provenance(self): ...
    def evaluate(self, params, report, seed): ...

class Abstract(Pipeline): ...

made = Line()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """A project of its own; what it imports is forgotten afterwards."""
    (tmp_path / "helper.py").write_text("OFFSET = 1.0\n")
    (tmp_path / "mine.py").write_text(FUNCTION)
    (tmp_path / "lines.py").write_text(PIPELINE)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.split("_")[0] in ("helper", "mine", "lines", "broken", "random"):
            del sys.modules[name]


def load(folder: Path, kind: str, more: str = "direction = 'minimize'", rest: str = SPACE) -> Pipeline:
    return load_pipeline(config_in(folder, f"[pipeline]\nkind = '{kind}'\n{more}\n{rest}"))


def fault_of(folder: Path, kind: str, more: str = "direction = 'minimize'", rest: str = SPACE) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, kind, more, rest)
    return str(caught.value)


class TestFunction(PipelineContract):
    @pytest.fixture
    def pipeline(self, folder: Path) -> Pipeline:
        return load(folder, "mine:reporting", "metric = 'accuracy'")


def test_a_function_with_a_seed_is_given_it_through_its_name_too(folder: Path) -> None:
    pipeline = load(folder, "mine:seeded", "metric = 'accuracy'")
    assert pipeline.splits_follow_seed
    evaluation, reports = evaluate(pipeline, {"x": 0.5}, seed=3)
    assert evaluation.value == 0.3
    assert reports == [(0, {"accuracy": 0.3})]


class TestClass(PipelineContract):
    has_data = True

    @pytest.fixture
    def pipeline(self, folder: Path) -> Pipeline:
        return load(folder, "lines:Line", "", "")


class TestInstance(PipelineContract):
    has_data = True

    @pytest.fixture
    def pipeline(self, folder: Path) -> Pipeline:
        return load(folder, "./lines.py:made", "", "")


@pytest.mark.parametrize("kind", ["mine:objective", "mine.py:objective"])
def test_a_function_is_found_by_module_and_by_file(folder: Path, kind: str) -> None:
    pipeline = load(folder, kind)
    assert isinstance(pipeline, ObjectivePipeline)
    assert (pipeline.name, pipeline.metric, pipeline.direction) == ("objective", "value", Direction.MINIMIZE)
    assert evaluate(pipeline, {"x": 0.5})[0].value == 1.5


def test_a_known_metric_brings_its_direction_and_what_is_fixed_arrives(folder: Path) -> None:
    pipeline = load(folder, "mine:reporting", "metric = 'accuracy'\nfixed = { n = 3 }")
    assert pipeline.direction is Direction.MAXIMIZE
    assert evaluate(pipeline, {"x": 0.5})[0].metrics == {"n": 3.0}


def test_another_process_finds_the_users_files_by_itself(folder: Path) -> None:
    """As a worker: it gets the pickle, runs elsewhere, and has nothing of the user's on its path."""
    for i, kind in enumerate(["mine.py:objective", "mine:objective"]):
        (folder / f"{i}.pkl").write_bytes(cloudpickle.dumps(load(folder, kind)))
        code = (
            "import sys, pickle\n"
            "pipeline = pickle.load(open(sys.argv[1], 'rb'))\n"
            "print(pipeline.evaluate({'x': 0.5}, print, 0).value)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder / f"{i}.pkl")],
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("1.5\n", "")


def test_a_file_named_like_a_module_shadows_nothing(folder: Path) -> None:
    (folder / "random.py").write_text("def objective(params):\n    import random\n    return params['x']\n")
    assert evaluate(load(folder, "random.py:objective"), {"x": 0.5})[0].value == 0.5
    import random

    assert hasattr(random, "Random")


def test_a_class_that_takes_an_argument_gets_the_configuration(folder: Path) -> None:
    pipeline = load(folder, "lines:Configured", "target = 'y'", "")
    assert pipeline.inner.target == "y"  # type: ignore[attr-defined]


def test_the_space_of_the_configuration_and_what_it_fixes_win(folder: Path) -> None:
    pipeline = load(
        folder,
        "lines:Line",
        "fixed = { n = 5 }",
        "[space.params]\nx = { type = 'float', low = 0.0, high = 0.5 }\n",
    )
    pipeline.use(pipeline.load())
    assert pipeline.space.params["x"].high == 0.5  # type: ignore[union-attr]
    assert evaluate(pipeline, {"x": 0.0})[0].value == 5.0
    assert pipeline.fit({"x": 0.0}, 0) == 5.0


def test_an_edit_of_what_is_imported_is_another_version_of_the_code(folder: Path) -> None:
    before = load(folder, "mine:objective").provenance().code
    assert load(folder, "mine:objective").provenance().code == before
    (folder / "helper.py").write_text("OFFSET = 2.0\n")
    assert load(folder, "mine:objective").provenance().code != before


# ---- faults


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("mnie:objective", "There is no module 'mnie'"),
        ("mnie:objective", "Did you mean 'mine'?"),
        ("mine.sub:objective", "There is no module 'mine.sub'"),
        ("mnie.py:objective", "Did you mean 'mine.py'?"),
        ("mine:objectiv", "'mine' has no 'objectiv'. Did you mean 'objective'?"),
        ("mine:number", "but mine:number is a int"),
        ("mine:Other", "but mine:Other is a class of another kind"),
        ("lines:Incomplete", "must set the attribute 'space'"),
        ("lines:Abstract", "cannot be built: Can't instantiate abstract class"),
    ],
)
def test_what_cannot_be_found_is_one_sentence(folder: Path, kind: str, part: str) -> None:
    assert part in fault_of(folder, kind)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("import nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def objective(:\n", "SyntaxError"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)\n", "SystemExit: 0"),
    ],
)
@pytest.mark.parametrize("kind", ["broken:objective", "broken.py:objective"])
def test_a_module_that_cannot_be_imported_says_why(folder: Path, source: str, part: str, kind: str) -> None:
    (folder / "broken.py").write_text(source)
    for _ in range(2):  # and again: nothing half-made is left behind
        fault = fault_of(folder, kind)
        assert "Importing 'broken" in fault
        assert part in fault


def test_settings_without_a_meaning_are_refused(folder: Path) -> None:
    assert "pipeline.data, pipeline.target has no meaning" in fault_of(
        folder, "mine:objective", "direction = 'minimize'\ndata = 'x.csv'\ntarget = 'y'"
    )
    assert "direction must be given" in fault_of(folder, "mine:objective", "")
    assert "pipeline.metric is 'loss', but lines:Line says 'error'" in fault_of(
        folder, "lines:Line", "metric = 'loss'", ""
    )
    assert "nothing to search" in fault_of(folder, "mine:objective", rest="")
