"""scikit-learn's own checks of an estimator, over RetrainSearchCV."""

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.base import is_regressor
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils._test_common.instance_generator import PER_ESTIMATOR_XFAIL_CHECKS
from sklearn.utils.estimator_checks import parametrize_with_checks

from orchestrator.adapters.sklearn import RetrainSearchCV

COMMON: dict[str, Any] = {"cv": 2, "error_score": "raise", "random_state": 0}
RANGE = {"type": "float", "low": 0.1, "high": 10.0, "log": True}

SEARCHES = [
    RetrainSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, **COMMON),
    RetrainSearchCV(LogisticRegression(), {"C": RANGE}, n_iter=3, **COMMON),
    RetrainSearchCV(make_pipeline(PCA(), Ridge()), {"ridge__alpha": RANGE}, n_iter=3, **COMMON),
    RetrainSearchCV(
        make_pipeline(PCA(), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, **COMMON
    ),
]


def declared(search: Any) -> dict[str, str]:
    """Of what scikit-learn expects its own RandomizedSearchCV to fail, what ours does: one, of regressors."""
    name = "check_supervised_y_2d"
    return {name: PER_ESTIMATOR_XFAIL_CHECKS[RandomizedSearchCV][name]} if is_regressor(search) else {}


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")  # of infinite targets
@parametrize_with_checks(SEARCHES, expected_failed_checks=declared)  # type: ignore[untyped-decorator]
def test_scikit_learns_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
