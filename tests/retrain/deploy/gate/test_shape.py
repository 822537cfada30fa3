"""An unattended retrain of a table that was cut or altered is refused; a person who deploys is warned."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retrain.config import Config
from retrain.deploy import ApplyOutcome, ApplyReport, Overrides, apply, retrain
from retrain.deploy.gate.shape import same_shape
from retrain.pipelines import load_pipeline
from tests.retrain.deploy.project import Project
from tests.retrain.projects import mixed_frame, tabular
from tuner.errors import GateError
from tuner.registry import open_registry

N = 200
FEATURES = ["a", "b", "colour", "flag", "site"]
WHOLE = {"columns": FEATURES, "n_rows": 160}
MEANT = Overrides(("shape",), "a smaller town")

Changed = Callable[[pd.DataFrame], pd.DataFrame]


def frame(n: int = N) -> pd.DataFrame:
    return mixed_frame(N).drop(columns="day").head(n)


def table(folder: Path, data: pd.DataFrame) -> Config:
    data.to_csv(folder / "data.csv", index=False)
    return tabular(
        folder,
        model="logistic_regression",
        rest="[splits]\nfolds = 2\n[[gate]]\nmetric = 'roc_auc'\nmin = 0.0\n[deploy]\ngolden_rows = 0\n",
    )


def act(folder: Path, data: pd.DataFrame, action: str = "retrain", **options: Any) -> ApplyReport:
    """Write the table and deploy on it, by the metric alone whatever its value."""
    config = table(folder, data)
    pipeline = load_pipeline(config)
    pipeline.use(pipeline.load())
    with open_registry(folder / "experiments.db", create=True) as registry:
        if action == "retrain":
            return retrain(config, pipeline, registry, who="cron", **options)
        return apply(config, pipeline, registry, pipeline.space.defaults(), who="ann", **options)


@pytest.fixture(scope="module")
def _fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    assert act(folder, frame()).version == 2
    return folder


@pytest.fixture
def folder(_fitted: Path, tmp_path: Path) -> Path:
    """A project whose version 2 was fitted on the whole table."""
    shutil.copytree(_fitted, tmp_path / "copy", ignore=shutil.ignore_patterns("*owners*"))
    return tmp_path / "copy"


def short(data: pd.DataFrame) -> pd.DataFrame:
    return data.head(60)


def altered(data: pd.DataFrame) -> pd.DataFrame:
    return data.rename(columns={"b": "bb"}).assign(extra=range(len(data)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (short, "48 rows to train on (160 then), less than half"),
        (
            altered,
            "without the column 'b', with the new columns 'bb', 'extra', 160 rows to train on (160 then)",
        ),
    ],
)
def test_what_no_person_looks_at_is_refused(change: Changed, said: str, folder: Path) -> None:
    with pytest.raises(GateError) as caught:
        act(folder, change(frame()))
    assert f"shape: the table is not as it was when version 2 was fitted: {said}." in str(caught.value)
    assert caught.value.exit_code == 3
    assert "--override-gate shape --reason TEXT" in caught.value.remedy
    assert "retrain --apply-hp" in caught.value.remedy


def test_an_override_makes_it_the_new_measure(folder: Path) -> None:
    report = act(folder, short(frame()), overrides=MEANT)
    assert (report.outcome, report.version) == (ApplyOutcome.DEPLOYED, 3)
    assert {verdict.name: verdict.override for verdict in report.verdicts}["shape"] == "needed"
    again = act(folder, frame(61))
    assert again.version == 4
    assert "shape" not in [verdict.name for verdict in again.verdicts]


def test_a_person_is_warned(folder: Path) -> None:
    report = act(folder, short(frame()), "apply")
    assert report.version == 3
    assert "shape" not in [verdict.name for verdict in report.verdicts]
    assert any("48 rows to train on (160 then)" in warning for warning in report.warnings)


def test_what_may_leak_stands_beside_the_verdict(folder: Path) -> None:
    leaky = frame().assign(b=lambda data: 10 * data["y"] + data["b"].round())
    for report in (act(folder, leaky, dry_run=True), act(folder, leaky, "apply")):
        assert report.outcome in (ApplyOutcome.DRY_RUN, ApplyOutcome.DEPLOYED)
        (warning,) = [each for each in report.warnings if each.startswith("possible leakage: ")]
        assert "the column 'b'" in warning
    sound = act(folder, frame(), dry_run=True)
    assert not [each for each in sound.warnings if "leakage" in each]


def test_half_of_the_rows_and_another_order_of_columns_are_enough() -> None:
    now = {"columns": FEATURES[::-1], "n_rows": 80}
    assert same_shape(2, WHOLE, now) is None
    assert same_shape(2, WHOLE, {**now, "n_rows": 79}) is not None


@pytest.mark.parametrize("unknown", [None, {}, {"rule": "mine"}, {"columns": None, "n_rows": "many"}])
def test_who_does_not_know_is_not_judged(unknown: Mapping[str, Any] | None) -> None:
    other = {"columns": ["z"], "n_rows": 1}
    assert same_shape(2, unknown, other) is None
    assert same_shape(2, other, unknown) is None


def test_a_version_of_before_is_judged_by_what_it_has() -> None:
    older = {"n_rows": 160}
    assert same_shape(2, older, WHOLE) is None
    verdict = same_shape(2, older, {"columns": ["z"], "n_rows": 31})
    assert verdict is not None
    assert "31 rows to train on (160 then)" in verdict.why


def test_many_columns_are_counted() -> None:
    verdict = same_shape(2, WHOLE, {"columns": [f"c{i}" for i in range(30)], "n_rows": 160})
    assert verdict is not None
    assert "'c9' and 20 more" in verdict.why
    assert "'c10'" not in verdict.why


def test_a_pipeline_without_this_knowledge_is_retrained(deployed: Project) -> None:
    deployed.pipeline.code = "2"
    assert [verdict.name for verdict in deployed.retrain().verdicts] == ["default"]
