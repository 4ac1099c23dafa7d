"""Fixtures that lend a private RabbitMQ to a test.

A node is started once in a test run and shared; a test that wants a clean slate takes
`vhost_url`, `vhost4_url` or `any_vhost_url`: the address of a vhost of its own.
"""

import os
from collections.abc import Iterator

import pytest

from tests.support.installations import Installation, debian_12, debian_13
from tests.support.rabbitmq import PrivateRabbit


def skip_or_fail(why: str) -> None:
    """Skip the test; where every service is promised (CI=true), fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why} (with CI=true nothing may be missing)")
    pytest.skip(why)


@pytest.fixture(scope="session")
def rabbit() -> Iterator[PrivateRabbit]:
    """RabbitMQ 3.10, the oldest version we promise to work with."""
    yield from _running(debian_12(), missing="rabbitmq-server is not installed")


@pytest.fixture(scope="session")
def rabbit4() -> Iterator[PrivateRabbit]:
    """RabbitMQ 4.0, the newest version we promise to work with."""
    yield from _running(debian_13(), missing="RabbitMQ 4.0 is not provisioned, or you are not root")


@pytest.fixture(params=["rabbit", "rabbit4"])
def any_rabbit(request: pytest.FixtureRequest) -> PrivateRabbit:
    """Each known version in turn."""
    node = request.getfixturevalue(request.param)
    assert isinstance(node, PrivateRabbit)
    return node


@pytest.fixture
def vhost_url(rabbit: PrivateRabbit) -> str:
    """The address of an unused vhost on RabbitMQ 3.10."""
    return rabbit.fresh_vhost()


@pytest.fixture
def vhost4_url(rabbit4: PrivateRabbit) -> str:
    """The address of an unused vhost on RabbitMQ 4.0."""
    return rabbit4.fresh_vhost()


@pytest.fixture
def any_vhost_url(any_rabbit: PrivateRabbit) -> str:
    """The address of an unused vhost on each known version in turn."""
    return any_rabbit.fresh_vhost()


def _running(installation: Installation, *, missing: str) -> Iterator[PrivateRabbit]:
    if not installation.is_there:
        skip_or_fail(f"{missing}: run `make test`, which sets it up")
    with PrivateRabbit(installation) as node:
        yield node
