"""The foreign publishers of a run: processes of their own that may be killed and go on."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from tests.chaos.foreign import Errand, tries
from tests.chaos.load import Order
from tests.support.program import REPOSITORY


class Publishers:
    """So many processes, each with a share of the orders."""

    def __init__(self, folder: Path, orders: Sequence[Order], addresses: Sequence[str]) -> None:
        """Prepare them; ``addresses`` has one for each."""
        self._folder = folder
        self._orders = orders
        self._addresses = addresses
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        since = time.monotonic()
        for number, address in enumerate(self._addresses):
            share = tuple(self._orders[number :: len(self._addresses)])
            errand = Errand(address, str(self._log(number)), share, since)
            self._errand(number).write_bytes(msgspec.json.encode(errand))
            self._processes.append(self._launch(number))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    @property
    def are_done(self) -> bool:
        """Whether everything is published."""
        return all(process.poll() is not None for process in self._processes)

    def kill(self, roll: float) -> str | None:
        """Kill one that is still at it, and start it again."""
        number = int(roll * len(self._processes))
        process = self._processes[number]
        if process.poll() is not None:
            return None
        process.kill()
        process.wait()
        self._processes[number] = self._launch(number)
        return str(process.pid)

    def tries(self) -> Mapping[int, tuple[int, int]]:
        """Return how often each job was sent, and how often that was confirmed."""
        return tries(*(self._log(number) for number in range(len(self._addresses))))

    def troubles(self) -> tuple[str, ...]:
        """Return how publishers ended that should have ended well."""
        codes = [process.poll() for process in self._processes]
        return tuple(f"publisher {n} ended with {code}" for n, code in enumerate(codes) if code)

    def _launch(self, number: int) -> subprocess.Popen[bytes]:
        with (self._folder / "publishers.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.foreign", str(self._errand(number))],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _log(self, number: int) -> Path:
        return self._folder / f"published-{number}.txt"

    def _errand(self, number: int) -> Path:
        return self._folder / f"errand-{number}.json"
