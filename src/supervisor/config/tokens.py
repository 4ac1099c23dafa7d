"""Reading the file of tokens: who may call the HTTP API. Nothing in an error shows a token."""

import re
import stat
from pathlib import Path

from supervisor.config.document import Node, Table, parse
from supervisor.config.load import Configuration
from supervisor.config.mistakes import ConfigError, Findings, Mistake
from supervisor.config.section import Section
from supervisor.config.values import one_of
from supervisor.core.callers import Caller, Key, Role, digest

SHORTEST = 16  # characters of a token; what is shorter can be guessed
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_TOKEN = re.compile(r"[!-~]{16,}")  # what an HTTP header can carry
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HOW = "make one with: openssl rand -hex 32"


def read_tokens(path: Path, secret: str | None = None) -> tuple[Key, ...]:
    """Return the keys in a file: ``name: {token or sha256: ..., roles: [submit, admin]}``.

    ``secret`` is http.worker_secret, if there is one: no token may be the same.

    Raises:
        ConfigError: naming every mistake; the file must not be readable for everybody.
    """
    root = _root(path)
    if not isinstance(root, Table) or not root.entries:
        what = "must name at least one token, like ops: {token: ..., roles: [admin]}"
        raise ConfigError([Mistake(str(path), 0, "", what)])
    findings = Findings(str(path))
    top = Section(root, "", findings)
    keys = [key for name in top.names() if (key := _key(name, top, findings)) is not None]
    _all_differ(keys, top)
    _none_is(secret, keys, top)
    findings.complain()
    return tuple(keys)


def unusable_tokens(configuration: Configuration) -> tuple[Mistake, ...]:
    """Return what is wrong with the file of tokens that a configuration names, if it is needed."""
    http = configuration.settings.http
    if http.listen is None or http.tokens is None:
        return ()
    try:
        read_tokens(http.tokens, http.worker_secret)
    except ConfigError as error:
        return error.mistakes
    return ()


def secret_key(name: str, secret: str, role: Role) -> Key:
    """Return the key of a secret that is configured elsewhere."""
    return Key(Caller(name, frozenset({role})), digest(secret))


def _root(path: Path) -> Node | None:
    findings = Findings(str(path))
    root = parse(_text(path), {}, findings)
    try:
        findings.complain()
    except ConfigError as error:
        # What stands there may be a token: nothing of it is repeated.
        what = "cannot be read: this line is no plain YAML; quote what has special characters"
        mistakes = [Mistake(each.file, each.line, "", what) for each in error.mistakes]
        raise ConfigError(mistakes) from None
    return root


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & (stat.S_IROTH | stat.S_IWOTH):
                what = (
                    f"can be read or written by everybody on this machine (mode {mode:04o}); "
                    f"do: chmod 600 {path}"
                )
                raise ConfigError([Mistake(str(path), 0, "", what)])
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError([Mistake(str(path), 0, "", f"cannot be read: {why}")]) from error


def _key(name: str, top: Section, findings: Findings) -> Key | None:
    line = top.line(name)
    if not _NAME.fullmatch(name):
        findings.add(line, "", "has a name that is none; letters, digits, . _ and - are allowed")
        return None
    if not isinstance(top.node(name), Table):  # perhaps the token itself
        findings.add(line, name, "must be a mapping: {token: ..., roles: [submit]}")
        return None
    entry = top.section(name)
    kinds = [kind for kind in ("token", "sha256") if kind in entry.names()]
    if len(kinds) != 1:
        findings.add(line, name, f"needs one of token and sha256, not both; {_HOW}")
    found = _digest(entry)
    roles = frozenset(Role(role) for role in entry.values("roles", _role))
    if not roles and not entry.is_reported("roles"):
        allowed = ", ".join(role.value for role in Role)
        findings.add(line, f"{name}.roles", f"must name at least one of {allowed}")
    entry.finish()
    return Key(Caller(name, roles), found)


def _digest(entry: Section) -> bytes:
    if "sha256" in entry.names():
        return bytes.fromhex(entry.value("sha256", _sha256, ""))
    return digest(entry.value("token", _token, ""))


def _token(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        message = f"must be {SHORTEST} or more printable characters without spaces; {_HOW}"
        raise ValueError(message)
    return value


def _sha256(value: str) -> str:
    if not _SHA256.fullmatch(value):
        message = "must be 64 hexadecimal digits: printf %s TOKEN | sha256sum"
        raise ValueError(message)
    return value


_role = one_of(*(role.value for role in Role))


def _all_differ(keys: list[Key], top: Section) -> None:
    """Note two names for one token: nobody could say who called."""
    first: dict[bytes, str] = {}
    for key in keys:
        other = first.setdefault(key.digest, key.caller.name)
        if other != key.caller.name and not top.is_reported(key.caller.name):
            top.wrong(key.caller.name, f"has the same token as {other}; give each its own")


def _none_is(secret: str | None, keys: list[Key], top: Section) -> None:
    if secret is None:
        return
    for key in keys:
        if key.digest == digest(secret) and not top.is_reported(key.caller.name):
            why = "has http.worker_secret as its token; give it one of its own"
            top.wrong(key.caller.name, why)
