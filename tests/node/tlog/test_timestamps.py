"""The log's own stamper: a real authority, one that is silent, one that is out of reach."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.audit.verify import verify_folder
from node.config import Timestamps, read_configuration
from node.errors import ConfigurationError
from node.tlog.timestamps import Stamper, read_authority
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.formats.timestamp_authority import OPENSSL, POLICY, WITHOUT, Authority, serving
from tests.ledger.sequencer.log_cases import POLICY as TRUST
from tests.ledger.sequencer.log_cases import cheap, leaf

KIND = "application/timestamp-reply"
NODE = """[member]
id = "log"
name = "审计局"
roles = ["sequencer"]
[listen]
address = "127.0.0.1:7401"
[keys]
passphrase_file = "secret"
"""


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Growing]:
    made = Growing(tmp_path / "log")
    made.add(*(leaf() for _ in range(3)))
    yield made
    made.folder.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    if OPENSSL is None:
        pytest.skip(WITHOUT)
    return Authority(tmp_path / "tsa")


def now() -> int:
    """The authority's clock is the machine's."""
    return int(time.time())


def settings(authority: Authority, url: str) -> Timestamps:
    return Timestamps(url, authority.folder / "root.pem", 3600, POLICY)


def stamps(growing: Growing) -> list[int]:
    """Sizes that are stamped."""
    return [one.size for one in verify_folder(growing.root, apply=cheap).stamps if one.time is not None]


def test_each_new_head_is_stamped_once(growing: Growing, authority: Authority) -> None:
    with serving(lambda request: (200, KIND, authority.post(request))) as url:
        stamper = Stamper(growing.root, TRUST, settings(authority, url), now)
        assert stamper.stamp_now()
        assert not stamper.stamp_now()
        growing.add(leaf())
        assert stamper.stamp_now()
    assert stamps(growing) == [3, 4]


def test_the_log_does_not_wait_for_a_silent_authority(growing: Growing, authority: Authority) -> None:
    """It is asked, says nothing, and the log goes on; once it speaks, the head of then is stamped."""
    asked, speak, done = threading.Event(), threading.Event(), threading.Event()

    def post(request: bytes) -> bytes:
        asked.set()
        assert speak.wait(60)
        return authority.post(request)

    stamper = Stamper(growing.root, TRUST, settings(authority, "http://nowhere"), now, post)
    thread = threading.Thread(target=lambda: (stamper.stamp_now(), done.set()))
    thread.start()
    assert asked.wait(60)
    growing.add(leaf())
    assert verify_folder(growing.root, apply=cheap).size == 4
    stamper.task().stop(seconds=0)
    assert not done.is_set()
    speak.set()
    thread.join(60)
    assert stamps(growing) == [3]


def test_it_stamps_from_its_start_until_it_is_closed(growing: Growing, authority: Authority) -> None:
    asked = threading.Event()

    def post(request: bytes) -> bytes:
        asked.set()
        return authority.post(request)

    stamper = Stamper(growing.root, TRUST, settings(authority, "http://nowhere"), now, post)
    task = stamper.task()
    task.start()
    assert asked.wait(60)
    task.stop(seconds=0)
    for thread in threading.enumerate():
        if thread.name == "timestamps":
            thread.join(60)
    assert stamps(growing) == [3]


def test_an_authority_out_of_reach_is_logged(
    growing: Growing, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(lambda _: (503, "text/plain", b"")) as url:
        stamper = Stamper(growing.root, TRUST, settings(authority, url), now)
        assert not stamper.stamp_now()
    assert not stamper.stamp_now()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "check its address" in caplog.text
    assert stamps(growing) == []


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="put them in"):
        read_authority(tmp_path / "ca.pem")
    (tmp_path / "ca.pem").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"ca\.pem: .* no PEM certificates"):
        read_authority(tmp_path / "ca.pem")


def test_a_policy_that_is_none(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.root)
    assert read_authority(tmp_path / "ca.pem", "1.2.3").policy == "1.2.3"
    with pytest.raises(ConfigurationError, match=r"^1,2 is no OID"):
        read_authority(tmp_path / "ca.pem", "1,2")


def test_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    node = tmp_path / "node.toml"
    node.write_text(NODE, encoding="utf-8")
    assert read_configuration(tmp_path).timestamps is None
    node.write_text(NODE + '[timestamps]\nurl = "http://tsa"\nca = "tsa-ca.pem"\n', encoding="utf-8")
    ca = tmp_path.resolve() / "tsa-ca.pem"
    assert read_configuration(tmp_path).timestamps == Timestamps("http://tsa", ca, 3600, None)
    more = '[timestamps]\nurl = "http://tsa"\nca = "tsa-ca.pem"\nevery = 60\npolicy = "1.2.3"\n'
    node.write_text(NODE + more, encoding="utf-8")
    assert read_configuration(tmp_path).timestamps == Timestamps("http://tsa", ca, 60, "1.2.3")
    for wrong in ("[timestamps]\n", more.replace("60", "0"), "timestamps = 1\n" + NODE):
        node.write_text(wrong if wrong.endswith(NODE) else NODE + wrong, encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r"timestamps\.?\w*: (is missing|must be)"):
            read_configuration(tmp_path)
