"""Somebody who reads what is deployed as fast as he can, while it is replaced."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain.deploy.files import sha256_of
from tests.retrain.deploy.project import Project, in_process

__all__ = ["Seen", "read_while_applying"]


@dataclass
class Seen:
    """What the reader saw: how many versions, by their parameters, and how many reads of no whole one."""

    n_reads: int = 0
    n_versions: int = 0
    n_broken_targets: int = 0
    n_broken_pointers: int = 0


def read_while_applying(root: Path, n_applies: int, n_reads: int) -> Seen:
    """Read target and pointer until the applies are done, and `n_reads` times at least."""
    project = Project(root, extra="[[gate]]\nmetric = 'rmse'\nmax_drop = 10.0\n")
    project.apply({"alpha": 0.5, "degree": 2, "centred": True})
    process = in_process(root, "apply_many", 0, n_applies)
    seen, alphas = Seen(), set()
    while process.is_alive() or seen.n_reads < n_reads:
        seen.n_reads += 1
        names: dict[str, Any] = {}
        try:
            exec(project.target.read_text(), names)
            alphas.add(names["ALPHA"])
            complete = (names["DEGREE"], names["CENTRED"], names["helper"]()) == (2, True, 3)
        except (SyntaxError, KeyError, OSError):
            complete = False
        seen.n_broken_targets += not complete
        seen.n_broken_pointers += not _points_at_a_whole_version(root / "versions")
    process.join()
    assert process.exitcode == 0
    seen.n_versions = len(alphas)
    return seen


def _points_at_a_whole_version(versions: Path) -> bool:
    try:
        pointer: Mapping[str, Any] = json.loads((versions / "current.json").read_text())["ridge"]
        folder = versions / pointer["folder"]
        manifest = json.loads((folder / "manifest.json").read_text())
    except (ValueError, KeyError, OSError):
        return False
    whole = all(sha256_of(folder / name) == entry["sha256"] for name, entry in manifest["files"].items())
    return whole and manifest["params"] == pointer["params"] and manifest["version"] == pointer["version"]
