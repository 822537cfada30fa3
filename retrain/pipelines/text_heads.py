"""What a text says, and where: a model with a head for labels, one for spans, or one for both.

Each token is a row of its own: the features of the tokens around it side by side, each at its place. Words
are looked up by the features of words; the token itself by those of characters, too. The three architectures:

span    one classifier of tokens, inside a span or not
share   the same, beside a classifier of texts: both from the same learned features, with the same parameters
joint   one classifier of tokens for both: outside, or inside a span of a class. It sees the features of the
        whole text as well, and the class with the largest probability over the tokens is that of the text
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.metrics import Predictions
from retrain.pipelines.artifact import predict
from retrain.pipelines.tfidf import Features
from retrain.spans import Span, join_tokens, tokens

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["EvidenceModel", "Head", "Said", "Tokens", "insides"]


@dataclass(frozen=True, slots=True)
class Head:
    """A fitted estimator and the class codes that it has seen, of so many."""

    estimator: Any
    present: np.ndarray
    n_classes: int

    def predictions(self, prepared: "csr_matrix") -> Predictions:
        """What it says of (n, q)."""
        matrix: Any = prepared
        return predict(self.estimator, matrix, self.present, self.n_classes)

    def probabilities(self, prepared: "csr_matrix") -> np.ndarray:
        """(n, n_classes); of an estimator without probabilities, of its labels or distances."""
        found = self.predictions(prepared)
        if found.probabilities is not None:
            return found.probabilities
        if found.ranking is not None:
            positive = 1 / (1 + np.exp(-np.clip(found.ranking, -500, 500)))
            return np.column_stack([1 - positive, positive])
        return np.asarray(np.eye(self.n_classes)[found.labels])


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of n texts: labels where there are any, and the spans of each."""

    labels: Predictions | None
    spans: list[tuple[Span, ...]]

    def of(self, rows: np.ndarray) -> "Said":
        """The same of some of the texts."""
        return Said(
            None if self.labels is None else self.labels.take(rows),
            [self.spans[row] for row in rows],
        )


class Tokens:
    """The tokens of n texts as rows.

    Args:
        texts: (n,) texts.
    """

    def __init__(self, texts: Sequence[str] | np.ndarray) -> None:
        self.found = [tokens(text) for text in texts]
        self.counts = np.array([len(each) for each in self.found])
        self.text_of = np.repeat(np.arange(len(texts)), self.counts)
        words = [text[start:end] for text, its in zip(texts, self.found, strict=True) for start, end in its]
        self._words, self._word_of = np.unique(np.array(words, dtype=str), return_inverse=True)

    def __len__(self) -> int:
        return len(self.text_of)

    def matrix(self, features: Features, window: int, per_text: "csr_matrix | None" = None) -> "csr_matrix":
        """The features of each token, of `window` neighbours to each side, and of its text, if given: (t, q).

        Args:
            features: what words and characters are looked up in.
            window: how many tokens to each side.
            per_text: (n, p) features of the texts.
        """
        from scipy.sparse import csr_matrix, hstack, vstack

        words = [part for part in features.parts if part.counting["analyzer"] == "word"]
        blocks = []
        for part in features.parts:
            reach = window if part in words or not words else 0
            known = part.transform(self._words.tolist())
            known = vstack([known, csr_matrix((1, known.shape[1]))], format="csr")
            blocks += [known[self._neighbours(offset)] for offset in range(-reach, reach + 1)]
        blocks += [] if per_text is None else [per_text[self.text_of]]
        return hstack(blocks, format="csr")

    def _neighbours(self, offset: int) -> np.ndarray:
        """The word `offset` places further in the same text; where there is none, one past the last word."""
        n = len(self)
        place = np.arange(n) + offset
        is_there = (place >= 0) & (place < n)
        is_there[is_there] = self.text_of[place[is_there]] == self.text_of[is_there]
        return np.where(is_there, self._word_of[np.where(is_there, place, 0)], len(self._words))

    def spans(self, inside: np.ndarray) -> list[tuple[Span, ...]]:
        """Put the tokens that are inside together, text by text."""
        parts = np.split(inside, np.cumsum(self.counts)[:-1])
        return [join_tokens(found, part.tolist()) for found, part in zip(self.found, parts, strict=True)]


def insides(found: Tokens, spans: Sequence[Sequence[tuple[int, int, int]]]) -> np.ndarray:
    """(t,) 0 for a token outside the spans of its text, 1 + the class code of the first that it touches."""
    codes = [
        next((1 + code for start, end, code in spans[text] if first < end and last > start), 0)
        for text, its in enumerate(found.found)
        for first, last in its
    ]
    return np.array(codes, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class EvidenceModel:
    """A fitted model of texts and spans.

    Attributes:
        family: name of the model family of its heads.
        task: of the labels: "binary" or "multiclass"; "spans" without labels.
        architecture: "span", "share" or "joint".
        text: name of the column of texts.
        classes: the target's values by code; none without labels.
        features: learned from the same texts as the heads.
        window: how many tokens to each side count.
        threshold: of the probability of being inside, from which a token is.
        span: the classifier of tokens.
        label: the classifier of texts, of "share"; else None.
        fit: how it was fitted, JSON-ready; empty where it was read from files.
    """

    family: str
    task: str
    architecture: str
    text: str
    classes: tuple[Any, ...]
    features: Features
    window: int
    threshold: float
    span: Head
    label: Head | None = None
    fit: Mapping[str, Any] = field(default_factory=dict)

    def predictions(self, texts: Sequence[str] | np.ndarray) -> Said:
        """Say what n texts say, and where."""
        if not len(texts):
            return Said(Predictions(np.empty(0, dtype=int)) if self.classes else None, [])
        found = Tokens(texts)
        per_text = None if self.architecture == "span" else self.features.transform(texts)
        if not len(found):
            inside = np.zeros((0, self.span.n_classes))
        else:
            of_all = per_text if self.architecture == "joint" else None
            inside = self.span.probabilities(found.matrix(self.features, self.window, of_all))
        spans = found.spans(1 - inside[:, 0] >= self.threshold)
        if self.label is not None:
            assert per_text is not None, "a head of labels takes texts"
            return Said(self.label.predictions(per_text), spans)
        return Said(self._pooled(found, inside) if self.classes else None, spans)

    def _pooled(self, found: Tokens, inside: np.ndarray) -> Predictions:
        """The probabilities of the classes summed over the tokens of each text."""
        n = len(found.found)
        summed = np.zeros((n, len(self.classes)))
        np.add.at(summed, found.text_of, inside[:, 1:])
        total = summed.sum(axis=1, keepdims=True)
        even = np.full_like(summed, 1 / len(self.classes))
        shares = np.divide(summed, total, out=even, where=total > 0)
        return Predictions(shares.argmax(axis=1), shares)

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """For each row its spans; where there are labels, [label, [what speaks for it], spans].

        Raises:
            DataError: a row has no text.
        """
        from retrain.pipelines.text_artifact import texts_of

        said = self.predictions(texts_of(rows, self.text))
        spans = [[list(span) for span in its] for its in said.spans]
        if said.labels is None:
            return spans
        labels = [self.classes[code] for code in said.labels.labels]
        by = said.labels.probabilities if said.labels.probabilities is not None else said.labels.ranking
        speaks = [[] for _ in labels] if by is None else np.reshape(by, (len(labels), -1)).tolist()
        return [list(each) for each in zip(labels, speaks, spans, strict=True)]
