"""What a search on some of the rows is worth: seconds, and the score of its winner on all of them.

    python benchmarks/tune_rows.py [--rows 30000] [--tune-rows 5000] [--candidates 20] [--data CSV --target T]

The same random candidates are scored on all rows to train on and on a part of them. Both winners are then
scored on all rows with three fresh seeds, and once on the holdout. Without --data the table is generated.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification

from retrain.config import load_config
from retrain.pipelines import load_pipeline
from retrain.tables import render
from tuner.experiment import Params

SEEDS = (101, 102, 103)


def generated(n_rows: int) -> pd.DataFrame:
    """A table of two classes, of which a twentieth of the labels is wrong."""
    x, y = make_classification(
        n_rows, 20, n_informative=8, n_redundant=4, flip_y=0.1, class_sep=0.7, random_state=0
    )
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(20)]).assign(label=y)


def measured(
    root: Path, data: Path, target: str, tune_rows: int | None, n_candidates: int
) -> dict[str, object]:
    """One row of the table."""
    lines = [
        "[pipeline]",
        'model = "xgboost"',
        f"data = {str(data)!r}",
        f"target = {target!r}",
        'metric = "roc_auc"',
        *([] if tune_rows is None else ["[splits]", f"tune_rows = {tune_rows}"]),
    ]
    path = root / f"{tune_rows}.toml"
    path.write_text("\n".join(lines))
    pipeline = load_pipeline(load_config(path))
    pipeline.use(pipeline.load())
    rng = np.random.default_rng(0)
    candidates: list[Params] = [pipeline.space.defaults()]
    candidates += [pipeline.space.sample(rng) for _ in range(n_candidates)]
    start = time.perf_counter()
    values = [pipeline.evaluate_for_tuning(each, lambda *_: None, 0).value for each in candidates]
    took = time.perf_counter() - start
    winner = int(np.argmax(values))
    fresh = [pipeline.evaluate(candidates[winner], lambda *_: None, seed).value for seed in SEEDS]
    holdout = pipeline.test(pipeline.fit(candidates[winner], 0)).metrics["test_roc_auc"]
    return {
        "tune_rows": "all" if tune_rows is None else tune_rows,
        "seconds": round(took, 1),
        "winner": winner,
        "validation": round(values[winner], 4),
        "all rows, fresh folds": round(float(np.mean(fresh)), 4),
        "holdout": round(holdout, 4),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--tune-rows", type=int, default=5_000)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--target", default="label")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = options.data
        if data is None:
            data = root / "generated.csv"
            generated(options.rows).to_csv(data, index=False)
        rows = [
            measured(root, data.resolve(), options.target, part, options.candidates)
            for part in (None, options.tune_rows)
        ]
    print(render(rows, list(rows[0])))


if __name__ == "__main__":
    main()
