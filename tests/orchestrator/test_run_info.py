"""What a run says about where it came from."""

import json
import sys
from pathlib import Path

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
