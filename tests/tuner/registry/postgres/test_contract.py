"""The contract over a PostgreSQL server."""

from tests.contracts.registry_contract import RegistryContract


class TestOnPostgres(RegistryContract):
    pass
