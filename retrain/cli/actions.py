"""What each mode of `retrain` calls and prints."""

import shlex
import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from retrain.cli.common import Common, note
from retrain.cli.kinds import PREVIOUS
from retrain.console import emit, may_ask, wants_colour
from retrain.passwords import without_password

if TYPE_CHECKING:
    from retrain.config import Config, Lookup
    from retrain.deploy import ApplyReport

__all__ = ["deploy", "history", "say_where", "tune", "tune_report", "watch"]


def tune(common: Common, config: "Config", options: Mapping[str, Any], flags: str) -> None:
    """Write candidates."""
    from retrain.tuning import write_candidates, written_text
    from retrain.typed_json import parse_guesses

    written = write_candidates(
        config,
        method=options["tune_method"],
        n=options["tune_configs"],
        guesses=parse_guesses(options["tune_guess"], "--tune-guess"),
    )
    emit(written_text(written, common.output, flags=flags))


def say_where(common: Common, config: "Config | Lookup") -> None:
    """Say with -v what was read."""
    note(common, f"configuration {config.source}, registry {without_password(config.db)}", verbosity=1)


def tune_report(common: Common, overrides: Mapping[str, Any], flags: str) -> None:
    """Show how the tuning goes."""
    from retrain.tune_report import report_on

    config = common.look_up(overrides)
    say_where(common, config)
    emit(report_on(config, common.output, flags=flags, colour=common.colour))


def history(common: Common, overrides: Mapping[str, Any], when: str | None) -> None:
    """Show the ledger, or what was live at some time."""
    if when is not None:
        from retrain.live_at import live_on

        whole = common.load_config(overrides)
        say_where(common, whole)
        emit(live_on(whole, when, common.output, colour=common.colour))
        return
    from retrain.history import history_on

    config = common.look_up(overrides)
    say_where(common, config)
    emit(history_on(config, common.output, verbose=common.verbosity > 0))


def deploy(common: Common, config: "Config", mode: str, options: Mapping[str, Any], flags: str) -> int:
    """Apply, roll back or retrain; return the exit code. What a gate refuses is shown whole, too."""
    from retrain.apply_text import apply_text
    from retrain.deploy.report import RefusedError

    try:
        return _deploy(common, config, mode, options, flags)
    except RefusedError as error:
        emit(apply_text(error.report, common.output, flags=flags, colour=common.colour))
        raise


def _deploy(common: Common, config: "Config", mode: str, options: Mapping[str, Any], flags: str) -> int:
    from retrain import deploying
    from retrain.apply_text import apply_text

    dry_run, force = options["dry_run"], options["force"]
    why = {"reason": options["reason"] or "", "override_gates": options["override_gate"]}
    asked = may_ask() and not force and not dry_run
    confirm = _confirm if asked else None
    tell = partial(note, common)
    match mode:
        case "apply_hp":
            report = deploying.apply_hyperparameters(
                config, options["apply_hp"], dry_run=dry_run, force=force, confirm=confirm, tell=tell, **why
            )
        case "rollback":
            number = None if options["rollback"] == PREVIOUS else options["rollback"]
            report = deploying.roll_back(
                config, number, reason=why["reason"], dry_run=dry_run, force=force, confirm=confirm
            )
        case _:
            report = deploying.retrain_deployed(
                config, dry_run=dry_run, force=force, confirm=confirm, tell=tell, **why
            )
    idle = mode == "" and report.outcome == "unchanged"
    if not (idle and _is_terse(common)):
        emit(apply_text(report, common.output, brief=asked, flags=flags, colour=common.colour))
    report.raise_if_refused()
    return int(report.outcome == "declined")


def watch(common: Common, config: "Config", options: Mapping[str, Any]) -> int:
    """Look at a monitored metric; return the exit code of the tuning, where one was started."""
    from retrain.watching import watch as look
    from retrain.watching import watched_text

    watched = look(
        config,
        options["watch_metric"],
        low=options["low"],
        high=options["high"],
        force=options["force"],
        flags=[*shlex.split(common.flags), *(["-q"] if common.quiet else [])],
    )
    if not (watched.is_met and _is_terse(common)):
        emit(watched_text(watched, common.output))
    return watched.code


def _is_terse(common: Common) -> bool:
    """Whether nothing is to be said where nothing was to be done: a timer's output is mailed to somebody."""
    return common.quiet and common.output == "table"


def _confirm(report: "ApplyReport") -> bool:
    """Show what would happen, and ask. Both on stderr: stdout is for the result."""
    from retrain.apply_text import preview_text

    emit(preview_text(report, colour=wants_colour(sys.stderr)), sys.stderr)
    question = "Deploy this?" if report.wanted is None else f"Roll back to v{report.wanted}?"
    return click.confirm(question, default=False, err=True)
