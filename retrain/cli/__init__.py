"""The command `retrain`, and what both commands share: common options, error printing, exit codes."""

from retrain.cli.commands import cli, main
from retrain.cli.common import (
    CONTEXT_SETTINGS,
    Common,
    common_options,
    memory_option,
    note,
    pass_common,
    phase_options,
)
from retrain.cli.running import run_command
from retrain.console import emit, may_ask

__all__ = [
    "CONTEXT_SETTINGS",
    "Common",
    "cli",
    "common_options",
    "emit",
    "main",
    "may_ask",
    "memory_option",
    "note",
    "pass_common",
    "phase_options",
    "run_command",
]
