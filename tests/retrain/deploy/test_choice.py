"""A choice among models in production: the target holds what is chosen, on the way there and back."""

from pathlib import Path
from typing import Any

import pytest

from retrain.deploy import apply, rollback
from retrain.deploy.deployed import find_deployed
from retrain.deploy.target_file import TargetFile
from retrain.pipelines import load_pipeline
from tests.retrain.projects import mixed_frame, tabular
from tuner.registry import open_registry

LOGISTIC = {"model": "logistic_regression", "logistic_regression_C": 0.3}


@pytest.mark.parametrize(("file", "n_golden"), [("hp.json", 5), ("hp.toml", 0), ("hp.py", 0)])
def test_another_model_is_deployed_and_rolled_back(file: str, n_golden: int, tmp_path: Path) -> None:
    mixed_frame().to_csv(tmp_path / "data.csv", index=False)
    rest = (
        "[space]\npreset = 'conservative'\n"
        f"[deploy]\ntarget = '{file}'\ngolden_rows = {n_golden}\n"
        "[[gate]]\nmetric = 'roc_auc'\nmax_drop = 1.0\n"
    )
    config = tabular(tmp_path, model=["ridge", "logistic_regression"], rest=rest, drop=["site", "day"])
    pipeline = load_pipeline(config)
    pipeline.use(pipeline.load())
    target = TargetFile.of(config)
    assert target is not None

    def held() -> dict[str, Any]:
        return pipeline.space.active(target.values(target.read(), pipeline.space.names))

    with open_registry(config.db, create=True) as registry:
        params = pipeline.space.complete(LOGISTIC)
        report = apply(config, pipeline, registry, params, who="tester")
        assert report.outcome == "deployed"
        assert find_deployed(config, registry, pipeline.space).params == params
        found = held()
        written = [line.split(" = ")[0].lower() for line in (tmp_path / file).read_text().splitlines()]
        assert [each for each in written if each in ("model", "ridge_alpha")] == (
            ["model", "ridge_alpha"] if file == "hp.py" else ["model"] * (file == "hp.toml")
        ), "a new file follows the space, whatever is active"
        assert {**found, "logistic_regression_class_weight": None} == params
        assert pipeline.load_model(tmp_path / "versions" / "000002" / "model").family == "logistic_regression"
        back = pipeline.space.complete({"model": "ridge", "ridge_alpha": 5.0}, base=params)
        apply(config, pipeline, registry, back, who="tester")
        assert held() == back == {"model": "ridge", "ridge_alpha": 5.0}
        rollback(config, registry, who="tester")
        assert find_deployed(config, registry, pipeline.space).params == params
        assert held()["model"] == "logistic_regression"
