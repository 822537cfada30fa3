"""Which patterns are similar, and which of them are trusted."""

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.experiment import Provenance
from tuner.patterns import Traits, find_similar_patterns, similarity, trust
from tuner.registry.records import Lesson, Pattern
from tuner.space import FloatParam, IntParam, SearchSpace

ON = Provenance("d1")
SPACE = SearchSpace([FloatParam("rate", 0.0, 1.0), IntParam("depth", 1, 9)])
BASE = Traits("xgboost", "binary", {"n_rows": 1000.0, "n_columns": 20.0, "share_missing": 0.0})
FEATURES = st.fixed_dictionaries(
    {},
    optional={"n_rows": st.floats(1, 1e7), "n_columns": st.floats(1, 1e4), "share_missing": st.floats(0, 1)},
)


def pattern(id_: int = 1, study: str = "old", on: Provenance = ON, **features: float) -> Pattern:
    traits = Traits("xgboost", "binary", {**BASE.features, **features}).to_dict()
    return Pattern(id_, study, f"random_{id_}", traits, {}, 0.5, on, 0.0)


def judged(weight: float, of: int = 1, study: str = "new") -> Lesson:
    return Lesson(of, "judged", study, weight)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, 1.0),
        ({"n_rows": 4000.0}, 0.5),
        ({"n_rows": 250.0}, 0.5),
        ({"n_rows": 16000.0}, 0.25),
        ({"share_missing": 0.35}, 0.5),
        ({"n_rows": 4000.0, "n_columns": 80.0}, 2 ** -math.sqrt(2)),
        ({"n_classes": 7.0}, 1.0),  # which only one of them has
    ],
)
def test_similarity_halves_at_four_times_the_count(changed: Mapping[str, float], expected: float) -> None:
    other = Traits("xgboost", "binary", {**BASE.features, **changed})
    assert similarity(BASE, other) == pytest.approx(expected)


@pytest.mark.parametrize("other", [Traits("ridge", "binary"), Traits("xgboost", "regression")])
def test_another_model_or_kind_is_never_similar(other: Traits) -> None:
    assert similarity(BASE, other) == 0


@given(FEATURES, FEATURES)
def test_similarity_is_a_symmetric_share(one: dict[str, float], other: dict[str, float]) -> None:
    a, b = Traits("m", "", one), Traits("m", "", other)
    assert 0 <= similarity(a, b) <= 1
    assert similarity(a, b) == pytest.approx(similarity(b, a))
    assert similarity(a, a) == 1
    assert Traits.from_dict(a.to_dict()) == a


def test_trust_falls_with_each_use_that_hurt() -> None:
    used = Lesson(1, "used", "new", 0.9)
    assert trust([used]) == (1.0, 0, 0)
    assert trust([used, judged(0.5)]) == (1.0, 1, 1)
    assert trust([judged(0.49)]) == (2 / 3, 0, 1)
    assert trust([judged(0.0), judged(0.2)]) == (0.5, 0, 2)


def found(patterns: list[Pattern], lessons: list[Lesson] = [], threshold: float = 0.5) -> list[int]:  # noqa: B006
    spaces = {each.study: SPACE for each in patterns}
    matches = find_similar_patterns(patterns, lessons, BASE, SPACE, spaces, threshold=threshold)
    return [each.pattern.id for each in matches]


def test_the_most_similar_come_first_and_the_rest_is_left_out() -> None:
    patterns = [
        pattern(1, "far", n_rows=1e6),
        pattern(2, "near", n_rows=1100.0),
        pattern(3, "nearer", n_rows=1000.0),
        pattern(4, "at the edge", n_rows=4000.0),
    ]
    assert found(patterns) == [3, 2, 4]
    assert found(patterns, threshold=0.51) == [3, 2]


def test_at_most_five() -> None:
    assert found([pattern(i, f"study {i}") for i in range(1, 9)]) == [8, 7, 6, 5, 4]


def test_a_pattern_that_misled_twice_is_left_out_until_others_were_helped() -> None:
    patterns = [pattern(1, n_rows=1300.0)]
    assert found(patterns, [judged(0.1), judged(0.2, study="other")]) == []
    helped = [judged(1.0, study=f"study {i}") for i in range(6)]
    assert found(patterns, [judged(0.1), judged(0.2, study="other"), *helped]) == [1]


def test_of_one_study_the_latest_counts_with_the_lessons_of_all() -> None:
    patterns = [pattern(1), pattern(2), pattern(3, on=Provenance("d2"))]
    assert found(patterns) == [3, 2]
    assert found(patterns, [judged(0.0), judged(0.0, study="other")], threshold=0.6) == [3]
    assert found(patterns, [Lesson(1, "forgotten")]) == [3]


def test_spaces_that_share_little_are_not_similar() -> None:
    other = SearchSpace([FloatParam("rate", 0.0, 9.0), FloatParam("depth", 1.0, 9.0), IntParam("n", 1, 2)])
    assert find_similar_patterns([pattern()], [], BASE, SPACE, {"old": other}) == []
    [match] = find_similar_patterns([pattern()], [], BASE, SPACE, {"old": other}, threshold=0.25)
    assert match.similarity == 0.25  # of the four names and types only `rate` is in both
