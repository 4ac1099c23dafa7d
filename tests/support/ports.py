"""Free TCP ports on loopback for private servers.

Ports come from below the kernel's ephemeral range: a server that is killed and started
again on its port must not find that some client's outgoing connection has taken it.
"""

import secrets
import socket

LOWEST, HIGHEST = 20_000, 32_000


def free_port() -> int:
    """Return a port on 127.0.0.1 that nothing is bound to at this moment."""
    for _ in range(200):
        # Not `random`: the test run seeds it, and two runs would then meet on one port.
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if _is_free(port):
            return port
    message = f"no free port between {LOWEST} and {HIGHEST} on 127.0.0.1 after 200 tries"
    raise OSError(message)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
