"""One secured broker for all tests of this folder: starting one takes seconds."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest

from deploy.servers.errors import ServerMissing
from deploy.servers.kafka import find_java
from tests.kafka.secured import Secured, secured_broker


@pytest.fixture(scope="session")
def one_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    try:
        find_java()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    with secured_broker(tmp_path_factory.mktemp("secured")) as running:
        yield running


@pytest.fixture
def secured(one_for_all: Secured) -> Iterator[Secured]:
    """The secured broker with the plan and the passwords of all nodes, whatever the test does to them."""
    yield one_for_all
    one_for_all.restore()


@pytest.fixture(autouse=True)
def quiet_client() -> Iterator[None]:
    """What the client logs would be kept to the end of the run, and its sockets with it."""
    log = logging.getLogger("kafka")
    before = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(before)
    gc.collect()
