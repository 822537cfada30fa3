"""What every Registry must keep, whole. An implementation's test file gives `clock` and `connect`."""

from tests.contracts.registry_claims import ClaimsContract
from tests.contracts.registry_confirmations import ConfirmationsContract
from tests.contracts.registry_goals import GoalsContract
from tests.contracts.registry_memory import MemoryContract
from tests.contracts.registry_pruning import PruningContract
from tests.contracts.registry_queries import QueriesContract
from tests.contracts.registry_studies import StudiesContract

__all__ = ["RegistryContract"]


class RegistryContract(
    StudiesContract,
    ClaimsContract,
    QueriesContract,
    GoalsContract,
    ConfirmationsContract,
    MemoryContract,
    PruningContract,
):
    """One database, opened any number of times."""
