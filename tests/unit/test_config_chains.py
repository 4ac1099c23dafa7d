"""``then`` of a pool in supervisor.yaml: what it means, and every mistake with its line."""

from pathlib import Path

import pytest
import yaml

from consumers.chains import Step
from supervisor.blueprints import pool_card
from supervisor.config.load import load
from supervisor.config.masking import masked
from supervisor.config.mistakes import ConfigError
from supervisor.config.settings import Settings
from supervisor.errand import reduced


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "supervisor.yaml"


def written(file: Path, pools: str) -> Settings:
    """Return what a file with these pools says: ``name: more``, a line each."""
    lines = ["broker: embedded", f"ledger: sqlite:///{file.parent}/ledger.db", "workers:"]
    for line in pools.strip().splitlines():
        name, _, more = (part.strip() for part in line.partition(":"))
        lines.append(f"  {name}: {{queue: {name}_queue, processor: p{', ' if more else ''}{more}}}")
    file.write_text("\n".join(lines) + "\n")
    return load(file, {})


# the pools, of which the first is on line 4; line, key and words of the complaint
MISTAKES = {
    "number": ("a: then: 5", 4, "workers.a.then", "must be the name of a pool, a step like"),
    "nothing": ("a: then: ", 4, "workers.a.then", "must be the name of a pool, a step like"),
    "unknown pool": (
        "cutter: then: preview\npreviews:",
        4,
        "workers.cutter.then[0].pool",
        "names preview, which is no pool; did you mean previews?",
    ),
    "no name": ("a: then: [b, 'x y']\nb:", 4, "workers.a.then[1]", "is no name for a pool"),
    "unknown field": (
        "a: then: {pool: b, queue: x}\nb:",
        4,
        "workers.a.then.queue",
        "is no field of a step; there are pool, type",
    ),
    "no pool": ("a: then: [{each: x}]\nb:", 4, "workers.a.then[0].pool", "is missing; name"),
    "type of a pool without types is no mistake of this kind": (
        "a: 'then: [{pool: b}, {pool: c}]'".replace("'", "") + "\nb: types: {x: p}",
        4,
        "workers.a.then[1].pool",
        "names c, which is no pool; allowed are a, b",
    ),
    "type": (
        "a: then: {pool: b, type: y}\nb: types: {x: p}",
        4,
        "workers.a.then[0].type",
        "is 'y', which the pool b does not know; it knows: x",
    ),
    "type of a pool that has none": (
        "a: then: {pool: b, type: y}\nb:",
        4,
        "workers.a.then[0].type",
        "is 'y', but the pool b has no types",
    ),
    "circle through steps within steps": (
        "a: then: [b, {pool: c, then: [{pool: b, then: a}]}]\nb:\nc:",
        4,
        "workers.a.then",
        "never ends (a -> c -> b -> a); say then: []",
    ),
    "circle of three": (
        "a: then: b\nb: then: c\nc: then: a",
        4,
        "workers.a.then",
        "never ends (a -> b -> c -> a)",
    ),
    "circle of one": ("a: then: a", 4, "workers.a.then", "never ends (a -> a); say then: []"),
    "deep": (
        "\n".join(f"p{n}: then: p{n + 1}" for n in range(9)) + "\np9:",
        4,
        "workers.p0.then",
        "is 9 levels deep (p0 -> p1 -> p2 -> p3 -> p4 -> p5 -> p6 -> p7 -> p8 -> p9), at most 8",
    ),
    "many": (f"a: then: [{', '.join(['b'] * 21)}]\nb:", 4, "workers.a.then", "comes to 21 steps"),
    "a date": ("a: then: 2026-01-01\nb:", 4, "workers.a.then", "'2026-01-01' is no name"),
    "data": (
        "a: then: {pool: b, data: {from: x}}\nb:",
        4,
        "workers.a.then.data.from",
        "cannot be said here; a job has it from the one before it",
    ),
}


