"""A site that asks for patience gets it: its jobs wait unharmed, and those of other sites run."""

import pytest

from tests.journeys.conftest import Configured
from tests.support.site import Site

ONE_ATTEMPT = {"attempts": 1}  # a failure that counted would be the end of the job
DOWNLOAD = {
    "download": {
        "queue": "download_queue",
        "processor": "workers.download",
        "retry": ONE_ATTEMPT,
    }
}


@pytest.mark.timeout(60)
def test_a_job_waits_for_its_site_while_others_go_on(configured: Configured, site: Site) -> None:
    program = configured(DOWNLOAD).start()
    site.limited_answers, site.stay_away = 2, 1
    (refused_twice,) = program.submit("download", {"link": site.link("limited")})
    program.wait_for_state("completed", refused_twice)

    assert site.asked.count("limited") >= 3
    assert program.job(refused_twice).attempts == 0, "neither refusal cost an attempt"

    site.limited_answers, site.stay_away = 1, 600
    (waiting,) = program.submit("download", {"link": f"{site.link('limited')}?again"})
    program.wait_for_state("delayed", waiting)
    elsewhere = site.link("clip").replace("127.0.0.1", "localhost")
    (other,) = program.submit("download", {"link": elsewhere})
    program.wait_for_state("completed", other)

    (cooling,) = program.status().sites
    assert (cooling.name, program.job(waiting).state.value) == ("127.0.0.1", "delayed")
    assert "429" in cooling.why
    assert "127.0.0.1 is left alone for" in program.cli("status").stdout
