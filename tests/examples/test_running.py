"""How the examples are run, whichever they are: one table, and a failure that is not swallowed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import examples.__main__ as running
from examples.steps import Gained, Shell, StepError
from tuner.errors import ConfigError

GAINED = Gained(
    "shop_churn_recall", "balanced_accuracy", 0.5, 0.625, 0.1, 0.15, 250, 90.0, note="of a sample"
)


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A single example "shop" whose `run` is to be put into the dictionary."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "model.py").write_text("ALPHA = 1\n")
    found: dict[str, Any] = {}
    monkeypatch.setattr(running, "HERE", tmp_path)
    monkeypatch.setattr(running, "NAMES", ("shop",))
    monkeypatch.setattr(running, "import_module", lambda name: SimpleNamespace(run=found[name]))
    return found


def test_a_row_tells_what_was_gained_and_fits_the_terminal() -> None:
    text = running.table([GAINED, Gained("b", "rmse", 2.0, 1.5, None, None, 5, 6.0)])
    assert max(map(len, text.splitlines())) <= 80
    row = text.splitlines()[3].split()
    assert row[:4] == ["shop_churn_recall", "0.5000", "0.6250", "+0.1250"]
    assert "[+0.1000, +0.1500]" in text
    assert row[-2:] == ["250", "1.5"]
    assert "\nshop_churn_recall: balanced_accuracy; of a sample\n" in text
    assert text.endswith("\nb: rmse")


def test_tasks_of_one_application_stand_below_it() -> None:
    names = ["verbal_autopsy, known logistic_regression", "verbal_autopsy, new xgboost", "risk"]
    rows = [Gained(name, "m", 0.5, 0.625, 0.1, 0.15, 250, 90.0) for name in names]
    lines = running.table(rows).splitlines()
    assert max(map(len, lines)) <= 80
    labels = [line[:26].strip() for line in lines[3:7]]
    assert labels == ["verbal_autopsy", "known logistic_regression", "new xgboost", "risk"]


def test_an_example_runs_in_a_copy(one: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Path] = []

    def run(folder: Path, data: Path | None) -> list[Gained]:
        assert data is None
        (folder / "model.py").write_text("ALPHA = 2\n")
        seen.append(folder)
        return [GAINED]

    one["examples.shop.run"] = run
    assert running.main([]) == 0
    assert (running.HERE / "shop" / "model.py").read_text() == "ALPHA = 1\n"
    assert not seen[0].exists(), "the copy is gone"
    assert "+0.1250" in capsys.readouterr().out


def test_one_that_fails_is_named_and_counts(one: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    def run(folder: Path, _: Path | None) -> list[Gained]:
        Shell(folder).run("false")
        return [GAINED]

    one["examples.shop.run"] = run
    assert running.main(["shop"]) == 1
    assert "shop: `false` must end with [0], but ended with 1" in capsys.readouterr().err


@pytest.mark.parametrize("line", [["nowhere"], ["--data", "/no/such/folder"]])
def test_what_is_not_there_is_refused(
    line: list[str], one: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        running.main(line)
    assert caught.value.code == 2
    assert line[-1] in capsys.readouterr().err


def test_what_is_missing_is_one_sentence_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> list[Gained]:
        raise ConfigError("The model needs a package.", "pip install it")

    monkeypatch.setattr(running, "run", run)
    assert running.main(["movies"]) == 1
    assert capsys.readouterr().err == "error: movies: The model needs a package.\ntry: pip install it\n"


def test_a_shell_shows_commands_and_reads_json(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shell = Shell(tmp_path)
    assert shell.run("sh", "-c", "echo here; exit 3", codes=(0, 3)) == 3
    assert capfd.readouterr().out == "$ sh -c 'echo here; exit 3'\nhere\n"
    assert shell.read("sh", "-c", 'echo "[1]"') == [1]
    with pytest.raises(StepError, match="ended with 1"):
        shell.read("false")
