"""docs/faults.md has a row for every fault, and every test that it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parent / "docs" / "faults.md").read_text("utf-8")
ROWS = {row.split()[1]: row for row in PAGE.splitlines() if re.match(r"\| [A-E]\d+ ", row)}
PARTS = (("A", 1, 25), ("B", 1, 22), ("C", 1, 9), ("D", 1, 13), ("E", 14, 17))
FAULTS = [f"{part}{n}" for part, first, last in PARTS for n in range(first, last + 1)]


@cache
def names_in(file: Path) -> frozenset[str]:
    """The functions, methods and classes that a file defines."""
    tree = ast.parse(file.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_every_fault_has_its_row_and_no_other_is_there() -> None:
    assert list(ROWS) == FAULTS
    assert len(re.findall(r"^\| [A-E]\d+ ", PAGE, re.MULTILINE)) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_tests_of_a_fault_are_there(fault: str) -> None:
    _, _, what_happens, _, tests, _ = (cell.strip() for cell in ROWS[fault].split("|"))
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", tests)
    assert named, "no test is named"
    assert what_happens
    for file, name in named:
        assert name in names_in(HERE / file), f"{file} has no {name}"
