"""A weighted recommender: five components of a film's fit to a user, weighted, added up and ranked by.

The constants are what is in production; `retrain --apply-hp` rewrites them. While it tunes, `score` is given
other values for them as `params`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

# Components, which sum to 1.
GENRE_WEIGHT = 0.40
CAST_WEIGHT = 0.15
FRANCHISE_WEIGHT = 0.05
RATING_WEIGHT = 0.30
POPULARITY_WEIGHT = 0.10

# Genres: a film's likeness to what the user has seen counts for more or less by thresholds in order.
GENRE_BOOST_HIGH = 0.15
GENRE_BOOST_MEDIUM = 0.10
GENRE_BOOST_LOW = -0.20
GENRE_THRESHOLD_HIGH = 0.7
GENRE_THRESHOLD_MEDIUM = 0.5
GENRE_THRESHOLD_LOW = 0.3

# Cast: actors whom the user has seen in films they liked, by their place in the list of the cast.
CAST_LEAD_WEIGHT = 1.0
CAST_SUPPORT_WEIGHT = 0.7
CAST_BACKGROUND_WEIGHT = 0.3
CAST_LEAD_UNTIL = 5
CAST_SUPPORT_UNTIL = 15

# Popularity: of how many ratings, and how recent; shares that sum to 1.
POPULARITY_COUNT_SHARE = 0.7
POPULARITY_RECENT_SHARE = 0.3

# Mean rating: so many ratings of an average film are added; and years after which a film is half as recent.
RATING_PRIOR = 3.0
RECENT_HALF_LIFE = 10.0

# The bar for production, on held-out users. Not searched: no search may lower its own bar.
ACCURACY_THRESHOLD = 0.65

# Phase 2.
USER_PREFERENCE_WEIGHT = 0.0
FRANCHISE_DEPTH_SCALING = 0.0
RATING_MODEL = "mean"

SCALE = 10.0  # of ratings
N_CAST = 20  # places that are looked at

Array = np.ndarray
Params = Mapping[str, Any]


def is_accurate(comparison: Any) -> bool | str:
    """The gate: the share of rightly ranked pairs of held-out users."""
    accuracy = comparison.challenger.metrics["test_pairwise_accuracy"]
    if accuracy < ACCURACY_THRESHOLD:
        return f"of the pairs of held-out users {accuracy:.4f} are ranked rightly, not {ACCURACY_THRESHOLD}"
    return True


class Recommender:
    """What is learned from ratings is the same for all hyperparameters; only how it is weighed differs."""

    def fit(self, ratings: pd.DataFrame, items: pd.DataFrame) -> None:
        """Learn from the ratings to train on: means, counts and what a user likes come of these alone."""
        self.films = films = _Films(items)
        user, film = ratings["user_id"].to_numpy(), films.codes(ratings["movie_id"])
        rating = ratings["rating"].to_numpy(float)
        self.count = np.bincount(film, minlength=len(films))
        self.sum = np.bincount(film, rating, len(films))
        self.mean = rating.mean()
        self.content = _from_content(films.about, self.count, self.sum, self.mean)
        self.seen = user, film, rating
        self.asked: pd.DataFrame | None = None

    def score(self, asked: pd.DataFrame, params: Params) -> Array:
        """How well each film that is asked fits its user; only the order within a user counts."""
        if self.asked is not asked:
            self.asked, self.features = asked, _Features(self, asked)
        given = {**PHASE_2, **params}
        known = self.features
        popularity = given["popularity_count_share"] * known.count + given[
            "popularity_recent_share"
        ] * 0.5 ** (known.age / given["recent_half_life"])
        score: Array = (
            given["genre_weight"] * _boosted(known.likeness, given)
            + given["cast_weight"] * _by_place(known.places, given)
            + given["franchise_weight"] * _by_depth(known.depth, given["franchise_depth_scaling"])
            + given["rating_weight"] * self._ratings(given)[known.film] / SCALE
            + given["popularity_weight"] * popularity
        )
        score += given["user_preference_weight"] * known.preference / SCALE
        return score

    def _ratings(self, given: Params) -> Array:
        """The rating to expect of each film: its mean, drawn to that of all films or of films like it."""
        prior = self.content if given["rating_model"] == "content" else self.mean
        drawn: Array = (self.sum + given["rating_prior"] * prior) / (self.count + given["rating_prior"])
        return drawn


PHASE_2 = {
    "user_preference_weight": USER_PREFERENCE_WEIGHT,
    "franchise_depth_scaling": FRANCHISE_DEPTH_SCALING,
    "rating_model": RATING_MODEL,
}


def _boosted(likeness: Array, given: Params) -> Array:
    steps = (
        (likeness >= given["genre_threshold_high"], given["genre_boost_high"]),
        (likeness >= given["genre_threshold_medium"], given["genre_boost_medium"]),
        (likeness >= given["genre_threshold_low"], 0.0),
    )
    boost = np.select([where for where, _ in steps], [boost for _, boost in steps], given["genre_boost_low"])
    return np.asarray(np.minimum(likeness * (1 + boost), 1))


def _by_place(places: Array, given: Params) -> Array:
    place = np.arange(N_CAST)
    weights = np.select(
        [place < given["cast_lead_until"], place < given["cast_support_until"]],
        [given["cast_lead_weight"], given["cast_support_weight"]],
        given["cast_background_weight"],
    )
    return np.asarray(np.minimum(places @ weights, 1))


def _by_depth(depth: Array, scaling: float) -> Array:
    """1 for a film whose franchise the user has liked before, and more the more of it they have seen."""
    return np.where(depth > 0, 1 + scaling * np.maximum(depth - 1, 0), 0)


class _Films:
    """What is known of the films themselves, as arrays with a row for each."""

    def __init__(self, items: pd.DataFrame) -> None:
        self.place_of = {film: i for i, film in enumerate(items["movie_id"])}
        genres = items["wiki_genres"].fillna("").str.get_dummies("|").to_numpy(float)
        self.genres = genres / np.maximum(np.linalg.norm(genres, axis=1, keepdims=True), 1)
        self.year = items["year"].to_numpy(float)
        names: dict[str, int] = {}
        self.cast = np.full((len(items), N_CAST), -1)
        for row, cast in zip(self.cast, items["cast"].fillna(""), strict=True):
            actors = [name for name in cast.split("|") if name][:N_CAST]
            row[: len(actors)] = [names.setdefault(name, len(names)) for name in actors]
        self.franchise = items["franchise"].astype("category").cat.codes.to_numpy()
        self.about = np.column_stack([genres, (self.year - self.year.mean()) / 20, self.franchise >= 0])

    def __len__(self) -> int:
        return len(self.year)

    def codes(self, ids: "pd.Series[Any]") -> Array:
        return np.asarray(ids.map(self.place_of))


class _Features:
    """What is known of each film that is asked and of its user, whatever the hyperparameters."""

    def __init__(self, learned: Recommender, asked: pd.DataFrame) -> None:
        films = learned.films
        self.film = film = films.codes(asked["movie_id"])
        users, user = np.unique(asked["user_id"].to_numpy(), return_inverse=True)
        whose, seen, rating = learned.seen
        mine = np.isin(whose, users)
        whose, seen, rating = np.searchsorted(users, whose[mine]), seen[mine], rating[mine]
        self.count = np.log1p(learned.count)[film] / np.log1p(learned.count.max())
        self.age = (films.year.max() - films.year)[film]
        self.likeness = _likeness(films.genres, (whose, seen, rating), (user, film), len(users))
        liked = rating >= _means(whose, rating, len(users))[whose]
        self.places = _is_known(films.cast, (whose[liked], seen[liked]), (user, film))
        self.depth = _depth(films.franchise, (whose[liked], seen[liked]), (user, film), len(users))
        usual = (learned.sum + learned.mean) / (learned.count + 1)
        self.preference = _preference(films.genres > 0, whose, seen, rating - usual[seen], user, film)


def _means(codes: Array, values: Array, n: int) -> Array:
    means: Array = np.bincount(codes, values, n) / np.maximum(np.bincount(codes, minlength=n), 1)
    return means


def _likeness(
    genres: Array, seen: tuple[Array, Array, Array], asked: tuple[Array, Array], n_users: int
) -> Array:
    """Cosine of a film's genres with those that the user has rated, the better the more."""
    profile = np.zeros((n_users, genres.shape[1]))
    np.add.at(profile, seen[0], genres[seen[1]] * (seen[2] / SCALE)[:, None])
    profile /= np.maximum(np.linalg.norm(profile, axis=1, keepdims=True), 1e-12)
    return np.asarray((profile[asked[0]] * genres[asked[1]]).sum(axis=1))


