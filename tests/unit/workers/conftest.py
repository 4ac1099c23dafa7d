"""The log as workers have it: structlog's own, unconfigured, spends seconds on a traceback."""

from collections.abc import Iterator

import pytest
import structlog

from consumers import logs


@pytest.fixture(autouse=True)
def _plain_log() -> Iterator[None]:
    logs.configure("warning", json=True)
    yield
    structlog.reset_defaults()
