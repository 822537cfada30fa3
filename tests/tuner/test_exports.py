"""What `import tuner` offers, and what it must not drag in."""

import subprocess
import sys

import pytest

import tuner

HEAVY = {"ray", "sklearn", "xgboost", "pandas", "skopt", "optuna", "scipy", "sqlalchemy"}


def test_all_names_are_there() -> None:
    for name in tuner.__all__:
        assert getattr(tuner, name) is not None
    assert dir(tuner) == sorted(tuner.__all__)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="module 'tuner' has no attribute 'SerchSpace'"):
        tuner.SerchSpace  # noqa: B018


@pytest.mark.parametrize("module", ["tuner", "tuner.space", "tuner.strict_json", "tuner.presets"])
def test_declaring_a_space_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(run.stdout.split())
