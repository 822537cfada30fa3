import pickle
from traceback import format_exception

from tuner.errors import ParamsError, RetrainError


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
