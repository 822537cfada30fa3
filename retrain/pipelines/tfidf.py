"""TF-IDF features of texts: words, characters within words, or both.

Counting is a matter of each text alone, so the counts of all rows are made once for all folds, and kept for
the next experiment that counts alike. What is learned is learned from the rows to train on and no others:
which sequences are features, and their inverse document frequencies. The result is that of scikit-learn's
`TfidfVectorizer` fitted on those rows.

Of texts with a marked place (see `retrain.places`), the nearest words before and after it are features of
their own, beside those of the whole text.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.places import SIDES, beside, unmark
from retrain.results import ResultError
from tuner.errors import ConfigError, did_you_mean
from tuner.experiment import Outcome, Params, Value

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["PREFIX", "Counter", "Features", "Part", "check_tfidf", "check_values", "learn"]

PREFIX = "tfidf_"
"""What the names of these hyperparameters begin with; the others are the model's."""

MAX_CACHE_BYTES = 256 * 2**20
"""Counts are kept, the latest ones, while they fit into this: in each worker."""

_ALL_TOKENS = r"(?u)\w+|[^\w\s]"
_DEFAULTS: Mapping[str, Any] = {
    "analyzer": "word",
    "word_ngrams": 1,
    "char_ngrams": 4,
    "min_df": 1,
    "max_df": 1.0,
    "max_features": None,
    "sublinear_tf": False,
    "lowercase": True,
    "use_idf": True,
    "all_tokens": False,
    "around": 0,
    "around_ngrams": 2,
    "around_weight": 1.0,
}
_ANALYZERS = {"word": ("word",), "char_wb": ("char_wb",), "both": ("word", "char_wb")}
_OF_PLACES = ("around", "around_ngrams", "around_weight")
_SHORTEST = {"word": 1, "char_wb": 2}
_LEAST = {"word_ngrams": 1, "char_ngrams": 2, "min_df": 1, "max_features": 1, "around": 0, "around_ngrams": 1}


def check_tfidf(names: Collection[str], *, about: bool = False) -> None:
    """Refuse names that are no hyperparameters of these features.

    Args:
        names: those that begin with `PREFIX`.
        about: whether a place is marked in the texts.

    Raises:
        ConfigError: names every unknown one and the closest that exists; or the one that is lacking.
    """
    known = [PREFIX + name for name in _DEFAULTS if about or name not in _OF_PLACES]
    if about and f"{PREFIX}around" not in names:
        raise ConfigError(
            f"`about` needs {PREFIX}around, how many words to each side count, but it is neither searched nor"
            " fixed.",
            f'Give [space] preset = "default", whose space has it, or fixed = {{ {PREFIX}around = 4 }}.',
        )
    unknown = [name for name in names if name not in known]
    if unknown:
        faults = " ".join(f"Unknown parameter {name!r}.{did_you_mean(name, known)}" for name in unknown)
        raise ConfigError(
            f"The features of texts do not take what they were given: {faults}", ", ".join(known)
        )


def check_values(values: Iterable[tuple[str, Value]]) -> None:
    """Refuse values that no texts can be counted or weighed by.

    Args:
        values: of known hyperparameters, with their names.

    Raises:
        ConfigError: says of each what it must be.
    """
    faults = [
        f"{name} must be {must}, but is {value!r}"
        for name, value in values
        if (must := _violated(name.removeprefix(PREFIX), value)) is not None
    ]
    if faults:
        raise ConfigError(
            f"The features of texts cannot be made with every value: {'; '.join(faults)}.",
            "Change the range, or the value in pipeline.fixed.",
        )


def _violated(name: str, value: Value) -> str | None:
    """What a value must be and is not."""
    if name == "analyzer":
        return None if value in _ANALYZERS else f"one of {', '.join(_ANALYZERS)}"
    if isinstance(_DEFAULTS[name], bool):
        return None if isinstance(value, bool) else "true or false"
    if value is None and _DEFAULTS[name] is None:
        return None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
    if name in _LEAST:
        is_fit = isinstance(number, int) and number >= _LEAST[name]
        return None if is_fit else f"a whole number of at least {_LEAST[name]}"
    if name == "max_df":
        return None if 0 < number <= 1 else "a share of the rows, in (0, 1]"
    return None if 0 <= number < np.inf else "a finite number of at least 0"


