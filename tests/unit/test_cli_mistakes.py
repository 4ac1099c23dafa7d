"""What users get wrong on the command line: one sentence, the right exit code, no traceback."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner, Result

from supervisor.__main__ import refusal
from supervisor.api.wire import error_of, problem_of
from supervisor.cli import publishing
from supervisor.cli.asking import refusals_said
from supervisor.cli.exits import Complaint
from supervisor.cli.main import cli, main
from supervisor.ports import BrokerAwayError, ControlError, NotNowError
from tests.support.control import FakeControl
from tests.support.house import running
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
POOLS = "workers:\n  download: {queue: download_queue, processor: workers.download}\n"
LINK = ("--link", "https://h/v")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "supervisor.yaml"
    path.write_text(f"broker: embedded\nstate: {tmp_path}/s\n{POOLS}")
    return path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[FakeControl]:
    control = FakeControl()
    with running(control, tmp_path / "s" / "supervisor.sock"):
        yield control


def call(config: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["-c", str(config), *arguments])
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("publish",), "Missing argument 'POOL'"),
        (("publish", "download"), "exactly one of --link, --file and --data; none was given"),
        (("publish", "download", *LINK, "--data", "{}"), "--link and --data were given"),
        (("publish", "download", "--data", "{"), "--data: is not JSON"),
        (("publish", "download", "--data", "[1]"), "--data: must be a JSON object"),
        (("publish", "download", *LINK, "--priority", "urgent"), "must be one of critical, high"),
        (("publish", "download", *LINK, "--delay", "soon"), "--delay: must be a time like 500ms"),
        (("publish", "download", *LINK, "--delay", "4000d"), "--delay: must be 0 to"),
        (("publish", "download", "extra", *LINK), "unexpected extra argument"),
        (("status", "--watch", "--json"), "--watch draws a table"),
        (("jobs", "--state", "done"), "'done' is not one of"),
        (("jobs", "--limit", "0"), "--limit"),
        (("jobs", "--limit", "x"), "'--limit': must be a whole number, is x"),
        (("show",), "Missing argument 'ID'"),
        (("stauts",), "No such command 'stauts'"),
        (("--nonsense",), "No such option"),
    ],
)
def test_a_wrong_call_is_explained_with_exit_code_2(
    config: Path, arguments: tuple[str, ...], words: str
) -> None:
    result = call(config, *arguments)

    assert result.exit_code == 2
    assert words in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "--json"),
        ("status", "--watch"),
        ("jobs",),
        ("show", "x"),
        ("publish", "download", *LINK),
        ("publish", "download", *LINK, "--wait"),
    ],
)
def test_without_a_supervisor_it_says_how_to_start_one(
    config: Path, arguments: tuple[str, ...]
) -> None:
    result = call(config, *arguments)

    assert result.exit_code == 1
    assert "no supervisor is running here" in result.output
    assert "start one with: python -m supervisor -c supervisor.yaml" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("publish", "downlod", *LINK), "there is no pool downlod; the pools are download"),
        (("show", "nobody"), "there is no job nobody in the ledger"),
        (("show", ""), "nothing is called '': give an id or a name"),
        (("show", ".."), "nothing is called '..'"),
        (("cancel", "."), "nothing is called '.'"),
        (("queues", ""), "nothing is called ''"),
        (("scale", "..", "1"), "nothing is called '..'"),
        (("work", ""), "nothing is called ''"),
    ],
)
def test_what_the_supervisor_refuses_is_said_in_its_words(
    house: FakeControl, config: Path, arguments: tuple[str, ...], words: str
) -> None:
    result = call(config, *arguments)

    assert (result.exit_code, result.output) == (1, f"Error: {words}\n") or words in result.output
    assert result.exit_code == 1


def test_a_job_that_cannot_be_stored_now_is_not_accepted(house: FakeControl, config: Path) -> None:
    house.away = "the ledger cannot be asked now; try again"

    result = call(config, "publish", "download", *LINK)

    assert (result.exit_code, result.output) == (1, f"Error: {house.away}\n")


@pytest.mark.parametrize(
    ("refusal", "code"),
    [(BrokerAwayError("the broker is away"), 3), (NotNowError("the supervisor stops"), 1)],
)
def test_only_an_unreachable_broker_ends_with_3(refusal: ControlError, code: int) -> None:
    with pytest.raises(Complaint) as said, refusals_said():
        raise error_of(problem_of(refusal))

    assert said.value.exit_code == code


@pytest.mark.parametrize(
    "url", ["http://h:abc", "http://[::1", "ftp://h", "http://", "http://me@h", "http://h:99999"]
)
def test_what_is_no_address_is_said_to_be_none(config: Path, url: str) -> None:
    result = call(config, "status", "--url", url)

    assert result.exit_code == 2
    assert "--url: the address must be like http://host:port" in result.output


@pytest.mark.parametrize("text", ["hush-1\nhush-2\n", "hush\u00e9", "hush hush", ""])
def test_a_token_that_is_none_is_refused_and_not_shown(config: Path, text: str) -> None:
    file = config.parent / "token"
    file.write_text(text)

    result = call(config, "status", "--url", "http://127.0.0.1:9", "--token-file", str(file))

    assert result.exit_code == 1
    assert str(file) in result.output.replace("\n", "")
    assert "hush" not in result.output


@pytest.mark.parametrize("command", ["run", "check", "status", "jobs", "publish download --link x"])
def test_a_wrong_configuration_is_explained_with_exit_code_78(config: Path, command: str) -> None:
    config.write_text("workers:\n  a: {queue: q, instances: two}\nbrokr: x\n")

    result = call(config, *command.split())

    assert result.exit_code == 78
    assert "the configuration has 3 mistakes:" in result.output
    assert f"{config}:2: workers.a.instances: must be a whole number, is 'two'" in result.output


@pytest.mark.parametrize(
    "words", [("show", "\udcff"), ("publish", "download", "--link", "\udcff"), ("pause", "\udcff")]
)
def test_an_argument_that_is_not_utf_8_is_said_to_be_none(
    house: FakeControl, config: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert main((*words, "-c", str(config))) == 2
    assert "an argument is not UTF-8: '" in capsys.readouterr().err


def test_an_output_that_takes_nothing_is_one_sentence(house: FakeControl, config: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "supervisor", "jobs", "-c", str(config), "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "the output cannot be written: No space left on device" in done.stderr


def test_a_missing_configuration_is_explained(tmp_path: Path) -> None:
    result = call(tmp_path / "none.yaml", "status")

    assert result.exit_code == 78
    assert "none.yaml: there is no such file; name yours with -c PATH" in result.output


def test_check_refuses_a_processor_that_is_not_there(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.fspath(ROOT / "src"))
    config.write_text("workers:\n  a: {queue: q, processor: workers.nothing}\n")

    result = call(config, "check")

    assert result.exit_code == 78
    assert f"{config}:2: workers.a.processor: workers.nothing" in result.output


def test_publishing_straight_to_a_broker_that_is_away_ends_with_3(
    config: Path, tmp_path: Path
) -> None:
    config.write_text(
        f"broker: amqp://me:hush@127.0.0.1:{free_port()}/\nstate: {tmp_path}/s\n{POOLS}"
    )

    result = call(config, "publish", "download", *LINK)

    assert result.exit_code == 3
    assert "the job is not published" in result.output
    assert "hush" not in result.output


def test_publishing_straight_knows_the_pools_of_the_file(config: Path, tmp_path: Path) -> None:
    config.write_text(f"broker: amqp://127.0.0.1:{free_port()}/\nstate: {tmp_path}/s\n{POOLS}")

    result = call(config, "publish", "downlod", *LINK)

    assert result.exit_code == 1
    assert "there is no pool downlod; did you mean download?" in result.output


@pytest.mark.parametrize(
    ("system", "python", "words"),
    [
        ("win32", (3, 13), "Windows is not supported"),
        ("linux", (3, 10), "Python 3.11 or newer is needed, this is 3.10"),
        ("linux", (3, 11), "another program's package named supervisor"),
    ],
)
def test_where_it_cannot_run_it_says_so(
    tmp_path: Path, system: str, python: tuple[int, int], words: str
) -> None:
    assert words in refusal(system, python, tmp_path)


def test_where_it_can_run_nothing_is_said() -> None:
    assert refusal("linux", (3, 11), ROOT / "src" / "supervisor") == ""


def test_another_program_installed_over_ours_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "supervisord.py").touch()
    monkeypatch.delitem(sys.modules, "supervisor")

    assert "the two cannot share an environment" in refusal("linux", (3, 11), tmp_path)


def test_ctrl_c_says_that_the_job_goes_on(
    house: FakeControl, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(publishing, "wait_for", interrupted)

    result = call(config, "publish", "download", *LINK, "--wait")

    assert "job job-1 goes on; look at it with: python -m supervisor show job-1" in result.output


@pytest.mark.processes
def test_ctrl_c_is_quiet(house: FakeControl, config: Path) -> None:
    child = _started(config, "status", "--watch")
    try:
        assert child.stdout is not None
        assert child.stdout.read(1)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=10)
    finally:
        child.kill()

    assert child.returncode == 130
    assert "Traceback" not in errors


@pytest.mark.processes
def test_a_reader_that_leaves_early_is_no_accident(house: FakeControl, config: Path) -> None:
    child = _started(config, "status", "--json")
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    errors = child.stderr.read()
    child.stderr.close()
    child.wait(10)

    assert "Traceback" not in errors


@pytest.mark.processes
def test_the_version_needs_none_of_the_heavy_libraries() -> None:
    report = "import sys; from supervisor.__main__ import main; main(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[1:] = ['version']; {report}"],
        capture_output=True,
        text=True,
        check=True,
        env=_environment(),
    )

    loaded = set(done.stdout.split())
    assert not loaded & {"rich", "httpx", "sqlalchemy", "aio_pika", "litestar", "yaml", "msgspec"}


def _started(config: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "supervisor", "-c", str(config), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.fspath(ROOT / "src")}
