"""What ``http`` and ``role`` may say in the configuration."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from supervisor.config.load import load
from supervisor.config.masking import masked
from supervisor.config.mistakes import ConfigError
from supervisor.config.settings import Listen, Role, Settings

POOL = "workers: {toy: {queue: q, processor: p, instances: 2}}\n"


def _load(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    file = folder / "supervisor.yaml"
    file.write_text(POOL + text)
    return load(file, environ or {})


@pytest.mark.parametrize(
    ("said", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:80", "127.0.0.1", 80),
        ('"[::1]:8080"', "::1", 8080),
    ],
)
def test_it_listens_at_an_address_of_this_machine(
    tmp_path: Path, said: str, host: str, port: int
) -> None:
    settings = _load(tmp_path, f"http: {{listen: {said}}}\n")

    assert settings.http.listen == Listen(host, port)


@pytest.mark.parametrize("said", ["", "http: {listen: off}\n", "http: {}\n"])
def test_it_does_not_listen_unless_told_to(tmp_path: Path, said: str) -> None:
    assert _load(tmp_path, said).http.listen is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http: {listen: 8080}", "must be an address of this machine with a port"),
        ('http: {listen: ":8080"}', "must be an address of this machine with a port"),
        ('http: {listen: "::1:8080"}', "must be an address of this machine with a port"),
        ("http: {listen: example.com:80}", "names are not looked up"),
        ("http: {listen: 127.0.0.1:70000}", "must be an address of this machine with a port"),
        (
            "http: {listen: 0.0.0.0:3003}",
            "http.tokens: is missing, and 0.0.0.0:3003 can be reached",
        ),
        ('http: {listen: "[::]:3003"}', "http.tokens: is missing"),
        ("http: {max_streams: 0}", "must be 1 to 10,000"),
        ("http: {rate_limit: fast}", "like 10/s, 100/min"),
        ("http: {token: x}", "did you mean tokens?"),
        ("http: {tokens: t, worker_secret: hush}", "worker_secret: must be 16 or more"),
        (
            "http: {listen: 127.0.0.1:80, worker_secret: 0123456789abcdef}",
            "http.worker_secret: opens nothing without http.tokens",
        ),
        ("role: boss", "cannot be 'boss'"),
        ("role: api\nbroker: embedded", "role: api publishes for workers elsewhere"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text + "\n")

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("written", "environ", "role"),
    [
        ("", {}, Role.ALL),
        ("role: worker\n", {}, Role.WORKER),
        ("role: worker\n", {"WORKER_MODE": "false"}, Role.API),
        ("", {"WORKER_MODE": "true"}, Role.WORKER),
        ("", {"WORKER_MODE": "true", "SUPERVISOR_ROLE": "all"}, Role.ALL),
    ],
)
def test_the_role_is_what_was_said_last(
    tmp_path: Path, written: str, environ: Mapping[str, str], role: Role
) -> None:
    assert _load(tmp_path, written, environ).role is role


def test_an_api_has_no_workers_and_a_worker_no_address(tmp_path: Path) -> None:
    text = "http: {listen: 127.0.0.1:8080}\n"
    api = _load(tmp_path, text, {"WORKER_MODE": "false"})
    worker = _load(tmp_path, text, {"WORKER_MODE": "true"})

    assert (api.workers["toy"].instances, api.http.listen is None) == (0, False)
    assert (worker.workers["toy"].instances, worker.http.listen) == (2, None)


def test_the_worker_secret_is_not_shown(tmp_path: Path) -> None:
    text = "http: {listen: 127.0.0.1:8080, tokens: t, worker_secret: '${WORKER_SECRET}'}\n"
    settings = _load(tmp_path, text, {"WORKER_SECRET": "hush-hush-hush-hush"})

    assert settings.http.worker_secret == "hush-hush-hush-hush"  # noqa: S105 - of this test
    assert "hush" not in masked(settings)
    assert "worker_secret: '***'" in masked(settings)


def test_an_empty_worker_secret_is_none(tmp_path: Path) -> None:
    assert _load(tmp_path, "http: {worker_secret: ''}\n").http.worker_secret is None
