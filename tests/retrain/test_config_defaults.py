"""Parameters of one's own in the place of a preset's: the baseline moves only where it must, and says so."""

import logging
from pathlib import Path
from textwrap import dedent

import pytest

from retrain.config import Config
from tests.retrain.projects import config_in
from tuner.errors import SpaceError
from tuner.experiment import Value

HEAD = "[pipeline]\nmodel = {model}\ndata = '{data}'\nmetric = '{metric}'\n[space]\npreset = 'default'\n"


def of(
    folder: Path,
    own: str,
    model: str = "'xgboost'",
    data: str = "breast_cancer",
    metric: str = "roc_auc",
) -> Config:
    head = HEAD.format(model=model, data=data, metric=metric)
    return config_in(folder, f"{head}[space.params]\n{dedent(own)}")


@pytest.mark.parametrize(
    "own",
    [
        "max_depth = { type = 'int', low = 2, high = 20 }",
        "max_depth = { type = 'randint', lower = 2, upper = 20 }",
        "max_depth = { type = 'float', low = 2.0, high = 20.0 }",
        "max_depth = [2, 6, 12]",
        "max_depth = { value = 6 }",
    ],
)
def test_the_default_of_the_preset_stays_where_it_is_in_range(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, own: str
) -> None:
    defaults = of(tmp_path, own).search_space().defaults()
    assert defaults == {**of(tmp_path, "").search_space().defaults(), "max_depth": 6}
    assert not caplog.records


def test_a_default_of_ones_own_stands(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = "max_depth = { type = 'int', low = 2, high = 20, default = 3 }"
    assert of(tmp_path, own).search_space().defaults()["max_depth"] == 3
    assert not caplog.records


def test_where_it_is_out_of_range_that_is_said_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = """\
        max_depth = { type = "int", low = 8, high = 12 }
        gamma = { type = "float", low = 1.0, high = 3.0 }
        subsample = { type = "float", low = 0.2, high = 1.0 }
        """
    defaults = of(tmp_path, own).search_space().defaults()
    assert [defaults[name] for name in ("max_depth", "gamma", "subsample")] == [10, 2.0, 1.0]
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "the baseline has max_depth = 10 instead of 6, gamma = 2.0 instead of 0.0:" in record.getMessage()


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("increasing = ['max_depth', 'n_estimators']", 6),
        ("forbid = { max_depth = 6 }", 11),
        ("forbid = { max_depth = 12 }", 6),
    ],
)
def test_it_gives_way_to_constraints_as_a_default_that_nobody_named_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, constraint: str, expected: Value
) -> None:
    own = "max_depth = {{ type = 'int', low = 2, high = 20 }}\n[[space.constraints]]\n{}\n"
    space = of(tmp_path, own.format(constraint)).search_space()
    assert space.defaults()["max_depth"] == expected
    assert len(caplog.records) == (expected != 6)


def test_that_of_a_model_among_several_and_of_regressors_stays(tmp_path: Path) -> None:
    several = of(tmp_path, "ridge_alpha = { type = 'float', low = 0.9, high = 90.0 }", "['xgboost', 'ridge']")
    assert several.search_space().params["ridge_alpha"].default == 1.0
    own = "max_features = ['sqrt', 1.0]"
    forest = of(tmp_path, own, "'random_forest'", "diabetes", "rmse")
    assert forest.search_space().params["max_features"].default == 1.0


def test_what_is_wrong_is_told_in_the_words_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="Did you mean 'low'"):
        of(tmp_path, "max_depth = { type = 'int', lwo = 2, high = 20 }").search_space()
