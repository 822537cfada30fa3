"""How whatever runs on workers is called and shown."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from retrain.cli import Common, note

__all__ = ["on_workers", "request_of"]


def request_of(
    common: Common, config: Any, flags: str, options: Mapping[str, Any], asked: Mapping[str, Any]
) -> Any:
    """What the options of `pool_options` and what else was asked come to."""
    from orchestrator.allowance import began_at
    from orchestrator.request import Request

    return Request(
        n_workers=options["workers"],
        pool=options["pool"],
        address=options["address"],
        timeout_s=options["timeout"],
        started_at=began_at(),
        cost_per_hour=config.budget.cost_per_hour,
        experiment_timeout_s=options["experiment_timeout"],
        experiment_memory_bytes=options["experiment_memory"],
        grace_s=options["grace"],
        echo=common.verbosity > 0,
        command=("orchestrator", *sys.argv[1:]),
        flags=flags,
        **asked,
    )


def on_workers(
    run: Callable[..., Any],
    show: Callable[[Any], None],
    common: Common,
    config: Any,
    flags: str,
    options: Mapping[str, Any],
    asked: Mapping[str, Any],
) -> int:
    """Run with the options of `pool_options` and what else was asked, and show what came of it."""
    from orchestrator.progress import open_display
    from orchestrator.signals import Interrupted, StopSignals

    request = request_of(common, config, flags, options, asked)
    try:
        with StopSignals() as stop, open_display(progress=common.progress, quiet=common.quiet) as display:
            result = run(config, request, display=display, stop=stop)
    except Interrupted as interrupted:
        note(common, "interrupted before anything ran")
        return interrupted.exit_code
    show(result)
    return int(result.exit_code)
