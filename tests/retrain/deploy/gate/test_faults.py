"""What the gate refuses or cannot judge (faults D7 and D8): exit code 3, with numbers, nothing changed."""

import json
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.deploy import Figures, Overrides
from retrain.deploy.gate.standing import scored_on
from retrain.pipeline import Detail, GroupScore
from tests.retrain.deploy.gate.figures import figures, verdicts
from tests.retrain.deploy.project import BAD, GOOD, Project, Ridge
from tests.retrain.deploy.test_params_input import parse, run_experiments
from tuner.errors import ConfigError, GateError, RetrainError
from tuner.experiment import Evaluation, Params, Provenance


class Broken(Ridge):
    """What is deployed first, degree 1, cannot be scored any more."""

    def evaluate(self, params: Params, *rest: Any) -> Evaluation:
        if params["degree"] == 1:
            raise ValueError("degree 1 is gone")
        return super().evaluate(params, *rest)


def worse_than_active(project: Project) -> None:
    project.apply(GOOD)
    project.apply(BAD)


def too_few_folds(project: Project) -> None:
    write_gate(project, "metric = 'rmse'\nmin_improvement = 0.0\nconfidence = 0.95\nrepeats = 1")
    project.apply(GOOD)


def not_complete(project: Project) -> None:
    with project.registry() as registry:
        _, failed = run_experiments(registry)
    parse(project, failed)


def other_data(project: Project) -> None:
    with project.registry() as registry:
        complete, _ = run_experiments(registry)
    project.pipeline = Ridge()
    project.pipeline.provenance = lambda: Provenance("newer", "1", "m")  # type: ignore[method-assign]
    project.apply(GOOD, experiment=complete)


def no_baseline(project: Project) -> None:
    project.pipeline = Broken()
    project.apply(GOOD)


def no_baseline_for_a_bound(project: Project) -> None:
    write_gate(project, "metric = 'rmse'\nmin_improvement = 0.0\nconfidence = 0.95")
    no_baseline(project)


def no_baseline_for_a_check(project: Project) -> None:
    write_gate(project, "check = 'needy.py:check'\n[[gate]]\nmetric = 'rmse'\nmax = 9")
    (project.root / "needy.py").write_text(
        "def check(c):\n    return c.champion.value > c.challenger.value\n"
    )
    no_baseline(project)


def unreadable_record(project: Project) -> None:
    project.apply(GOOD)
    with sqlite3.connect(project.root / "experiments.db") as connection:
        (text,) = connection.execute("SELECT manifest FROM model_versions WHERE state = 'active'").fetchone()
        manifest = {**json.loads(text), "metrics": {"rmse": "0.05"}}
        connection.execute(
            "UPDATE model_versions SET manifest = ? WHERE state = 'active'", (json.dumps(manifest),)
        )
    connection.close()
    project.pipeline = Ridge(code="2")
    project.retrain()


