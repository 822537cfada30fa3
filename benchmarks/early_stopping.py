"""How many rounds the final fit of an early-stopped model should have: rules compared on rows never seen.

    python benchmarks/early_stopping.py [--seeds 12] [--csv FILE TARGET]...

For each data set and seed: a fifth of the rows is held out; each of five folds of the rest stops early on a
fifth of its training rows; the model is fitted anew on all of the rest with the rounds that each rule says.
Printed is the loss on the held-out rows (log loss, or RMSE), of that with the best number of rounds there,
which nobody knows beforehand: mean of the ratio over seeds. `r` is the ratio of the final fit's training rows
to those that a fold learned from, about 1.56.
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import xgboost
from sklearn import datasets
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import KFold, train_test_split

ROUNDS, PATIENCE, N_FOLDS, SHARE = 500, 20, 5, 0.2

RULES: dict[str, Callable[[Sequence[int], float], float]] = {
    "median": lambda n, r: float(np.median(n)),
    "median * sqrt(r)": lambda n, r: float(np.median(n)) * r**0.5,
    "median * r": lambda n, r: float(np.median(n)) * r,
    "mean": lambda n, r: float(np.mean(n)),
    "max": lambda n, r: float(np.max(n)),
}


def carried() -> dict[str, tuple[np.ndarray, np.ndarray, bool]]:
    """Data sets of scikit-learn: features, target, whether it is a class."""
    found = {}
    for name, is_class in (("breast_cancer", True), ("diabetes", False)):
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        found[name] = (x, y, is_class)
    return found


def from_csv(path: str, target: str, n: int = 3000) -> tuple[np.ndarray, np.ndarray, bool]:
    """At most `n` rows of a table; text columns as codes."""
    frame = pd.read_csv(path).dropna(subset=[target])
    frame = frame.sample(min(n, len(frame)), random_state=0)
    x = frame.drop(columns=target).apply(
        lambda c: c if pd.api.types.is_numeric_dtype(c) else pd.Series(pd.factorize(c)[0], c.index)
    )
    is_class = frame[target].nunique() < 20
    y = pd.factorize(frame[target], sort=True)[0] if is_class else frame[target].to_numpy(float)
    return x.to_numpy(float), y, is_class


def model(
    rate: float, is_class: bool, seed: int, rounds: int = ROUNDS, patience: int | None = None
) -> xgboost.XGBModel:
    """A model of depth 4 on one core."""
    kind = xgboost.XGBClassifier if is_class else xgboost.XGBRegressor
    return kind(
        n_estimators=rounds, learning_rate=rate, max_depth=4, subsample=0.8, early_stopping_rounds=patience,
        n_jobs=1, random_state=seed, verbosity=0,
    )  # fmt: skip


def ratios(x: np.ndarray, y: np.ndarray, is_class: bool, rate: float, seed: int) -> dict[str, float]:
    """Loss under each rule, of that of the best number of rounds."""
    keep = y if is_class else None
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=seed, stratify=keep)
    rounds, n_learned = [], []
    for fold, (train, _) in enumerate(KFold(N_FOLDS, shuffle=True, random_state=seed).split(x_train)):
        keep = y_train[train] if is_class else None
        learn, stop = train_test_split(train, test_size=SHARE, random_state=fold, stratify=keep)
        fitted = model(rate, is_class, seed, patience=PATIENCE)
        fitted.fit(x_train[learn], y_train[learn], eval_set=[(x_train[stop], y_train[stop])], verbose=False)
        rounds.append(fitted.best_iteration + 1)
        n_learned.append(len(learn))
    ratio = len(x_train) / float(np.mean(n_learned))
    wanted = {name: max(1, round(rule(rounds, ratio))) for name, rule in RULES.items()}
    longest = min(2 * ROUNDS, max(2 * max(rounds), *wanted.values()))
    final = model(rate, is_class, seed, longest).fit(x_train, y_train)

    def loss(n: int) -> float:
        if is_class:
            said = final.predict_proba(x_test, iteration_range=(0, n))
            return float(log_loss(y_test, said, labels=range(said.shape[1])))
        return float(root_mean_squared_error(y_test, final.predict(x_test, iteration_range=(0, n))))

    best = min(loss(n) for n in sorted({*range(1, longest + 1, max(1, longest // 40)), *wanted.values()}))
    return {name: loss(n) / best for name, n in wanted.items()}


def main() -> None:
    """Print a table: a row per data set and learning rate, a column per rule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--csv", nargs=2, action="append", default=[], metavar=("FILE", "TARGET"))
    arguments = parser.parse_args()
    tables = carried() | {target: from_csv(path, target) for path, target in arguments.csv}
    print(f"{'data, learning rate':<34}" + "".join(f"{name:>18}" for name in RULES))
    everything = []
    for name, (x, y, is_class) in tables.items():
        for rate in (0.05, 0.2):
            found = pd.DataFrame(ratios(x, y, is_class, rate, seed) for seed in range(arguments.seeds))
            everything.append(found)
            print(
                f"{name + f', {rate}':<34}" + "".join(f"{found[rule].mean():>18.4f}" for rule in RULES),
                flush=True,
            )
    rows = pd.DataFrame(found.mean() for found in everything)
    for name, summary in (("mean of rows", rows.mean()), ("median of rows", rows.median())):
        print(f"{name:<34}" + "".join(f"{summary[rule]:>18.4f}" for rule in RULES))


if __name__ == "__main__":
    main()
