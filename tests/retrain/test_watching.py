"""`retrain --watch-metric`: the last entry of a file, and one small tuning for each that breaks a bound."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from retrain import watching
from retrain.cli import cli, run_command
from retrain.config import Config, load_config
from retrain.monitored import read_metric
from retrain.watching import BELOW, Watched, watch, watched_text
from tuner.errors import DataError, NotFoundError, UsageError
from tuner.registry import open_registry

FORMS = [
    ("m.json", "0.91", ("roc_auc", 0.91)),
    ("m.json", '{"roc_auc": 0.91, "at": "noon"}', ("roc_auc", 0.91)),
    ("m.json", '{"value": 1}', ("value", 1.0)),
    ("m.json", "[0.95, 0.91]", ("roc_auc", 0.91)),
    ("m.json", '[{"roc_auc": 0.95}, {"roc_auc": 0.91}]', ("roc_auc", 0.91)),
    ("m.jsonl", '{"roc_auc": 0.95}\n{"roc_auc": 0.91}\n\n', ("roc_auc", 0.91)),
    ("m.txt", "0.95\n0.91\n", ("roc_auc", 0.91)),
    ("m.csv", "at,roc_auc\n1,0.95\n2,0.91\n", ("roc_auc", 0.91)),
    ("m.tsv", "at\tvalue\n1\t0.95\n2\t9e-1\n", ("value", 0.9)),
    ("m.csv", "\ufeffroc_auc\r\n0.91\r\n", ("roc_auc", 0.91)),
]

FAULTS = [
    ("m.json", "", "is empty"),
    ("m.json", "[]", "an empty list"),
    ("m.json", '{"roc_aux": 0.9}', "must hold 'roc_auc' .* but holds roc_aux.*Did you mean 'roc_aux'"),
    ("m.json", '{"roc_auc": "high"}', "must be a finite number, but is 'high'"),
    ("m.json", '{"roc_auc": true}', "must be a finite number, but is True"),
    ("m.json", '{"roc_auc": null}', "must be a finite number"),
    ("m.json", '{"roc_auc": NaN}', "must hold JSON"),
    ("m.json", '{"roc_auc": 0.9, "roc_auc": 0.1}', "must hold JSON"),
    ("m.jsonl", '{"roc_auc": 0.9}\n{"roc_a', "The last line .* must be JSON"),
    ("m.csv", "roc_auc\n", "a row below its header"),
    ("m.csv", "roc_auc\nnan\n", "must be a finite number, but is 'nan'"),
    ("m.csv", "roc_auc\n1e999\n", "must be a finite number"),
    ("m.csv", "at,roc_auc\n1\n", "must be a finite number, but is None"),
    ("m.json", "[" * 100_000, "must hold JSON"),
]

TOML = """
[pipeline]
model = "xgboost"
data = "breast_cancer"
metric = "roc_auc"
"""


@pytest.mark.parametrize(("name", "text", "expected"), FORMS)
def test_the_last_entry_counts(tmp_path: Path, name: str, text: str, expected: tuple[str, float]) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    reading = read_metric(path, "roc_auc")
    assert (reading.name, reading.value) == expected


@pytest.mark.parametrize(("name", "text", "match"), FAULTS)
def test_a_file_without_the_number_is_one_error(tmp_path: Path, name: str, text: str, match: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=match):
        read_metric(path, "roc_auc")


def test_no_file_a_folder_and_bytes_are_errors_too(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        read_metric(tmp_path / "none.json", "roc_auc")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_metric(tmp_path, "roc_auc")
    (tmp_path / "m.json").write_bytes(b"\xff\xfe0")
    with pytest.raises(DataError, match="UTF-8"):
        read_metric(tmp_path / "m.json", "roc_auc")


class Starts:
    """Stands in for the command: remembers what it was asked to run."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.seen: list[tuple[list[str], dict[str, str]]] = []

    def __call__(self, command: Sequence[str], variables: Mapping[str, str]) -> int:
        self.seen.append(([*command], dict(variables)))
        return self.code


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return project(tmp_path)


def project(root: Path, extra: str = "") -> Config:
    (root / "retrain.toml").write_text(TOML + extra)
    (root / "live.csv").write_text("at,roc_auc\n1,0.95\n")
    return load_config(root, environ={})


def look(config: Config, starts: Starts, **options: Any) -> Watched:
    return watch(config, config.root / "live.csv", start=starts, **{"low": 0.9, **options})


def append(config: Config, row: str) -> None:
    with (config.root / "live.csv").open("a") as file:
        file.write(f"{row}\n")


