"""Opening the configured registry; one is made only once what the user gave is known to be sound."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tuner.errors import NotFoundError, OutdatedError
from tuner.registry import open_registry
from tuner.registry.base import Registry, RegistryReader

if TYPE_CHECKING:
    from retrain.config import Config, Lookup

__all__ = ["open_or_make", "open_up_to_date"]


def open_or_make(config: "Config", check: Callable[[], object]) -> Registry:
    """Open the registry for writing; where there is none, make it after `check` did not raise.

    Raises:
        StorageError: it cannot be used.
    """
    try:
        return open_registry(config.db, create=False, allow_network_fs=config.allow_network_fs)
    except NotFoundError:
        check()
        return open_registry(config.db, create=True, allow_network_fs=config.allow_network_fs)


def open_up_to_date(config: "Config | Lookup") -> RegistryReader:
    """Open the registry for reading; one of an older schema is brought up to date first.

    Raises:
        NotFoundError: there is none.
        StorageError: it cannot be used.
    """
    try:
        return open_registry(config.db, create=False, read_only=True)
    except OutdatedError:
        open_registry(config.db, create=False, allow_network_fs=config.allow_network_fs).close()
        return open_registry(config.db, create=False, read_only=True)
