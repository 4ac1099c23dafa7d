"""Schedules in the configuration: what they become, and what can be wrong with them."""

from pathlib import Path

import pytest

from consumers.jobs import Priority
from supervisor.config.load import load
from supervisor.config.masking import masked
from supervisor.config.mistakes import ConfigError
from supervisor.config.settings import Settings
from supervisor.core.schedules import Missed, Timetable

POOLS = "workers:\n  a: {queue: q, processor: workers.download}\n"

# what is written below `schedules`, from line 4 on; line, key and words of the complaint
MISTAKES = {
    "no pool": ("  n: {every: 5s}", 4, "n.pool", "is missing; name the pool"),
    "unknown pool": (
        "  n: {pool: aa, every: 5s}",
        4,
        "n.pool",
        "which is no pool; did you mean a?",
    ),
    "no rhythm": ("  n: {pool: a}", 4, "n.cron", "is missing; say one of cron and every"),
    "both": ("  n: {pool: a, every: 5s, cron: '@daily'}", 4, "n.cron", "and not both"),
    "bad line": ("  n:\n    pool: a\n    cron: 0 25 * * *", 6, "n.cron", "no cron line: bad hour"),
    "never": ("  n: {pool: a, cron: '* * */20 * 1L'}", 4, "n.cron", "never comes"),
    "zone": ("  n:\n    pool: a\n    cron: '@daily'\n    zone: Mars", 7, "n.zone", "no time zone"),
    "zone of steps": ("  n: {pool: a, every: 5s, zone: UTC}", 4, "n.zone", "belongs to cron"),
    "too often": ("  n: {pool: a, every: 10ms}", 4, "n.every", "must be 1 s to"),
    "no time": ("  n: {pool: a, every: soon}", 4, "n.every", "must be a time like"),
    "missed": ("  n: {pool: a, every: 5s, missed: later}", 4, "n.missed", "cannot be 'later'"),
    "priority": ("  n: {pool: a, every: 5s, priority: 9}", 4, "n.priority", "must be one of"),
    "at most": ("  n: {pool: a, every: 5s, missed: catch_up, at_most: 0}", 4, "n.at_most", "1 to"),
    "skip": (
        "  n: {pool: a, every: 5s, at_most: 5}",
        4,
        "n.at_most",
        "belongs to missed: catch_up",
    ),
    "data": ("  n: {pool: a, every: 5s, data: [1]}", 4, "n.data", "must be a mapping"),
    "bad data": ("  n: {pool: a, every: 5s, data: {noreply: 3}}", 4, "n.data", "noreply: must be"),
    "unknown key": ("  n: {pool: a, every: 5s, retries: 3}", 4, "n.retries", "is not a key here"),
    "name": ("  a/b: {pool: a, every: 5s}", 4, "a/b", "is no name for a schedule"),
}


def loaded(folder: Path, text: str) -> Settings:
    file = folder / "supervisor.yaml"
    file.write_text(text)
    return load(file, {})


def test_a_schedule_is_what_is_written(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        f"{POOLS}schedules:\n"
        "  nightly: {pool: a, cron: 0 3 * * *, zone: Europe/Lisbon, data: {n: 1}, priority: low,"
        " missed: catch_up, at_most: 5}\n"
        "  often: {pool: a, every: 1m30s}\n",
    )

    assert settings.schedules == {
        "nightly": Timetable(
            pool="a",
            body=b'{"n":1}',
            cron="0 3 * * *",
            zone="Europe/Lisbon",
            priority=Priority.LOW,
            missed=Missed.CATCH_UP,
            at_most=5,
        ),
        "often": Timetable(pool="a", every=90.0),
    }


def test_what_check_shows_reads_back_as_the_same_and_holds_no_secret(tmp_path: Path) -> None:
    text = f"{POOLS}schedules: {{n: {{pool: a, cron: '@daily', data: {{n: 1}}, missed: catch_up}}}}"
    settings = loaded(tmp_path, text)

    assert loaded(tmp_path, masked(settings)).schedules == settings.schedules

    secret = loaded(tmp_path, text.replace("{n: 1}", "{token: hush}"))
    assert "hush" not in masked(secret)


@pytest.mark.parametrize(("text", "line", "key", "what"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_line_and_key(
    tmp_path: Path, text: str, line: int, key: str, what: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"{POOLS}schedules:\n{text}\n")

    (mistake,) = refused.value.mistakes
    assert (mistake.line, mistake.key) == (line, f"schedules.{key}")
    assert what in mistake.what


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = "  n: {pool: b, every: never, missed: soon}\n  m: {cron: 1 2 3, pool: a}"

    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"{POOLS}schedules:\n{text}\n")

    keys = {mistake.key.removeprefix("schedules.") for mistake in refused.value.mistakes}
    assert keys == {"n.pool", "n.every", "n.missed", "m.cron"}
