import csv
import fcntl
import io
import json
import math
import os
import struct
import termios
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.page import Page
from retrain.tables import (
    FORMATS,
    WIDTH,
    number,
    plus_minus,
    plus_minus_column,
    printable,
    render,
    seconds,
    signed,
    terminal_width,
    to_json,
)

ROWS: list[dict[str, Any]] = [
    {"id": "random_1", "value": 0.123456789, "n": 12, "ok": True, "note": None},
    {"id": "random_22", "value": -1e-7, "n": 3, "ok": False, "note": "two\nlines"},
]
COLUMNS = ["id", "value", "n", "ok", "note"]


def test_table() -> None:
    assert render(ROWS, COLUMNS) == (
        "id           value   n  ok     note\n"
        "---------  -------  --  -----  ----------\n"
        "random_1   0.12346  12  true\n"
        "random_22   -1e-07   3  false  two\\nlines"
    )


def test_markdown() -> None:
    assert render(ROWS[:1], COLUMNS, "markdown") == (
        "| id | value | n | ok | note |\n|---|---:|---:|---|---|\n| random_1 | 0.12346 | 12 | true |  |"
    )


def test_markdown_cells_cannot_break_the_table_or_become_markup() -> None:
    assert render([{"a": "x|y<b>`*[z"}], ["a"], "markdown").splitlines()[2] == r"| x\|y\<b>\`\*\[z |"


def test_json_keeps_full_precision_and_types() -> None:
    document = json.loads(render(ROWS, COLUMNS, "json"))
    assert document == [{name: row[name] for name in COLUMNS} for row in ROWS]


def test_csv_keeps_full_precision() -> None:
    lines = list(csv.reader(io.StringIO(render(ROWS, COLUMNS, "csv"))))
    assert lines[0] == COLUMNS
    assert float(lines[1][1]) == 0.123456789
    assert lines[2] == ["random_22", "-1e-07", "3", "false", "two\\nlines"]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "=\tcmd|' /C calc'!A0"])
def test_csv_text_never_becomes_a_formula(cell: str) -> None:
    text = next(csv.reader(io.StringIO(render([{cell: cell}], [cell], "csv"))))[0]
    assert text.startswith("'" + cell[0])


def test_csv_negative_numbers_stay_numbers() -> None:
    assert render([{"a": -0.5, "b": "-0.5"}], ["a", "b"], "csv").splitlines()[1] == "-0.5,'-0.5"


@pytest.mark.parametrize("output", FORMATS)
def test_no_format_lets_a_control_character_through(output: str) -> None:
    hostile = "a\x1b[2J\x07\x9b31m\u202egnp.exe\ud800\r\x00"
    text = render([{"c": hostile, hostile: 1}], ["c", hostile], output)
    assert all(character.isprintable() or character == "\n" for character in text)
    if output == "json":
        assert json.loads(text) == [{"c": hostile, hostile: 1}]
    else:
        assert r"\x1b" in text.replace("\\\\", "\\")


@given(st.text(max_size=30))
@settings(deadline=None, max_examples=200)
def test_printable_is_printable_and_leaves_plain_text_alone(text: str) -> None:
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


def test_a_wide_table_is_cut_into_blocks_that_repeat_the_keys() -> None:
    names = [f"parameter_{i}" for i in range(12)]
    rows = [
        {"#": rank, "experiment": f"bayesian_20261121_090112_{rank:03}", **dict.fromkeys(names, rank / 7)}
        for rank in (1, 2)
    ]
    text = render(rows, ["#", "experiment", *names], keys=("#",))
    blocks = [block.splitlines() for block in text.split("\n\n")]
    assert max(len(line) for block in blocks for line in block) <= WIDTH
    assert [block[0].split()[0] for block in blocks] == ["#"] * len(blocks)
    assert [name for block in blocks for name in block[0].split()[1:]] == ["experiment", *names]


