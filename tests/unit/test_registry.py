"""Finding processors by name, and saying in one line why there is none."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from consumers.errors import MalformedError
from workers import registry
from workers.registry import RegistryError

SOURCES = Path(__file__).parents[2] / "src"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a package of the user's own, unlike any other test's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def write(home: Path, name: str, text: str) -> str:
    """Write a module of its own name per test: modules stay imported."""
    unique = f"{name}_{home.name.replace('-', '_')}"
    (home / f"{unique}.py").write_text(text)
    return unique


def why(name: str) -> str:
    with pytest.raises(RegistryError) as caught:
        registry.load(name)
    assert "\n" not in str(caught.value)
    return caught.value.why


HANDLE = "async def handle(job, context): ...\ndef other(job, context): ...\nnumber = 7\n"


def test_a_function_is_found_by_module_by_colon_and_by_dot(home: Path) -> None:
    module = write(home, "mine", HANDLE)

    assert registry.load(module).handle.__name__ == "handle"
    assert registry.load(f"{module}:other").handle.__name__ == "other"
    assert registry.load(f"{module}.other").name == f"{module}.other"


@pytest.mark.parametrize("name", ["workers.download", "workers.cutter", "workers.preview"])
def test_the_built_in_processors_say_what_they_accept(name: str) -> None:
    request = registry.load(name).request

    assert request is not None
    assert issubclass(request, msgspec.Struct)


@pytest.mark.parametrize("name", ["", "a b", "a:b:c", "../evil", ".hidden", "a..b", "mod:"])
def test_what_is_no_name_is_refused_without_importing_anything(name: str) -> None:
    assert "package.module" in why(name) or "no module" in why(name)


def test_an_unknown_module_is_named() -> None:
    assert why("nowhere.to.be.found") == (
        "there is no module 'nowhere.to.be.found' (looked in sys.path and here)"
    )
    assert "no module 'nowhere'" in why("nowhere:handle")


def test_a_module_without_the_function_says_what_is_missing(home: Path) -> None:
    module = write(home, "empty", "")

    assert why(module) == f"module {module} has no 'handle'"
    assert why(f"{module}:main") == f"module {module} has no 'main'"


def test_what_is_not_a_function_or_takes_other_things_is_refused(home: Path) -> None:
    module = write(home, "odd", "number = 7\ndef handle(): ...\n")

    assert why(f"{module}:number") == "'number' is a int, not a function"
    assert why(module) == "'handle' must accept (job, context)"


def test_an_import_that_fails_gives_its_reason_and_place(home: Path) -> None:
    module = write(home, "broken", "x = 1\ny = 1 / 0\n")

    assert (
        why(module)
        == f"importing it raised ZeroDivisionError: division by zero ({module}.py, line 2)"
    )


def test_a_module_that_is_not_python_gives_the_place_of_the_mistake(home: Path) -> None:
    module = write(home, "halved", "x = 1\ndef handle(job, context:\n    return 1\n")

    said = why(module)

    assert said.startswith("importing it raised SyntaxError: ")
    assert said.endswith(f"({module}.py, line 2)")


def test_a_module_that_needs_something_missing_says_what(home: Path) -> None:
    module = write(home, "needy", "import not_installed_anywhere\n")

    assert why(module) == "importing it needs 'not_installed_anywhere', which is missing"


def test_a_module_that_exits_on_import_does_not_take_us_with_it(home: Path) -> None:
    assert "SystemExit" in why(write(home, "leaving", "raise SystemExit(3)\n"))


def test_data_that_does_not_fit_names_the_field(home: Path) -> None:
    text = "import msgspec\nclass Request(msgspec.Struct):\n    count: int\n" + HANDLE
    processor = registry.load(write(home, "counting", text))

    registry.check(processor, {"count": 3, "from": "user1"})
    with pytest.raises(MalformedError) as caught:
        registry.check(processor, {"count": "three"})

    assert caught.value.field == "count"


def test_a_check_that_fails_itself_is_not_said_to_be_the_publishers_mistake(home: Path) -> None:
    broken = "import msgspec\nclass Request(msgspec.Struct):\n    count: int\n"
    broken += "    def __post_init__(self): raise KeyError('limits')\n"
    processor = registry.load(write(home, "mistaken", broken + HANDLE))

    with pytest.raises(MalformedError) as caught:
        registry.check(processor, {"count": 3})

    assert caught.value.code == "failed_check"
    assert caught.value.hint == "correct the processor's Request"
    assert "KeyError: 'limits'" in caught.value.message


def test_a_processor_without_a_request_accepts_everything(home: Path) -> None:
    registry.check(registry.load(write(home, "easy", HANDLE)), {"any": "thing"})


def test_names_are_checked_from_outside_without_loading_anything_here() -> None:
    command = [sys.executable, "-m", "workers.registry", "examples.noop", "nope.nothing"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=20,
        cwd=SOURCES.parent,
        env={"PYTHONPATH": str(SOURCES)},
        check=False,
    )

    good, bad = (json.loads(line) for line in done.stdout.splitlines())
    assert good == {"name": "examples.noop", "error": None}
    assert "no module" in bad["error"]
    assert done.returncode == 1


def test_a_module_may_say_what_it_needs_of_the_machine(home: Path) -> None:
    name = write(home, "careful", HANDLE + "def check_host(host): ...\n")

    for spelling in (name, f"{name}:other", f"{name}.other"):
        assert registry.load(spelling).check_host is not None


def test_a_module_without_a_check_has_none(home: Path) -> None:
    assert registry.load(write(home, "careless", HANDLE)).check_host is None


@pytest.mark.parametrize("check", ["check_host = 7", "def check_host(): ..."])
def test_a_check_that_cannot_be_called_with_the_host_is_no_check(home: Path, check: str) -> None:
    name = write(home, "wrong", f"{HANDLE}{check}\n")

    assert why(name) == "its check_host must be a function that accepts (host)"
