"""What bodies say is to follow, and what is said about one that says nonsense."""

import time
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.chains import INTO, MOST_LEVELS, MOST_STEPS, RESULT, Step, read, steps_of, written
from consumers.errors import MalformedError
from consumers.jobs import Properties
from consumers.jobs import read as read_body

SHAPES = 'must be the name of a pool, a step like {"pool": "preview"}, or a list of them'
NO_NAME = "is no name for a pool; letters, digits, - and _ are allowed, a letter first"
A = {"pool": "a"}


def nested(levels: int) -> object:
    """Return a step with steps below it."""
    said: object = []
    for _ in range(levels):
        said = [A | {"then": said}]
    return said


# what a body says as `then`: the field that is refused, and the beginning of why
REFUSED: Mapping[str, tuple[object, str, str]] = {
    "a number": (5, "then", f"{SHAPES}, is a number"),
    "a fraction": (0.5, "then", f"{SHAPES}, is a number"),
    "a flag": (False, "then", f"{SHAPES}, is true or false"),
    "no name": ("", "then", f"'' {NO_NAME}"),
    "spaces": ("a b", "then", f"'a b' {NO_NAME}"),
    "NUL": ("a\0", "then", f"'a\\x00' {NO_NAME}"),
    "letters of other alphabets": ("ä", "then", f"'ä' {NO_NAME}"),
    "an endless name": ("a" * 500_000, "then", f"'{'a' * 40}' {NO_NAME}"),
    "an address": ("amqp://me:hush@h/", "then", f"an address {NO_NAME}"),
    "an empty object": ({}, "then.pool", "is missing; name the pool"),
    "null as a step": ([None], "then[0]", f"{SHAPES}, is null"),
    "a list in a list": ([["a"]], "then[0]", f"{SHAPES}, is a list"),
    "a number after a pool": (["a", 5], "then[1]", f"{SHAPES}, is a number"),
    "a pool that is a number": ([{"pool": 5}], "then[0].pool", "must be text, is a number"),
    "a pool that is null": ([{"pool": None}], "then[0].pool", "is missing"),
    "a pool that is a list": ([{"pool": ["a"]}], "then[0].pool", "must be text, is a list"),
    "another field": (
        [A | {"queue": "q"}],
        "then[0].queue",
        "is no field of a step; there are pool, type, each, into, data, then",
    ),
    "an unprintable field": ([A | {"\n": 1}], "then[0].'\\n'", "is no field of a step"),
    "an endless field": ([A | {"x" * 500_000: 1}], f"then[0].'{'x' * 40}'", "is no field"),
    "a type that is a number": ([A | {"type": 1}], "then[0].type", "must be text, is a number"),
    "a type with NUL": ([A | {"type": "a\0"}], "then[0].type", "must be at most 200 printable"),
    "an endless type": ([A | {"type": "x" * 201}], "then[0].type", "must be at most 200"),
    "each that is a flag": ([A | {"each": True}], "then[0].each", "must be text, is true or false"),
    "each that is no path": (
        [A | {"each": "data..items"}],
        "then[0].each",
        'must be files, the path of a list in the result like data.items, or "" for one job, '
        "is 'data..items'",
    ),
    "an endless path": ([A | {"each": "a." * 200 + "a"}], "then[0].each", "must be files"),
    "no field to go into": ([A | {"into": ""}], "then[0].into", "must be 1 to 200 printable"),
    "into NUL": ([A | {"into": "a\0"}], "then[0].into", "must be 1 to 200 printable"),
    "into an object": ([A | {"into": {}}], "then[0].into", "must be text, is an object"),
    "into from": ([A | {"into": "from"}], "then[0].into", "cannot be from; a job has it from"),
    "into type": ([A | {"into": "type"}], "then[0].into", "cannot be type; say it as type of"),
    "into then": ([A | {"into": "then"}], "then[0].into", "cannot be then; say it as then of"),
    "data that is a list": ([A | {"data": []}], "then[0].data", "must be an object, is a list"),
    "data with from": ([A | {"data": {"from": 1}}], "then[0].data.from", "cannot be said here"),
    "data with userId": ([A | {"data": {"userId": 1}}], "then[0].data.userId", "cannot be said"),
    "data with noreply": ([A | {"data": {"noreply": 1}}], "then[0].data.noreply", "cannot be said"),
    "data with type": ([A | {"data": {"type": "x"}}], "then[0].data.type", "cannot be said here"),
    "data with then": ([A | {"data": {"then": []}}], "then[0].data.then", "cannot be said here"),
    "data where the entry goes": (
        [A | {"data": {INTO: "/x"}}],
        "then[0].data.filePath",
        "is the field that has the entry; name another one with into",
    ),
    "data where the result goes": (
        [A | {"each": "", "data": {RESULT: 1}}],
        "then[0].data.result",
        "is the field that has the entry",
    ),
    "further down": (
        {"pool": "a", "then": ["b", {"pool": "c", "then": {"pool": 5}}]},
        "then.then[1].then.pool",
        "must be text, is a number",
    ),
    "too deep": (
        nested(MOST_LEVELS + 1),
        "then" + "[0].then" * MOST_LEVELS,
        "is 9 levels deep, at most 8 are allowed",
    ),
    "too many": (["a"] * (MOST_STEPS + 1), "then", "comes to 21 steps, at most 20 are allowed"),
    "too many in all": (
        [A | {"then": ["a"] * 10}, A | {"then": ["a"] * 10}],
        "then[1].then",
        "comes to at least 22 steps, at most 20 are allowed in all",
    ),
}


