"""What every test may ask for; the servers themselves are in tests/support."""

import os

import pytest
from hypothesis import settings

from tests.support import ports
from tests.support.brokers import (
    any_rabbit,
    any_vhost_url,
    rabbit,
    rabbit4,
    vhost4_url,
    vhost_url,
)
from tests.support.leftovers import _nothing_is_left_running

__all__ = [
    "_nothing_is_left_running",
    "any_rabbit",
    "any_vhost_url",
    "rabbit",
    "rabbit4",
    "vhost4_url",
    "vhost_url",
]

# A busy machine is not a failing property: only results count, not the time they took. Where the
# answer decides whether a change lands, the examples are the same each time; elsewhere they differ.
settings.register_profile("suite", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("suite")


@pytest.fixture
def free_port() -> int:
    """A port on 127.0.0.1 that nothing listens on."""
    return ports.free_port()
