"""What the fork server loads, once for all the workers that it forks.

A worker's memory is the fork server's until one of them writes to it, and the collector of garbage
writes to whatever it looks at.
"""

from consumers import garbage

garbage.spare()
from workers import runtime  # noqa: E402 - between the two on purpose

garbage.settle()

main = runtime.main
