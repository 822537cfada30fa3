"""What was in production at some time."""

import json
from pathlib import Path

import pytest

from retrain.cli import cli, run_command
from retrain.live_at import Period, live_on
from tests.retrain.projects import SPACE, config_in
from tuner.errors import NotFoundError, UsageError
from tuner.registry import open_registry

NOON = 1_793_534_400.0  # 2026-11-01T12:00:00Z
HOUR = 3600.0
TOML = 'name = "credit"\n[pipeline]\nkind = "mine:train"\nmetric = "auc"\ndirection = "maximize"\n' + SPACE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Version 1 from noon, version 2 from two hours later, and back to version 1 a day later."""
    now = [NOON]
    with open_registry(tmp_path / "experiments.db", create=True, clock=lambda: now[0]) as registry:
        versions = [
            registry.stage_version("credit", {"x": x}, manifest={"metric": "auc", "metrics": {"auc": 0.9}})
            for x in (0.25, 0.75)
        ]
        for at, which, action in (
            (NOON, 0, "apply"),
            (NOON + 2 * HOUR, 1, "apply"),
            (NOON + 26 * HOUR, 0, "rollback"),
        ):
            now[0], active = at, getattr(registry.find_active("credit"), "number", None)
            registry.activate(
                versions[which], action=action, who="ann@host", reason="a try", expect_active=active
            )
    config_in(tmp_path, TOML)
    return tmp_path


@pytest.mark.parametrize(
    ("when", "versions"),
    [
        ("2026-11-01T12:00", [1]),
        ("2026-11-01T13:59:59Z", [1]),
        ("2026-11-01T14:00", [2]),
        ("2026-11-01T15:00+01:00", [2]),
        ("2026-11-01T14:59:59+01:00", [1]),
        ("2026-11-01", [1, 2]),
        ("2026-11-02", [2, 1]),
        ("2026-11-03", [1]),
        ("2030-01-01", [1]),
    ],
)
def test_what_was_live(when: str, versions: list[int], folder: Path) -> None:
    rows = json.loads(live_on(config_in(folder, TOML), when, "json"))
    assert [row["version"] for row in rows] == versions
    assert rows[0]["folder"] == str(folder / "versions" / f"{versions[0]:06d}")
    assert rows[0]["params"] == {"x": (0.25, 0.75)[versions[0] - 1]}


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("2026-11-01", 86_400),
        ("2026-11-01T14", 60),
        ("2026-11-01T14:00", 60),
        ("2026-11-01 14:00+01:00", 60),
        ("20261101T1400", 60),
        ("2026-11-01T14:00:30", 1),
        ("2026-11-01T14:00:30+01:00", 1),
        ("2026-11-01T14:00:30.5", 0),
    ],
)
def test_what_is_named_is_as_long_as_it_is_written(text: str, length: int) -> None:
    period = Period.parse(text)  # the ledger is shown to the minute, so a minute must find what is in it
    assert period.end - period.start == pytest.approx(length, abs=1e-4)


def test_it_is_told(folder: Path) -> None:
    text = live_on(config_in(folder, TOML), "2026-11-01T14:30")
    assert "credit: version 2" in text
    assert "2026-11-01T14:00:00Z to 2026-11-02T14:00:00Z" in text
    assert "apply of ann@host: a try" in text
    assert "0.75" in text
    assert " to now" in live_on(config_in(folder, TOML), "2026-12-24")
    assert live_on(config_in(folder, TOML), "2026-11-02", "csv").count("\n") == 2


@pytest.mark.parametrize("when", ["2026-10-31", "2026-11-01T11:59:59.9"])
def test_before_the_ledger_nothing_is_known(when: str, folder: Path) -> None:
    with pytest.raises(NotFoundError, match=r"The ledger begins at 2026-11-01 12:00 UTC"):
        live_on(config_in(folder, TOML), when)


def test_of_an_empty_ledger_nothing_is_known(tmp_path: Path) -> None:
    config = config_in(tmp_path, TOML)
    open_registry(tmp_path / "experiments.db", create=True).close()
    with pytest.raises(NotFoundError, match="The ledger is empty"):
        live_on(config, "2026-11-01")


@pytest.mark.parametrize("when", ["", "yesterday", "2026-13-01", "2026-11-01T25:00", "1"])
def test_what_is_no_time(when: str) -> None:
    with pytest.raises(UsageError, match="must be a day or a moment"):
        Period.parse(when)


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--config", str(folder), "--format", "json"]
    assert run_command(cli, "retrain", ["--history", "--at", "2026-11-01T12:30", *common]) == 0
    assert [row["version"] for row in json.loads(capsys.readouterr().out)] == [1]
    assert run_command(cli, "retrain", ["--history", "--at", "2026-10-01", *common]) == 6
    assert run_command(cli, "retrain", ["--history", "--at", "soon", *common]) == 2
    assert run_command(cli, "retrain", ["--at", "2026-11-01", *common]) == 2
    assert "--at goes with --history" in capsys.readouterr().err
