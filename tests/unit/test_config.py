"""What a right configuration amounts to."""

import os
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.retry import Backoff, Jitter, ReconnectPolicy, RetryPolicy
from supervisor.config.load import load, read
from supervisor.config.masking import human_size, human_time
from supervisor.config.processors import faults, missing_processors
from supervisor.config.settings import (
    Heartbeat,
    Http,
    Logs,
    Notify,
    OnMemory,
    Pool,
    RestartDelay,
    RestartPolicy,
    Settings,
    Webhook,
)
from supervisor.config.values import duration, size

ROOT = Path(__file__).parents[2]
POOL = "workers:\n  a: {queue: q, processor: workers.download"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "supervisor.yaml"


def loaded(file: Path, text: str, **environ: str) -> Settings:
    file.write_text(text)
    return load(file, environ)


def test_the_file_we_ship_works_as_it_is() -> None:
    settings = load(ROOT / "supervisor.yaml", {})

    assert settings.broker == "amqp://guest:guest@localhost:5672/"
    assert settings.media == Path.cwd() / "var" / "media"
    assert settings.ledger == f"sqlite:///{Path.cwd()}/var/ledger.db"
    download, cutter, preview = settings.workers.values()
    assert (download.queue, download.instances, download.cpu) == ("download_queue", 2, 0.5)
    assert (download.memory, download.timeout) == (512_000_000, 7200.0)
    assert download.retry == RetryPolicy(attempts=5, delay=5.0, max=600.0)
    assert (cutter.queue, cutter.instances, cutter.memory) == ("cutter_queue", 1, 10**9)
    assert (cutter.restart, cutter.timeout) == (RestartPolicy.ON_FAILURE, 3600.0)
    assert (preview.queue, preview.memory, preview.cpu) == ("preview_queue", 256_000_000, 0.25)
    assert (preview.restart, preview.timeout) == (RestartPolicy.UNLESS_STOPPED, 900.0)


def test_the_file_we_ship_spells_out_the_defaults() -> None:
    shipped = load(ROOT / "supervisor.yaml", {})
    bare = Settings(
        broker=shipped.broker,
        state=shipped.state,
        ledger=shipped.ledger,
        media=shipped.media,
        workers=shipped.workers,
    )

    assert shipped == bare


def test_a_file_with_one_pool_is_enough(file: Path) -> None:
    settings = loaded(file, POOL + "}")

    assert settings.workers == {"a": Pool(name="a", queue="q", processor="workers.download")}
    assert settings.broker == "amqp://guest:guest@localhost:5672/"


def test_the_environment_decides_how_many_workers_download() -> None:
    settings = load(ROOT / "supervisor.yaml", {"DOWNLOAD_WORKERS": "7", "BROKER_URL": "embedded"})

    assert settings.workers["download"].instances == 7
    assert settings.broker == "embedded"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("${A}", "one"),
        ("x${A}y${B:-two}z", "xoneytwoz"),
        ("'${A} ${A}'", "one one"),
        ("${EMPTY:-default}", "default"),
        ("${B:-}tail", "tail"),
        ("${B:-amqp://h:1/#}", "amqp://h:1/#"),
        ("'$${A}'", "${A}"),
        ("100$", "100$"),
        ("$A", "$A"),
        ("${EVIL}", "x: {y: 1} # z"),
        ("${SECRET}", "from the file"),
    ],
)
def test_variables_stand_anywhere_in_a_value(
    file: Path, tmp_path: Path, written: str, meant: str
) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    environ = {
        "A": "one",
        "EMPTY": "",
        "EVIL": "x: {y: 1} # z",
        "SECRET_FILE": str(tmp_path / "secret"),
    }
    text = f"workers:\n  a:\n    queue: q\n    processor: p\n    options:\n      key: {written}\n"

    assert loaded(file, text, **environ).workers["a"].options["key"] == meant


def test_variables_work_inside_flow_mappings_and_keep_their_type(file: Path) -> None:
    text = POOL + ", instances: ${N:-3}, options: {n: ${N:-3}, t: '${N:-3}', f: ${F:-true}}}"

    pool = loaded(file, text).workers["a"]

    assert pool.instances == 3
    assert pool.options == {"n": 3, "t": "3", "f": True}


