"""What follows a completed job, whatever its result holds and whatever its body says."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import pytest

from consumers.chains import Step
from consumers.errors import MalformedError
from consumers.jobs import Priority, Properties, read
from consumers.topology import pool_queues
from supervisor.core import chains
from supervisor.core.chains import Following, check, followers, refusal
from supervisor.core.records import JobRecord, JobState, PoolCard

NOW = datetime(2026, 5, 1, tzinfo=UTC)
MIXED = PoolCard("mixed", pool_queues("mixed_queue"), types=("a", "b"))
TYPED = PoolCard("typed", pool_queues("typed_queue"), types=("b", "a"), needs_type=True)
POOLS = {
    "download": PoolCard("download", pool_queues("download_queue"), then=(Step("cutter"),)),
    "large": PoolCard("large", pool_queues("large_queue")),
    "cutter": PoolCard("cutter", pool_queues("cutter_queue")),
    "preview": PoolCard("preview", pool_queues("preview_queue")),
    "mixed": MIXED,
    "typed": TYPED,
}
PLAIN: Mapping[str, object] = {"link": "x"}
FILES = {"files": [{"path": "/m/1.mp4", "size": 1}, {"path": "/m/2.mp4", "size": 1}]}


def job(
    then: object = None, data: Mapping[str, object] = PLAIN, *, pool: str = "download"
) -> JobRecord:
    said = read(msgspec.json.encode(data), Properties(), limit=100_000)
    return JobRecord(
        id="j1",
        pool=pool,
        queue="download_queue",
        state=JobState.COMPLETED,
        priority=Priority.HIGH,
        data=data if then is None else {**data, "then": then},
        sender=said.sender,
        noreply=said.noreply,
    )


def following(of: JobRecord, result: Mapping[str, object]) -> Following:
    return followers(of, result, POOLS, now=NOW)


def bodies(of: JobRecord, result: Mapping[str, object]) -> list[object]:
    return [msgspec.json.decode(each.body) for each in following(of, result).jobs]


# --- which jobs, with which bodies --------------------------------------------------------------


def test_each_file_becomes_a_job_of_the_pool_that_follows() -> None:
    found = following(job(), FILES)

    assert [(each.pool, each.queue) for each in found.jobs] == [("cutter", "cutter_queue")] * 2
    assert bodies(job(), FILES) == [{"filePath": "/m/1.mp4"}, {"filePath": "/m/2.mp4"}]
    assert found.remarks == ()


def test_a_jobs_own_word_replaces_that_of_its_pool() -> None:
    assert [each.pool for each in following(job("preview"), FILES).jobs] == ["preview"] * 2
    assert following(job([]), FILES) == Following()


def test_a_job_that_was_moved_to_a_roomier_pool_is_followed_as_those_of_its_queue() -> None:
    assert [each.pool for each in following(job(pool="large"), FILES).jobs] == ["cutter"] * 2


def test_every_step_has_every_file() -> None:
    found = following(job(["cutter", "preview"]), FILES).jobs

    assert [each.pool for each in found] == ["cutter"] * 2 + ["preview"] * 2


def test_files_that_only_come_with_others_are_no_jobs() -> None:
    kinds = ["subtitles", "text", "video", "image"]
    files = {"files": [{"path": f"/m/{kind}", "kind": kind} for kind in kinds]}

    assert bodies(job("preview"), files) == [{"filePath": "/m/video"}, {"filePath": "/m/image"}]


def test_a_follower_is_told_what_its_step_says() -> None:
    step = {
        "pool": "mixed",
        "type": "a",
        "into": "video",
        "data": {"segmentTime": 30},
        "then": [{"pool": "preview", "each": "data.x", "then": []}],
    }
    [first, _] = following(job(step, {"from": "ana"}), FILES).jobs

    assert msgspec.json.decode(first.body) == {
        "video": "/m/1.mp4",
        "segmentTime": 30,
        "from": "ana",
        "type": "a",
        "then": [{"pool": "preview", "each": "data.x", "then": []}],
    }
    assert (first.name, first.properties.type) == ("a", "a")


def test_a_follower_is_as_urgent_as_the_job_before_and_goes_its_way_as_a_new_one() -> None:
    [first, second] = following(job(), FILES).jobs

    assert (first.priority, first.properties.priority) == (Priority.HIGH, 4)
    assert first.id == first.properties.message_id != second.id
    assert (first.origin, first.properties.timestamp) == ("chain", NOW)
    assert (first.properties.reply_to, first.properties.headers) == (None, {})
    assert first.parent is None  # who enters it knows


@pytest.mark.parametrize(
    ("said", "carried", "sender"),
    [
        ({"from": "ana"}, {"from": "ana"}, "ana"),
        ({"from": 42}, {"from": 42}, "42"),
        ({"from": 0}, {"from": 0}, "0"),
        ({"userId": 7}, {"userId": 7}, "7"),
        ({"from": "ana", "userId": 7}, {"from": "ana", "userId": 7}, "ana"),
        ({"from": None, "userId": "u"}, {"userId": "u"}, "u"),
        ({"from": "ana", "noreply": True}, {"from": "ana", "noreply": True}, "ana"),
        ({"from": "ana", "noreply": None}, {"from": "ana"}, "ana"),
        ({}, {}, ""),
    ],
)
def test_a_follower_is_for_the_same_user_in_the_same_words(
    said: dict[str, object], carried: Mapping[str, object], sender: str
) -> None:
    [first, _] = following(job(None, said), FILES).jobs

    assert msgspec.json.decode(first.body) == {"filePath": "/m/1.mp4", **carried}
    assert read(first.body, first.properties, limit=1000).sender == sender == first.sender
    assert first.noreply is bool(said.get("noreply"))


# --- what a result may hold ---------------------------------------------------------------------

ODD = {"no": "path"}


@pytest.mark.parametrize(
    ("each", "result", "entries"),
    [
        ("files", {}, None),
        ("files", {"files": []}, []),
        ("files", {"files": ["/a", {"path": "/b"}]}, ["/a", "/b"]),
        ("files", {"data": {"files": ["/a", {"path": "/b", "kind": "text"}]}}, ["/a"]),
        ("data.items", {"data": {"items": [1, "x", ODD]}}, [1, "x", ODD]),
        ("items", {"data": {"items": ["x"]}}, ["x"]),
        ("data.items", {"data": {"data": {"items": ["x"]}}}, ["x"]),
        ("data.items", {"data": {"items": [None, [], True, 0.5]}}, [None, [], True, 0.5]),
        ("data.items", {"data": {"items": [{"path": 5}]}}, [{"path": 5}]),
        ("data.items", {"data": {"items": "x"}}, None),
        ("data.items", {"data": {"items": {"a": 1}}}, None),
        ("data.items", {"data": ["x"]}, None),
        ("data.items.deep", {"data": {"items": ["x"]}}, None),
        ("warnings", {"warnings": ["w"]}, ["w"]),
    ],
)
def test_the_list_that_is_named_becomes_jobs_whatever_it_holds(
    each: str, result: Mapping[str, object], entries: list[object] | None
) -> None:
    step = {"pool": "preview", "each": each, "into": "x"}

    found = bodies(job(step), result)

    assert found == [{"x": entry} for entry in entries or ()]
    said = [remark.partition(";")[0] for remark in following(job(step), result).remarks]
    missing = f"not all follows in preview: the result has no list {each}"
    assert said == ([missing] if entries is None else [])


def test_where_a_list_is_missing_those_that_there_are_are_named() -> None:
    step = {"pool": "preview", "each": "data.itemz", "into": "x"}
    result = {"files": [], "data": {"items": ["x"], "odd\0": [], "n": 1}}

    (remark,) = following(job(step), result).remarks
    assert remark.endswith("the result has no list data.itemz; it has files, data.items")
    (remark,) = following(job(step), {"data": {"items": None}}).remarks
    assert remark.endswith("the result has no list data.itemz; it has none at all")


@pytest.mark.parametrize("result", [{}, {"files": ["/a", "/b"]}, {"data": {"a": [1]}}])
def test_one_job_follows_whatever_the_result_is(result: Mapping[str, object]) -> None:
    step = {"pool": "preview", "each": ""}

    assert bodies(job(step), result) == [{"result": result.get("data", {})}]


@pytest.mark.parametrize("result", [{"success": False}, {"data": {"success": False}}])
def test_nothing_follows_what_was_no_success(result: dict[str, object]) -> None:
    assert following(job("preview"), FILES | result) == Following()


def test_what_is_made_is_read_as_a_job_again() -> None:
    names = ["/m/\0", "/m/\n", "/m/ß🎬\u202e", ""]
    files = {"files": [{"path": name} for name in names]}

    for made, name in zip(following(job("preview"), files).jobs, names, strict=True):
        assert read(made.body, made.properties, limit=1000).data["filePath"] == name


def test_a_pool_that_is_gone_meanwhile_is_spoken_of_and_the_others_have_their_jobs() -> None:
    found = following(job(["gone", "preview"]), FILES)

    assert [each.pool for each in found.jobs] == ["preview"] * 2
    [remark] = found.remarks
    assert remark.startswith("not all follows in gone: there is no such pool here; there are: down")


def test_a_body_that_says_nonsense_was_completed_all_the_same() -> None:
    found = following(job({"pool": 5}), FILES)

    assert found == Following(remarks=("nothing follows: then.pool: must be text, is a number",))


def test_a_body_that_is_no_object_has_the_followers_of_its_pool() -> None:
    odd = msgspec.structs.replace(job(), data="text", sender="ana")

    assert bodies(odd, FILES)[0] == {"filePath": "/m/1.mp4", "from": "ana"}


# --- much of it ---------------------------------------------------------------------------------


def test_ten_thousand_files_become_as_many_jobs_in_no_time() -> None:
    files = {"files": [{"path": f"/m/{number}.mp4"} for number in range(10_000)]}
    begun = time.perf_counter()

    found = following(job("preview"), files)

    assert time.perf_counter() - begun < 2.0
    assert len({each.id for each in found.jobs}) == 10_000
    assert found.remarks == ()


def test_of_more_jobs_than_may_follow_the_first_are_made_and_the_rest_is_counted() -> None:
    step = {"pool": "preview", "each": "data.x"}

    found = following(job(step), {"data": {"x": [1] * 1_000_000}})

    assert len(found.jobs) == chains.MOST
    [remark] = found.remarks
    assert remark == (
        "not all follows in preview: 990,000 more are left out, 10,000 may follow one job"
    )


def test_all_together_are_no_larger_than_what_is_written_at_once() -> None:
    step = {"pool": "preview", "each": "data.x", "data": {"much": "x" * 500_000}}

    found = following(job(step), {"data": {"x": [1] * 1000}})

    assert sum(len(each.body) for each in found.jobs) <= chains.MOST_BYTES
    assert 100 < len(found.jobs) < 130
    assert "all together may have 64,000,000 bytes" in found.remarks[0]


@pytest.mark.parametrize(("more", "remarks"), [(100, 1), (-20, 20)])
def test_much_data_of_a_step_costs_no_more_for_many_entries(more: int, remarks: int) -> None:
    much = {"much": "x" * (chains.LARGEST + more)}
    step = {"pool": "preview", "each": "data.x", "data": much}
    begun = time.process_time()

    found = following(job(step), {"data": {"x": ["entry"] * 1000}})

    assert time.process_time() - begun < 1.0
    assert found.jobs == ()
    assert len(found.remarks) == remarks


def test_entries_that_are_left_out_count_towards_the_most() -> None:
    step = {"pool": "preview", "each": "data.x"}

    found = following(job(step), {"data": {"x": [object()] * 4000 + ["a"] * 8000}})

    assert len(found.jobs) == chains.MOST - 4000


def test_an_entry_that_no_pool_takes_is_left_out_and_the_others_follow() -> None:
    step = {"pool": "preview", "each": "data.x"}
    deep: object = []
    for _ in range(100_000):
        deep = [deep]

    found = following(job(step), {"data": {"x": ["a" * chains.LARGEST, deep, "b"]}})

    assert [each.body for each in found.jobs] == [b'{"filePath":"b"}']
    assert len(found.remarks) == 2
    assert all("an entry of data.x is left out" in remark for remark in found.remarks)
    while isinstance(deep, list) and deep:  # or the interpreter takes it apart in one go
        deep = deep[0]


# --- what speaks against a body -----------------------------------------------------------------

NO_POOL = "names gone, which is no pool here; there are: download, large, cutter"
UNKNOWN = {
    "a name": ("gone", f"then: {NO_POOL}"),
    "a name in a list": (["cutter", "gone"], f"then[1]: {NO_POOL}"),
    "a step": ({"pool": "gone"}, f"then.pool: {NO_POOL}"),
    "further down": (
        [{"pool": "cutter", "then": [{"pool": "gone"}]}],
        f"then[0].then[0].pool: {NO_POOL}",
    ),
    "no type": ("typed", "then.type: is missing; the pool typed has jobs of these types: a, b"),
    "another type": (
        [{"pool": "mixed", "type": "c"}],
        "then[0].type: is 'c', which the pool mixed does not know; it knows: a, b",
    ),
    "a type where there are none": (
        {"pool": "cutter", "type": "a"},
        "then.type: is 'a', but the pool cutter has no types",
    ),
}


@pytest.mark.parametrize(("then", "said"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_pool_or_type_that_is_not_there_is_named_with_those_that_are(
    then: object, said: str
) -> None:
    with pytest.raises(MalformedError) as refused:
        check({"then": then}, POOLS)

    assert refused.value.message.startswith(said)
    failure = refusal(msgspec.json.encode({"then": then}), POOLS)
    assert failure is not None
    assert failure.message == refused.value.message
    assert (failure.code, failure.permanent) == ("bad_message", True)


@pytest.mark.parametrize(
    "then",
    [
        None,
        [],
        "cutter",
        ["mixed", {"pool": "mixed", "type": "a"}, {"pool": "typed", "type": "b"}],
    ],
)
def test_what_is_there_is_not_spoken_against(then: object) -> None:
    check({"then": then}, POOLS)

    assert refusal(msgspec.json.encode({"then": then}), POOLS) is None


@pytest.mark.parametrize("name", [b"then", b"\\u0074hen", b"the\\u006E"])
def test_what_follows_is_looked_at_however_its_name_is_written(name: bytes) -> None:
    body = b'{"' + name + b'": "nosuch"}'

    failure = refusal(body, POOLS)

    assert failure is not None
    assert failure.message.startswith("then: names nosuch, which is no pool here")


@pytest.mark.parametrize("body", [b"", b'"then"', b'"then', b'["then"]', b"[" * 9999 + b'"then"'])
def test_a_body_that_is_no_object_is_for_others_to_refuse(body: bytes) -> None:
    assert refusal(body, POOLS) is None
