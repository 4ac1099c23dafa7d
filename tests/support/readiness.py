"""What a load balancer is told of a program: ready, or why it is not."""

from collections.abc import Sequence

import httpx

from tests.support.program import Program


def why_unready(program: Program) -> Sequence[str]:
    """Return the reasons that ``/readyz`` gives; nothing while all is well."""
    transport = httpx.HTTPTransport(uds=str(program.socket))
    with httpx.Client(transport=transport, base_url="http://supervisor", timeout=10) as client:
        answer = client.get("/readyz")
    return () if answer.status_code == 200 else tuple(answer.json()["reasons"])
