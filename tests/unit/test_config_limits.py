"""What may be said under ``limits``, and what is said of mistakes there."""

from pathlib import Path

import pytest

from consumers.limits import Limits, Rate
from supervisor.config.load import load
from supervisor.config.mistakes import ConfigError

GOOD = "broker: embedded\nworkers:\n  a:\n    queue: q\n    processor: p\n"


def limits_of(tmp_path: Path, said: str) -> Limits:
    file = tmp_path / "supervisor.yaml"
    file.write_text(f"{GOOD}    limits: {said}\n")
    return load(file, {}).workers["a"].limits


BAD = {
    "rate": ("{rate: fast}", "rate", "must be so many jobs in a time, like 10/s, 100/min or 5/h"),
    "no time": ("{rate: 10}", "rate", "must be so many jobs in a time"),
    "no such time": ("{rate: 10/week}", "rate", "must be so many jobs in a time"),
    "no jobs": ("{rate: 0/s}", "rate", "must be more than 0 and up to 10,000/s"),
    "negative": ("{rate: -1/s}", "rate", "must be so many jobs in a time"),
    "too fast": ("{rate: 10001/s}", "rate", "must be more than 0 and up to 10,000/s"),
    "rate without a value": ("{rate: , burst: 2}", "burst", "belongs to rate"),
    "burst": ("{rate: 10/s, burst: 0}", "burst", "must be 1 to 100,000, is 0"),
    "burst that is no number": ("{rate: 10/s, burst: many}", "burst", "must be a whole number"),
    "burst alone": ("{burst: 5}", "burst", "belongs to rate: say how many jobs in which time"),
    "by alone": ("{by: from}", "by", "limits nothing by itself"),
    "by": ("{by: a..b, rate: 1/s}", "by", "must be from, host, or a field of the body"),
    "by nothing": ("{by: '', rate: 1/s}", "by", "must be from, host, or a field of the body"),
    "concurrency": ("{by: from, concurrency: 0}", "concurrency", "must be 1 to 1,000, is 0"),
    "concurrency of all": ("{concurrency: 2}", "concurrency", "holds for each key: say by what"),
    "unknown": ("{rat: 1/s}", "rat", "did you mean rate?"),
    "no mapping": ("10/s", "", "must be a mapping (key: value)"),
}


@pytest.mark.parametrize(("said", "key", "what"), BAD.values(), ids=BAD)
def test_a_mistake_in_limits_is_named_with_its_line(
    tmp_path: Path, said: str, key: str, what: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        limits_of(tmp_path, said)

    where = f"workers.a.limits{f'.{key}' if key else ''}"
    assert [(m.line, m.key) for m in caught.value.mistakes] == [(6, where)]
    assert what in caught.value.mistakes[0].what


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        ("{}", Limits()),
        ("{rate: 10/s}", Limits(Rate(10, 1.0))),
        ("{rate: 100/min, burst: 5}", Limits(Rate(100, 60.0), 5)),
        ("{rate: 5 / h}", Limits(Rate(5, 3600.0))),
        ("{rate: 0.5/s}", Limits(Rate(0.5, 1.0))),
        ("{by: from, rate: 10/m}", Limits(Rate(10, 60.0), by="from")),
        ("{by: host, concurrency: 2}", Limits(by="host", concurrency=2)),
        (
            "{by: customer.id, rate: 1000/d, burst: 9, concurrency: 3}",
            Limits(Rate(1000, 86400.0), 9, "customer.id", 3),
        ),
    ],
)
def test_limits_are_read_as_people_write_them(tmp_path: Path, said: str, limits: Limits) -> None:
    assert limits_of(tmp_path, said) == limits
