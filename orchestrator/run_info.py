"""What a run was made with, so that it can be understood years later: command, code, libraries, machine."""

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrain.code_version import git_version, library_versions
from retrain.passwords import without_password

__all__ = ["run_info", "without_secrets"]

_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def run_info(argv: Sequence[str], folder: Path | None = None) -> dict[str, Any]:
    """Return a JSON-ready record of this invocation. Looks up versions without importing the libraries.

    Args:
        argv: the command as typed; passwords in URLs are taken out.
        folder: where the user's code is; the working directory when not given.
    """
    libraries = library_versions()
    return {
        "argv": without_secrets(argv),
        "git": git_version(folder or Path.cwd()),
        "python": libraries.pop("python"),
        "libraries": libraries,
        "host": platform.node(),
        "system": platform.platform(),
        "n_cores": os.cpu_count(),
    }


def without_secrets(argv: Sequence[str]) -> list[str]:
    """Return the arguments with the user and password of every URL hidden."""
    return [_USERINFO.sub("***", without_password(argument)) for argument in argv]
