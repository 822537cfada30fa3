"""Opening the configured registry; one is made only once what the user gave is known to be sound."""

from collections.abc import Callable

from retrain.config import Config
from tuner.errors import NotFoundError
from tuner.registry import open_registry
from tuner.registry.base import Registry

__all__ = ["open_or_make"]


def open_or_make(config: Config, check: Callable[[], object]) -> Registry:
    """Open the registry for writing; where there is none, make it after `check` did not raise.

    Raises:
        StorageError: it cannot be used.
    """
    try:
        return open_registry(config.db, create=False, allow_network_fs=config.allow_network_fs)
    except NotFoundError:
        check()
        return open_registry(config.db, create=True, allow_network_fs=config.allow_network_fs)
