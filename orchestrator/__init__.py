"""Everything that happens at run time: plan, worker pools, driver, reports.

from orchestrator import tune
result = tune(objective, space, method="bayesian", configs=30)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.tuning import TuneResult, tune

__all__ = ["TuneResult", "tune"]


def __getattr__(name: str) -> Any:
    """Load what is exported when it is first used: `import orchestrator` alone stays light."""
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("orchestrator.tuning"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
