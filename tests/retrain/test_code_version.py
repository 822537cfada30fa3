"""What is recorded of the code: the commit and what was changed since."""

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from retrain.code_version import git_version, library_versions

Git = Callable[..., bytes]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Runs git in a new work tree without a commit."""

    def run(*arguments: str) -> bytes:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout

    run("init", "--quiet")
    return run


def test_the_commit_and_what_was_changed_since(git: Git, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("ETA = 0.1\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    commit = git("rev-parse", "HEAD").decode().strip()
    assert git_version(tmp_path) == {"commit": commit, "dirty": False, "diff": None}
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "new.csv").write_text("a\n")
    assert git_version(tmp_path / "sub") == {"commit": commit, "dirty": True, "diff": None}
    seen = set()
    for content in ("ETA = 0.2\n", "ETA = 0.3\n", "ETA = 0.2\n"):
        (tmp_path / "model.py").write_text(content)
        found = git_version(tmp_path)
        assert found is not None
        assert found["diff"] == hashlib.sha256(git("diff", "HEAD", "--binary")).hexdigest()
        seen.add(found["diff"])
    assert len(seen) == 2
    git("add", ".")
    assert git_version(tmp_path / "sub") != {"commit": commit, "dirty": False, "diff": None}


@pytest.mark.parametrize("missing", ["repository", "commit", "git"])
def test_what_is_missing_is_no_error(
    missing: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "commit":
        request.getfixturevalue("git")
    if missing == "git":
        monkeypatch.setenv("PATH", str(tmp_path))
    assert git_version(tmp_path) is None


def test_a_git_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 1000\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("retrain.code_version._TIMEOUT_S", 0.05)
    assert git_version(tmp_path) is None


def test_versions_are_looked_up() -> None:
    assert {"python", "numpy", "xgboost"} <= library_versions().keys()
