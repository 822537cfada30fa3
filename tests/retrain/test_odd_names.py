"""Names that no file can have, or that are something else than a file: one clear error each."""

import json
import os
from pathlib import Path

import pytest

from orchestrator.cli import cli as orchestrator_cli
from retrain.cli import cli, run_command
from retrain.config import load_config
from tuner.errors import ConfigError

LONG = "x" * 300
PYTHON = 'kind = "train.py:objective"\ndirection = "maximize"\nmetric = "score"'
KEYS = {
    "db": "db = {name}\n[pipeline]\n" + PYTHON,
    "kind": '[pipeline]\nkind = {kind}\ndirection = "maximize"\nmetric = "score"',
    "command": '[pipeline]\nkind = "command"\ncommand = [{name}]\nmetric = "score"\ndirection = "maximize"',
    "data": '[pipeline]\nmodel = "xgboost"\ntarget = "y"\nmetric = "roc_auc"\ndata = {name}',
    "deploy.target": "[pipeline]\n" + PYTHON + "\n[deploy]\ntarget = {name}",
    "deploy.versions": "[pipeline]\n" + PYTHON + "\n[deploy]\nversions = {name}",
}
SPACE = '\n[space.params]\nmax_depth = { type = "int", low = 1, high = 9 }\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("RETRAIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("def objective(params):\n    return params['max_depth']\n")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "file").write_text("")
    return tmp_path


def configure(project: Path, key: str, name: str) -> None:
    text = KEYS[key].format(name=json.dumps(name), kind=json.dumps(f"{name}:objective"))
    (project / "retrain.toml").write_text(text + SPACE)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", ["a\0b.py", f"{LONG}.py", "folder.py", "file/b.py", "-1/1", "-1.py/1.py"])
def test_an_odd_name_is_one_clear_error(
    project: Path, key: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, key, name)
    code = run_command(cli, "retrain", ["--apply-hp", '{"max_depth": 9}', "-q"])
    out, err = capsys.readouterr()
    if key == "deploy.versions" and name in ("folder.py", "-1/1", "-1.py/1.py"):
        assert code == 0, err + "a folder is what it must be, and is made where it is not"
        return
    assert (code in (2, 4), out) == (True, "")
    assert "Error" not in err, "it was foreseen"
    error, remedy = err.splitlines()
    assert error.startswith("error: ")
    assert remedy.startswith("try: ")


def test_the_key_that_holds_a_nul_is_named(project: Path) -> None:
    configure(project, "deploy.target", "a\0b.py")
    with pytest.raises(ConfigError, match=r"retrain\.toml: `deploy.target` must not hold a NUL"):
        load_config(project)
    with pytest.raises(ConfigError, match=r"`gate\[0\].metric` must not hold a NUL"):
        load_config(project, {"deploy.target": "a.py", "gate": [{"metric": "\0", "min": 1}]})


@pytest.mark.parametrize("name", ["a\0b", LONG, "file/b"])
def test_a_configuration_that_cannot_be(name: str, project: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load_config(project / name)
    assert caught.value.remedy == "Name another file with --config."


@pytest.mark.parametrize("name", [LONG, "folder.py", "file/b", "-1/1"])
def test_a_registry_that_cannot_be(name: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(project, "deploy.versions", "versions")
    code = run_command(orchestrator_cli, "orchestrator", ["--summary", f"--db={name}"])
    error, remedy = capsys.readouterr().err.splitlines()
    assert code in (2, 4, 6)
    assert error.startswith("error: ")
    assert remedy.startswith("try: ")
