"""Reports as titled sections: nothing runs over the edge of a terminal."""

from retrain.page import Page
from retrain.tables import WIDTH

NOTE = "No effect seen: " + ", ".join(f"parameter_{i}" for i in range(12)) + "."


def test_a_note_under_a_table_is_wrapped() -> None:
    page = Page()
    page.table("What mattered", [{"parameter": "x"}], ["parameter"], note=NOTE)
    lines = page.text().splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert " ".join(lines[4:]) == NOTE


def test_a_note_in_markdown_is_one_paragraph() -> None:
    page = Page(output="markdown")
    page.table("What mattered", [{"parameter": "x"}], ["parameter"], note=NOTE)
    assert page.text().endswith(f"\n\n{NOTE}")
