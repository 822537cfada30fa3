"""Who takes part in the contract of the Registry."""

import pytest

from tests.contracts.registry_cases import SPEC, Connect
from tuner.experiment import Study
from tuner.registry.base import Registry

__all__ = ["RegistryFixtures"]


class RegistryFixtures:
    """Where it runs, two fixtures are known: `clock`, a Clock, and `connect`, which opens with it."""

    @pytest.fixture
    def registry(self, connect: Connect) -> Registry:
        return connect()

    @pytest.fixture
    def other(self, connect: Connect, registry: Registry) -> Registry:
        """A second connection to the same database."""
        return connect()

    @pytest.fixture
    def study(self, registry: Registry) -> Study:
        return registry.open_study(SPEC)
