"""What the kernel counts of its kills, and which death it is taken for."""

from pathlib import Path

import pytest

from supervisor.cgroup import MOUNTED, OURS, KernelKills, counters, kills

EVENTS = "low 0\nhigh 0\nmax 12\noom 3\noom_kill {}\noom_group_kill 0\n"
SECOND = "0::/system.slice/rabbit-supervisor.service\n"
FIRST = "5:devices:/\n4:memory:/docker/abc\n3:cpu,cpuacct:/\n0::/ignored\n"


class Group:
    """A control group of its own in a folder."""

    def __init__(self, folder: Path, membership: str = SECOND) -> None:
        self.membership = folder / "cgroup"
        self.membership.write_text(membership)
        self.mounted = folder / "sys"
        self._file = next(iter(counters(membership, self.mounted)))
        self._file.parent.mkdir(parents=True)
        self.count(0)

    def count(self, killed: int) -> None:
        self._file.write_text(EVENTS.format(killed))

    def watch(self) -> KernelKills:
        return KernelKills(self.membership, self.mounted)


@pytest.fixture
def group(tmp_path: Path) -> Group:
    return Group(tmp_path)


def ask(watch: KernelKills) -> bool | None:
    return watch.was_one(watch.read())


def look(watch: KernelKills) -> None:
    watch.look(watch.read())


def test_the_file_of_either_version_is_found() -> None:
    mounted = Path("/cg")

    assert list(counters(SECOND, mounted)) == [
        Path("/cg/system.slice/rabbit-supervisor.service/memory.events"),
        Path("/cg/memory.events"),
    ]
    assert list(counters(FIRST, mounted))[:2] == [
        Path("/cg/memory/docker/abc/memory.oom_control"),
        Path("/cg/memory/memory.oom_control"),
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (EVENTS.format(7), 7),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", 2),
        ("oom_kill_disable 0\nunder_oom 0\n", None),  # before Linux 4.13
        ("", None),
        ("oom_kill many\n", None),
    ],
)
def test_the_kills_are_read_from_either_version(text: str, count: int | None) -> None:
    assert kills(text) == count


def test_a_count_that_has_grown_tells_of_the_kernel(group: Group) -> None:
    watch = group.watch()
    group.count(1)

    assert ask(watch) is True


def test_a_count_that_has_not_grown_says_that_it_was_somebody_else(group: Group) -> None:
    assert ask(group.watch()) is False


def test_one_kill_explains_one_death(group: Group) -> None:
    watch = group.watch()
    group.count(2)

    assert [ask(watch), ask(watch), ask(watch)] == [True, True, False]


def test_a_death_is_explained_though_it_is_asked_about_after_the_next_look(group: Group) -> None:
    watch = group.watch()
    look(watch)
    group.count(1)
    look(watch)

    assert ask(watch) is True


def test_a_kill_long_ago_explains_nothing(group: Group) -> None:
    watch = group.watch()
    group.count(1)
    look(watch)
    look(watch)

    assert ask(watch) is False


def test_an_explained_kill_is_not_taken_for_another_death_after_the_next_look(
    group: Group,
) -> None:
    watch = group.watch()
    group.count(1)
    assert ask(watch) is True
    look(watch)

    assert ask(watch) is False


def test_in_a_container_the_group_at_the_root_is_read(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text(FIRST)
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.oom_control").write_text("oom_kill 4\n")

    assert KernelKills(tmp_path / "cgroup", tmp_path).read() == 4


@pytest.mark.parametrize("membership", ["nonsense", "", "0::/nowhere\n"])
def test_where_nothing_can_be_read_nobody_can_tell(tmp_path: Path, membership: str) -> None:
    (tmp_path / "cgroup").write_text(membership)
    watch = KernelKills(tmp_path / "cgroup", tmp_path)

    look(watch)
    assert ask(watch) is None


def test_a_system_without_groups_cannot_tell(tmp_path: Path) -> None:
    assert ask(KernelKills(tmp_path / "nowhere", tmp_path)) is None


def test_this_machine_is_read_without_an_error() -> None:
    watch = KernelKills(OURS, MOUNTED)

    assert watch.read() is None or ask(watch) is False
