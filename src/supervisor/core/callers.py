"""Who calls over HTTP, and what they may: a token, known by its digest, opens roles."""

import enum
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass


class Role(enum.Enum):
    """What a caller may do."""

    SUBMIT = "submit"  # hand in jobs, and see how their own fare
    RUN = "run"  # have waiting jobs worked off, as a cron line does
    ADMIN = "admin"  # everything


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in; without a name nobody in particular."""

    name: str
    roles: frozenset[Role]

    def may(self, role: Role) -> bool:
        """Answer whether the caller has this role, or all of them."""
        return role in self.roles or Role.ADMIN in self.roles

    @property
    def is_admin(self) -> bool:
        """Answer whether nothing is kept from the caller."""
        return Role.ADMIN in self.roles

    @property
    def origin(self) -> str:
        """Where the caller's jobs come from, as the ledger has it; empty for whoever may all."""
        return "" if self.is_admin else f"token:{self.name}"


OWNER = Caller("", frozenset({Role.ADMIN}))  # whoever may open the control socket
ANYBODY = Caller("", frozenset())  # a stranger: sees whether the supervisor is well


@dataclass(frozen=True, slots=True)
class Key:
    """A token's digest, and whom it lets in."""

    caller: Caller
    digest: bytes  # SHA-256


def digest(token: str) -> bytes:
    """Return what a token is known by."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def caller_of(token: str, keys: Iterable[Key]) -> Caller | None:
    """Return whom a token lets in; how long that takes tells nothing of any token."""
    presented = digest(token)
    found = None
    for key in keys:  # to the end, whichever it is
        if hmac.compare_digest(key.digest, presented):
            found = key.caller
    return found
