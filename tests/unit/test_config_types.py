"""``types`` of a pool: read, shown, and every processor of them looked for."""

import sys
from pathlib import Path

import pytest

from supervisor.config.load import load, read
from supervisor.config.masking import masked
from supervisor.config.mistakes import ConfigError
from supervisor.config.processors import missing_processors

TYPED = """
broker: embedded
workers:
  app:
    queue: q
    types: {"email:send": my.mail, "data:export": "my.data:export"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "supervisor.yaml"


def test_a_pool_with_types_needs_no_processor_besides(file: Path) -> None:
    file.write_text(TYPED)

    pool = load(file, {}).workers["app"]

    assert (pool.processor, dict(pool.types)) == (
        "",
        {"email:send": "my.mail", "data:export": "my.data:export"},
    )
    assert pool.processors == ("my.mail", "my.data:export")


def test_what_is_shown_reads_back_as_the_same(file: Path) -> None:
    file.write_text(TYPED)
    settings = load(file, {})
    file.write_text(masked(settings))

    assert load(file, {}) == settings


@pytest.mark.parametrize(
    ("types", "key", "said"),
    [
        ('{"email:send": 7up}', "types.email:send", "must be package.module"),
        ('{"email:send": }', "types.email:send", "name the processor of this type"),
        ('{"a\\tb": my.mail}', "types.a\tb", "is no type of job"),
        ("{}", "processor", "is missing; name the function that does the work"),
        ("[a, b]", "types", "must be a mapping"),
    ],
)
def test_what_is_wrong_with_types_is_named_by_its_key(
    file: Path, types: str, key: str, said: str
) -> None:
    file.write_text(f"workers: {{app: {{queue: q, types: {types}}}}}\n")

    with pytest.raises(ConfigError) as wrong:
        load(file, {})

    assert any(
        mistake.key == f"workers.app.{key}" and said in mistake.what
        for mistake in wrong.value.mistakes
    ), wrong.value


def test_the_processor_of_each_type_is_looked_for(file: Path) -> None:
    file.write_text(TYPED)
    answers = '{"name": "my.mail", "error": "there is none"}\\n{"name": "my.data:export"}'
    ask = (sys.executable, "-c", f"print('{answers}')")

    (mistake,) = missing_processors(read(file, {}), ask=ask)

    assert (mistake.key, mistake.line) == ("workers.app.types.email:send", 6)
    assert mistake.what == "my.mail: there is none"
