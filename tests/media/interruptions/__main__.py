"""``make interruptions``: each processor's jobs interrupted a hundred times, a line for each.

``python -m tests.media.interruptions --runs 100 --seed 7 --of download,cutter,preview``
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.media.interruptions import rules
from tests.media.interruptions.cases import PROCESSORS, furnish
from tests.media.interruptions.plan import plan
from tests.media.interruptions.rig import Bout, Rig
from tests.support.media_server import media_server


async def play(rig: Rig, processor: str, runs: int, seed: int) -> bool:
    """Interrupt one processor's jobs; return whether every rule was kept."""
    began, ways, faults = time.monotonic(), Counter[str](), 0
    hit = 0  # before the run was over by itself
    for number, (case, blow) in enumerate(plan(processor, runs, seed), 1):
        bout = await rig.bout(case, blow)
        ways[blow.way.value] += 1
        hit += is_hit(bout)
        found = rules.broken(bout)
        faults += len(found)
        if found:
            say(f"  run {number}, {case.name}: {blow}")
        for finding in found:
            say(f"    {finding}")
    verdict = f"{faults} RULES BROKEN" if faults else "all rules kept"
    took = time.monotonic() - began
    told = ", ".join(f"{count} times {way}" for way, count in sorted(ways.items()))
    say(f"{processor:8}  seed {seed}  {runs} runs, {hit} hit  {took:.0f} s  {verdict}")
    say(f"          {told}")
    return not faults


def is_hit(bout: Bout) -> bool:
    """Answer whether the run was not done before its interruption came."""
    outcome = rules.outcome_of(bout.hit)
    return outcome is None or "files" not in getattr(outcome, "result", {})


async def play_all(runs: int, seed: int, processors: list[str]) -> bool:
    """Interrupt the jobs of each; return whether every rule was kept."""
    with tempfile.TemporaryDirectory(prefix="interruptions-") as folder, media_server() as site:
        furnish(site)
        async with Rig(Path(folder), site).open() as rig:
            kept = [await play(rig, name, runs, seed) for name in processors]
    return all(kept)


def say(text: str) -> None:
    """Print a line now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Return 0 if every rule was kept."""
    name = "python -m tests.media.interruptions"
    words = argparse.ArgumentParser(prog=name, description=__doc__)
    words.add_argument("--runs", type=int, default=100, help="of each processor")
    words.add_argument("--seed", type=int, default=int(time.time_ns() % 10**6))
    words.add_argument("--of", default=",".join(PROCESSORS), help="processors")
    told = words.parse_args()
    return 0 if asyncio.run(play_all(told.runs, told.seed, told.of.split(","))) else 1


if __name__ == "__main__":
    sys.exit(main())
