import pickle
from traceback import format_exception

import pytest

from tuner.errors import ParamsError, RetrainError, did_you_mean


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("roc_acu", " Did you mean 'roc_auc'?"),
        ("ROC-AUC", " Did you mean 'roc_auc'?"),
        ("Random Forest", " Did you mean 'random_forest'?"),
        ("Xgboost-Default", " Did you mean 'xgboost/default'?"),
        ("watts", ""),
    ],
)
def test_the_closest_name_is_found_whatever_its_case_and_joints(name: str, said: str) -> None:
    assert did_you_mean(name, ["roc_auc", "random_forest", "xgboost/default"]) == said


def test_a_traceback_shows_the_remedy_once_after_pickling_too() -> None:
    error = pickle.loads(pickle.dumps(ParamsError("No such thing.", "Take another.", ["one"])))
    assert format_exception(error)[-2:] == [
        "tuner.errors.ParamsError: No such thing.\n",
        "try: Take another.\n",
    ]
    assert error.problems == ("one",)


def test_without_a_remedy_a_traceback_ends_with_the_message() -> None:
    assert (
        format_exception(RetrainError("No such thing."))[-1] == "tuner.errors.RetrainError: No such thing.\n"
    )