def test_variables_in_comments_do_not_matter(file: Path) -> None:
    assert loaded(file, f"# ${{NOWHERE}} and ${{\n{POOL}}}").workers


def test_every_key_arrives(file: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.yaml").write_text("{}")
    settings = loaded(
        file,
        f"""
broker: embedded
state: {tmp_path}/state
ledger: sqlite:///{tmp_path}/l.db
media: {{root: {tmp_path}/media, keep: 7d, quota: 50GB}}
heartbeat: {{interval: 1s, timeout: 10}}
reconnect: {{delay: 2s, max: 1m, give_up: 5}}
logs: {{level: debug, format: json, keep: 500kB}}
memory_check: 500ms
min_free_disk: 2GB
min_free_memory: 100MiB
metrics: 2m
stop_grace: 1h30m
body_limit: 2MiB
body_warning: 1kB
notify:
  language: pt-BR
  templates: {tmp_path}/texts.yaml
  sinks: [{{log: false}}, {{webhook: {{url: 'https://h/x', secret: s, timeout: 3s}}}}]
workers:
  a:
    queue: q
    processor: mine:run
    instances: 3
    concurrency: 4
    dead_letter: graveyard
    memory: 1GiB
    memory_hard: 2GB
    cpu: 0.5
    max_cpu: 1.5
    restart: on-failure
    backoff: {{delay: 0, max: 1m, stable: 2m}}
    retry: {{delays: [1s, 2s], jitter: full, delay: 3s, max: 4s}}
    timeout: 5m
    max_crashes: 7
    on_memory: dead
    options: {{format: mp4, sizes: [1, 2.5, null], deep: {{flag: yes}}}}
""",
    )

    assert settings == Settings(
        broker="embedded",
        state=tmp_path / "state",
        ledger=f"sqlite:///{tmp_path}/l.db",
        media=tmp_path / "media",
        media_keep=604800.0,
        media_quota=50 * 10**9,
        heartbeat=Heartbeat(1.0, 10.0),
        reconnect=ReconnectPolicy(2.0, 60.0, 5),
        logs=Logs("debug", "json", 500_000),
        memory_check=0.5,
        min_free_disk=2 * 10**9,
        min_free_memory=100 * 2**20,
        metrics=120.0,
        stop_grace=5400.0,
        body_limit=2 * 2**20,
        body_warning=1000,
        notify=Notify(
            language="pt-BR",
            templates=tmp_path / "texts.yaml",
            log=False,
            webhooks=(Webhook("https://h/x", "s", 3.0),),
        ),
        workers={
            "a": Pool(
                name="a",
                queue="q",
                processor="mine:run",
                instances=3,
                concurrency=4,
                dead_letter="graveyard",
                memory=2**30,
                memory_hard=2 * 10**9,
                cpu=0.5,
                max_cpu=1.5,
                restart=RestartPolicy.ON_FAILURE,
                backoff=RestartDelay(0.0, 60.0, 120.0),
                retry=RetryPolicy(
                    attempts=3,
                    backoff=Backoff.LIST,
                    delay=3.0,
                    max=4.0,
                    jitter=Jitter.FULL,
                    delays=(1.0, 2.0),
                ),
                timeout=300.0,
                max_crashes=7,
                on_memory=OnMemory(dead=True),
                options={"format": "mp4", "sizes": [1, 2.5, None], "deep": {"flag": True}},
            )
        },
    )


def test_notify_may_be_just_the_list_of_sinks(file: Path) -> None:
    text = POOL + "}\nnotify: [{log: true}, {webhook: {url: http://h/, secret: ${S:-}}}]\n"

    assert loaded(file, text).notify == Notify(webhooks=(Webhook("http://h/"),))


def test_a_list_of_five_delays_needs_six_attempts(file: Path) -> None:
    retry = loaded(file, POOL + ", retry: {delays: [1, 2, 3, 4, 5]}}").workers["a"].retry

    assert (retry.attempts, retry.backoff) == (6, Backoff.LIST)


def test_a_long_first_delay_raises_the_cap_it_did_not_name(file: Path) -> None:
    pool = loaded(file, POOL + ", retry: {delay: 1h}, backoff: {delay: 10m}}").workers["a"]

    assert (pool.retry.max, pool.backoff.max) == (3600.0, 600.0)


def test_pools_may_share_settings_and_a_graveyard(file: Path) -> None:
    settings = loaded(
        file,
        "x-usual: &usual {processor: p, memory: 1GB, dead_letter: graveyard}\n"
        "workers:\n  a: {<<: *usual, queue: q}\n  b: {<<: *usual, queue: r, memory: 2GB}\n",
    )

    assert [pool.memory for pool in settings.workers.values()] == [10**9, 2 * 10**9]
    assert {pool.dead_letter for pool in settings.workers.values()} == {"graveyard"}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("500ms", 0.5),
        ("5s", 5),
        ("10m", 600),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("0", 0),
        ("7", 7),
        ("1.5", 1.5),
        ("2.5h", 9000),
        ("1m 30s", 90),
    ],
)
def test_durations_are_read_as_people_write_them(written: str, seconds: float) -> None:
    assert duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("512MB", 512_000_000),
        ("1GB", 10**9),
        ("256MiB", 2**28),
        ("100kB", 100_000),
        ("1.5 GB", 1_500_000_000),
        ("42", 42),
        ("0", 0),
        ("1KiB", 1024),
    ],
)
def test_sizes_are_read_as_people_write_them(written: str, count: int) -> None:
    assert size(written) == count


