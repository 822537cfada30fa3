"""A project with sites, and `orchestrator` in this process with workers that are none."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import launch as launch_module
from orchestrator.cli import cli
from orchestrator.request import Request
from retrain.cli import run_command
from retrain.pipeline import Pipeline
from tests.orchestrator.comparison.places import InlinePool, write_places

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a configuration and its table."""
    for name in [name for name in os.environ if name.startswith("RETRAIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    write_places(tmp_path)
    return tmp_path


@pytest.fixture
def pools(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[InlinePool]:
    """Every pool that is started."""
    started: list[InlinePool] = []

    def start_pool(request: Request, pipeline: Pipeline, data: object, n_workers: int) -> InlinePool:
        started.append(InlinePool(pipeline, data, n_workers))
        return started[-1]

    monkeypatch.setattr(launch_module, "start_pool", start_pool)
    return started


@pytest.fixture
def run(pools: list[InlinePool], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Type a command: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *arguments])
        code = run_command(cli, "orchestrator")
        return code, *capsys.readouterr()

    return run
