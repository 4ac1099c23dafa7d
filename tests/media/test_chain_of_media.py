"""The chain that media is made for: a link is downloaded, cut, and each piece gets a preview."""

import json
from pathlib import Path

import pytest

from supervisor_client import Client
from tests.journeys.conftest import Configured, configured, receiver, site
from tests.media import measure
from tests.support.program import Pools
from tests.support.receiver import Receiver
from tests.support.site import Site
from workers.media.tools import demo_clip

__all__ = ["configured", "receiver", "site"]

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

LONGEST = 2.0  # seconds of a piece
POOLS: Pools = {
    "download": {
        "processor": "workers.download",
        "then": {"pool": "cutter", "data": {"segmentTime": LONGEST}},
    },
    "cutter": {"processor": "workers.cutter", "then": "preview"},
    "preview": {"processor": "workers.preview"},
}


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    """A film of three pieces."""
    film = tmp_path / "film.mp4"
    assert demo_clip.main([str(film), "6"]) == 0
    return film.read_bytes()


def test_a_link_becomes_a_film_its_pieces_and_their_previews_and_one_notice(
    configured: Configured, site: Site, receiver: Receiver
) -> None:
    program = configured(POOLS, webhook=receiver.url).start()
    with Client(program.socket) as client:
        job = client.publish("download", {"link": site.link("clip"), "from": "user123"})
        job.wait(90, chain=True)
        (cut,) = job.children()
        pieces = [Path(file["path"]) for file in cut.returned["files"]]
        previews = {each.data["filePath"]: each for each in client.job(cut.id).children()}
    told = json.loads(receiver.requests.get(timeout=20).body)

    assert len(pieces) >= 3
    assert all(measure.duration(piece) <= LONGEST for piece in pieces)
    assert set(previews) == {str(piece) for piece in pieces}
    assert all(Path(path).stat().st_size > 0 for path in told["results"])
    assert set(map(str, pieces)) < set(told["results"])
    assert (told["event"], told["chain"]["completed"]) == ("job.completed", 2 + len(pieces))
    assert receiver.received() == []
