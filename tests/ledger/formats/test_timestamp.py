"""Time-stamps by a real authority: what holds for openssl holds for us, and what does not hold is named."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.audit.mirror import update_mirror
from ledger.audit.source import FolderSource
from ledger.audit.stamps import stamp_folder, stem_of
from ledger.audit.timestamp_client import post_to
from ledger.audit.verify import verify_folder
from ledger.errors import ForkError, LogUnavailableError, TimestampError, VerificationError
from ledger.formats.split_view import SplitView
from ledger.formats.tiles import CHECKPOINT
from ledger.formats.timestamp import TimestampAuthority as Trusted
from ledger.formats.timestamp import parse_token, stamp, verify_token
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.formats.timestamp_authority import OPENSSL, POLICY, PURPOSES, WITHOUT, Authority, serving
from tests.ledger.sequencer.log_cases import POLICY as TRUST
from tests.ledger.sequencer.log_cases import cheap, leaf

pytestmark = pytest.mark.skipif(OPENSSL is None, reason=WITHOUT)

NOTE = b"a note's bytes\n"
REPLY = "application/timestamp-reply"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "tsa")


@pytest.fixture
def trusted(authority: Authority) -> Trusted:
    return Trusted.from_pem(authority.root)


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Growing]:
    made = Growing(tmp_path / "log")
    made.add(*(leaf() for _ in range(3)))
    yield made
    made.folder.close()


def now() -> int:
    """The authority's clock is the machine's."""
    return int(time.time())


# Tokens.


def test_a_token_holds_for_openssl_and_for_us(authority: Authority, trusted: Trusted, tmp_path: Path) -> None:
    before = now()
    token = stamp(NOTE, authority.post, trusted, before)
    assert before - 1 <= token.time <= now()
    assert (token.policy, token.serial) == (POLICY, int((authority.folder / "serial").read_text(), 16))
    (tmp_path / "note").write_bytes(NOTE)
    (tmp_path / "token").write_bytes(token.data)
    assert authority.verify(tmp_path / "note", tmp_path / "token")
    assert verify_token(token.data, NOTE, trusted, now()) == token
    assert parse_token(token.data, NOTE) == token


def test_another_note(authority: Authority, trusted: Trusted) -> None:
    token = stamp(NOTE, authority.post, trusted, now())
    for check in (
        lambda: verify_token(token.data, NOTE + b"x", trusted),
        lambda: parse_token(token.data, b"x"),
    ):
        with pytest.raises(TimestampError, match="something else"):
            check()


def test_another_authority(authority: Authority, tmp_path: Path) -> None:
    """Of another name, and of the same name with other keys."""
    token = authority.post_for(NOTE)
    for name in ("authority", "another"):
        other = Trusted.from_pem(Authority(tmp_path / name, name=name).root)
        with pytest.raises(TimestampError, match="does not verify") as caught:
            verify_token(token, NOTE, other)
        assert "ErrorStack" not in str(caught.value), "one reason in words"


def test_every_changed_byte_of_a_token(authority: Authority, trusted: Trusted, tmp_path: Path) -> None:
    """No change is taken for another statement: it fails, or says the same under a valid signature."""
    data = authority.post_for(NOTE)
    said = verify_token(data, NOTE, trusted)
    failed = 0
    for place in range(0, len(data), 7):
        changed = bytearray(data)
        changed[place] ^= 1
        try:
            found = verify_token(bytes(changed), NOTE, trusted)
        except TimestampError:
            failed += 1
        else:
            assert (found.time, found.policy, found.serial) == (said.time, said.policy, said.serial)
    assert failed > len(data) // 7 * 0.7
    for cut in (b"", data[:100], data + b"\0", b"\x30\x80", bytes(1 << 19)):
        with pytest.raises(TimestampError):
            verify_token(cut, NOTE, trusted)


@pytest.mark.parametrize("what", ["token", "signature", "note", "no note", "other", "cut"])
def test_the_stamp_that_is_there_is_checked(
    growing: Growing, authority: Authority, trusted: Trusted, tmp_path: Path, what: str
) -> None:
    """Asked to stamp a head once more, a damaged token is named, not called a stamp."""
    stamped = stamp_folder(growing.root, TRUST, authority.post, trusted, now())
    assert stamped is not None
    again = stamp_folder(growing.root, TRUST, authority.post, trusted, now())
    assert again is not None
    assert (again.token, again.is_new) == (stamped.token, False)
    [note], [token] = (list((growing.root / "timestamps").glob(f"*{end}")) for end in (".note", ".tsr"))
    data = bytearray(token.read_bytes())
    if what == "token":
        token.write_bytes(b"no token")
    elif what == "signature":
        data[-3] ^= 1
        token.write_bytes(data)
    elif what == "cut":
        token.write_bytes(data[:-40])
    elif what == "note":
        note.write_bytes(note.read_bytes()[:-9])
    elif what == "no note":
        note.unlink()
    else:
        trusted = Trusted.from_pem(Authority(tmp_path / "other").root)
    with pytest.raises(TimestampError, match=r"\.tsr exists already and does not hold: ") as caught:
        stamp_folder(growing.root, TRUST, authority.post, trusted, now())
    assert "ErrorStack" not in str(caught.value)
    assert "ParseError" not in str(caught.value)
    assert "away to stamp this checkpoint again" in str(caught.value)


@pytest.mark.parametrize("purpose", [purpose for purpose in PURPOSES if purpose != "timestamps"])
def test_a_signer_whose_certificate_is_not_for_time_stamps(tmp_path: Path, purpose: str) -> None:
    other = Authority(tmp_path / "tsa", purpose)
    trusted = Trusted.from_pem(other.root)
    with pytest.raises(TimestampError, match="unsuitable certificate purpose"):
        verify_token(other.post_for(NOTE), NOTE, trusted)


def test_an_answer_to_another_request(authority: Authority, trusted: Trusted) -> None:
    """A recorded answer of the right note: its nonce is another."""
    recorded = authority.post_for(NOTE)
    with pytest.raises(TimestampError, match="another request"):
        stamp(NOTE, lambda _: recorded, trusted, now())


def test_the_policy_that_is_wanted(authority: Authority) -> None:
    data = authority.post_for(NOTE)
    verify_token(data, NOTE, Trusted.from_pem(authority.root, POLICY))
    with pytest.raises(TimestampError, match="Policy"):
        verify_token(data, NOTE, Trusted.from_pem(authority.root, "1.2.3.4.2"))


def test_a_time_that_is_to_come(authority: Authority, trusted: Trusted) -> None:
    data = authority.post_for(NOTE)
    at = verify_token(data, NOTE, trusted).time
    verify_token(data, NOTE, trusted, at - 120)
    with pytest.raises(TimestampError, match="future"):
        verify_token(data, NOTE, trusted, at - 121)


def test_an_authority_that_grants_nothing(authority: Authority, trusted: Trusted) -> None:
    """What openssl answers to a request it cannot read: a rejection, without a token."""
    refusal = authority.post(b"no request")
    with pytest.raises(TimestampError, match="did not grant"):
        stamp(NOTE, lambda _: refusal, trusted, now())


def test_files_that_are_no_authority(authority: Authority) -> None:
    signer = (authority.folder / "signer.pem").read_bytes()
    for data in (b"", b"x", signer):
        with pytest.raises(TimestampError, match="certificate"):
            Trusted.from_pem(data)
    with pytest.raises(TimestampError, match="x is no OID"):
        Trusted.from_pem(authority.root, "x")
    assert len(Trusted.from_pem(authority.root + signer).intermediates) == 1


# Over HTTP.


def test_over_http(authority: Authority, trusted: Trusted) -> None:
    with serving(lambda request: (200, REPLY, authority.post(request))) as url:
        token = stamp(NOTE, post_to(url), trusted, now())
    assert verify_token(token.data, NOTE, trusted) == token


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [(500, REPLY, b""), (200, "text/html", b"<html>"), (200, REPLY, bytes(1 << 19))],
)
def test_something_else_answers(trusted: Trusted, status: int, kind: str, body: bytes) -> None:
    with (
        serving(lambda _: (status, kind, body)) as url,
        pytest.raises(LogUnavailableError, match="check its address"),
    ):
        stamp(NOTE, post_to(url), trusted, now())


def test_nobody_answers(trusted: Trusted) -> None:
    with serving(lambda _: (200, REPLY, b"")) as url:
        pass
    for place in (url, "http://", "no URL"):
        with pytest.raises(LogUnavailableError, match="out of reach"):
            stamp(NOTE, post_to(place), trusted, now())


# Beside the public log.


def stamped(growing: Growing, authority: Authority, trusted: Trusted) -> str:
    """Stamp the head of a log; gives the stamp's name."""
    assert stamp_folder(growing.root, TRUST, authority.post, trusted, now()) is not None
    head = TRUST.verify_checkpoint((growing.root / CHECKPOINT).read_bytes()).checkpoint
    return stem_of(head.size, head.root)