@given(st.integers(0, 10**9))
def test_durations_and_sizes_read_back_as_they_are_shown(number: int) -> None:
    assert duration(human_time(number / 1000)) == pytest.approx(number / 1000)
    assert size(human_size(number)) == number


def test_processors_are_asked_for_in_another_process(file: Path) -> None:
    file.write_text(
        "workers:\n  a: {queue: q, processor: supervisor.nothing}\n"
        "  b:\n    queue: r\n    processor: workers.preview\n"
    )
    configuration = read(file, {})
    answer = (
        'import sys; print("noise"); [print(\'{"name": "%s", "error": %s}\' % '
        "(n, '\"there is no module\"' if 'nothing' in n else 'null')) for n in sys.argv[1:]]"
    )

    mistakes = missing_processors(configuration, ask=(sys.executable, "-c", answer))

    assert [mistake.sentence() for mistake in mistakes] == [
        f"{file}:2: workers.a.processor: supervisor.nothing: there is no module"
    ]


def test_a_processor_that_ends_the_process_is_a_mistake() -> None:
    ask = (sys.executable, "-c", "import sys; sys.exit('no licence')")

    assert faults(["mine"], ask=ask) == {"mine": "the import ended the process: no licence"}


def test_our_own_processors_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.fspath(ROOT / "src"))
    configuration = read(ROOT / "supervisor.yaml", {})

    assert missing_processors(configuration) == ()


def _keys() -> list[str]:
    """Return every key there may be in the file."""
    fields = msgspec.structs.fields(Settings)
    said = [field.name for field in fields if field.name != "served"]  # of an errand alone
    top = [name.replace("media_", "media.") for name in said]
    pool = [field.name for field in msgspec.structs.fields(Pool) if field.name != "name"]
    parts: dict[str, type[msgspec.Struct]] = {
        "heartbeat": Heartbeat,
        "reconnect": ReconnectPolicy,
        "logs": Logs,
        "http": Http,
        "backoff": RestartDelay,
        "retry": RetryPolicy,
        "webhook": Webhook,
    }
    inner = [
        f"{part}.{field.name}"
        for part, kind in parts.items()
        for field in msgspec.structs.fields(kind)
    ]
    notify = ["notify.language", "notify.templates", "notify.sinks", "media.root"]
    return [*top, *pool, *inner, *notify]


@pytest.mark.parametrize("key", _keys())
def test_every_key_is_in_the_reference(key: str) -> None:
    reference = (ROOT / "docs" / "configuration.md").read_text()

    assert f"`{key}`" in reference
