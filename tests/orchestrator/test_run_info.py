"""What a run says about where it came from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.run_info import run_info, without_secrets


def test_passwords_in_urls_are_taken_out() -> None:
    given = ["orchestrator", "--db", "postgresql://me:hunter2@host/db", "--study", "a@b"]
    assert without_secrets(given) == ["orchestrator", "--db", "postgresql://***@host/db", "--study", "a@b"]
    assert without_secrets(["postgresql://host/db?password=hunter2"]) == ["postgresql://host/db?password=***"]


def test_it_is_json_and_tells_what_matters(tmp_path: Path) -> None:
    info = json.loads(json.dumps(run_info(["orchestrator", "-q"], tmp_path)))
    assert info["argv"] == ["orchestrator", "-q"]
    assert info["git"] is None
    assert info["python"] == ".".join(map(str, sys.version_info[:3]))
    assert set(info["libraries"]) >= {"numpy", "ray", "xgboost"}


def test_commit_and_dirty_flag(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    (tmp_path / "model.py").write_text("ETA = 0.1\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    assert run_info([], tmp_path)["git"] == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "model.py").write_text("ETA = 0.2\n")
    assert run_info([], tmp_path)["git"]["dirty"] is True


def test_without_git_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_info([])["git"] is None
