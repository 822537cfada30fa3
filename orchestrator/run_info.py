"""What a run was made with, so that it can be understood years later: command, code, libraries, machine."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from retrain.passwords import without_password

__all__ = ["run_info", "without_secrets"]

_LIBRARIES = ("retrain", "numpy", "pandas", "scikit-learn", "xgboost", "scikit-optimize", "ray", "sqlalchemy")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def run_info(argv: Sequence[str], folder: Path | None = None) -> dict[str, Any]:
    """Return a JSON-ready record of this invocation. Looks up versions without importing the libraries.

    Args:
        argv: the command as typed; passwords in URLs are taken out.
        folder: where the user's code is; the working directory when not given.
    """
    return {
        "argv": without_secrets(argv),
        "git": _git(folder or Path.cwd()),
        "python": platform.python_version(),
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
        "host": platform.node(),
        "system": platform.platform(),
        "n_cores": os.cpu_count(),
    }


def without_secrets(argv: Sequence[str]) -> list[str]:
    """Return the arguments with the user and password of every URL hidden."""
    return [_USERINFO.sub("***", without_password(argument)) for argument in argv]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(folder: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the work tree around `folder`, or None where there is none."""
    commit = _ask_git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    return {"commit": commit, "dirty": bool(_ask_git(folder, "status", "--porcelain"))}


def _ask_git(folder: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
            [git, "-C", str(folder), *arguments], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
