"""JSON, TOML and YAML: what every format keeps, and what each does in its own way."""

import ast
import json
import tomllib
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from retrain.deploy.target import Target, unified_diff
from retrain.deploy.target_file import TargetFile, make_target
from tuner.errors import ConfigError

FILES = ("hp.json", "hp.toml", "hp.yaml", "hp.yml", "hp.py")

WHOLE = {
    "hp.json": """{
\t"other" : [1,2],  "model": {
\t\t"lr": 0.10,
\t\t"kind":"tree", "depth": 3
\t}, "é": 1e5}
""",
    "hp.toml": """# head
other = [1,2]

[model]   # section
lr = 0.10 # step
kind   = "tree"
depth=3

[rest]
z = 1
""",
    "hp.yaml": """# head
other: [1,2]
model:   # section
  lr: 0.10 # step

  kind:  tree
  depth: 3
rest: {z: 1}
""",
}


def read_back(file: str, text: str) -> Any:
    """The document as another reader sees it."""
    match file.rsplit(".", 1)[1]:
        case "json":
            return json.loads(text)
        case "toml":
            return tomllib.loads(text)
        case _:
            return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("file", WHOLE)
def test_only_the_values_change(file: str) -> None:
    text = WHOLE[file]
    target = make_target(file, "model")
    new: dict[str, Any] = {"lr": 0.25, "kind": "dart", "depth": 3}
    assert target.find(text, ["lr", "kind", "depth", "absent"]) == {"lr": 0.1, "kind": "tree", "depth": 3}
    assert target.render(text, new, list(new)) == text.replace("0.10", "0.25").replace("tree", "dart")
    same: dict[str, Any] = {"lr": 0.1, "kind": "tree", "depth": 3}
    assert target.render(text, same, list(same)) == text


@pytest.mark.parametrize("file", WHOLE)
def test_inactive_parameters_go_and_new_ones_come(file: str) -> None:
    text = WHOLE[file]
    target = make_target(file, "model")
    names = ["lr", "kind", "depth", "drop", "on"]
    once = target.render(text, {"lr": 0.1, "drop": 1e-5, "on": True}, names)
    document = read_back(file, once)
    assert document["model"] == {"lr": 0.1, "drop": 1e-5, "on": True}
    assert {k: v for k, v in document.items() if k != "model"} == {
        k: v for k, v in read_back(file, text).items() if k != "model"
    }
    comments = [line.split("#")[1] for line in text.splitlines() if "#" in line]
    assert all(comment in once for comment in comments)


@pytest.mark.parametrize("file", WHOLE)
@pytest.mark.parametrize("section", ["modle", "other", "model.inner"])
def test_a_section_that_is_not_there_is_refused_with_a_hint(file: str, section: str) -> None:
    target = make_target(file, section)
    with pytest.raises(ConfigError) as caught:
        target.render(WHOLE[file], {"lr": 1.0}, ["lr"])
    assert section in str(caught.value)
    assert ("Did you mean 'model'" in str(caught.value)) == (section == "modle")


@pytest.mark.parametrize("file", FILES)
def test_what_does_not_parse_is_refused(file: str) -> None:
    with pytest.raises(ConfigError, match=file):
        make_target(file).render("[{(", {"lr": 1.0}, ["lr"])


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("hp.json", "[1]"),
        ("hp.json", '{"lr": 1} x'),
        ("hp.json", '{"lr": 1, "lr": 2}'),
        ("hp.json", '{"lr": [1]}'),
        ("hp.json", "[" * 100_000),
        ("hp.toml", "lr = [1]\n"),
        ("hp.toml", "lr = 2020-01-01\n"),
        ("hp.toml", "lr = 1\nlr = 2\n"),
        ("hp.yaml", "- 1\n"),
        ("hp.yaml", "lr: [1]\n"),
        ("hp.yaml", "lr: 1\nlr: 2\n"),
        ("hp.yaml", "a: &x 1\nlr: *x\n"),
        ("hp.yaml", "lr: &x 1\na: *x\n"),
        ("hp.yaml", "lr: !!float 1\n"),
        ("hp.yaml", "lr: 1\n---\nlr: 2\n"),
        ("hp.yaml", "{a: 1, lr}\n"),
        ("hp.yaml", "lr: 2020-01-01\n"),
        ("hp.yaml", ""),
    ],
)
def test_what_is_not_one_plain_value_is_refused(file: str, text: str) -> None:
    with pytest.raises(ConfigError, match=file):
        make_target(file).render(text, {"lr": 1.5}, ["lr"])


@pytest.mark.parametrize("file", ["hp.json", "hp.toml", "hp.yaml"])
def test_windows_line_ends_and_byte_order_marks_stay(file: str, tmp_path: Any) -> None:
    text = WHOLE[file].replace("\n", "\r\n")
    data = b"\xef\xbb\xbf" + text.encode() if file != "hp.toml" else text.encode()
    target = TargetFile(tmp_path, file, "model")
    new = target.rendered(data, {"lr": 0.25, "kind": "tree", "depth": 3, "more": 1}, {})
    assert new.startswith(data[:3])
    assert new.count(b"\n") == new.count(b"\r\n")
    if file != "hp.json":
        assert new.count(b"\r\n") == data.count(b"\r\n") + 1
    assert target.values(new, ["lr", "more"]) == {"lr": 0.25, "more": 1}


