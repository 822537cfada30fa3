import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from retrain.pipelines import ObjectivePipeline
from retrain.pipelines.user_code import stdout_to_stderr
from retrain.results import ResultError
from tests.contracts.pipeline_contract import evaluate
from tests.retrain.projects import SPACE, config_in
from tuner.space import FloatParam, SearchSpace

ONE = SearchSpace([FloatParam("x", 0.0, 1.0)])
NOISY = """
import os
print("importing")
def objective(params):
    print("training")
    os.system("echo child")
    return params["x"]
"""


def test_what_user_code_prints_never_reaches_stdout(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    config_in(tmp_path, "[pipeline]\nkind = 'noisy:objective'\ndirection = 'minimize'\n" + SPACE)
    code = (
        "from pathlib import Path\n"
        "from retrain.config import load_config\n"
        "from retrain.pipelines import load_pipeline\n"
        "pipeline = load_pipeline(load_config(Path('.')))\n"
        "print(pipeline.evaluate({'x': 0.5}, print, 0).value)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "0.5\n"
    assert done.stderr.splitlines() == ["importing", "training", "child"]


def test_stdout_is_back_after_an_exception(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with stdout_to_stderr():
            os.write(1, b"inside\n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    os.write(1, b"after\n")
    assert capfd.readouterr() == ("after\n", "inside\n")


@pytest.mark.parametrize(
    "misuse", [lambda r: r(0.5), lambda r: r(), lambda r: r(0, {}, 1), lambda r: r(loss=1)]
)
def test_a_report_of_another_form_is_told_the_right_one(misuse: Any) -> None:
    def objective(params: dict[str, Any], report: Any) -> float:
        misuse(report)
        return 1.0

    with pytest.raises(ResultError) as caught:
        evaluate(ObjectivePipeline(objective, ONE))
    assert "report(step, {metric: value})" in str(caught.value)


def test_a_report_may_name_its_arguments() -> None:
    def objective(params: dict[str, Any], report: Any) -> float:
        report(metrics={"value": 2.0}, step=3)
        return 1.0

    assert evaluate(ObjectivePipeline(objective, ONE))[1] == [(3, {"value": 2.0})]
