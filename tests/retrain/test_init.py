import tomllib
from pathlib import Path

import pytest

from retrain.config import load_config
from retrain.init import EXAMPLES, init
from tuner.errors import UsageError


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_sound_configuration(tmp_path: Path, example: str) -> None:
    started = init(tmp_path, example)
    assert started.written == ("retrain.toml", "model.py", ".gitignore")
    config = load_config(tmp_path, environ={})
    assert config.pipeline.data == example
    assert config.search_space().defaults()
    assert config.gate
    assert len(started.next_commands) == 3


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_target_of_an_example_holds_the_defaults(tmp_path: Path, example: str) -> None:
    init(tmp_path, example)
    namespace: dict[str, object] = {}
    exec((tmp_path / "model.py").read_text(), namespace)  # our own file, made a line ago
    space = load_config(tmp_path, environ={}).search_space()
    assert {name: namespace[name.upper()] for name in space.names} == {
        name: parameter.default for name, parameter in space.params.items()
    }


def test_the_template_for_own_data_is_valid_and_named_as_such(tmp_path: Path) -> None:
    started = init(tmp_path)
    assert started.written == ("retrain.toml", ".gitignore")
    config = load_config(tmp_path, environ={})
    assert (config.pipeline.data, config.pipeline.target) == ("train.csv", "label")
    assert started.next_commands[0] == "retrain doctor"


def test_what_the_template_has_in_comments_is_valid_too(tmp_path: Path) -> None:
    init(tmp_path)
    path = tmp_path / "retrain.toml"
    lines = path.read_text().splitlines()
    optional = ("# drop", "# group", "# [space.params]", "# learning_rate", "# [[gate]]", "# metric", "# min")
    path.write_text(
        "\n".join(line.removeprefix("# ") if line.startswith(optional) else line for line in lines)
    )
    config = load_config(tmp_path, environ={})
    assert config.pipeline.drop == ("customer_id",)
    assert config.splits.group == "patient"
    assert config.gate[0].metric == "test_roc_auc"


@pytest.mark.parametrize("existing", [["retrain.toml"], ["model.py"], ["model.py", "retrain.toml"]])
def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path, existing: list[str]) -> None:
    for name in existing:
        (tmp_path / name).write_text("mine")
    before = content(tmp_path)
    with pytest.raises(UsageError, match="overwrites nothing") as caught:
        init(tmp_path, "digits")
    assert all(name in str(caught.value) for name in existing)
    assert content(tmp_path) == before


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "retrain.toml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="overwrites nothing"):
        init(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_an_unknown_example_names_the_closest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no example 'digit'\. Did you mean 'digits'\?"):
        init(tmp_path, "digit")
    assert content(tmp_path) == {}


def test_lines_are_added_to_a_gitignore_that_exists(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log\n/versions/\n")
    started = init(tmp_path)
    assert started.extended == (".gitignore",)
    lines = (tmp_path / ".gitignore").read_text().splitlines()
    assert lines[:2] == ["*.log", "/versions/"]
    assert lines.count("/versions/") == 1
    assert "/experiments.db*" in lines


def test_a_gitignore_that_needs_nothing_is_left_alone(tmp_path: Path) -> None:
    text = "/experiments.db*\r\n/versions/"
    (tmp_path / ".gitignore").write_bytes(text.encode())
    started = init(tmp_path)
    assert ".gitignore" not in (*started.written, *started.extended)
    assert (tmp_path / ".gitignore").read_bytes() == text.encode()


def test_the_examples_are_short(tmp_path: Path) -> None:
    init(tmp_path, "breast_cancer")
    text = (tmp_path / "retrain.toml").read_text()
    content_lines = [line for line in text.splitlines() if line and not line.startswith(("#", "["))]
    assert len(content_lines) <= 10
    assert tomllib.loads(text)["deploy"] == {"target": "model.py"}


def test_the_environment_of_the_user_plays_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAIN_PIPELINE_MODEL", "logistic_regression")
    init(tmp_path, "digits")
    assert "N_ESTIMATORS" in (tmp_path / "model.py").read_text()