@given(
    widths=st.lists(st.integers(1, 44), min_size=1, max_size=12),
    n_rows=st.integers(0, 3),
)
@settings(deadline=None, max_examples=80)
def test_no_table_is_wider_than_the_terminal(widths: list[int], n_rows: int) -> None:
    columns = [f"{i:x}" * 1 + "c" * (w - 1) for i, w in enumerate(widths)]
    rows = [{name: "v" * len(name) for name in columns} for _ in range(n_rows)]
    for line in render(rows, columns, keys=columns[:1]).splitlines():
        assert len(line) <= max(WIDTH, widths[0] + 2 + max(widths))


@pytest.mark.parametrize(("columns", "width"), [(120, 120), (60, 60), (10, 40), (0, 80)])
def test_tables_and_sentences_are_as_wide_as_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, width: int
) -> None:
    main, terminal = os.openpty()
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        with os.fdopen(terminal, "w", closefd=False) as stream:
            monkeypatch.setattr("sys.stdout", stream)
            assert terminal_width() == width
            wide = render([{f"column_{i:02}": i for i in range(40)}], [f"column_{i:02}" for i in range(40)])
            page = Page()
            page.lines("Title", "word " * 100)
            assert width - 11 < max(map(len, wide.splitlines())) <= width
            assert width - 5 < max(map(len, page.text().splitlines())) <= width
    finally:
        os.close(terminal)
        os.close(main)


def test_what_is_piped_is_80_wide_whatever_the_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with (tmp_path / "out").open("w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        assert terminal_width() == 80
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert terminal_width() == 80


def test_long_cells_are_shortened_in_tables_only() -> None:
    long = "x" * 200
    assert "…" in render([{"a": long}], ["a"])
    assert long in render([{"a": long}], ["a"], "csv")


@pytest.mark.parametrize("output", FORMATS)
def test_no_rows(output: str) -> None:
    text = render([], ["a", "b"], output)
    assert text == "[]" if output == "json" else "a" in text


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="xml"):
        render([], ["a"], "xml")


def test_json_never_holds_what_json_has_not() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json({"a": math.nan})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.123456, "0.12346"),
        (1234567.0, "1234567"),
        (1234567, "1234567"),
        (100.0, "100"),
        (1.5e20, "1.5e+20"),
        (1e-9, "1e-09"),
    ],
)
def test_number(value: float, expected: str) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (0.991234, 0.00312, "0.9912 ± 0.0031"),
        (54.321, 2.134, "54.3 ± 2.1"),
        (1234.5, 321.0, "1234 ± 321"),
        (0.5, None, "0.5"),
        (0.5, 0.0, "0.5"),
        (0.123456789, 1e-12, "0.123456789 ± 1e-12"),
        (3.25e-10, 1.5e-11, "3.25e-10 ± 1.5e-11"),
        (None, None, ""),
    ],
)
def test_plus_minus(value: float | None, error: float | None, expected: str) -> None:
    assert plus_minus(value, error) == expected


@pytest.mark.parametrize(
    ("difference", "error", "expected"),
    [
        (0.01024, 0.0041, "+0.0102"),
        (-0.00158, 0.0041, "-0.0016"),
        (0.5, 0.0, "+0.5"),
        (2e-10, 1e-11, "+2e-10"),
    ],
)
def test_signed(difference: float, error: float, expected: str) -> None:
    assert signed(difference, error) == expected


def test_a_column_of_values_has_the_same_decimals() -> None:
    assert plus_minus_column([(0.98812, 0.0121), (0.99123, 0.0031), (None, None), (0.5, None)]) == [
        "0.9881 ± 0.0121",
        "0.9912 ± 0.0031",
        "",
        "0.5",
    ]


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (None, ""),
        (0.0421, "0.042 s"),
        (9.9, "9.9 s"),
        (9.99, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (250, "4 min 10 s"),
        (11100, "3 h 5 min"),
        (187200, "2 d 4 h"),
    ],
)
def test_seconds(duration: float | None, expected: str) -> None:
    assert seconds(duration) == expected
