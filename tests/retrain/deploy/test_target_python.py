"""Constants of a Python module: exactly the literals change, and nothing is guessed."""

import ast
import keyword
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.deploy.target_file import TargetFile, make_target
from retrain.deploy.target_python import PythonTarget
from tuner.errors import ConfigError

TARGET = PythonTarget("model.py")


def render(text: str, **params: Any) -> str:
    return TARGET.render(text, params, list(params))


@pytest.mark.parametrize(
    ("text", "params", "expected"),
    [
        ("LEARNING_RATE = 0.1\n", {"learning_rate": 1e-5}, "LEARNING_RATE = 1e-05\n"),
        ("learning_rate=0.1", {"learning_rate": 0.30000000000000004}, "learning_rate=0.30000000000000004"),
        ("LR : float   = (0.1)  # why\n", {"lr": 0.2}, "LR : float   = (0.2)  # why\n"),
        ("A = 1; B = -2 ; C=3\r\n", {"b": 5, "a": -1}, "A = -1; B = 5 ; C=3\r\n"),
        (
            "A = 'x'\nB = \"x\"\nC = '''x'''\n",
            {"a": "it's", "b": "y"},
            "A = \"it's\"\nB = \"y\"\nC = '''x'''\n",
        ),
        ('A = "x"\n', {"a": 'say "hi"\\\n'}, 'A = "say \\"hi\\"\\\\\\n"\n'),
        ("A = None\nB = True\n", {"a": False, "b": None}, "A = False\nB = None\n"),
        (
            'HP = {\n  "lr": 0.1,  # c\n  "d": 1,\n}\n',
            {"lr": 0.2},
            'HP = {\n  "lr": 0.2,  # c\n  "d": 1,\n}\n',
        ),
        ('LR = 0.1\nHP = {"lr": LR}\n', {"lr": 0.2}, 'LR = 0.2\nHP = {"lr": LR}\n'),
        ("é = 'ü'\nLR = 1  # ñ\nD = 2\n", {"lr": 9, "d": 8}, "é = 'ü'\nLR = 9  # ñ\nD = 8\n"),
        ('A = ("x"\n     "y")\n', {"a": "z"}, 'A = ("z")\n'),
        ("MODEL_C = 1.0\n", {"model.C": 2.0}, "MODEL_C = 2.0\n"),
    ],
)
def test_only_the_literal_changes(text: str, params: dict[str, Any], expected: str) -> None:
    assert TARGET.render(text, params, list(params)) == expected


def test_functions_and_classes_have_their_own_names() -> None:
    text = "if True:\n    X = 1\nLR = 1\ndef f():\n    LR = 2\nclass C:\n    LR = 3\ng = lambda: (LR := 4)\n"
    assert render(text, lr=9) == text.replace("LR = 1\n", "LR = 9\n")


def test_a_value_that_stays_keeps_its_spelling() -> None:
    text = "A = 1_000\nB = 0.10\nC = +1e2\n"
    assert render(text, a=1000, b=0.1, c=100.0) == text


def test_a_changed_type_is_a_change() -> None:
    assert render("A = 1\nB = 1\n", a=1.0, b=True) == "A = 1.0\nB = True\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("LR = 1\nif DEBUG:\n    LR = 2\n", "LR (line 1) is bound 2 times"),
        ("LR = 1\nLR += 1\n", "is bound 2 times"),
        ("LR = 1\nfor LR in ():\n    pass\n", "is bound 2 times"),
        ("LR = 1\nfrom other import LR\n", "is bound 2 times"),
        ("LR = 1\nimport x as LR\n", "is bound 2 times"),
        ("LR = 1\nprint(LR := 3)\n", "is bound 2 times"),
        ("LR = 1\ndel LR\n", "is bound 2 times"),
        ("LR = 1\n(LR, b), *c = x\n", "LR"),
        ("LR = D = 1\n", "shares its assignment"),
        ("LR, D = 1, 2\n", "shares its assignment"),
        ("LR = 0.1 * 2\n", "not a plain number"),
        ("LR = f'{x}'\n", "not a plain number"),
        ("LR = b'x'\n", "not a plain number"),
        ("LR = [1]\n", "not a plain number"),
        ("LR = 1j\n", "not a plain number"),
        ("LR = 1\nlr = 2\n", "LR (line 1) and lr (line 2) could both be meant"),
        ("LR = 1\nHP = {'lr': 2}\n", "could both be meant"),
        ("HP = {'lr': 2}\nOLD = {'lr': 3}\n", "could both be meant"),
        ("HP = {'lr': 2, **rest}\n", "may override it"),
        ("HP = {'lr': 2}\nHP['lr'] = 3\n", "is bound 2 times"),
        ("LR = (\n", "not a Python module that parses (line"),
        ("\x0cLR = 1\n", "form feeds"),
    ],
)
def test_what_is_not_certain_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        render(text, lr=5)
    assert said in str(caught.value)
    assert "model.py" in str(caught.value)


def test_everything_that_is_missing_is_named_at_once_with_a_hint() -> None:
    with pytest.raises(ConfigError) as caught:
        render("LERNING_RATE = 1\n", learning_rate=5, depth=2)
    assert "no LEARNING_RATE, no DEPTH" in str(caught.value)
    assert "LERNING_RATE" in caught.value.remedy


