"""The file of tokens: who is in it, what is wrong with it, and that nothing of it is ever shown."""

import hashlib
from pathlib import Path

import pytest

from supervisor.config.mistakes import ConfigError
from supervisor.config.tokens import read_tokens
from supervisor.core.callers import Role, caller_of
from supervisor.keyring import Keyring

TOKEN = "hush-a-secret-token"  # noqa: S105 - of this test
HASHED = hashlib.sha256(TOKEN.encode()).hexdigest()


def _file(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "tokens.yaml"
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.mark.parametrize(
    "how", [f"token: {TOKEN}", f"sha256: {HASHED}", f"sha256: {HASHED.upper()}"]
)
def test_a_token_is_known_by_itself_or_by_its_digest(tmp_path: Path, how: str) -> None:
    keys = read_tokens(_file(tmp_path, f"ops: {{{how}, roles: [submit, run]}}\n"))

    caller = caller_of(TOKEN, keys)

    assert caller is not None
    assert (caller.name, caller.roles) == ("ops", frozenset({Role.SUBMIT, Role.RUN}))
    assert TOKEN not in repr(keys)
    assert caller_of(HASHED, keys) is None
    assert caller_of("", keys) is None


def test_an_admin_may_all_and_others_what_they_are_given(tmp_path: Path) -> None:
    text = f"a: {{token: {TOKEN}-1, roles: [admin]}}\nb: {{token: {TOKEN}-2, roles: [submit]}}\n"
    admin, submitter = (key.caller for key in read_tokens(_file(tmp_path, text)))

    assert all(admin.may(role) for role in Role)
    assert [role for role in Role if submitter.may(role)] == [Role.SUBMIT]
    assert (admin.origin, submitter.origin) == ("", "token:b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must name at least one token"),
        ("- hush-1234567890123", "must name at least one token"),
        ("ops: hush-1234567890123\n", "ops: must be a mapping"),
        ("ops: {roles: [admin]}\n", "needs one of token and sha256"),
        (f"ops: {{token: {TOKEN}, sha256: {HASHED}, roles: [admin]}}\n", "needs one of"),
        ("ops: {token: hush-short, roles: [admin]}\n", "must be 16 or more printable characters"),
        ('ops: {token: "hush with a space 123", roles: [admin]}\n', "without spaces"),
        ("ops: {sha256: hush12, roles: [admin]}\n", "must be 64 hexadecimal digits"),
        (f"ops: {{token: {TOKEN}}}\n", "ops.roles: must name at least one of submit, run, admin"),
        (f"ops: {{token: {TOKEN}, roles: [boss]}}\n", "cannot be 'boss'"),
        (f"ops: {{token: {TOKEN}, role: [admin], roles: [admin]}}\n", "did you mean roles?"),
        (f"a b: {{token: {TOKEN}, roles: [admin]}}\n", "has a name that is none"),
        ("ops: {token: *hush, roles: [admin]}\n", "this line is no plain YAML"),
        ("ops: {token: !hush 1, roles: [admin]}\n", "this line is no plain YAML"),
        (f"ops: {{token: {TOKEN}, roles: [admin]\n", "this line is no plain YAML"),
        (
            f"a: {{token: {TOKEN}, roles: [admin]}}\nb: {{sha256: {HASHED}, roles: [submit]}}\n",
            "b: has the same token as a",
        ),
    ],
)
def test_a_mistake_is_named_and_no_token_repeated(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_tokens(_file(tmp_path, text))

    assert said in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_file_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    file = _file(tmp_path, f"ops: {{token: {TOKEN}, roles: [admin]}}\n", mode=0o644)

    with pytest.raises(ConfigError, match="chmod 600"):
        read_tokens(file)


async def test_a_changed_file_holds_at_once_and_a_broken_one_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(tmp_path, f"ops: {{token: {TOKEN}-old, roles: [admin]}}\n")
    keyring = Keyring(file, "the-worker-secret")
    keyring.open()

    _file(tmp_path, f"ops: {{token: {TOKEN}-new, roles: [admin]}}\n")
    await keyring.reload()
    _file(tmp_path, "ops: {token: hush-1, roles: [admin]}\n")
    await keyring.reload()

    assert keyring.look_up(f"{TOKEN}-old") is None
    assert keyring.look_up(f"{TOKEN}-new") is not None
    secret = keyring.look_up("the-worker-secret")
    assert secret is not None
    assert secret.roles == {Role.RUN}
    said = capsys.readouterr()
    assert "tokens stay as they were" in said.out + said.err
    assert "hush" not in said.out + said.err


def test_no_token_is_the_worker_secret(tmp_path: Path) -> None:
    file = _file(tmp_path, f"ops: {{token: {TOKEN}, roles: [admin]}}\n")

    with pytest.raises(ConfigError, match=r"ops: has http[.]worker_secret as its token") as refused:
        Keyring(file, TOKEN).open()

    assert TOKEN not in str(refused.value)
