"""``make chaos``: long runs with many seeds, a line for each.

``python -m tests.chaos --seeds 1,2,3 --minutes 5 --on 3.10,4.0,embedded --jobs 3000``
"""

import argparse
import math
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos import checker, load, plan
from tests.chaos.evidence import Evidence
from tests.chaos.load import Share
from tests.chaos.nodes import NAMES, lent
from tests.chaos.run import Setup, run
from tests.support.rabbitmq import PrivateRabbit

HOUSEFUL = 30  # jobs a second that the usual workers do under fire
LONGEST = 60.0  # seconds a fault of a connection lasts at most in a run of hours
SHOWN = 20  # findings of a run


def setup(seed: int, seconds: float, jobs: int, broker: PrivateRabbit | None) -> Setup:
    """Return a run of that length with everything in it."""
    longest = min(LONGEST, max(plan.LONGEST, seconds / 20))
    processes = plan.plan(seed, seconds, plan.PROCESSES)
    connections = plan.plan(seed, seconds, {**plan.CONNECTIONS, **plan.REFUSALS}, longest=longest)
    share = Share(
        jobs,
        seconds,
        killers=max(5, jobs // 250),
        hangers=max(2, int(seconds // 30)),
        has_garbage=broker is not None,
    )
    return Setup(
        load.plan(seed, share),
        tracks=(processes,) if broker is None else (processes, connections),
        broker=broker,
        publishers=max(2, int(jobs / seconds / 10)),
        settling=240.0,
        houses=max(1, math.ceil(jobs / seconds / HOUSEFUL)),
    )


def line(name: str, seed: int, evidence: Evidence, took: float) -> str:
    """Return what came of a run."""
    states = Counter(row.state for row in evidence.rows)
    outcomes = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    duplicates = sum(evidence.duplicates().values())
    findings = checker.examine(evidence)
    verdict = f"{len(findings)} RULES BROKEN" if findings else "all rules kept"
    confirmed = len(list(evidence.confirmed))
    return (
        f"{name:8}  seed {seed}  {confirmed} jobs  {len(evidence.faults)} faults  {outcomes}  "
        f"{duplicates} duplicates  {took:.0f} s  {verdict}"
    )


def _play(name: str, broker: PrivateRabbit | None, seed: int, told: argparse.Namespace) -> bool:
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    began = time.monotonic()
    evidence = run(setup(seed, told.minutes * 60, told.jobs, broker), folder)
    _say(line(name, seed, evidence, time.monotonic() - began))
    findings = checker.examine(evidence)
    if not findings:
        shutil.rmtree(folder, ignore_errors=True)
        return True
    for finding in findings[:SHOWN]:
        _say(f"    {finding}")
    _say(f"    everything it left is in {folder}; what was done to it:")
    for fault in evidence.faults:
        _say(f"      {fault}")
    return False


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run them all; return 0 if every rule was kept."""
    words = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    words.add_argument("--seeds", default="", help="numbers with commas between them")
    words.add_argument("--minutes", type=float, default=5.0, help="of faults, in each run")
    words.add_argument("--jobs", type=int, default=3000, help="in each run")
    words.add_argument("--on", default=",".join(NAMES), help="where the queues are")
    told = words.parse_args()
    seeds = [int(seed) for seed in told.seeds.split(",") if seed] or [int(time.time_ns() % 10**6)]
    good = True
    for name in told.on.split(","):
        with lent(name) as broker:
            for seed in seeds:
                good &= _play(name, broker, seed, told)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