def test_a_section_is_one_dictionary_and_a_prefix_belongs_to_constants() -> None:
    target = PythonTarget("model.py", section="NEW")
    assert target.render("OLD = {'lr': 1}\nNEW = {'lr': 1}\nLR = 1\n", {"lr": 2}, ["lr"]).endswith(
        "NEW = {'lr': 2}\nLR = 1\n"
    )
    target = PythonTarget("model.py", prefix="XGB_")
    assert target.render("LR = 1\nXGB_LR = 1\n", {"lr": 2}, ["lr"]) == "LR = 1\nXGB_LR = 2\n"


def test_names_that_differ_only_by_case_have_one_place() -> None:
    with pytest.raises(ConfigError, match="same place"):
        TARGET.render("C = 1\n", {"c": 1, "C": 2}, [])


@pytest.mark.parametrize(
    "data",
    [
        b"# -*- coding: latin-1 -*-\nNAME = '\xe9'  # \xfc\nLR = 1\n",
        b"\xef\xbb\xbfLR = 1\nNAME = '\xc3\xa9'\n",
        b"LR = 1\r\nNAME = 2\nOTHER = 3\r\n",
        b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nLR = 1 # \x80\n",
        b"LR = 1",
    ],
)
def test_bytes_elsewhere_stay_whatever_their_encoding(data: bytes, tmp_path: Any) -> None:
    (tmp_path / "model.py").write_bytes(data)
    target = TargetFile(tmp_path, "model.py")
    assert target.rendered(data, {"lr": 25}, {}) == data.replace(b"LR = 1", b"LR = 25")


def test_a_value_that_the_encoding_cannot_spell_is_refused(tmp_path: Any) -> None:
    data = b"# coding: ascii\nKIND = 'a'\n"
    with pytest.raises(ConfigError, match="ascii"):
        TargetFile(tmp_path, "model.py").rendered(data, {"kind": "é"}, {})


@pytest.mark.parametrize("data", [b"\xff\xfe", b"# coding: klingon\n", b"# coding: utf-8\n\xe9 = 1\n"])
def test_bytes_in_no_encoding_are_refused(data: bytes, tmp_path: Any) -> None:
    with pytest.raises(ConfigError):
        TargetFile(tmp_path, "model.py").rendered(data, {"lr": 1}, {})


def test_a_new_module_holds_every_constant_also_inactive_ones(tmp_path: Any) -> None:
    target = TargetFile(tmp_path, "model.py", None, "M_")
    text = target.rendered(None, {"lr": 0.1, "kind": "dart"}, {"drop": 0.0}).decode()
    names: dict[str, Any] = {}
    exec(text, names)
    assert (names["M_LR"], names["M_KIND"], names["M_DROP"]) == (0.1, "dart", 0.0)
    dictionary = make_target("model.py", "HP").create({"lr": 0.1})
    assert ast.literal_eval(dictionary.split("HP = ")[1]) == {"lr": 0.1}


# ---- a property: any module of constants, any new values

values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
names = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True).filter(lambda n: not keyword.iskeyword(n))
noise = st.sampled_from(
    ["# é comment", "", "import os as OS9", "def f9():\n    return 1", "X9 = [1, 2]", "'''doc'''"]
)
gaps = st.sampled_from(["", " ", "  "])


@st.composite
def modules(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A module, the values in it, and others for some of them."""
    held = draw(st.dictionaries(names, values, min_size=1, max_size=6))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    lines = []
    for name, value in held.items():
        lines += draw(st.lists(noise, max_size=2))
        constant = name.upper() if draw(st.booleans()) else name
        comment = draw(st.sampled_from(["", "  # was 0.1", " ;"]))
        note = draw(st.sampled_from(["", ": object"]))
        lines.append(f"{constant}{note}{draw(gaps)}={draw(gaps)}{value!r}{comment}")
    text = "\n".join(lines).replace("\n", newline) + draw(st.sampled_from(["", newline]))
    chosen = draw(st.sets(st.sampled_from(sorted(held)), min_size=1))
    return text, held, {name: draw(values) for name in sorted(chosen)}


@settings(deadline=None, max_examples=80)
@given(modules())
def test_rendering_changes_the_named_literals_only_and_back_again(
    case: tuple[str, dict[str, Any], dict[str, Any]],
) -> None:
    text, held, new = case
    assert {name: repr(value) for name, value in TARGET.find(text, held).items()} == {
        name: repr(value) for name, value in held.items()
    }
    changed = TARGET.render(text, new, list(held))
    assert TARGET.find(changed, held) == {**held, **new}
    expected = text
    for name, slot in sorted(TARGET.slots(text, list(new)).items(), key=lambda item: -item[1].start):
        if repr(held[name]) == repr(new[name]) or (
            type(held[name]) is type(new[name]) and held[name] == new[name]
        ):
            continue
        literal = changed[TARGET.slots(changed, [name])[name].start : TARGET.slots(changed, [name])[name].end]
        assert ast.literal_eval(literal) == new[name]
        expected = expected[: slot.start] + literal + expected[slot.end :]
    assert changed == expected
    back = TARGET.render(changed, held, list(held))
    assert TARGET.find(back, held) == held
    if not any(isinstance(value, str) for value in held.values()):  # a string may come back in other quotes
        assert back == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A = " + "(" * 5000 + "1" + ")" * 5000 + "\n", "not a Python module that parses"),
        ("A = " + "[" * 150 + "1" + "]" * 150 + "\nB = 1\n" + "# x\n" * 200_000, "is longer than"),
    ],
)
def test_what_would_crash_or_stall_the_parser_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        render(text, a=2)


def test_a_strange_escape_is_no_concern_of_ours() -> None:
    assert render("A = 1\nB = '\\d'\n", a=2) == "A = 2\nB = '\\d'\n"
