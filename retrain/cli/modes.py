"""Which one of the things that `retrain` does was asked for."""

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

__all__ = ["mode_of", "refuse_before_subcommand"]

_MODES = ("tune", "tune_report", "apply_hp", "rollback", "history", "watch_metric")
_ONLY_WITH = {  # option -> the modes it belongs to; "" is a plain `retrain`
    "tune_method": ("tune",),
    "tune_configs": ("tune",),
    "tune_guess": ("tune",),
    "warm_start": ("tune",),
    "memory": ("tune",),
    "phase": ("tune", "tune_report", "apply_hp"),
    "phase2": ("tune", "tune_report", "apply_hp"),
    "dry_run": ("", "apply_hp", "rollback"),
    "force": ("", "apply_hp", "rollback", "watch_metric"),
    "at": ("history",),
    "low": ("watch_metric",),
    "high": ("watch_metric",),
    "override_gate": ("", "apply_hp"),
    "reason": ("", "apply_hp", "rollback"),
}


def mode_of(options: Mapping[str, Any], phase: str | None = None) -> str:
    """Which one of the things that `retrain` does was asked for; "" for a plain `retrain`.

    `phase` is the flag by which a phase was asked for.
    """
    chosen = [name for name in _MODES if options[name] not in (None, False)]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(map(_flag, chosen))} exclude each other: give one of them.")
    mode = chosen[0] if chosen else ""
    options = {**options, "phase": phase == "--phase", "phase2": phase == "--phase2"}
    for name, modes in _ONLY_WITH.items():
        if options[name] not in (None, False, ()) and mode not in modes:
            fitting = ", ".join(_flag(each) if each else "a plain `retrain`" for each in modes)
            with_what = f"not with {_flag(mode)}" if mode else "not alone"
            raise click.UsageError(f"{_flag(name)} goes with {fitting}, {with_what}.")
    _refuse_warm_start_of_guesses(options)
    if options["reason"] is not None and not options["reason"].strip():
        raise click.UsageError("--reason TEXT must say something, but is empty.")
    return mode


def _refuse_warm_start_of_guesses(options: Mapping[str, Any]) -> None:
    of_a_method = options["tune_method"] is not None or options["tune_configs"] is not None
    if options["memory"] and options["tune_guess"] and not of_a_method:
        raise click.UsageError(
            "--memory informs a method, but --tune-guess alone writes no candidates of one: "
            "add --tune-configs N."
        )
    if options["warm_start"] and options["tune_guess"] and not of_a_method:
        raise click.UsageError(
            "--warm-start informs a method, but --tune-guess alone writes no candidates of one: "
            "add --tune-configs N."
        )


def _flag(name: str) -> str:
    return "--" + {"low": "min", "high": "max"}.get(name, name).replace("_", "-")


def refuse_before_subcommand(context: click.Context) -> None:
    """Options of `retrain` itself mean nothing before a subcommand: a usage error."""
    given = [
        _flag(name)
        for name in context.params
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        command = context.invoked_subcommand
        raise click.UsageError(f"{', '.join(given)} and the subcommand {command!r} exclude each other.")
