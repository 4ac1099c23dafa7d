"""Everything that can be wrong with a configuration, and what is said about it."""

from pathlib import Path

import pytest

from supervisor.config.load import load
from supervisor.config.mistakes import ConfigError

POOL = "queue: q, processor: workers.download"
GOOD = f"workers:\n  a: {{{POOL}}}\n"

# what is written; line, key and words of the complaint
MISTAKES = {
    "empty": ("", 0, "", "is empty"),
    "only a comment": ("# nothing\n", 0, "", "is empty"),
    "null": ("~\n", 0, "", "is empty"),
    "not a mapping": ("- a\n- b\n", 0, "", "must be a mapping (key: value), is a list"),
    "one word": ("supervisor\n", 0, "", "must be a mapping (key: value), is 'supervisor'"),
    "bad YAML": (GOOD + "state: [var\n", 4, "", "column 1: is not YAML"),
    "two colons": ("state: a: b\n", 1, "", "column 9: is not YAML: mapping values"),
    "tab": ("workers:\n\ta: 1\n", 2, "", "column 1: a tab indents this line; YAML wants spaces"),
    "control character": (GOOD + "state: a\x00b\n", 3, "", "a character that text never has"),
    "two documents": (f"{GOOD}---\n{GOOD}", 3, "", "found another document"),
    "tag": (GOOD + "state: !!python/name:os.system x\n", 3, "state", "tags are not used"),
    "alias of itself": (GOOD + "media: &m {root: *m}\n", 3, "media.root", "contains itself"),
    "key twice": (GOOD + "state: a\nstate: b\n", 4, "state", "given twice, first on line 3"),
    "pool twice": (GOOD + f"  a: {{{POOL}}}\n", 3, "workers.a", "given twice, first on line 2"),
    "unknown key": (GOOD + "brokr: x\n", 3, "brokr", "not a key here; did you mean broker?"),
    "strange key": (GOOD + "zzz: x\n", 3, "zzz", "allowed are broker, state, ledger"),
    "unknown key of a pool": (
        "workers:\n  a:\n    queue: q\n    processor: p\n    restartPolicy: always\n",
        5,
        "workers.a.restartPolicy",
        "did you mean restart?",
    ),
    "no pools": ("state: var\n", 1, "workers", "at least one is needed"),
    "empty pools": ("workers: {}\n", 1, "workers", "at least one is needed"),
    "pools as a list": (
        "workers: [a]\n",
        1,
        "workers",
        "must be a mapping (key: value), is a list",
    ),
    "pool without a queue": (
        "workers:\n  a: {processor: p}\n",
        2,
        "workers.a.queue",
        "is missing; name the queue",
    ),
    "pool without a processor": (
        "workers:\n  a: {queue: q}\n",
        2,
        "workers.a.processor",
        "is missing; name the function",
    ),
    "pool name": (f"workers:\n  a/b: {{{POOL}}}\n", 2, "workers.a/b", "is no name for a pool"),
    "processor": (
        "workers:\n  a: {queue: q, processor: do it}\n",
        2,
        "workers.a.processor",
        "must be package.module or package.module:function, is 'do it'",
    ),
    "wrong kind": (GOOD + "state: [a]\n", 3, "state", "must be a single value, is a list"),
    "section that is a value": (GOOD + "media: x\n", 3, "media", "must be a mapping"),
    "no value": (GOOD + "state:\n", 3, "state", "has no value"),
    "broker scheme": (GOOD + "broker: http://h/\n", 3, "broker", "cannot have the scheme http://"),
    "broker no URL": (GOOD + "broker: localhost\n", 3, "broker", "must be a URL; allowed are amqp"),
    "broker no host": (GOOD + "broker: amqp://\n", 3, "broker", "names no host"),
    "broker port": (GOOD + "broker: amqp://h:port/\n", 3, "broker", "port that cannot be read"),
    "ledger": (GOOD + "ledger: mysql://h/d\n", 3, "ledger", "allowed are sqlite:///"),
    "ledger in memory": (GOOD + "ledger: 'sqlite:///:memory:'\n", 3, "ledger", "a database file"),
    "ledger of another name": (GOOD + "ledger: postgres://h/d\n", 3, "ledger", "postgresql://user"),
    "ledger without a host": (GOOD + "ledger: postgresql:///d\n", 3, "ledger", "names no host"),
    "ledger without a database": (GOOD + "ledger: postgresql://h\n", 3, "ledger", "no database"),
    "ledger of no port": (GOOD + "ledger: postgresql://h:x/d\n", 3, "ledger", "cannot be read"),
    "embedded without SQLite": (
        GOOD + "broker: embedded\nledger: postgresql://h/d\n",
        4,
        "ledger",
        "embedded keeps its queues in the ledger, which must then be sqlite",
    ),
    "duration": (GOOD + "metrics: soon\n", 3, "metrics", "must be a time like 500ms, 5s, 10m"),
    "negative duration": (GOOD + "metrics: -5s\n", 3, "metrics", "must be a time like"),
    "zero duration": (GOOD + "metrics: 0\n", 3, "metrics", "must be more than 0"),
    "slow memory check": (GOOD + "memory_check: 5m\n", 3, "memory_check", "must be 0 to 30 s"),
    "size": (GOOD + "body_limit: 1 megabyte\n", 3, "body_limit", "must be a size like 100kB"),
    "body limit": (GOOD + "body_limit: 1GB\n", 3, "body_limit", "to 16,000,000 bytes"),
    "body warning": (
        GOOD + "body_warning: 2MB\n",
        3,
        "body_warning",
        "not be above body_limit",
    ),
    "heartbeat": (
        GOOD + "heartbeat: {interval: 20s}\n",
        3,
        "heartbeat.timeout",
        "must be at least twice the interval (20 s), is 30 s",
    ),
    "reconnect": (
        GOOD + "reconnect: {max: 100ms}\n",
        3,
        "reconnect.max",
        "must not be below delay",
    ),
    "log level": (GOOD + "logs: {level: verbose}\n", 3, "logs.level", "allowed are debug, info"),
    "log file": (GOOD + "logs: {keep: 5kB}\n", 3, "logs.keep", "must be 100,000 to 1,000,000,000"),
    "log format": (GOOD + "logs: {format: jsn}\n", 3, "logs.format", "did you mean json?"),
    "language": (GOOD + "notify: {language: fr}\n", 3, "notify.language", "allowed are en, pt-BR"),
    "templates": (
        GOOD + "notify: {templates: nowhere.yaml}\n",
        3,
        "notify.templates",
        "nowhere.yaml, which is not a file",
    ),
    "sink": (GOOD + "notify: [{mail: a}]\n", 3, "notify[0].mail", "allowed are log, webhook"),
    "sink as a word": (GOOD + "notify: [log]\n", 3, "notify[0]", "must be one of {log: true}"),
    "notify": (GOOD + "notify: true\n", 3, "notify", "must be a mapping or a list of sinks"),
    "webhook": (GOOD + "notify: [{webhook: {}}]\n", 3, "notify[0].webhook.url", "is missing"),
    "webhook URL": (
        GOOD + "notify:\n  sinks:\n    - webhook: {url: 'ftp://h'}\n",
        5,
        "notify.sinks[0].webhook.url",
        "cannot have the scheme ftp://",
    ),
    "variable": (GOOD + "state: ${NOWHERE}\n", 3, "state", "the variable NOWHERE is not set"),
    "variable in text": (GOOD + "state: 'a/${NOWHERE}/b'\n", 3, "state", "NOWHERE is not set"),
    "variable misspelt": (
        GOOD + "state: ${A B}\n",
        3,
        "state",
        "cannot read ${A B}; write",
    ),
    "variable unfinished": (GOOD + "state: 'a${B'\n", 3, "state", "a ${ without its }"),
    "secret file": (GOOD + "state: ${TOKEN}\n", 3, "state", "TOKEN_FILE names /nowhere/token"),
    "queue twice": (
        GOOD + f"  b: {{{POOL}}}\n",
        3,
        "workers.b.queue",
        "its queue q is already workers.a's queue; choose another name",
    ),
    "queue and dead letters": (
        GOOD + "  b: {queue: q_dlq, processor: p}\n",
        3,
        "workers.b.queue",
        "its queue q_dlq is already workers.a's dead-letter queue",
    ),
    "dead letters into the queue": (
        "workers:\n  a: {queue: q, processor: p, dead_letter: q}\n",
        2,
        "workers.a.dead_letter",
        "its dead-letter queue q is already its own queue",
    ),
    "priority lane": (
        "workers:\n  a: {queue: q.priority, processor: p}\n",
        2,
        "workers.a.queue",
        "or end in .priority are reserved",
    ),
    "reserved queue": (
        "workers:\n  a: {queue: amq.direct, processor: p}\n",
        2,
        "workers.a.queue",
        "begin with amq. or supervisor.",
    ),
    "wildcard queue": (
        "workers:\n  a: {queue: a.*.b, processor: p}\n",
        2,
        "workers.a.queue",
        "wildcards",
    ),
    "long queue": (
        f"workers:\n  a: {{queue: {'q' * 200}, processor: p}}\n",
        2,
        "workers.a.queue",
        "must be 190 bytes or shorter, is 200",
    ),
}

