"""Which code and which libraries are at work here, for the record. Scores are compared by other means.

What makes scores comparable is their `Provenance`: it hashes the sources themselves, so that a commit of a
README parts nothing, and an edit that was not committed is not missed.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["git_version", "library_versions", "version_of"]

_LIBRARIES = (
    *("retrain", "numpy", "pandas", "scikit-learn", "xgboost", "lightgbm", "scikit-optimize", "ray"),
    "sqlalchemy",
)
_TIMEOUT_S = 5.0


def git_version(folder: Path) -> dict[str, Any] | None:
    """The commit of the work tree around `folder`, and what was changed since; None where there is none.

    Never fails: without git, without a commit, or where git takes longer than 5 s, it says None.

    Returns:
        `commit`; `dirty`: whether anything is uncommitted, new files included; `diff`: SHA-256 (hex) of the
        changes to committed files, None where there are none.
    """
    commit = _ask_git(folder, "rev-parse", "--verify", "HEAD")
    status = _ask_git(folder, "status", "--porcelain")
    if not commit or status is None:
        return None
    diff = _ask_git(folder, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv") if status else b""
    return {
        "commit": commit.decode().strip(),
        "dirty": bool(status),
        "diff": hashlib.sha256(diff).hexdigest() if diff else None,
    }


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that scores hang on, without importing them."""
    found = ((name, _version(name)) for name in _LIBRARIES)
    return {"python": platform.python_version(), **{name: number for name, number in found if number}}


def version_of(name: str) -> str:
    """The version of a distribution, in words where it is not installed as one."""
    return _version(name) or "of a source tree"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _ask_git(folder: Path, *arguments: str) -> bytes | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
            [git, "-C", str(folder), *arguments],
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # never in the way of the user's own git
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
