import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.spans import Span, join_tokens, match, span_scores, tokens

SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: (min(pair), max(pair))), max_size=4
)


def test_words_and_signs_are_tokens() -> None:
    text = "No p.o. intake; 5-10 %"
    assert [text[start:end] for start, end in tokens(text)] == [
        *("No", "p", ".", "o", ".", "intake", ";", "5", "-", "10", "%")
    ]
    assert tokens("  ") == []


def test_neighbours_inside_are_one_span() -> None:
    found = [(0, 2), (3, 5), (6, 8), (9, 11)]
    assert join_tokens(found, [True, True, False, True]) == ((0, 5), (9, 11))
    assert join_tokens(found, [False] * 4) == ()
    assert join_tokens(found, [True] * 4) == ((0, 11),)


@pytest.mark.parametrize(
    ("truth", "said", "expected"),
    [
        ([(0, 4)], [(0, 4)], (1, 1, 1)),
        ([(0, 4)], [(2, 6)], (0.5, 0.5, 0.5)),
        ([(0, 10)], [(0, 5)], (1, 0.5, 2 / 3)),
        ([(0, 2), (4, 6)], [(0, 6)], (4 / 6, 1, 0.8)),
        ([(0, 4)], [(4, 8)], (0, 0, 0)),
        ([(0, 4)], [], (0, 0, 0)),
        ([], [(0, 1)], (0, 0, 0)),
        ([], [], (1, 1, 1)),
        ([(3, 3)], [], (1, 1, 1)),
    ],
)
def test_characters_are_counted(
    truth: list[Span], said: list[Span], expected: tuple[float, float, float]
) -> None:
    assert match(truth, said) == pytest.approx(expected)


@given(SPANS, SPANS)
def test_f1_is_symmetric_and_between_its_parts(truth: list[Span], said: list[Span]) -> None:
    precision, recall, f1 = match(truth, said)
    assert match(said, truth) == (recall, precision, f1)
    assert min(precision, recall) - 1e-12 <= f1 <= max(precision, recall) + 1e-12
    assert match(truth, truth) == (1, 1, 1)


def test_the_macro_score_is_the_mean_over_texts() -> None:
    found = span_scores([[(0, 4)], [(0, 4)]], [[(0, 4)], []])
    assert found.shape == (2, 3)
    assert found.mean(axis=0).tolist() == [0.5, 0.5, 0.5]
