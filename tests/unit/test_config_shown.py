"""How a configuration is shown: as it would be written, and without its secrets."""

from pathlib import Path

import pytest
import yaml

from consumers.jobs import Priority
from supervisor.config.load import load, read
from supervisor.config.masking import masked, masked_url
from supervisor.config.mistakes import ConfigError
from supervisor.config.settings import OnMemory, Pool, Settings

ROOT = Path(__file__).parents[2]
POOL = "workers:\n  a: {queue: q, processor: workers.download"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "supervisor.yaml"


def loaded(file: Path, text: str) -> Settings:
    file.write_text(text)
    return load(file, {})


def test_what_check_shows_reads_back_as_the_same(file: Path) -> None:
    settings = load(ROOT / "supervisor.yaml", {"BROKER_URL": "embedded"})

    assert loaded(file, masked(settings)) == settings


def test_a_pool_that_sends_jobs_to_another_is_shown_so(file: Path) -> None:
    settings = loaded(
        file,
        "workers:\n"
        "  a: {queue: q, processor: p, on_memory: {requeue: b}}\n"
        "  b: {queue: r, processor: p, on_memory: dead}\n",
    )

    assert settings.workers["a"].on_memory == OnMemory(requeue="b")
    assert loaded(file, masked(settings)).workers == settings.workers


def test_what_check_shows_holds_no_secret(file: Path) -> None:
    options = "{api_key: hush, nested: {password: hush, url: 'http://u:hush@h/'}, quality: best}"
    settings = loaded(
        file,
        f"broker: amqp://me:hush@h/\n{POOL}, options: {options}}}\n"
        "notify: [{webhook: {url: 'https://u:hush@h/?token=hush&a=1', secret: hush}}]\n",
    )

    shown = masked(settings)

    assert "hush" not in shown
    assert "amqp://me:***@h/" in shown
    assert "https://u:***@h/***" in shown  # whatever follows the host may be the secret
    assert "quality: best" in shown


def test_an_address_without_secrets_is_shown_as_it_is() -> None:
    for url in ("embedded", "amqp://h:5672/%2Fvhost", "sqlite:////var/l.db", "http://h/?a=b%20c"):
        assert masked_url(url) == url


def test_variables_that_hold_secrets_are_known_and_the_others_are_not(file: Path) -> None:
    file.write_text(
        "broker: amqp://me:${PASSWORD}@${HOST}/\n"
        "ledger: sqlite:///${HOME}/ledger.db\n"
        "media: {root: '${HOME}/media'}\n"
        "workers:\n"
        "  a: {queue: '${QUEUE}', processor: p, instances: ${N:-2}, options: {\n"
        "    proxy: 'http://p:${PROXY}@h/', api_key: '${KEY}', cookies: '${HOME}/c'}}\n"
        "notify: [{webhook: {url: 'https://h/${PATH_TOKEN}', secret: '$${no}${SECRET}'}}]\n"
    )
    secrets = {"PASSWORD", "HOST", "PROXY", "KEY", "PATH_TOKEN", "SECRET"}
    environ = dict.fromkeys(secrets | {"HOME", "QUEUE"}, "x")

    assert read(file, environ).private == secrets


def test_an_address_in_the_wrong_place_is_not_repeated(file: Path) -> None:
    file.write_text(f"{POOL}}}\nnotify: [{{webhook: 'https://hooks.example.org/hush'}}]\n")

    with pytest.raises(ConfigError) as error:
        read(file, {})

    assert "hush" not in str(error.value)
    assert "must be a mapping (key: value), is an address" in str(error.value)


NOT_SAID = {"is_errand", "served"}  # of the settings: never in a file
SAID_ELSEWHERE = {"media_keep": "keep", "media_quota": "quota"}  # under media


def test_every_key_is_shown(file: Path) -> None:
    settings = loaded(
        file,
        "broker: embedded\nworkers:\n  a:\n"
        "    {queue: q, types: {x: p}, processor: p, stalled_after: 5s, memory: 1MB,"
        " memory_hard: 2MB, max_cpu: 2, on_memory: dead, limits: {rate: 1/s}, options: {a: b},"
        " dead_letter: d, priority_map: {-5: critical, 10: low},"
        " then: {pool: a, type: x, then: []}}\n"
        "hooks: [a.b]\nhook_timeout: 3s\nevents: {exchange: off, only: [worker.*]}\n"
        "retention: {completed: {age: 2d, count: 7}, intake: {age: 3d}}\n"
        "http: {listen: 127.0.0.1:1}\n"
        "schedules: {s: {pool: a, every: 5m, priority: 10}}\n",
    )

    shown = yaml.safe_load(masked(settings))

    keys = set(shown) | set(shown["media"])
    fields = set(Settings.__struct_fields__) - NOT_SAID
    assert {SAID_ELSEWHERE.get(field, field) for field in fields} <= keys
    assert set(Pool.__struct_fields__) - {"name"} <= set(shown["workers"]["a"])
    assert loaded(file, masked(settings)) == settings


def test_a_schedules_number_means_what_its_pool_says(file: Path) -> None:
    settings = loaded(
        file,
        f"{POOL}, priority_map: {{-5: critical, 10: low}}}}\n"
        "schedules: {s: {pool: a, every: 5m, priority: -5}}\n",
    )

    assert settings.schedules
    assert settings.schedules["s"].priority is Priority.CRITICAL
