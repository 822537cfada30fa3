"""Features of texts: those of scikit-learn's own vectoriser, fitted on the rows to train on and no others."""

import json
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union

from retrain.pipelines import tfidf
from retrain.pipelines.tfidf import Counter, Features, check_tfidf, learn
from retrain.places import mark
from retrain.results import ResultError
from tests.retrain.pipelines.texts import text_frame
from tuner.errors import ConfigError
from tuner.presets import APPETITES, load_preset

TEXTS = text_frame(80)["text"].to_numpy(dtype=object)
TRAIN, OTHERS = np.arange(0, 60), np.arange(60, 80)


def scikit_learn(params: dict[str, Any]) -> Any:
    """The same features by the library alone."""
    given = {name.removeprefix("tfidf_"): value for name, value in params.items()}
    word, char = given.pop("word_ngrams", 1), given.pop("char_ngrams", 4)
    analyzer, all_tokens = given.pop("analyzer", "word"), given.pop("all_tokens", False)
    token = {"token_pattern": r"(?u)\w+|[^\w\s]"} if all_tokens else {}
    words = TfidfVectorizer(analyzer="word", ngram_range=(1, word), **token, **given)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, char), **given)
    return make_union(*{"word": [words], "char_wb": [characters], "both": [words, characters]}[analyzer])


@pytest.mark.parametrize("appetite", APPETITES)
def test_features_are_those_of_scikit_learn_fitted_on_the_training_rows(appetite: str) -> None:
    space = load_preset(f"text/{appetite}")
    rng = np.random.default_rng(0)
    for params in [space.defaults(), *(space.sample(rng) for _ in range(20))]:
        # Less would leave no feature, of so few words.
        params |= {"tfidf_max_df": max(0.7, float(str(params.get("tfidf_max_df", 1.0))))}
        theirs = scikit_learn(params)
        counter = Counter(TEXTS)
        features = learn(params, counter, TRAIN)
        expected = theirs.fit_transform(TEXTS[TRAIN]).toarray()
        np.testing.assert_allclose(counter.weighed(features, TRAIN).toarray(), expected)
        expected = theirs.transform(TEXTS[OTHERS]).toarray()
        np.testing.assert_allclose(counter.weighed(features, OTHERS).toarray(), expected)
        np.testing.assert_allclose(features.transform(TEXTS[OTHERS]).toarray(), expected)
        stored = Features.from_dict(json.loads(json.dumps(features.to_dict())))
        np.testing.assert_array_equal(
            stored.transform(TEXTS[OTHERS]).toarray(), features.transform(TEXTS[OTHERS]).toarray()
        )


def test_nothing_is_learned_from_other_rows() -> None:
    params = load_preset("text/aggressive").defaults()
    spoilt = TEXTS.copy()
    spoilt[OTHERS] = "never seen before never"
    one, other = learn(params, Counter(TEXTS), TRAIN), learn(params, Counter(spoilt), TRAIN)
    assert one.to_dict() == other.to_dict()
    assert "never" not in other.parts[0].terms


@pytest.mark.parametrize("use_idf", [True, False])
def test_the_words_around_a_place_are_features_of_their_own(use_idf: bool) -> None:
    text = "No fever but a cough."
    texts = np.array([mark(text, 3, 8), mark(text, 15, 20)], dtype=object)
    counter, rows = Counter(texts), np.arange(2)
    plain = learn({}, Counter(np.array([text, text], dtype=object)), rows)
    around = {"tfidf_around": 2, "tfidf_around_weight": 3.0, "tfidf_use_idf": use_idf}
    features = learn(around, counter, rows)
    assert features.parts[0].terms == plain.parts[0].terms
    assert [part.terms for part in features.parts[1:]] == [
        ("a", "but", "but a", "no"),
        (".", "a", "but", "but a"),
    ]
    weighed = counter.weighed(features, rows).toarray()
    np.testing.assert_allclose(features.transform(texts).toarray(), weighed)
    stored = Features.from_dict(json.loads(json.dumps(features.to_dict())))
    np.testing.assert_allclose(stored.transform(texts).toarray(), weighed)
    n = len(features.parts[0].terms)
    assert (weighed[0, :n] == weighed[1, :n]).all(), "of the text they say the same"
    np.testing.assert_allclose(np.linalg.norm(weighed[:, n : n + 4], axis=1), 3.0)
    assert (weighed[0, n:] != weighed[1, n:]).any()


def test_the_words_around_a_place_may_be_single_and_keep_their_case() -> None:
    texts = np.array([mark("No Fever but a cough.", 3, 8)], dtype=object)
    around = {"tfidf_around": 3, "tfidf_around_ngrams": 1, "tfidf_lowercase": False}
    _, *sides = learn(around, Counter(texts), np.arange(1)).parts
    assert [part.terms for part in sides] == [("No",), ("a", "but", "cough")]
    longer = learn({**around, "tfidf_around_ngrams": 3}, Counter(texts), np.arange(1))
    assert "but a cough" in longer.parts[2].terms


def test_places_without_a_word_on_one_side_have_features_of_the_other() -> None:
    texts = np.array([mark("Cough since May", 0, 5), mark("Fever as before", 0, 5)], dtype=object)
    features = learn({"tfidf_around": 2}, Counter(texts), np.arange(2))
    assert [part.counting.get("side") for part in features.parts] == [None, "after"]


def test_counts_are_made_once_and_kept_while_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter(TEXTS)
    counting = {"analyzer": "word", "ngram_range": [1, 1], "lowercase": True}
    assert counter.counts(counting)[0] is counter.counts(dict(counting))[0]
    other = {**counting, "lowercase": False}
    assert counter.counts(other)[0] is not counter.counts(counting)[0]
    monkeypatch.setattr(tfidf, "MAX_CACHE_BYTES", 1)
    kept = counter.counts({**counting, "ngram_range": [1, 2]})[0]
    assert counter.counts({**counting, "ngram_range": [1, 2]})[0] is kept
    again = counter.counts(counting)[0]
    assert counter.counts({**counting, "ngram_range": [1, 2]})[0] is not kept
    assert again is not counter.counts(counting)[0]


@pytest.mark.parametrize("params", [{"tfidf_min_df": 61}, {"tfidf_max_df": 0.001}])
def test_no_features_are_a_result_that_cannot_be(params: dict[str, Any]) -> None:
    with pytest.raises(ResultError, match=r"texts have no features: min_df = .* leave none in 60 rows"):
        learn(params, Counter(TEXTS), TRAIN)


def test_texts_without_a_word_are_one_sentence() -> None:
    with pytest.raises(ResultError, match="texts have no features: empty vocabulary"):
        learn({}, Counter(np.array(["?", "!", "a"], dtype=object)), np.arange(3))


def test_unknown_names_are_all_said() -> None:
    check_tfidf(["tfidf_min_df", "tfidf_lowercase"])
    with pytest.raises(ConfigError, match="Unknown parameter 'tfidf_around'"):
        check_tfidf(["tfidf_around"])
    with pytest.raises(ConfigError, match="needs tfidf_around, how many words"):
        check_tfidf(["tfidf_around_weight"], about=True)
    check_tfidf(["tfidf_around"], about=True)
    with pytest.raises(ConfigError, match=r"'tfidf_min_dif'\. Did you mean 'tfidf_min_df'.*'tfidf_x'"):
        check_tfidf(["tfidf_min_dif", "tfidf_x"])
