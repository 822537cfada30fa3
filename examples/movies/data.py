"""Films and ratings: two CSV files, the real ones or a sample of the same form that is made here from a seed.

Of the table of films, two columns would tell the future: `n_ratings` and `mean_rating` are made of all
ratings, of held-out users too. They are left out, and computed anew from the ratings that are learned from.
`genres` was cross-referenced from IMDb by its author; it is left out for `wiki_genres`, from Wikipedia.
"""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from tuner.errors import DataError, did_you_mean

__all__ = ["FILMS", "RATINGS", "load", "make_sample", "prepare"]

FILMS, RATINGS = "movies.csv", "ratings.csv"
FILM_COLUMNS = [
    *("movie_id", "title", "year", "genres", "wiki_genres", "cast", "franchise", "follows"),
    *("n_ratings", "mean_rating", "wikipedia"),
]
RATING_COLUMNS = ["user_id", "movie_id", "rating", "timestamp"]
LEFT_OUT = ["genres", "n_ratings", "mean_rating"]

_GENRES = ["Action", "Comedy", "Crime", "Drama", "Fantasy", "Horror", "Romance", "Thriller"]
_FIRST_RATING = 1_362_062_838


def prepare(folder: Path, source: Path | None = None) -> tuple[int, int]:
    """Write the two tables of the project into `folder`; return how many films and ratings there are.

    Args:
        folder: of the project.
        source: the folder with both files; None for the sample.

    Raises:
        DataError: a file is not there, or is another one.
    """
    if source is None:
        make_sample(folder)
        source = folder
    films, ratings = load(source)
    films.drop(columns=LEFT_OUT).to_csv(folder / FILMS, index=False, quoting=csv.QUOTE_MINIMAL)
    ratings.to_csv(folder / RATINGS, index=False)
    return len(films), len(ratings)


def load(source: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read both files and check that they are what they are called.

    Raises:
        DataError: one is not there, lacks a column, or holds ratings that are none; says which.
    """
    films, ratings = _read(source / FILMS, FILM_COLUMNS), _read(source / RATINGS, RATING_COLUMNS)
    rating = pd.to_numeric(ratings["rating"], errors="coerce")
    wrong = ~rating.between(0, 10)
    if wrong.any():
        raise DataError(
            f"A rating must be a number from 0 to 10, but {int(wrong.sum())} are not, such as"
            f" {ratings.loc[wrong, 'rating'].iloc[0]!r}.",
            f"Mend {source / RATINGS}.",
        )
    return films, ratings


def _read(path: Path, columns: list[str]) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"There must be a file {path}, but there is none.", "Name the folder that holds it.")
    frame = pd.read_csv(path)
    for name in columns:
        if name not in frame.columns:
            raise DataError(
                f"{path} must have a column {name!r}, but has none." + did_you_mean(name, frame.columns),
                f"Its columns are to be: {', '.join(columns)}.",
            )
    if frame.empty:
        raise DataError(f"{path} must have rows, but has none.", "Get the file again.")
    return frame


def make_sample(folder: Path, n_films: int = 300, n_users: int = 500, seed: int = 0) -> None:
    """Write films of some quality, and users who choose by genre and actors but rate by quality and taste."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=n_films)
    of_genre = rng.random((n_films, len(_GENRES))) < 0.3
    of_genre[np.arange(n_films), rng.integers(len(_GENRES), size=n_films)] = True
    cast = [rng.permutation(200)[: rng.integers(3, 19)] for _ in range(n_films)]
    franchise = np.where(rng.random(n_films) < 0.2, rng.integers(5, size=n_films), -1)
    fame = rng.gumbel(size=n_films)
    films = pd.DataFrame(
        {
            "movie_id": 100_000 + np.arange(n_films),
            "title": [f"Film {i}" for i in range(n_films)],
            "year": rng.integers(1960, 2014, size=n_films),
            "genres": ["|".join(np.array(_GENRES)[row]) for row in of_genre],
            "wiki_genres": ["|".join(np.array(_GENRES)[row]) for row in of_genre],
            "cast": ["|".join(f"Actor {i}" for i in row) for row in cast],
            "franchise": [f"Saga {i}" if i >= 0 else "" for i in franchise],
            "follows": "",
        }
    )
    ratings = pd.concat(
        [_ratings_of(user, rng, quality, of_genre, franchise, fame, films) for user in range(1, n_users + 1)],
        ignore_index=True,
    )
    by_film = ratings.groupby("movie_id")["rating"]
    films["n_ratings"] = films["movie_id"].map(by_film.size()).fillna(0).astype(int)
    films["mean_rating"] = films["movie_id"].map(by_film.mean()).round(3)
    films["wikipedia"] = films["title"].str.replace(" ", "_")
    films.to_csv(folder / FILMS, index=False)
    ratings.to_csv(folder / RATINGS, index=False)


def _ratings_of(
    user: int,
    rng: np.random.Generator,
    quality: np.ndarray,
    of_genre: np.ndarray,
    franchise: np.ndarray,
    fame: np.ndarray,
    films: pd.DataFrame,
) -> pd.DataFrame:
    """Chosen by fame and by genres that a user looks for; rated by quality, a little by taste, and noise."""
    looks_for, taste = rng.normal(size=len(_GENRES)), rng.normal(size=len(_GENRES))
    drawn_to = 0.5 * fame + 1.5 * (of_genre @ looks_for) / of_genre.sum(axis=1) + rng.gumbel(size=len(fame))
    chosen = np.argsort(-drawn_to)[: min(2 + rng.geometric(0.08), 60)]
    liking = quality + 1.5 * (of_genre @ taste) / of_genre.sum(axis=1) + 0.3 * (franchise >= 0)
    rating = np.clip(np.round(7 + 1.3 * liking[chosen] + rng.normal(size=len(chosen))), 0, 10).astype(int)
    return pd.DataFrame(
        {
            "user_id": user,
            "movie_id": films["movie_id"].to_numpy()[chosen],
            "rating": rating,
            "timestamp": _FIRST_RATING + np.sort(rng.integers(6_000_000, size=len(chosen))),
        }
    )
