"""A gate of the user's own: nothing but a clear yes is one."""

from pathlib import Path

import pytest

from retrain.deploy import Comparison
from tests.retrain.deploy.gate.figures import figures, verdict
from tests.retrain.deploy.project import GOOD, Project
from tuner.errors import ConfigError, GateError

CHECK = {"check": "mine:check"}


@pytest.mark.parametrize(
    ("body", "passed", "why"),
    [
        ("return True", True, "says yes"),
        ("import numpy; return numpy.float64(1) > 0", True, "says yes"),
        ("return c.challenger.value > c.champion.value", True, "says yes"),
        ("return c.metric == 'auc' and c.direction == 'maximize' and c.params == {'x': 1}", True, "says yes"),
        ("return False", False, "says no"),
        ("return 'too\\nbrave'", False, "says: too brave"),
        ("return ''", False, "(an empty text)"),
        ("return None", False, "returned None, and not True, False or a reason"),
        ("return 1", False, "returned 1"),
        ("return c", False, "returned Comparison("),
        ("raise ValueError('boom')", False, "failed: ValueError: boom"),
        ("raise SystemExit(0)", False, "called sys.exit(0), which is no answer"),
        ("return 1 / 0", False, "failed: ZeroDivisionError"),
        (
            "class X:\n        __repr__ = lambda self: 1 / 0\n    return X()",
            False,
            "failed: ZeroDivisionError",
        ),
    ],
)
def test_what_it_answers(body: str, passed: bool, why: str) -> None:
    names: dict[str, object] = {}
    exec(f"def check(c):\n    {body}", names)
    checks = {"mine.check": names["check"]}
    given = verdict(figures(0.9), figures(0.8), CHECK, checks=checks, params={"x": 1}, deployed={"x": 2})
    assert (given.name, given.rule, given.passed) == ("mine.check", "check", passed)
    assert why in given.why


def test_what_it_changes_stays_with_it() -> None:
    def check(comparison: Comparison) -> bool:
        comparison.params["x"] = 2  # type: ignore[index]
        comparison.challenger.metrics["test_auc"] = 1.0  # type: ignore[index]
        return True

    new, params = figures(0.9), {"x": 1}
    before = dict(new.metrics)
    assert verdict(new, figures(0.8), CHECK, checks={"mine.check": check}, params=params, deployed={}).passed
    assert (new.metrics, params) == (before, {"x": 1})


def test_one_that_was_not_loaded_refuses() -> None:
    assert not verdict(figures(0.9), figures(0.8), CHECK).passed


def test_it_is_loaded_from_beside_the_configuration_and_sees_both(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = Project(tmp_path, extra='[[gate]]\ncheck = "checks.py:no_surprise"\n')
    (tmp_path / "checks.py").write_text(
        "def no_surprise(comparison):\n"
        "    print('looking')\n"
        "    new, old = comparison.challenger.metrics, comparison.champion.metrics\n"
        "    assert comparison.deployed['degree'] == 1\n"
        "    return new['test_rmse'] < old['test_rmse'] or 'worse on the holdout'\n"
    )
    report = project.apply(GOOD)
    assert [each.name for each in report.verdicts] == ["default", "checks.no_surprise"]
    assert capfd.readouterr().out == ""


def test_one_that_does_not_exist_is_said_before_anything_is_scored(tmp_path: Path) -> None:
    project = Project(tmp_path, extra='[[gate]]\ncheck = "checks.py:no_surprise"\n')
    with pytest.raises(ConfigError, match=r"as gate.check names it"):
        project.apply(GOOD)
    (tmp_path / "checks.py").write_text("no_surprises = 1\n")
    with pytest.raises(ConfigError, match=r"has no 'no_surprise'. Did you mean 'no_surprises'"):
        project.apply(GOOD)


def test_one_that_refuses_changes_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path, extra='[[gate]]\nname = "board"\ncheck = "refusing.py:check"\n')
    (tmp_path / "refusing.py").write_text("def check(comparison):\n    return 'not before Monday'\n")
    tree = project.tree()
    with pytest.raises(GateError, match=r"board: refusing.py:check says: not before Monday"):
        project.apply(GOOD)
    assert {name for name in project.tree() if "__pycache__" not in name} == set(tree)


def test_what_a_check_is_given_is_documented() -> None:
    for name in Comparison.__dataclass_fields__:
        assert name in (Comparison.__doc__ or "")