@pytest.mark.parametrize(("pools", "line", "key", "said"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_named_with_its_line_and_key(
    file: Path, pools: str, line: int, key: str, said: str
) -> None:
    with pytest.raises(ConfigError) as error:
        written(file, pools)

    [found] = error.value.mistakes
    assert (found.line, found.key) == (line, key)
    assert said in found.what


def test_all_mistakes_are_told_at_once_each_in_its_line(file: Path) -> None:
    file.write_text(
        "broker: embedded\nworkers:\n"
        "  a:\n    queue: a\n    processor: p\n    then:\n"
        "      - pool: b\n        each: ..\n"
        "      - pool: b\n        dat: {}\n"
        "  b:\n    queue: b\n    processor: p\n    then:\n"
        "      pool: c\n      then: [nobody]\n"
        "  c:\n    queue: c\n    types: {x: p}\n"
        "  d:\n    queue: d\n    processor: p\n    then: e\n"
        "  e:\n    queue: e\n    processor: p\n    then: {pool: d}\n"
    )

    with pytest.raises(ConfigError) as error:
        load(file, {})

    assert [(found.line, found.key) for found in error.value.mistakes] == [
        (8, "workers.a.then[0].each"),
        (10, "workers.a.then[1].dat"),
        (14, "workers.b.then[0].type"),
        (14, "workers.b.then[0].then[0].pool"),
        (23, "workers.d.then"),
    ]
    assert "(d -> e -> d)" in str(error.value)


def test_what_follows_is_read_in_each_of_its_shapes(file: Path) -> None:
    found = written(
        file,
        "a: then: b\n"
        "b: then: [c, {pool: d, data: {segmentTime: 30, on: 2026-01-01}, then: [c]}]\n"
        "c: then: {pool: d, each: '', then: []}\n"
        "d:\n",
    ).workers

    assert found["a"].then == (Step("b"),)
    deeper = Step("d", data={"segmentTime": 30, "on": "2026-01-01"}, then=(Step("c"),))
    assert found["b"].then == (Step("c"), deeper)
    assert found["c"].then == (Step("d", each="", into="result", then=()),)
    assert found["d"].then == ()


def test_a_step_that_says_where_it_ends_makes_no_circle(file: Path) -> None:
    found = written(file, "a: then: {pool: a, then: []}\nb: then: {pool: a, then: [b2]}\nb2:")

    assert found.workers["a"].then == (Step("a", then=()),)


def test_many_pools_that_all_lead_on_are_judged_in_no_time(file: Path) -> None:
    many = "\n".join(f"p{n}: then: [{', '.join([f'p{n + 1}'] * 20)}]" for n in range(8))

    assert len(written(file, many + "\np8:").workers) == 9


def test_what_follows_is_shown_and_reads_back_as_the_same(file: Path) -> None:
    found = written(
        file,
        "a: then: [b, {pool: b, data: {segmentTime: 30}, then: []}, {pool: b, each: ''}]\nb:",
    )
    shown = masked(found)

    assert yaml.safe_load(shown)["workers"]["a"]["then"][0] == {"pool": "b"}
    file.write_text(shown)
    assert load(file, {}) == found


def test_secrets_in_the_data_of_a_step_are_not_shown(file: Path) -> None:
    found = written(file, "a: then: {pool: b, data: {api_key: hush}}\nb:")

    assert "hush" not in masked(found)


def test_a_pool_is_known_with_what_follows_it_and_with_its_types(file: Path) -> None:
    found = written(file, "a: then: b\nb: types: {x: q}")

    card = pool_card(found.workers["a"], found)
    assert (card.then, card.types, card.needs_type) == ((Step("b"),), (), False)
    card = pool_card(found.workers["b"], found)
    assert (card.types, card.needs_type) == (("x",), False)


def test_a_supervisor_for_one_pool_knows_all_pools_that_may_follow(file: Path) -> None:
    found = reduced(written(file, "a: then: b, on_memory: {requeue: c}\nb: instances: 2\nc:"), "a")

    assert {name: pool.instances for name, pool in found.workers.items()} == {
        "a": 0,
        "b": 0,
        "c": 0,
    }
    assert set(found.own) == {"a", "c"}


def test_a_schedule_whose_job_leads_nowhere_is_refused(file: Path) -> None:
    file.write_text(
        "broker: embedded\nworkers:\n  a: {queue: a, processor: p}\n"
        "schedules:\n  s: {pool: a, every: 5m, data: {then: gone}}\n"
    )

    with pytest.raises(ConfigError) as error:
        load(file, {})

    [found] = error.value.mistakes
    assert (found.line, found.key) == (5, "schedules.s.data")
    assert found.what == "then: names gone, which is no pool here; there are: a"
