"""What every test may ask for; the servers themselves are in tests/support."""

import os
from pathlib import Path

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

LONG_FIRST = ("chaos", "journeys", "media", "contract", "unit")  # folders

# A busy machine is not a failing property: only results count, not the time they took. Where the
# answer decides whether a change lands, the examples are the same each time; elsewhere they differ.
settings.register_profile("suite", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("suite")


@pytest.fixture
def free_port() -> int:
    """A port on 127.0.0.1 that nothing listens on."""
    return ports.free_port()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the run, begin with what is long: they end together then."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return LONG_FIRST.index(folder)