# a key of a pool, what is written, what is said
POOL_MISTAKES = {
    "instances": ("two", "must be a whole number, is 'two'"),
    "instances ": ("-1", "must be 0 to 256, is -1"),
    "concurrency": ("0", "must be 1 to 1,000"),
    "memory": ("lots", "must be a size like"),
    "memory_hard": ("1GB", "needs memory"),
    "cpu": ("fast", "must be a number"),
    "cpu ": ("0", "must be more than 0"),
    "cpu  ": (".nan", "must be a number"),
    "restart": ("sometimes", "allowed are always, on-failure, unless-stopped"),
    "restart ": ("allways", "did you mean always?"),
    "timeout": ("0s", "must be more than 0"),
    "max_crashes": ("0", "must be 1 to 100"),
    "backoff": ("5s", "must be a mapping"),
    "backoff.max": ("{delay: 10s, max: 5s}", "must not be below delay (10 s), is 5 s"),
    "backoff.growth": ("{growth: 2}", "not a key here; allowed are delay, max, stable"),
    "retry": ("5", "must be a mapping"),
    "retry.attempts": ("{attempts: 0}", "must be 1 to 1,000"),
    "retry.backoff": ("{backoff: linear}", "allowed are fixed, exponential, list"),
    "retry.backoff ": ("{backoff: list}", "say which: delays: [1s, 10s, 1m]"),
    "retry.delays": ("{backoff: fixed, delays: [1s]}", "belongs to backoff: list"),
    "retry.delays ": ("{delays: 5s}", "must be a list, is '5s'"),
    "retry.delays[1]": ("{delays: [1s, soon]}", "must be a time like"),
    "retry.jitter": ("{jitter: some}", "allowed are none, equal, full"),
    "retry.delay": ("{delay: 60d}", "must be 0 to"),
    "on_memory": ("retry", "must be dead or {requeue: POOL}, is 'retry'"),
    "on_memory ": ("[dead]", "must be a single value, is a list"),
    "on_memory.requeue": ("{}", "is missing; name the pool"),
    "on_memory.requeue ": ("{requeue: a}", "leads back to this pool (a -> a); name one"),
    "on_memory.requeue  ": ("{requeue: b}", "names b, which is no pool; allowed are a"),
    "on_memory.requeue   ": ("{requeue: 'a b'}", "is no name for a pool"),
    "options": ("[a]", "must be a mapping"),
    "options.when": ("{when: 2026-13-45}", "looks like a timestamp and is none"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "supervisor.yaml"


def complaints(file: Path, text: str) -> list[tuple[int, str, str]]:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, {"TOKEN_FILE": "/nowhere/token"})
    return [(mistake.line, mistake.key, mistake.what) for mistake in caught.value.mistakes]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_line_key_and_remedy(file: Path, name: str) -> None:
    text, line, key, words = MISTAKES[name]

    found = complaints(file, text)

    assert [(line, key)] == [complaint[:2] for complaint in found], found
    assert words in found[0][2]


@pytest.mark.parametrize("name", POOL_MISTAKES)
def test_a_mistake_in_a_pool_is_named_with_line_key_and_remedy(file: Path, name: str) -> None:
    written, words = POOL_MISTAKES[name]
    top = name.strip().split(".")[0].split("[")[0]

    found = complaints(
        file, f"workers:\n  a:\n    queue: q\n    processor: p\n    {top}: {written}\n"
    )

    assert [(5, f"workers.a.{name.strip()}")] == [complaint[:2] for complaint in found], found
    assert words in found[0][2]


def test_pools_that_send_jobs_round_in_a_circle_are_each_named(file: Path) -> None:
    pools = {"a": "b", "b": "c", "c": "b", "d": "d"}
    text = "workers:\n" + "".join(
        f"  {name}: {{queue: q{name}, processor: p, on_memory: {{requeue: {to}}}}}\n"
        for name, to in pools.items()
    )

    found = complaints(file, text)

    assert [complaint[:2] for complaint in found] == [
        (3, "workers.b.on_memory.requeue"),
        (4, "workers.c.on_memory.requeue"),
        (5, "workers.d.on_memory.requeue"),
    ]
    assert "(b -> c -> b)" in found[0][2]


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file(file: Path) -> None:
    found = complaints(file, "state: [a]\nworkers:\n  a: {queue: q, instances: x}\nbrokr: y\n")

    assert [complaint[:2] for complaint in found] == [
        (1, "state"),
        (3, "workers.a.processor"),
        (3, "workers.a.instances"),
        (4, "brokr"),
    ]


def test_a_complaint_reads_file_line_key_and_reason(file: Path) -> None:
    file.write_text(GOOD + "metrics: soon\n")

    with pytest.raises(ConfigError) as caught:
        load(file, {})

    assert str(caught.value).startswith(f"{file}:3: metrics: must be a time like 500ms, 5s,")


def test_a_wrong_url_is_never_shown(file: Path) -> None:
    found = complaints(file, GOOD + "broker: amqp://guest:hush@/\nledger: mysql://u:hush@h/d\n")

    assert len(found) == 2
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "there is no such file; name yours with -c PATH"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b"state: \xff\n"), "is not UTF-8 text (byte 7)"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_mistake_too(file: Path, make, words: str) -> None:  # type: ignore[no-untyped-def]  # lambdas of the table
    make(file)

    with pytest.raises(ConfigError) as caught:
        load(file, {})

    assert str(caught.value).startswith(f"{file}: {words}")
