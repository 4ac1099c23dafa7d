"""The page about chains says what is so: its examples are read, its refusals are the words."""

import re
from pathlib import Path

import msgspec
import pytest

from consumers import chains
from consumers.errors import MalformedError
from consumers.jobs import Properties, read
from consumers.topology import pool_queues
from supervisor.cli.chaining import following_of
from supervisor.config.load import load
from supervisor.core.chains import MOST, MOST_BYTES, check
from supervisor.core.records import PoolCard

PAGE = (Path(__file__).parents[2] / "docs" / "chains.md").read_text()
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
REFUSED = re.compile(r"^\| `([^`]+)` \| `(then[^`]*: [^`]+)` \|$", re.MULTILINE)
NAMES = ("download", "cutter", "preview")
POOLS = {name: PoolCard(name, pool_queues(name)) for name in NAMES}
POOLS["mails"] = PoolCard("mails", pool_queues("m"), types=("welcome", "bye"), needs_type=True)


def blocks(kind: str) -> list[str]:
    return [text for named, text in BLOCK.findall(PAGE) if named == kind]


def test_the_configuration_is_one(tmp_path: Path) -> None:
    [pools] = blocks("yaml")
    (tmp_path / "supervisor.yaml").write_text(pools)

    found = load(tmp_path / "supervisor.yaml", {})

    assert [step.pool for step in found.workers["download"].then] == ["cutter"]


def test_the_jobs_are_taken() -> None:
    for said in blocks("json"):
        check(read(said.encode(), Properties(), limit=1000).data, POOLS)


def test_the_commands_say_what_they_seem_to() -> None:
    [lines] = blocks("sh")
    typed = [re.findall(r"--then ('[^']+'|\w+)", line) for line in lines.splitlines()]

    assert len(typed) == 2
    for words in typed:
        check({"then": following_of([word.strip("'") for word in words])}, POOLS)


@pytest.mark.parametrize(("then", "said"), REFUSED.findall(PAGE))
def test_a_refusal_has_the_words_of_the_page(then: str, said: str) -> None:
    with pytest.raises(MalformedError) as refused:
        check({"then": msgspec.json.decode(then)}, POOLS)

    assert refused.value.message.startswith(said)


def test_every_refusal_of_the_page_is_tried() -> None:
    assert len(REFUSED.findall(PAGE)) == 11


def test_the_limits_are_those_of_the_code() -> None:
    limits = PAGE.partition("## Limits")[2]

    assert f"| steps below each other | {chains.MOST_LEVELS}," in limits
    assert f"at all levels | {chains.MOST_STEPS} |" in limits
    assert f"| {MOST:,}, and {MOST_BYTES // 10**6} MB" in limits
    for field in chains.Step.__struct_fields__:
        assert f"| `{field}` |" in PAGE
