"""A service manager that listens: a notification socket of the test's own, and who said what."""

import socket
import struct
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.waiting import wait_until

CREDENTIALS = struct.Struct("3i")  # pid, uid, gid of whoever sent it, from the kernel
END = b"end of the listening"


@dataclass(frozen=True, slots=True)
class Said:
    """One message as it came in."""

    pid: int
    words: dict[str, str]  # NAME=value, a line each


class ServiceManager:
    """Listens at ``address``: a path, or ``@`` and a name that is no file."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.transcript: list[Said] = []
        self._where = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._thread = threading.Thread(target=self._listen, name="service manager")

    def __enter__(self) -> Self:
        self._socket.bind(self._where)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ourselves:
            ourselves.sendto(END, self._where)
        self._thread.join()
        self._socket.close()

    def heard(self, word: str, value: str = "") -> list[Said]:
        """Return the messages with this word in them, and this in its value."""
        found = tuple(self.transcript)
        return [said for said in found if word in said.words and value in said.words[word]]

    def wait_for(self, word: str, value: str = "", *, count: int = 1, within: float = 30.0) -> Said:
        """Return the so-manyeth such message once it is there."""
        what = f"{word}={value} number {count}; heard: {self.transcript}"
        wait_until(lambda: len(self.heard(word, value)) >= count, within=within, what=what)
        return self.heard(word, value)[count - 1]

    def order(self, *words: str) -> list[str]:
        """Return which of these words were said, in the order they came."""
        return [word for said in tuple(self.transcript) for word in said.words if word in words]

    def _listen(self) -> None:
        while True:
            message, ancillary, _, _ = self._socket.recvmsg(8192, socket.CMSG_SPACE(12))
            if message == END:
                return
            pid = CREDENTIALS.unpack(ancillary[0][2])[0]
            lines = message.decode().split("\n")
            self.transcript.append(Said(pid, dict(line.split("=", 1) for line in lines)))
