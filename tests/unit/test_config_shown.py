"""How a configuration is shown: as it would be written, and without its secrets."""

from pathlib import Path

import pytest

from supervisor.config.load import load, read
from supervisor.config.masking import masked, masked_url
from supervisor.config.mistakes import ConfigError
from supervisor.config.settings import OnMemory, Settings

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
