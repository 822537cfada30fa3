"""A small project that ranks: ratings of items by users who like even or odd ones, and a scorer."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retrain.config import Config
from tests.retrain.projects import config_in

SCORER = """
import numpy as np

WEIGHT = 0.2

class Scorer:
    fits = 0

    def fit(self, ratings, items):
        Scorer.fits += 1
        self.quality = items.set_index("item")["quality"]
        self.mean = ratings.groupby("item")["rating"].mean()

    def score(self, asked, params):
        weight = params["weight"]
        good = asked["item"].map(self.quality)
        usual = asked["item"].map(self.mean).fillna(self.mean.mean())
        return weight * good + (1 - weight) * usual * (asked["item"] % 2)

def score(params, ratings, items, asked):
    return np.asarray(asked["item"].map(items.set_index("item")["quality"])) * (params["weight"] - 0.5)

class FromParams(Scorer):
    def fit(self, ratings, items, params, seed):
        super().fit(ratings, items)

class Deaf:
    def fit(self, ratings, items): ...

def short(params, ratings, items, asked):
    return [1.0]

def odd(params, ratings, items, asked):
    return np.full(len(asked), np.nan)

def lacking(params, ratings): ...

number = 3
"""

CONFIG = """
name = "ranker"
[pipeline]
kind = "ranking"
scorer = "scorer.py:Scorer"
data = "ratings.csv"
items = "items.csv"
metric = "pairwise_accuracy"
[splits]
folds = 3
[space.params]
weight = { type = "float", low = 0.0, high = 1.0, default = 0.2 }
"""


def tables(n_users: int = 60, n_items: int = 30, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ratings from 1 to 10 that follow the quality of items, which the table of items gives with noise."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=n_items)
    items = pd.DataFrame({"item": np.arange(n_items), "quality": quality + 0.1 * rng.normal(size=n_items)})
    rows = [
        (
            user,
            item,
            int(np.clip(round(5.5 + 2 * quality[item] + rng.normal()), 1, 10)),
            int(rng.integers(10**6)),
        )
        for user in range(n_users)
        for item in rng.permutation(n_items)[: rng.integers(1, 13)]
    ]
    return pd.DataFrame(rows, columns=["user", "item", "rating", "at"]), items


def ranking(folder: Path, *changes: tuple[str, str], text: str = CONFIG, **columns: Any) -> Config:
    """The project in a folder, with changes to its configuration, and columns of the ratings replaced."""
    ratings, items = tables()
    ratings.assign(**columns).to_csv(folder / "ratings.csv", index=False)
    items.to_csv(folder / "items.csv", index=False)
    (folder / "scorer.py").write_text(SCORER)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return config_in(folder, text)
