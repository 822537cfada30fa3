"""The command `orchestrator`: run experiments, and report on them.

Nothing is decided here. A command parses, calls one function and prints what it returned.
"""

import sys

from orchestrator.allowance import note_start
from orchestrator.cli.comparing import compare
from orchestrator.cli.confirming import confirm, revalidate
from orchestrator.cli.everything import everything
from orchestrator.cli.experiments import cli
from orchestrator.cli.keeping import backup, cancel
from orchestrator.cli.looking import diff, ls, replay, show
from orchestrator.cli.memory import memory
from orchestrator.cli.plotting import plot
from orchestrator.cli.staging import stages
from retrain.cli import run_command

__all__ = ["cli", "main"]

_RUNNING = (stages, everything, compare, confirm, revalidate)
_LOOKING = (ls, show, plot, replay, diff, memory)
for _command in (*_RUNNING, *_LOOKING, cancel, backup):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the console script `orchestrator`."""
    note_start()
    sys.exit(run_command(cli, "orchestrator"))