@pytest.mark.parametrize(("said", "field", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_follow_is_refused_with_its_place_named(
    said: object, field: str, why: str
) -> None:
    body = msgspec.json.encode({"link": "x", "then": said})

    with pytest.raises(MalformedError) as refused:
        read_body(body, Properties(), limit=1_000_000)

    assert refused.value.field == field
    assert refused.value.message.startswith(f"{field}: {why}")
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 300
    assert refused.value.code == "bad_message"


@pytest.mark.parametrize(
    ("said", "steps"),
    [
        (None, None),
        ([], ()),
        ("preview", (Step("preview"),)),
        (["preview", "cutter"], (Step("preview"), Step("cutter"))),
        ({"pool": "preview"}, (Step("preview"),)),
        ([{"pool": "a", "then": []}], (Step("a", then=()),)),
        ([{"pool": "a", "then": None, "type": None}], (Step("a"),)),
        ([{"pool": "a", "each": ""}], (Step("a", each="", into="result"),)),
        ([{"pool": "a", "each": "", "into": INTO}], (Step("a", each="", into=INTO),)),
        ([{"pool": "a", "each": "data.ítens"}], (Step("a", each="data.ítens"),)),
        ([{"pool": "a", "data": {"x\0": "\0"}}], (Step("a", data={"x\0": "\0"}),)),
    ],
)
def test_each_shape_is_read(said: object, steps: tuple[Step, ...] | None) -> None:
    assert steps_of({"then": said}) == steps
    assert steps is None or steps_of({"then": written(steps)}) == steps


def test_a_body_without_the_field_says_nothing() -> None:
    assert steps_of({}) is None


def test_as_deep_and_as_many_as_allowed_is_read() -> None:
    assert steps_of({"then": nested(MOST_LEVELS)})
    assert len(steps_of({"then": ["a"] * MOST_STEPS}) or ()) == MOST_STEPS


def test_every_mistake_is_found_at_once() -> None:
    _, wrong = read([{"pool": 5, "each": "..", "x": 1}, 7, {"data": []}])

    places = [field for field, _ in wrong]
    assert places == [
        *("then[0].x", "then[0].each", "then[0].pool"),
        *("then[1]", "then[2].pool", "then[2].data"),
    ]


@pytest.mark.parametrize(
    "said",
    [
        [None] * 1_000_000,
        [{"pool": "a", "then": ["b"] * 50_000}] * 20,
        [{f"f{number}": 1 for number in range(200_000)}],
    ],
    ids=["a million", "twenty times fifty thousand", "200,000 fields"],
)
def test_a_huge_one_is_refused_in_no_time(said: object) -> None:
    begun = time.perf_counter()

    _, wrong = read(said)

    assert time.perf_counter() - begun < 1.0
    assert 0 < len(wrong) < 50


def test_one_nested_without_end_is_refused_like_any_other() -> None:
    body = b'{"then":' * 300 + b"1" + b"}" * 300

    with pytest.raises(MalformedError):
        read_body(body, Properties(), limit=1_000_000)


FIELDS = st.sampled_from(["pool", "type", "each", "into", "data", "then", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5) | st.just("a"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_whatever_is_said_is_read_or_refused_and_reads_back_the_same(said: object) -> None:
    steps, wrong = read(said)

    if not wrong:
        assert read(written(steps)) == (steps, ())