def test_toml_has_no_null_so_the_key_goes() -> None:
    target = make_target("hp.toml")
    assert target.render("a = 1 # x\nb = 2\n", {"a": None, "b": 2}, ["a", "b"]) == "b = 2\n"
    assert target.render("b = 2\n", {"a": None, "b": 2}, ["a", "b"]) == "b = 2\n"
    assert tomllib.loads(make_target("hp.toml", "m").create({"a": None, "b": 2})) == {"m": {"b": 2}}


def test_yaml_is_written_for_every_reader() -> None:
    target = make_target("hp.yaml")
    new = target.render("a: 1.5\nb: x\nc: 'x'\nd:\n", {"a": 1e-5, "b": "no", "c": "y-z", "d": "q"}, [])
    assert (
        new == "a: 1.0e-05\nb: \"no\"\nc: 'y-z'\nd: q\n"
    )  # readers of YAML 1.1 take 1e-05 and no for other things


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", '{\n  "lr": 1.5\n}'),
        ("{\n}", '{\n  "lr": 1.5\n}'),
        ('{"a":1}', '{"a":1, "lr":1.5}'),
        ('{"a":1,"b":2}', '{"a":1,"b":2,"lr":1.5}'),
        ('{\n    "a": 1,\n    "b": 2\n}', '{\n    "a": 1,\n    "b": 2,\n    "lr": 1.5\n}'),
    ],
)
def test_a_new_member_stands_as_its_neighbours_do(text: str, expected: str) -> None:
    assert make_target("hp.json").render(text, {"lr": 1.5}, []) == expected


def test_a_yaml_file_without_a_last_line_end_gets_one_between() -> None:
    assert make_target("hp.yaml").render("a: 1", {"a": 1, "lr": 2}, []) == "a: 1\nlr: 2\n"


@pytest.mark.parametrize(
    ("file", "said"), [("hp.ini", "one of .py"), ("hp.jsn", "Did you mean '.json'"), ("hp", "one of")]
)
def test_an_unknown_format_is_refused(file: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_target(file)


def test_a_prefix_is_for_constants_only() -> None:
    with pytest.raises(ConfigError, match="prefix"):
        make_target("hp.json", None, "XGB_")


@pytest.mark.parametrize(
    ("file", "section", "prefix"),
    [
        ("hp.py", None, "a b"),
        ("hp.py", None, "1_"),
        ("hp.py", None, "X = 1\n"),
        ("hp.py", "", ""),
        ("hp.py", "a b", ""),
        ("hp.py", "class", ""),
        ("hp.py", "a.b", ""),
        ("hp.json", "a..b", ""),
        ("hp.toml", ".a", ""),
        ("hp.yaml", "a.", ""),
    ],
)
def test_what_would_make_a_file_that_nobody_can_read_is_refused(file: str, section: str, prefix: str) -> None:
    """It was written, and deployed: no module had such a constant, and no reader expects such a key."""
    with pytest.raises(ConfigError, match=r"under \[deploy\]") as caught:
        make_target(file, section, prefix)
    assert caught.value.remedy


def test_a_new_module_has_no_constant_that_begins_with_a_digit() -> None:
    with pytest.raises(ConfigError, match="'2ND' for '2nd' is no name of a constant"):
        make_target("hp.py").create({"lr": 1, "2nd": 2})
    assert ast.literal_eval(make_target("hp.py", "PARAMS").create({"2nd": 2}).split("=")[1]) == {"2nd": 2}
    assert "P_2ND = 2" in make_target("hp.py", None, "P_").create({"2nd": 2})


scalars = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    st.sampled_from(
        ["yes", "null", "1", "1e5", "0x1", "~", "- a", "a: b", "#", "2020-01-01", "=", "<<", "é", "0o7"]
    ),
)
configs = st.dictionaries(
    st.from_regex(r"[a-z][a-zA-Z0-9_]{0,8}", fullmatch=True), scalars, min_size=1, max_size=6
)


@pytest.mark.parametrize("file", ["hp.json", "hp.toml", "hp.yaml", "hp.py"])
@pytest.mark.parametrize("section", [None, "model", "a.b"])
@settings(deadline=None, max_examples=25, phases=[Phase.explicit, Phase.generate])
@given(first=configs, second=configs)
def test_every_value_is_read_back_as_it_was(
    file: str, section: str | None, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """From a new file on, through a change of any values and names, each format returns what was written."""
    if file == "hp.py":
        if section == "a.b" or len({name.upper() for name in first | second}) < len(first | second):
            return
        second = {
            name: second.get(name, value) for name, value in first.items()
        }  # a module gets no new constants
    target = make_target(file, section)
    text = target.create(first)
    assert_holds(target, text, first)
    names = [*first, *second]
    changed = target.render(text, second, names)
    assert_holds(target, changed, second)
    if not target.keeps_inactive:
        assert set(target.find(changed, names)) <= set(second)
    assert_holds(target, target.render(changed, first, names), first)


def assert_holds(target: Target, text: str, params: dict[str, Any]) -> None:
    found = target.find(text, params)
    for name, value in params.items():
        assert type(found.get(name)) is type(value)
        assert found.get(name) == value


def test_a_diff_shows_new_files_and_missing_line_ends() -> None:
    assert unified_diff(b"a\nb", b"a\nc", "m.py").splitlines() == [
        "--- a/m.py",
        "+++ b/m.py",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "\\ No newline at end of file",
        "+c",
        "\\ No newline at end of file",
    ]
    assert unified_diff(None, b"a\n", "m.py").startswith("--- /dev/null\n+++ b/m.py\n")
    assert unified_diff(b"a\n", b"a\n", "m.py") == ""
