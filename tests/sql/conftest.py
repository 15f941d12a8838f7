"""One warehouse for all tests of the views; what a test inserts is rolled back after it."""

from collections.abc import Iterator

import pytest
from kpi_warehouse import Warehouse


@pytest.fixture(scope="session")
def shared_warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture
def w(shared_warehouse: Warehouse) -> Iterator[Warehouse]:
    shared_warehouse.connection.execute("BEGIN")
    yield shared_warehouse
    shared_warehouse.connection.execute("ROLLBACK")
