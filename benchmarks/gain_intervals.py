"""Does the interval of a gain on held-out rows hold it? Blocks left out, beside a paired bootstrap.

    python benchmarks/gain_intervals.py [--csv FILE TARGET [DROP ...]] [--metric M] [--draws 300]

Every row of a table is predicted out of fold by a default and another configuration of a random forest, and
by a logistic regression. These rows are the world: test sets of 100, 412 and 2,000 rows are drawn from it
with replacement, and the gain on each gets an interval of 95 % in both ways. Printed is how many hold the
mean gain of such test sets ("same size"), how many that of the whole world ("world"), and how wide they are.
The two differ for a metric that is biased on few rows, as the accuracy of shares is.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tabulate import tabulate

from retrain.honest import holdout_gain
from retrain.metrics import Predictions, get_metric, score
from retrain.pipelines.blocks import deal_blocks, scores_without_blocks
from retrain.splits import Rows
from tuner.experiment import Direction

SIZES = (100, 412, 2000)
N_WORLD, N_BOOTSTRAP = 2000, 200
MODELS = {
    "forest": RandomForestClassifier(30, random_state=0),
    "forest, half of the features": RandomForestClassifier(30, max_features=0.5, random_state=0),
    "logistic regression": LogisticRegression(max_iter=300),
}


def read(csv: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray]:
    """Features and class codes: of a file, or of the digits that scikit-learn carries."""
    if csv is None:
        features, y = load_digits(return_X_y=True)
        return features, y
    path, target, *drop = csv
    frame = pd.read_csv(path)
    y = frame[target].astype("category").cat.codes.to_numpy(dtype=np.int64)
    return frame.drop(columns=[target, *drop]).to_numpy(dtype=float), y


def main() -> None:
    """Draw, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--csv", nargs="+")
    parser.add_argument("--metric", default="csmf_accuracy")
    parser.add_argument("--draws", type=int, default=300)
    given = parser.parse_args()
    features, y = read(given.csv)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    said = {
        name: cross_val_predict(
            make_pipeline(SimpleImputer(), StandardScaler(), model), features, y, cv=folds
        )
        for name, model in MODELS.items()
    }
    metric, n_classes = get_metric(given.metric), int(y.max()) + 1

    def gain(rows: np.ndarray, name: str) -> float:
        truth = y[rows]
        of = [score(metric, truth, Predictions(said[each][rows]), n_classes) for each in (name, "forest")]
        return of[0] - of[1]

    lines = []
    for name in list(MODELS)[1:]:
        world = gain(np.arange(len(y)), name)
        for size in SIZES:
            rng = np.random.default_rng(size)
            target = np.mean([gain(rng.integers(0, len(y), size), name) for _ in range(N_WORLD)])
            ways: dict[str, list[tuple[float, float]]] = {"blocks": [], "bootstrap": []}
            for _ in range(given.draws):
                rows = rng.integers(0, len(y), size)
                blocks = deal_blocks(Rows(y[rows], n_classes), 0)
                left = [
                    scores_without_blocks(
                        given.metric, y[rows], Predictions(said[each][rows]), n_classes, blocks
                    )
                    for each in (name, "forest")
                ]
                found = holdout_gain(gain(rows, name), left[0], 0.0, left[1], Direction.MAXIMIZE)
                assert found is not None
                ways["blocks"].append((found.low, found.high))
                again = [gain(rows[rng.integers(0, size, size)], name) for _ in range(N_BOOTSTRAP)]
                ways["bootstrap"].append(tuple(np.quantile(again, [0.025, 0.975])))
            for way, intervals in ways.items():
                low, high = np.array(intervals).T
                hold = [np.mean((low <= each) & (each <= high)) for each in (target, world)]
                lines.append(
                    (
                        name,
                        size,
                        f"{target:+.3f}",
                        way,
                        *(f"{each:.0%}" for each in hold),
                        f"{np.mean(high - low):.3f}",
                    )
                )
    heads = ("gain over the forest", "rows", "gain", "interval by", "same size", "world", "width")
    print(tabulate(lines, heads, disable_numparse=True))


if __name__ == "__main__":
    main()
