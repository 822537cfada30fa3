import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.places import beside, mark, unmark


@given(st.text(max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_what_is_marked_is_found_again(text: str, one: int, other: int) -> None:
    start, end = sorted((min(one, len(text)), min(other, len(text))))
    clean = unmark(mark(text, -1, -1))[0]
    assert unmark(mark(text, start, end)) == (clean, start, end)
    assert len(clean) == len(text)
    assert unmark(mark(text, -1, -1))[1:] == (-1, -1)


@pytest.mark.parametrize("text", ["\ufdd0", "no\ufdd1", "so\ufdd0 it is", "first \ufdd1 and then \ufdd0"])
def test_damaged_texts_are_texts_without_a_place(text: str) -> None:
    """No text should hold what marks are made of, but a file may hold anything."""
    assert unmark(text) == (text, -1, -1)
    assert beside(text, "before", 3) == ""
    clean, *place = unmark(mark(text, 0, 1))
    assert place == [0, 1]
    assert len(clean) == len(text)


def test_the_words_beside_a_place() -> None:
    text = "No fever, but a dry cough since May."
    marked = mark(text, 18, 23)
    assert text[18:23] == "y cou"
    marked = mark(text, text.index("dry"), text.index(" since"))
    assert beside(marked, "before", 3) == ", but a"
    assert beside(marked, "before", 99) == "No fever , but a"
    assert beside(marked, "after", 2) == "since May"
    assert beside(text, "after", 2) == ""