def test_a_metric_that_keeps_its_floor_starts_nothing_and_makes_no_registry(config: Config) -> None:
    starts = Starts()
    watched = look(config, starts)
    assert (watched.is_met, watched.command, watched.code) == (True, (), 0)
    assert watched_text(watched) == "roc_auc is 0.95, at least 0.9: nothing to do"
    assert starts.seen == []
    assert not (config.root / "experiments.db").exists()
    assert look(config, starts, low=0.95).is_met  # on the floor is not below it


def test_below_its_floor_a_conservative_tuning_starts_once_for_each_entry(config: Config) -> None:
    starts = Starts()
    append(config, "2,0.85")
    watched = look(config, starts, flags=["--db", "x.db"])
    ((command, variables),) = starts.seen
    assert command[1:] == [
        *("--db", "x.db", "--study", "xgboost-breast_cancer-conservative"),
        *("--method", "bayesian", "--configs", "5", "--timeout", "10m"),
    ]
    assert variables == {"RETRAIN_SPACE_PRESET": "conservative"}
    assert "not at least 0.9: tuned" in watched_text(watched)
    assert "--summary --study xgboost-breast_cancer-conservative" in watched_text(watched)
    with open_registry(config.db, create=False) as registry:
        (event,) = registry.events(kind=BELOW)
    assert (event.data["value"], event.data["code"], event.salience) == (0.85, 0, 0.8)

    again = look(config, starts)
    assert (len(starts.seen), again.known_since, again.code) == (1, event.at, 0)
    assert "has started a tuning before; another one: --force" in watched_text(again)
    look(config, starts, force=True)
    assert len(starts.seen) == 2
    append(config, "3,0.85")  # the same figure, measured anew
    look(config, starts)
    assert len(starts.seen) == 3


@pytest.mark.parametrize(("code", "n_started"), [(0, 1), (5, 1), (1, 2), (4, 2), (130, 2)])
def test_a_tuning_that_came_to_nothing_is_started_again(config: Config, code: int, n_started: int) -> None:
    starts = Starts(code)
    append(config, "2,0.5")
    assert look(config, starts).code == code
    look(config, starts)
    assert len(starts.seen) == n_started


def test_a_space_of_ones_own_is_tuned_as_it_is(tmp_path: Path) -> None:
    own = '[space.params]\nmax_depth = { type = "int", low = 2, high = 9 }\n[study]\nname = "mine"\n'
    config = project(tmp_path, own)
    starts = Starts()
    look(config, starts, low=0.99, high=1.0)
    ((command, variables),) = starts.seen
    assert command[command.index("--study") + 1] == "mine"
    assert variables == {}


def test_bounds_that_make_no_sense_are_refused(config: Config) -> None:
    with pytest.raises(UsageError, match="needs a bound"):
        look(config, Starts(), low=None)
    with pytest.raises(UsageError, match="at most --max"):
        look(config, Starts(), low=0.9, high=0.1)
    with pytest.raises(UsageError, match="More of roc_auc is better: --max alone"):
        look(config, Starts(), low=None, high=0.1)


def test_the_command_gets_the_variables_and_keeps_stdout_clean(
    config: Config, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = config.root / "fake"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        "print('child', os.environ['RETRAIN_SPACE_PRESET'], *sys.argv[1:])\nsys.exit(5)\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(watching, "_program", lambda: str(program))
    monkeypatch.chdir(config.root)
    append(config, "2,0.5")
    arguments = ["--watch-metric", "live.csv", "--min", "0.9", "--format", "json"]
    assert run_command(cli, "retrain", arguments) == 5
    out, err = capfd.readouterr()
    document = json.loads(out)
    assert (document["met"], document["exit_code"], document["value"]) == (False, 5, 0.5)
    assert "child conservative --study" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--min", "0.9"], "--min goes with --watch-metric, not alone"),
        (["--watch-metric", "live.csv"], "needs a bound"),
        (["--watch-metric", "live.csv", "--tune"], "exclude each other"),
        (["--watch-metric", "gone.csv", "--min", "1"], "There is no file 'gone.csv'"),
        (["--watch-metric", "live.csv", "--min", "high"], "not a valid float"),
    ],
)
def test_mistakes_are_one_error(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(config.root)
    assert run_command(cli, "retrain", arguments) != 0
    assert message in capsys.readouterr().err


def test_quiet_where_there_is_nothing_to_do_is_silence(
    config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(config.root)
    arguments = ["--watch-metric", "live.csv", "--min", "0.9", "-q"]
    assert run_command(cli, "retrain", arguments) == 0
    assert capsys.readouterr() == ("", "")
    assert run_command(cli, "retrain", [*arguments, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["met"] is True
