"""Projects to start from: made once, copied for each test."""

import shutil
from pathlib import Path

import pytest

from tests.retrain.deploy.project import BETTER, GOOD, Project, existing


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project into which nothing was deployed yet."""
    return Project(tmp_path)


@pytest.fixture(scope="session")
def _deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("deployed")
    Project(root).apply(GOOD)
    return root


@pytest.fixture(scope="session")
def _deployed_twice(_deployed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("twice") / "copy"
    _copy(_deployed, root).apply(BETTER)
    return root


@pytest.fixture
def deployed(_deployed: Path, tmp_path: Path) -> Project:
    """Version 1 is what was found, version 2 holds GOOD and is active."""
    return _copy(_deployed, tmp_path / "copy")


@pytest.fixture
def deployed_twice(_deployed_twice: Path, tmp_path: Path) -> Project:
    """As `deployed`, and version 3 holds BETTER and is active."""
    return _copy(_deployed_twice, tmp_path / "copy")


def _copy(base: Path, root: Path) -> Project:
    shutil.copytree(base, root, ignore=shutil.ignore_patterns("*owners*"))
    return existing(root)