def test_stamped_heads_stay_verifiable(growing: Growing, authority: Authority, trusted: Trusted) -> None:
    """The log goes on; both stamps are found, and verify with openssl as they lie there."""
    names = [stamped(growing, authority, trusted)]
    again = stamp_folder(growing.root, TRUST, authority.post, trusted, now())
    assert again is not None
    assert not again.is_new, "a head is stamped once"
    growing.add(*(leaf() for _ in range(300)))
    names.append(stamped(growing, authority, trusted))
    growing.add(leaf())
    found = verify_folder(growing.root, authority=trusted, apply=cheap)
    assert [one.size for one in found.stamps] == [3, 303]
    assert [stem_of(one.size, one.root) for one in found.stamps] == names
    assert all(one.is_verified and one.policy == POLICY for one in found.stamps)
    assert not any(one.is_verified for one in verify_folder(growing.root, apply=cheap).stamps)
    for name in names:
        assert authority.verify(growing.root / f"{name}.note", growing.root / f"{name}.tsr")
    assert not list(growing.root.parent.glob(".*stamps*"))


def test_a_mirror_keeps_its_own_stamps(
    growing: Growing, authority: Authority, trusted: Trusted, tmp_path: Path
) -> None:
    """Stamped, brought up to date, stamped again: every stamp stays and is verified."""
    mirror, source = tmp_path / "mirror", FolderSource(growing.root)
    for _ in range(2):
        growing.add(leaf())
        update_mirror(source, mirror)
        assert stamp_folder(mirror, TRUST, authority.post, trusted, now()) is not None
    found = verify_folder(mirror, authority=trusted, apply=cheap).stamps
    assert [(one.size, one.is_verified) for one in found] == [(4, True), (5, True)]
    assert not verify_folder(growing.root, apply=cheap).stamps


