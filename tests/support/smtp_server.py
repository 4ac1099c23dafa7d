"""A mail server on loopback: it keeps what it takes, and refuses whom it is told to.

To ``nobody@...`` it says 550; to ``busy@...`` 451 the first time; from whoever sends to
``hangup@...`` it hangs up.
"""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message

from typing_extensions import override


@dataclass
class MailServer:
    """What came in."""

    port: int = 0
    taken: list[tuple[tuple[str, ...], Message]] = field(default_factory=list)
    was_busy: set[str] = field(default_factory=set)

    def mail_for(self, address: str) -> list[Message]:
        return [message for receivers, message in self.taken if address in receivers]


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Yield a running mail server."""
    kept = MailServer()

    class Handler(_Talk):
        server_kept = kept

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()


class _Talk(socketserver.StreamRequestHandler):
    server_kept: MailServer

    @override
    def handle(self) -> None:
        self._receivers: list[str] = []
        self._say("220 loopback")
        for line in self.rfile:
            words = line.decode("ascii", "replace").strip()
            verb = words[:4].upper()
            if verb == "QUIT":
                self._say("221 bye")
                return
            if verb == "RCPT" and "<hangup@" in words:
                return
            self._answer(verb, words)

    def _answer(self, verb: str, words: str) -> None:
        match verb:
            case "EHLO" | "HELO" | "MAIL" | "RSET":
                self._receivers.clear()
                self._say("250 ok")
            case "RCPT":
                self._receiver(words.partition("<")[2].partition(">")[0])
            case "DATA":
                self._say("354 go on")
                self._take()
            case _:
                self._say("502 not here")

    def _receiver(self, address: str) -> None:
        if address.startswith("nobody@"):
            self._say("550 there is nobody")
        elif address.startswith("busy@") and address not in self.server_kept.was_busy:
            self.server_kept.was_busy.add(address)
            self._say("451 try again later")
        else:
            self._receivers.append(address)
            self._say("250 ok")

    def _take(self) -> None:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line)
        message = message_from_bytes(b"".join(lines))
        self.server_kept.taken.append((tuple(self._receivers), message))
        self._say("250 taken")

    def _say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())