@dataclass(frozen=True, slots=True)
class Part:
    """Features of one kind: sequences of words, or of characters.

    Attributes:
        counting: arguments of scikit-learn's vectoriser that say what is counted.
        weighing: those that say what counts are worth.
        terms: the features, ascending.
        idf: (q,) their inverse document frequencies; None where these are not used.
        weight: what they are multiplied with.
    """

    counting: Mapping[str, Any]
    weighing: Mapping[str, Any]
    terms: tuple[str, ...]
    idf: np.ndarray | None
    weight: float = 1.0

    def transform(self, texts: Sequence[str] | np.ndarray) -> "csr_matrix":
        """Weigh (n,) texts: (n, q)."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(**_arguments(self.counting), **self.weighing, vocabulary=self.terms)
        counted = _counted(texts, self.counting)
        if self.idf is not None:
            vectorizer.idf_ = self.idf
            return vectorizer.transform(counted) * self.weight
        return vectorizer.fit_transform(counted) * self.weight  # without frequencies nothing is learned


@dataclass(frozen=True, slots=True)
class Features:
    """What was learned from texts: (n,) texts become (n, q), the parts side by side."""

    parts: tuple[Part, ...]

    def transform(self, texts: Sequence[str] | np.ndarray) -> "csr_matrix":
        """Weigh (n,) texts."""
        from scipy.sparse import hstack

        return hstack([part.transform(texts) for part in self.parts], format="csr")

    def to_dict(self) -> dict[str, Any]:
        """As a JSON document."""
        return {
            "parts": [
                {
                    "counting": dict(part.counting),
                    "weighing": dict(part.weighing),
                    "terms": list(part.terms),
                    "idf": None if part.idf is None else part.idf.tolist(),
                    "weight": part.weight,
                }
                for part in self.parts
            ]
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Features":
        """Read what `to_dict` made."""
        return cls(
            tuple(
                Part(
                    part["counting"],
                    part["weighing"],
                    tuple(part["terms"]),
                    None if part["idf"] is None else np.asarray(part["idf"], dtype=float),
                    part.get("weight", 1.0),
                )
                for part in document["parts"]
            )
        )


class Counter:
    """Counts the sequences of (n,) texts, once for each way to count.

    Args:
        texts: all rows that features may be learned from or made of.
    """

    def __init__(self, texts: np.ndarray) -> None:
        self._texts = texts
        self._kept: OrderedDict[str, tuple[csr_matrix, np.ndarray]] = OrderedDict()

    def counts(self, counting: Mapping[str, Any]) -> "tuple[csr_matrix, np.ndarray]":
        """The counts (n, t), and the t sequences, ascending."""
        from sklearn.feature_extraction.text import CountVectorizer

        key = repr(sorted(counting.items()))
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        vectorizer = CountVectorizer(**_arguments(counting))
        try:
            found = (
                vectorizer.fit_transform(_counted(self._texts, counting)),
                vectorizer.get_feature_names_out(),
            )
        except ValueError as error:
            raise _nothing(error) from None
        self._kept[key] = found
        while len(self._kept) > 1 and sum(map(_size, self._kept.values())) > MAX_CACHE_BYTES:
            self._kept.popitem(last=False)
        return found

    def weighed(self, features: "Features", rows: np.ndarray) -> "csr_matrix":
        """Weigh some rows: what `features.transform` makes of their texts, without counting them again."""
        from scipy.sparse import hstack

        return hstack([self._weighed(part, rows) for part in features.parts], format="csr")

    def _weighed(self, part: "Part", rows: np.ndarray) -> "csr_matrix":
        from sklearn.feature_extraction.text import TfidfTransformer

        counts, terms = self.counts(part.counting)
        columns = np.searchsorted(terms, np.asarray(part.terms, dtype=object))
        weigher, found = TfidfTransformer(**part.weighing), counts[rows][:, columns]
        if part.idf is None:
            return weigher.fit_transform(found) * part.weight  # as above
        weigher.idf_ = part.idf
        return weigher.transform(found) * part.weight


def _size(kept: "tuple[csr_matrix, np.ndarray]") -> int:
    counts, terms = kept
    return int(counts.data.nbytes + counts.indices.nbytes + counts.indptr.nbytes + 60 * len(terms))


def learn(params: Params, counter: Counter, rows: np.ndarray) -> Features:
    """Learn features from some rows of a counter's texts.

    Args:
        params: hyperparameters; those whose names begin with `PREFIX` count.
        counter: of the texts.
        rows: numbers of the rows to learn from; no others are looked at.

    Raises:
        ResultError: these rows have no features by these parameters (of outcome BAD_RESULT).
    """
    given = dict(_DEFAULTS) | {
        name.removeprefix(PREFIX): value for name, value in params.items() if name.startswith(PREFIX)
    }
    parts = [
        _part(_of_texts(kind, given), given, counter, rows) for kind in _ANALYZERS[str(given["analyzer"])]
    ]
    for side in SIDES if given["around"] else ():
        try:
            part = _part(_of_places(side, given), given, counter, rows)
        except ResultError:  # such as of places that all stand at the beginning
            continue
        parts.append(replace(part, weight=float(given["around_weight"])))
    return Features(tuple(parts))


def _of_texts(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    longest = given["word_ngrams" if kind == "word" else "char_ngrams"]
    counting = {"analyzer": kind, "ngram_range": [_SHORTEST[kind], longest], "lowercase": given["lowercase"]}
    if kind == "word" and given["all_tokens"]:
        counting["token_pattern"] = _ALL_TOKENS
    return counting


def _of_places(side: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "analyzer": "word",
        "ngram_range": [1, given["around_ngrams"]],
        "lowercase": given["lowercase"],
        "token_pattern": _ALL_TOKENS,
        "side": side,
        "reach": given["around"],
    }


def _part(counting: dict[str, Any], given: Mapping[str, Any], counter: Counter, rows: np.ndarray) -> Part:
    from sklearn.feature_extraction.text import TfidfTransformer

    weighing = {"sublinear_tf": given["sublinear_tf"], "use_idf": given["use_idf"]}
    counts, terms = counter.counts(counting)
    counts = counts[rows]
    kept = _kept(counts, given)
    idf = TfidfTransformer(**weighing).fit(counts[:, kept]).idf_ if given["use_idf"] else None
    return Part(counting, weighing, tuple(terms[kept].tolist()), idf)


def _kept(counts: "csr_matrix", given: Mapping[str, Any]) -> np.ndarray:
    """Which columns are features, ascending: neither too rare nor too frequent, and no more than allowed."""
    n_rows = counts.shape[0]
    in_rows = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero(
        (in_rows >= given["min_df"]) & (in_rows > 0) & (in_rows <= given["max_df"] * n_rows)
    )
    if not len(kept):
        raise _nothing(
            f"min_df = {given['min_df']}, max_df = {given['max_df']:g} leave none in {n_rows} rows"
        )
    most = given["max_features"]
    if most is None or len(kept) <= most:
        return kept
    total = np.asarray(counts.sum(axis=0)).ravel()[kept]
    return np.sort(kept[np.argsort(-total)[:most]])


def _nothing(why: object) -> ResultError:
    return ResultError(f"The texts have no features: {why}.", outcome=Outcome.BAD_RESULT)


def _arguments(counting: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: its for name, its in counting.items() if name not in ("side", "reach")}
    return {**known, "ngram_range": tuple(counting["ngram_range"])}


def _counted(texts: Sequence[str] | np.ndarray, counting: Mapping[str, Any]) -> list[str]:
    """What is counted of (n,) texts: the whole, or what stands beside the marked place."""
    if "side" in counting:
        return [beside(text, counting["side"], counting["reach"]) for text in texts]
    return [unmark(text)[0] for text in texts]
