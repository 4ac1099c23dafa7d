"""The supervisor as it is, but for its patience with a job that another machine may still have.

``python -m tests.support.hasty -c supervisor.yaml`` looks at such a job again after seconds.
It runs without a guard.
"""

import sys

from supervisor import arbiter
from supervisor.cli.main import main as command_line

HERE = "tests.support.hasty"
ASIDE = 3.0  # seconds; the product waits ten times as long

if __name__ == "__main__":
    arbiter.ASIDE = ASIDE
    sys.exit(command_line(sys.argv[1:]))