def _is_known(cast: Array, liked: tuple[Array, Array], asked: tuple[Array, Array]) -> Array:
    """(n, N_CAST): whether the user has liked a film with the actor in that place."""
    n = cast.max() + 2
    known = (liked[0][:, None] * n + cast[liked[1]] + 1)[cast[liked[1]] >= 0]
    wanted = asked[0][:, None] * n + cast[asked[1]] + 1
    return np.asarray(np.isin(wanted, known) & (cast[asked[1]] >= 0), float)


def _depth(franchise: Array, liked: tuple[Array, Array], asked: tuple[Array, Array], n_users: int) -> Array:
    """How many films of its franchise the user has liked."""
    n = franchise.max() + 2
    counts = np.zeros((n_users, n))
    np.add.at(counts, (liked[0], franchise[liked[1]] + 1), 1)
    counts[:, 0] = 0  # of no franchise
    return np.asarray(counts[asked[0], franchise[asked[1]] + 1])


def _preference(
    genres: Array,
    whose: Array,
    seen: Array,
    surprise: Array,
    user: Array,
    film: Array,
    prior: float = 5.0,
) -> Array:
    """By how much more the user likes the film's genres than others do, on the scale of ratings."""
    n_users = max(whose.max(initial=-1), user.max(initial=-1)) + 1
    total, count = np.zeros((n_users, genres.shape[1])), np.zeros((n_users, genres.shape[1]))
    np.add.at(total, whose, genres[seen] * surprise[:, None])
    np.add.at(count, whose, genres[seen])
    liking = total / (count + prior)
    return np.asarray((liking[user] * genres[film]).sum(axis=1) / np.maximum(genres[film].sum(axis=1), 1))


def _from_content(about: Array, count: Array, total: Array, mean: float, penalty: float = 20.0) -> Array:
    """The rating to expect of a film by its genres, year and franchise: ridge regression on those rated."""
    weighted = about * count[:, None]
    left = about.T @ weighted + penalty * np.eye(about.shape[1])
    expected: Array = mean + about @ np.linalg.solve(left, about.T @ (total - mean * count))
    return expected
