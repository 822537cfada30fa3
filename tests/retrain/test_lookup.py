"""Reports read a few settings without the schema: the same as it gives, or they leave it to the schema."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from retrain.config import Config, Lookup, load_config, look_up
from retrain.config.lookup import KNOWN_KEYS
from tuner.errors import ConfigError

PYTHON = '[pipeline]\nkind = "objective:train"\ndirection = "minimize"\n'
TABULAR = '[pipeline]\nmodel = "xgboost"\ndata = "iris"\nmetric = "accuracy"\n'
COMMAND = '[pipeline]\nkind = "command"\ncommand = "python train.py {params}"\ndirection = "maximize"\n'

VALID = [
    PYTHON,
    TABULAR,
    COMMAND,
    'name = "x"\n' + TABULAR,
    'name = "x"\ndb = "other.db"\n' + PYTHON + '[study]\nname = "s"\n',
    'db = "sqlite:////tmp/a.db"\n' + TABULAR + "[splits]\nfolds = 3\nrepeats = 2\n",
    'db = "postgresql://me@host/db"\n' + COMMAND,
    "allow_network_fs = true\n" + PYTHON,
    'db = "sqlite:///:memory:"\n' + PYTHON + "[splits]\nfolds = 1000\n[study]\nseed = 3\n",
    TABULAR + '[[gate]]\nmetric = "test_accuracy"\nmin = 0.5\n[deploy]\ntarget = "model.py"\n',
    '[pipeline]\nkind = "command"\ncommand = ["python", "-m", "x y", "a/b.py"]\ndirection = "minimize"\n',
]
WRONG = [
    "",
    "name = 3\n" + PYTHON,
    'name = "a b"\n' + PYTHON,
    "db = 3\n" + PYTHON,
    "allow_network_fs = 3\n" + PYTHON,
    'colour = "red"\n' + PYTHON,
    "pipeline = 3\n",
    PYTHON + 'modle = "x"\n',
    '[pipeline]\nkind = "tabuler"\n',
    "[pipeline]\nkind = 3\n",
    TABULAR + "[splits]\nfolds = 1\n",
    TABULAR + "[splits]\nfolds = true\n",
    TABULAR + "[splits]\nfold = 3\n",
    TABULAR + "[study]\nname = ''\n",
    TABULAR + "[study]\nsede = 1\n",
    PYTHON + "[study",
]


def whole(path: Path, overrides: dict[str, Any], environ: dict[str, str]) -> Lookup:
    return Lookup.of(load_config(path, overrides, environ=environ))


def outcome(act: Callable[[], Lookup]) -> Lookup | tuple[Any, ...]:
    """What is looked up, or what the error says."""
    try:
        return act()
    except ConfigError as error:
        return error.args


def test_the_known_keys_are_those_of_the_schema() -> None:
    for table, keys in KNOWN_KEYS.items():
        model = Config if table == "" else cast(type[BaseModel], Config.model_fields[table].annotation)
        assert keys == {name for name, field in model.model_fields.items() if not field.exclude}


@pytest.mark.parametrize("text", VALID)
@pytest.mark.parametrize("overrides", [{}, {"db": "flag.db"}, {"study.name": "other", "db": None}], ids=str)
@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"RETRAIN_DB": "env.db", "RETRAIN_STUDY_NAME": "env"},
        {"RETRAIN_SPLITS_FOLDS": "7", "RETRAIN_UNRELATED": "x"},
        {"RETRAIN_PIPELINE_KIND": "other:train", "RETRAIN_PIPELINE_DIRECTION": "minimize"},
    ],
    ids=str,
)
def test_it_is_what_the_whole_configuration_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    overrides: dict[str, Any],
    environ: dict[str, str],
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    source = tmp_path / "retrain.toml"
    source.write_text(text)
    expected = outcome(lambda: whole(source, overrides, environ))  # an error, where the kind is another
    assert outcome(lambda: look_up(source, overrides, environ=environ)) == expected


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_explained_by_the_schema(tmp_path: Path, text: str) -> None:
    source = tmp_path / "retrain.toml"
    source.write_text(text)
    with pytest.raises(ConfigError) as expected:
        load_config(source, environ={})
    with pytest.raises(ConfigError) as caught:
        look_up(source, environ={})
    assert caught.value.args == expected.value.args


def test_without_a_configuration_the_error_is_the_same(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no.toml"):
        with pytest.raises(ConfigError) as expected:
            load_config(path, environ={})
        with pytest.raises(ConfigError) as caught:
            look_up(path, environ={})
        assert caught.value.args == expected.value.args


NAMES = st.text("ab.-_ é/", max_size=6)
DOCUMENTS = st.fixed_dictionaries(
    {"kind": st.sampled_from(["objective:train", "tabular", "command", "a.py:f", "x", ":f", "m:1"])},
    optional={
        "name": NAMES,
        "db": NAMES,
        "study": NAMES,
        "folds": st.integers(-1, 1001) | st.booleans(),
        "command": st.sampled_from(["", " ", "python x.py", "./run"]),
        "data": NAMES,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=DOCUMENTS, in_environment=st.booleans())
def test_any_valid_configuration_is_looked_up_as_it_is_loaded(
    tmp_path: Path, document: dict[str, Any], in_environment: bool
) -> None:
    environ = {"RETRAIN_STUDY_NAME": "e", "RETRAIN_DB": "e.db"} if in_environment else {}
    source = tmp_path / "retrain.toml"
    source.write_text(_toml(document), "utf-8")
    try:
        expected = whole(source, {}, environ)
    except Exception:  # noqa: BLE001 - not valid: whether a report may still be made is not the question here
        return
    assert look_up(source, {}, environ=environ) == expected


def _toml(document: dict[str, Any]) -> str:
    def line(key: str, name: str) -> str:
        value = document.get(name)
        if value is None:
            return ""
        return f"{key} = {str(value).lower() if isinstance(value, bool | int) else repr(str(value))}\n"

    top = line("name", "name") + line("db", "db")
    pipeline = "[pipeline]\n" + line("kind", "kind")
    if document["kind"] == "tabular":
        pipeline += 'model = "xgboost"\nmetric = "accuracy"\ntarget = "y"\n' + line("data", "data")
    else:
        pipeline += 'direction = "minimize"\n'
    if document["kind"] == "command":
        pipeline += line("command", "command")
    return top + pipeline + "[splits]\n" + line("folds", "folds") + "[study]\n" + line("name", "study")


def test_the_usual_case_does_without_the_schema(tmp_path: Path) -> None:
    (tmp_path / "retrain.toml").write_text(PYTHON)
    code = "import sys; from retrain.config import look_up; look_up(); print('pydantic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
