"""Plain log lines: structlog's own, unconfigured, spend seconds on a long traceback."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.typing import Processor


@pytest.fixture(autouse=True)
def _plain_log() -> Iterator[None]:
    plain: list[Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(processors=plain)
    yield
    structlog.reset_defaults()
