"""Virtual environments for the peers: one per requirement file, since they do not live side by side.

python benchmarks/search.py --install FOLDER
"""

import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.peers import PEERS, REQUIREMENTS

__all__ = ["install"]


def install(folder: Path) -> int:
    """Make every environment, and say plainly what could not be made.

    Returns:
        0, or 1 where one of them failed; the others can be used all the same.
    """
    status = 0
    for requirements in sorted(REQUIREMENTS.glob("*.txt")):
        name = requirements.stem
        methods = ", ".join(each for each, method in PEERS.items() if method.environment == name)
        print(f"{name}: for {methods} ...", file=sys.stderr)
        error = _make(folder / name, requirements)
        if error is None:
            print(f"{name}: made, for {methods}")
        else:
            status = 1
            print(f"{name}: cannot be made here, so not measured: {methods}\n{error}")
    return status


def _make(folder: Path, requirements: Path) -> str | None:
    """Make one; the end of what the installer said where it failed, and no environment then."""
    venv.create(folder, with_pip=True, clear=True)
    python = folder / "bin" / "python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "--disable-pip-version-check", "--requirement", requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return None
    python.unlink()
    return "\n".join(done.stderr.strip().splitlines()[-5:])