def write_gate(project: Project, body: str) -> None:
    with (project.root / "retrain.toml").open("a") as file:
        file.write(f"[[gate]]\n{body}\n")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (worse_than_active, r"default: rmse is 0\.\d+, 0\.\d+ worse than what is deployed \(0\.\d+\)"),
        (too_few_folds, "4 folds are too few for a confidence, which needs 5"),
        (not_complete, "Only a complete experiment can be applied, but .* is failed"),
        (other_data, "data: .* was chosen by its score on toy, but the data are newer now"),
        (no_baseline, "default: .* what is deployed could not be scored .*degree 1 is gone"),
        (no_baseline_for_a_bound, "rmse-min_improvement: .* what is deployed could not be scored"),
        (no_baseline_for_a_check, "needy.check: needy.py:check failed: AttributeError: 'NoneType'"),
        (unreadable_record, "default: .* the active version has no recorded value"),
    ],
)
def test_refused_with_exit_code_3(fault: Callable[[Project], None], says: str, tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(GateError, match=says) as caught:
        fault(project)
    assert caught.value.exit_code == 3
    assert caught.value.remedy
    with project.registry() as registry:
        n_deployed = len(registry.deployments("ridge"))
    assert n_deployed == (2 if fault in (worse_than_active, unreadable_record) else 0)


def test_a_target_that_does_not_parse_is_no_baseline_either(tmp_path: Path) -> None:
    project = Project(tmp_path, content="ALPHA = (\n")
    with pytest.raises(ConfigError):
        project.apply(GOOD)
    assert not (tmp_path / "versions").exists()


def test_other_data_may_be_overridden_by_name(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(GateError, match="data: ") as caught:
        other_data(project)
    assert "orchestrator revalidate --top 5" in caught.value.remedy
    with project.registry() as registry:
        (experiment,) = [e for e in registry.experiments(registry.studies()[0]) if e.value is not None]
    project.apply(
        GOOD, experiment=experiment.public_id, overrides=Overrides(("data",), "only rows were added")
    )
    with project.registry() as registry:
        gates = {gate["name"]: gate["override"] for gate in registry.deployments("ridge")[-1].gates}
    assert gates == {"default": "", "data": "needed"}
    assert scored_on(experiment, Provenance("toy")) is None
    assert scored_on(experiment, Provenance("newer"), [experiment.public_id]) is None


# ---- whatever the figures are


NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.none(), st.just("0.9"), st.booleans(), st.just(0.9)
)


def _is_sound(number: object) -> bool:
    return isinstance(number, float) and math.isfinite(number)


@settings(deadline=None, max_examples=300)
@given(
    new=NUMBERS,
    old=NUMBERS,
    gate=st.sampled_from(
        [
            {},
            {"min": -1e308},
            {"max": 1e308},
            {"min_improvement": -1e308},
            {"max_drop": 1e308},
            {"min": -1e308, "confidence": 0.9, "repeats": 2},
            {"max": 1e308, "confidence": 0.9},
            {"min_improvement": -1e308, "confidence": 0.9, "repeats": 2},
            {"max_drop": 1e308, "confidence": 0.9, "repeats": 0},
            {"min": -1e308, "by": "site"},
            {"max_drop": 1e308, "by": "site"},
            {"max_drop": 1e308, "by": "site", "repeats": 2},
        ]
    ),
    same=st.booleans(),
)
def test_nothing_that_is_no_finite_number_ever_passes(
    new: object, old: object, gate: dict[str, Any], same: bool
) -> None:
    """Bounds that anything would keep: only what cannot be judged is refused, and that always is."""

    def made(number: Any) -> Figures:
        folds = (0.5, 0.6, 0.7, 0.8, number)
        other = (0.4, 0.6, 0.7, 0.9, number)
        groups = {"site": {"auc": {"a": GroupScore(number, 99), "b": GroupScore(0.5, 99)}}}
        details = tuple(Detail({"auc": each}, groups) for each in (folds, other))
        return Figures(number, number, dict(enumerate(folds)), {"auc": number}, None, details[0], details)

    champion, challenger = made(old), made(new)
    given_gates = [{"metric": "auc", **gate}] if gate else []
    found = verdicts(challenger, champion, *given_gates, same_params=same, recorded=champion)
    for verdict in found:
        compares = verdict.rule not in ("min", "max")
        asks_for_nothing = same and verdict.rule in ("min_improvement", "max_drop")
        sound = _is_sound(new) and (not compares or _is_sound(old))
        if not sound and not asks_for_nothing:
            assert not verdict.passed, verdict
            assert verdict.why
        json.dumps(verdict.to_dict(), allow_nan=False)


@pytest.mark.parametrize("missing", ["challenger", "champion", "both"])
def test_a_missing_metric_never_passes(missing: str) -> None:
    some, none = figures(0.9, test_f1=0.9), Figures(0.9, metrics={})
    new = none if missing in ("challenger", "both") else some
    old = none if missing in ("champion", "both") else some
    for rule in ({"min": -9.0}, {"max": 9.0}, {"max_drop": 9.0}, {"min_improvement": -9.0}):
        (verdict,) = [v for v in verdicts(new, old, {"metric": "test_f1", **rule}) if v.metric == "test_f1"]
        assert verdict.passed is (missing == "champion" and rule.keys() <= {"min", "max"})


def test_costs_that_cannot_be_measured_are_refused(tmp_path: Path) -> None:
    """A pipeline of one's own need not measure them."""
    project = Project(tmp_path, extra="[[gate]]\nmetric = 'model_kb'\nmax = 9\n")
    with pytest.raises(
        GateError, match=r"model_kb-max: model_kb .max. cannot be judged: it was not measured"
    ):
        project.apply(GOOD)

    class Measured(Ridge):
        def costs_of(self, model: Any, names: Any) -> dict[str, float]:
            return {name: np.float64(8.0).item() for name in names}

    project.pipeline = Measured()
    assert project.apply(GOOD).after["model_kb"] == 8.0


def test_a_detail_that_is_none_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path)
    monkeypatch.setattr(type(project.pipeline), "evaluate_in_detail", lambda *_: 0.5)
    with pytest.raises(RetrainError, match="pair of a result and its Detail"):
        project.apply(GOOD)