def test_a_mirror_brings_stamps_along(
    growing: Growing, authority: Authority, trusted: Trusted, tmp_path: Path
) -> None:
    """Those of its own history, old and new, also when nothing else is new; none that are not whole."""
    mirror, source = tmp_path / "mirror", FolderSource(growing.root)
    first = stamped(growing, authority, trusted)
    growing.add(*(leaf() for _ in range(300)))
    assert update_mirror(source, mirror).absent == ()
    second = stamped(growing, authority, trusted)
    assert update_mirror(source, mirror).absent == ()
    found = verify_folder(mirror, authority=trusted, apply=cheap).stamps
    assert [stem_of(one.size, one.root) for one in found] == [first, second]
    assert all(one.is_verified for one in found)
    for name in (first, second):
        (mirror / f"{name}.tsr").unlink()
        token = (growing.root / f"{name}.tsr").read_bytes()
        (growing.root / f"{name}.tsr").write_bytes(token[:-1])
    assert update_mirror(source, mirror).absent == tuple(sorted((first, second)))
    assert not list((mirror / "timestamps").glob("*.tsr"))


def test_a_stamp_of_another_history_is_a_fork(
    growing: Growing, authority: Authority, trusted: Trusted, tmp_path: Path
) -> None:
    other = Growing(tmp_path / "other")
    other.add(leaf(), leaf())
    name = stamped(other, authority, trusted)
    shutil.copytree(other.root / "timestamps", growing.root / "timestamps")
    with pytest.raises(ForkError, match="fork"):
        update_mirror(FolderSource(growing.root), tmp_path / "mirror")
    [kept] = (tmp_path / "mirror.mirror" / "evidence").iterdir()
    assert SplitView.parse(kept.read_bytes(), TRUST).notes[0] == (other.root / f"{name}.note").read_bytes()


def fails(growing: Growing, trusted: Trusted | None, reason: str, check: str = "timestamp") -> None:
    """The verifier says no, for this reason."""
    with pytest.raises(VerificationError, match=reason) as caught:
        verify_folder(growing.root, authority=trusted, apply=cheap)
    assert caught.value.check == check


def test_stamps_that_do_not_hold(
    growing: Growing, authority: Authority, trusted: Trusted, tmp_path: Path
) -> None:
    stem = growing.root / stamped(growing, authority, trusted)
    growing.add(leaf())
    note, token = Path(f"{stem}.note"), Path(f"{stem}.tsr")
    good = note.read_bytes(), token.read_bytes()
    fails(growing, Trusted.from_pem(Authority(tmp_path / "other").root), "does not verify")
    note.unlink()
    fails(growing, None, "no timestamps")
    note.write_bytes((growing.root / CHECKPOINT).read_bytes())
    fails(growing, None, "not the checkpoint its name says")
    note.write_bytes(good[0].replace(b"\n3\n", b"\n2\n"))
    fails(growing, None, "signature")
    note.write_bytes(good[0])
    token.write_bytes(authority.post_for(NOTE))
    fails(growing, None, "something else")
    token.write_bytes(b"")
    fails(growing, None, "no answer")
    token.unlink()
    [unfinished] = verify_folder(growing.root, apply=cheap).stamps
    assert (unfinished.time, unfinished.is_verified) == (None, False)
    token.write_bytes(good[1])
    for stranger in ("timestamps/x", f"timestamps/03-{'a' * 64}.tsr", f"timestamps/3-{'a' * 64}.txt"):
        (growing.root / stranger).write_bytes(b"")
        fails(growing, None, "no time-stamp's name", "files")
        (growing.root / stranger).unlink()


def test_a_log_that_does_not_continue_a_stamped_head(
    growing: Growing, authority: Authority, trusted: Trusted, tmp_path: Path
) -> None:
    """A fork, and a rollback: the stamped note is the evidence."""
    growing.add(leaf())
    name = stamped(growing, authority, trusted)
    for leaves in ([leaf() for _ in range(9)], growing.leaves[:3]):
        other = Growing(tmp_path / hashlib.sha256(b"".join(leaves)).hexdigest())
        other.add(*leaves)
        shutil.copytree((growing.root / name).parent, other.root / "timestamps")
        fails(other, trusted, "not its continuation")
        other.folder.close()
