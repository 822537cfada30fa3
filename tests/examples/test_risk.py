"""Credit risk: its data, its modes, and one short search to a promoted model."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

import examples.risk
from examples.risk.data import COLUMNS, FILE, TARGET, sample, write_clients
from examples.risk.modes import MODES, Mode, words
from examples.risk.run import promoted
from examples.steps import Shell
from retrain.config import load_config
from retrain.pipelines import load_pipeline
from tuner.errors import DataError, UsageError
from tuner.experiment import State
from tuner.presets import PRESETS
from tuner.registry import open_registry

HERE = Path(examples.risk.__file__).parent


def project(folder: Path, n: int = 300) -> Path:
    shutil.copy(HERE / "retrain.toml", folder)
    write_clients(folder / "clients.csv", None, n=n)
    return folder


# ---- data


def test_the_sample_has_the_format_of_the_published_file_and_follows_the_seed() -> None:
    clients = sample(400, seed=1)
    assert clients == sample(400, seed=1) != sample(400, seed=2)
    assert all(tuple(row) == COLUMNS for row in clients)
    assert all(type(value) is int for value in clients[0].values())
    assert 0.1 < sum(row[TARGET] for row in clients) / 400 < 0.4
    assert {row["PAY_0"] for row in clients} <= set(range(-2, 9))


def test_the_published_file_is_taken_as_it_is_and_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir()
    write_clients(tmp_path / FILE, None, n=20)
    taken = write_clients(tmp_path / "clients.csv", tmp_path)
    assert taken.read_bytes() == (tmp_path / FILE).read_bytes()
    with pytest.raises(DataError, match="There is no file"):
        write_clients(tmp_path / "clients.csv", tmp_path / "elsewhere")
    with (tmp_path / FILE).open("w", newline="") as file:
        csv.writer(file).writerow([name for name in COLUMNS if name != TARGET])
    with pytest.raises(DataError, match=f"lacks {TARGET}"):
        write_clients(tmp_path / "clients.csv", tmp_path)


def test_the_number_of_a_client_is_no_feature(tmp_path: Path) -> None:
    pipeline = load_pipeline(load_config(project(tmp_path), environ={}))
    names = pipeline.load().table.columns.names  # type: ignore[attr-defined]
    assert "ID" not in names
    assert TARGET not in names
    assert len(names) == 23


# ---- modes


def test_the_modes_are_those_that_were_promised() -> None:
    assert {name: (each.experiments, each.time_budget, each.pruner) for name, each in MODES.items()} == {
        "conservative": (5, "10m", "none"),
        "default": (50, "1h", "none"),
        "aggressive": (100, "2h", "asha"),
    }
    assert {each.preset for each in MODES.values()} <= set(PRESETS)


def test_a_dictionary_names_a_mode_and_changes_what_it_likes() -> None:
    assert Mode.of({}) == MODES["default"]
    given = {"mode": "aggressive", "grace_period": 20, "reduction_factor": 4, "max_concurrent": 2}
    command = words(Mode.of({**given, "time_budget": "30m"}))
    assert command[:4] == [
        "env",
        "RETRAIN_SPACE_PRESET=xgboost/aggressive",
        "RETRAIN_PRUNING_GRACE=20",
        "RETRAIN_PRUNING_REDUCTION_FACTOR=4",
    ]
    assert " ".join(command[4:]) == (
        "orchestrator --study risk-aggressive --method bayesian --configs 100 --timeout 30m --pruner asha"
        " --workers 2"
    )
    assert MODES["aggressive"].grace_period == 30, "the modes themselves stay as they are"


@pytest.mark.parametrize(
    ("settings", "words_"),
    [
        ({"mode": "agressive"}, "Did you mean 'aggressive'"),
        ({"grace_perod": 3}, "Did you mean 'grace_period'"),
        ({"experiments": 0}, "experiments must be"),
        ({"reduction_factor": 1}, "reduction_factor must be"),
        ({"max_concurrent": True}, "max_concurrent must be"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings: dict[str, Any], words_: str) -> None:
    with pytest.raises(UsageError) as caught:
        Mode.of(settings)
    assert words_ in str(caught.value)


# ---- the loop


def test_a_search_ends_in_a_model_at_a_path_that_stays(tmp_path: Path) -> None:
    shell = Shell(project(tmp_path))
    small = {"experiments": 4, "grace_period": 2, "preset": "xgboost/conservative"}
    mode = Mode.of({"mode": "aggressive", **small})
    shell.run(*words(mode), "--pool", "local", "--no-progress", "--workers", "1")
    config = load_config(tmp_path, {"study.name": "risk-aggressive"}, environ={})
    with open_registry(config.db, create=False) as registry:
        study = registry.find_study("risk-aggressive")
        assert study is not None
        counts = registry.counts(study)
        rows = registry.experiments(study, states=[State.COMPLETE])
        measured = registry.measurements(rows[0])
    assert counts[State.COMPLETE] + counts[State.PRUNED] == 5
    assert {2, 6, 18} <= {each.step for each in measured if each.metric == "roc_auc"}
    any_change = 'RETRAIN_GATE=[{metric = "roc_auc", max_drop = 1.0}]'
    shell.run("env", any_change, "retrain", "--apply-hp", '{"max_depth": 3, "n_estimators": 60}')
    found = promoted(tmp_path)
    assert found["version"] == 2
    assert found["params"]["max_depth"] == 3
    assert "test_roc_auc" in found["metrics"]
