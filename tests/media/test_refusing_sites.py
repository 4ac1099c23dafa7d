"""Downloads from sites that refuse on the way: in a stream, behind a page, in a page's place."""

import pytest

from consumers.errors import TransientError, WorkError
from tests.support.contexts import FakeContext
from tests.support.media_server import Answer, MediaServer
from workers import download
from workers.processor import Job

HLS = "application/vnd.apple.mpegurl"


async def refused(link: str, context: FakeContext) -> WorkError:
    with pytest.raises(WorkError) as caught:
        await download.handle(Job(id="1", queue="download_queue", data={"link": link}), context)
    return caught.value


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(b"", 429, headers={"Retry-After": "600"}), "rate_limited"),
        (Answer(b"", 302, headers={"Location": "file:///etc/passwd"}), "bad_link"),
    ],
    ids=["asks for rest", "leads away"],
)
async def test_a_segment_that_is_refused_for_a_reason_is_not_asked_for_again(
    answer: Answer, code: str, site: MediaServer, context: FakeContext
) -> None:
    lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:4", "#EXTINF:4,", "/0.ts", "#EXT-X-ENDLIST", "")
    site.serve("/0.ts", answer)
    link = site.serve("/list.m3u8", Answer("\n".join(lines).encode(), kind=HLS))

    error = await refused(link, context)

    assert error.code == code, error
    assert site.asked.count(("GET", "/0.ts")) == 1
    if isinstance(error, TransientError):
        assert not error.counts
        assert error.after == pytest.approx(600, abs=9)


async def test_a_page_whose_stream_is_not_to_be_had_now_is_not_called_a_page_without_a_film(
    site: MediaServer, context: FakeContext
) -> None:
    site.serve("/list.m3u8", Answer(b"", 503))

    error = await refused(
        site.serve("/watch", Answer(b'<video src="/list.m3u8"></video>')), context
    )

    assert (type(error), error.code) == (TransientError, "network"), error


async def test_a_page_that_asks_whether_a_human_is_there_closes_the_site(
    site: MediaServer, context: FakeContext
) -> None:
    page = Answer(b"<html><h1>Sign in to confirm you&#39;re not a bot</h1></html>")

    error = await refused(site.serve("/watch", page), context)

    assert (error.code, getattr(error, "counts", None)) == ("rate_limited", False), error
