"""The commands of `hedui ledger`: what they print, exit statuses, a mirror run killed with SIGKILL."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ledger.audit.search import BYTE_ORDER_MARK, COLUMNS
from ledger.audit.verify import verify_folder
from ledger.formats.receipt import Receipt
from ledger.merkle import inclusion_path
from node.cli.ledger import COMMANDS
from node.cli.ledger import ledger as command
from node.cli.ledger_options import progress_of
from node.errors import error_code, exit_code
from node.messages.catalogue import Messages
from node.messages.progress import Reporter
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.audit.static_server import serving
from tests.ledger.contract.contract_cases import answered, query_id
from tests.ledger.formats.timestamp_authority import OPENSSL, WITHOUT, Authority
from tests.ledger.sequencer.log_cases import POLICY, cheap, cosigned, leaf, real_leaves, tree_of
from tests.node.cli.pinned_policy import OTHER, PINNED, nobodys_settings
from tests.node.web.handwritten_log import PlainLog


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is pinned, and the language is English."""
    return nobodys_settings(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Growing:
    """The log of one question, by the real contract, and a void leaf."""
    log = Growing(tmp_path_factory.mktemp("log") / "public")
    log.add(*real_leaves(answered()), b"no entry")
    return log


@pytest.fixture
def url(asked: Growing) -> Iterator[str]:
    with serving(asked.root) as web:
        yield web.url


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def lines(done: Result) -> list[str]:
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def status(done: Result) -> int:
    """The exit status the command line gives the error."""
    assert isinstance(done.exception, Exception)
    return exit_code(done.exception)


def test_every_command_is_there_and_says_what_it_does() -> None:
    shown = run("--help").stdout
    for name in COMMANDS:
        assert f"  {name} " in shown
        assert run(name, "--help").exit_code == 0


def test_verify_a_folder_and_a_url(asked: Growing, url: str, tmp_path: Path) -> None:
    for place in (asked.root, url):
        shown = lines(run("verify", place))
        assert shown[0].startswith(f"{len(asked.leaves)} entries, root ")
        assert shown[1] == f"entry {len(asked.leaves) - 1} is void: entry"
        found = json.loads(run("verify", place, "--json", "--policy", tmp_path / "pin").stdout)
        names = ["fingerprint", "policy", "root", "size", "timestamps", "valid", "voids"]
        assert sorted(found) == names
        assert found["voids"] == [{"index": len(asked.leaves) - 1, "code": "entry"}]


def test_verify_says_whose_policy_it_was(asked: Growing, url: str, tmp_path: Path, settings: Path) -> None:
    for place in (asked.root, url):
        done = run("verify", place, "--json")
        assert f"fingerprint {POLICY.fingerprint}" in done.stderr
        assert f"copy {str(place).rstrip('/')}/policy into" in done.stderr
        found = json.loads(done.stdout)
        assert (found["policy"], found["fingerprint"]) == ("own", POLICY.fingerprint)
    done = run("verify", url, "--json", "--policy", tmp_path / "pin")
    assert (done.stderr, json.loads(done.stdout)["policy"]) == ("", "pinned")
    (settings / "policies").mkdir(parents=True)
    (settings / "policies" / "county").write_text(PINNED)
    done = run("verify", url, "--json")
    assert (done.stderr, json.loads(done.stdout)["policy"]) == ("", "pinned")


def test_verify_in_chinese_says_whose_policy_it_was(asked: Growing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDUI_LANGUAGE", "zh-CN")
    assert f"指纹 {POLICY.fingerprint}" in run("verify", asked.root).stderr


@pytest.mark.skipif(OPENSSL is None, reason=WITHOUT)
def test_verify_says_that_nothing_is_stamped(asked: Growing, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(Authority(tmp_path / "authority").root)
    shown = lines(run("verify", asked.root, "--policy", tmp_path / "pin", "--tsa-ca", tmp_path / "ca.pem"))
    assert "0 time-stamps here: nothing was checked with --tsa-ca" in shown


def test_verify_says_what_fails_as_json(asked: Growing, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(asked.root, tmp_path / "copy"))
    (copy / "tile" / "extra").write_bytes(b"")
    done = run("verify", copy, "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    [failed] = found.pop("failures")
    assert found == {"valid": False}
    assert sorted(failed) == ["check", "place", "reason"]
    assert (failed["check"], failed["place"]) == ("files", "tile/extra")


def test_verify_says_what_fails(asked: Growing, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(asked.root, tmp_path / "copy"))
    (copy / "tile" / "extra").write_bytes(b"")
    assert status(run("verify", copy)) == 1
    (tmp_path / "pin").write_text(OTHER.format())
    done = run("verify", asked.root, "--policy", tmp_path / "pin")
    assert status(done) == 1
    assert all(one.fingerprint in str(done.exception) for one in (POLICY, OTHER)), "both can be compared"
    assert status(run("verify", tmp_path / "nowhere")) == 2
    assert status(run("verify", "http://127.0.0.1:1/log")) == 3


def test_verify_names_every_damaged_file(asked: Growing, tmp_path: Path) -> None:
    """A stray file hides no damage; what fails first comes first."""
    copy = Path(shutil.copytree(asked.root, tmp_path / "copy"))
    [bundle] = (copy / "tile" / "entries").rglob("*.p/*")
    bundle.write_bytes(bundle.read_bytes()[:-1])
    (copy / "notes.txt").write_text("mine")
    (copy / "tile" / "extra").write_bytes(b"")
    listed = json.loads(run("verify", copy, "--json").stdout)["failures"]
    place = bundle.relative_to(copy).as_posix()
    assert {(one["check"], one["place"]) for one in listed} == {
        ("files", "notes.txt"),
        ("files", "tile/extra"),
        ("bundle", place),
    }
    done = run("verify", copy)
    assert status(done) == 1
    assert f"{place} an entry bundle is cut short" in done.stdout
    for file in (copy / "notes.txt", copy / "tile" / "extra"):
        file.unlink()
    [failed] = json.loads(run("verify", copy, "--json").stdout)["failures"]
    assert failed["place"] == place


def test_show_a_folder_and_a_url(asked: Growing, url: str) -> None:
    assert lines(run("show", asked.root)) == lines(run("show", url))
    [intent] = lines(run("show", url, "--type", "query.intent", "--json"))
    assert json.loads(intent)["id"] == query_id(1)


def test_search(asked: Growing, url: str, tmp_path: Path) -> None:
    assert len(lines(run("search", url))) == len(asked.leaves)
    assert lines(run("search", url))[-1] == f"{len(asked.leaves) - 1:6} no entry  void: entry"
    [intent] = [json.loads(one) for one in lines(run("search", url, "--type", "query.intent", "--json"))]
    index = intent["index"]
    for wanted in (index, query_id(1)):
        [shown] = lines(run("search", asked.root, "--receipt", wanted))
        assert shown.startswith(f"{index:6} 2026-11-22T02:00:00Z query.intent         office ")
    path = tuple(inclusion_path(index, len(asked.leaves), tree_of(asked.leaves)))
    (tmp_path / "receipt").write_bytes(Receipt(index, path, cosigned(asked.leaves)).format())
    assert lines(run("search", asked.root, "--receipt", tmp_path / "receipt")) == [shown]
    together = ("--grant", intent["grants"][0], "--purpose", intent["purpose"], "--member", "tax")
    times = ("--from", "2026-11-22", "--until", "2026-11-22")
    assert lines(run("search", url, *together, *times, "--type", "query.answer"))
    assert lines(run("search", url, *together, "--from", "2026-11-23")) == []
    assert status(run("search", url, "--from", "yesterday")) == 2
    assert status(run("search", url, "--receipt", tmp_path / "pin")) == 2


def test_export(asked: Growing, url: str, tmp_path: Path) -> None:
    done = run("export", url, "--format", "csv")
    records = list(csv.DictReader(io.StringIO(done.stdout.removeprefix(BYTE_ORDER_MARK))))
    assert len(records) == len(asked.leaves)
    assert tuple(records[0]) == COLUMNS
    out = tmp_path / "out.jsonl"
    lines(run("export", asked.root, "--format", "jsonl", "--output", out, "--type", "query"))
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert {one["type"] for one in found} == {"query.intent", "query.answer"}
    assert not list(tmp_path.glob(".*.part"))
    before = out.read_bytes()
    again = ("--format", "jsonl", "--output", out)
    assert status(run("export", asked.root, *again)) == 2
    assert status(run("export", "http://127.0.0.1:1/", *again, "--force")) == 3
    assert out.read_bytes() == before
    done = run("export", asked.root, *again, "--force")
    assert done.stderr == f"{len(asked.leaves)} of {len(asked.leaves)} entries match\n"
    assert len(out.read_text("utf-8").splitlines()) == len(asked.leaves)
    assert run("export", url).exit_code == 2


def test_a_search_says_how_many_match(asked: Growing) -> None:
    size = len(asked.leaves)
    for more, matched in (((), size), (("--type", "query.intent"), 1), (("--from", "2026-11-23"), 0)):
        assert run("search", asked.root, *more).stderr == f"{matched} of {size} entries match\n"


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("total", "shown"), [(2047, ""), (4000, "  read: 256 / 4,000\r  read: 4,000 / 4,000\n")]
)
def test_a_terminal_is_told_how_far_a_long_log_is(total: int, shown: str) -> None:
    for is_terminal in (False, True):
        stream = Terminal() if is_terminal else io.StringIO()
        progress = progress_of(Reporter(stream, Messages("en")), "read")
        progress(256, total)
        progress(total, total)
        assert stream.getvalue() == (shown if is_terminal else "")


def test_a_search_that_cannot_match_is_an_error(asked: Growing, tmp_path: Path) -> None:
    size = len(asked.leaves)
    for arguments, told in (
        (("--receipt", tmp_path / "none.txt"), "no file, and no entry has this id"),
        (("--receipt", "f" * 32), "no file, and no entry has this id"),
        (("--receipt", size), f"the log has {size} entries, 0 to {size - 1}"),
        (("--member", "nobody"), "in no entry"),
        (("--grant", "zzz"), "in no entry"),
        (("--purpose", "none"), "in no entry"),
        (("--type", "query.nothing"), "is not a type"),
        (("--from", "2026-11-23", "--until", "2026-11-22"), "before --from"),
    ):
        done = run("search", asked.root, *arguments)
        assert status(done) == 2
        assert told in str(done.exception)
    assert status(run("show", asked.root, "--type", "query.nothing")) == 2
    assert lines(run("show", asked.root, "--type", "query"))


def test_a_log_without_its_beginning_is_not_searched(asked: Growing, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(asked.root, tmp_path / "copy"))
    [bundle] = (copy / "tile" / "entries" / "000.p").iterdir()
    bundle.write_bytes(bundle.read_bytes().replace(b'"genesis"', b'"gemesis"'))
    for arguments in (("search", copy), ("export", copy, "--format", "csv")):
        done = run(*arguments)
        assert status(done) == 1
        assert "entry 0: is void" in str(done.exception)
        assert "verify the log first" in str(done.exception)
        assert "0 entries" not in done.stdout


def test_show_says_the_ids_of_grants(asked: Growing) -> None:
    whole = [json.loads(one) for one in lines(run("show", asked.root, "--type", "grant.request", "--json"))]
    plain = lines(run("show", asked.root, "--type", "grant.request"))
    assert whole
    for entry, line in zip(whole, plain, strict=True):
        assert line.endswith(f"{entry['id']}  grant {entry['body']['grant']}")


@pytest.mark.parametrize("command", [("search",), ("show",), ("export", "--format", "jsonl")])
def test_a_reader_that_wants_no_more_ends_it_quietly(tmp_path: Path, command: tuple[str, ...]) -> None:
    log = Growing(tmp_path / "public")
    log.add(real_leaves(answered())[0], *(leaf() for _ in range(3000)))
    arguments = [sys.executable, "-m", "node.cli", "ledger", *command, str(log.root)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


def test_mirror_without_a_policy_says_how_to_pin(asked: Growing, url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    done = run("mirror", url, copy)
    size, root = len(asked.leaves), tree_of(asked.leaves).root().hex()
    assert lines(done) == [f"{copy}: {size} entries, {size} new, root {root}"]
    assert POLICY.fingerprint in done.stderr
    assert "copy" in done.stderr.replace("\n", " ")
    done = run("mirror", url, copy, "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["pinned"] is True
    assert verify_folder(copy, policy=PINNED.encode()).size == len(asked.leaves)


def test_mirror_in_chinese(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDUI_LANGUAGE", "zh-CN")
    assert f"指纹 {POLICY.fingerprint}" in run("mirror", url, tmp_path / "copy").stderr


def test_mirror_under_a_pinned_policy(url: str, tmp_path: Path, settings: Path) -> None:
    (settings / "policies").mkdir(parents=True)
    (settings / "policies" / "county").write_text(PINNED)
    done = run("mirror", url, tmp_path / "copy", "--json")
    assert json.loads(done.stdout)["pinned"] is True
    assert done.stderr == ""
    given = run("mirror", url, tmp_path / "other", "--policy", tmp_path / "pin", "--json")
    assert json.loads(given.stdout)["pinned"] is True
    (tmp_path / "pin").write_text("no policy\n")
    assert status(run("mirror", url, tmp_path / "third", "--policy", tmp_path / "pin")) == 2


def test_mirror_refuses_a_rollback(tmp_path: Path) -> None:
    log = Growing(tmp_path / "public")
    log.add(leaf(), leaf())
    old = shutil.copytree(log.root, tmp_path / "old")
    log.add(leaf())
    run("mirror", log.root, tmp_path / "copy")
    done = run("mirror", old, tmp_path / "copy")
    assert status(done) == 1
    assert error_code(done.exception) == "rollback"  # type: ignore[arg-type]
    assert "a replica that lags: ask the source itself first" in str(done.exception)
    assert len(list((tmp_path / "copy.mirror" / "evidence").iterdir())) == 1


def test_a_mirror_of_another_log_is_named(asked: Growing, tmp_path: Path) -> None:
    run("mirror", asked.root, tmp_path / "copy")
    other = PlainLog.of("elsewhere.example/log", 2).note(1)
    (tmp_path / "copy" / "checkpoint").write_text(other)
    done = run("mirror", asked.root, tmp_path / "copy")
    assert status(done) == 2
    assert f"{tmp_path / 'copy'} is a mirror of the log elsewhere.example/log: " in str(done.exception)
    assert (tmp_path / "copy" / "checkpoint").read_text() == other


def test_mirror_leaves_another_folder_alone(asked: Growing, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "one.txt").write_text("mine")
    done = run("mirror", asked.root, tmp_path / "thesis")
    assert status(done) == 2
    assert "no mirror and not empty: give a new or an empty folder" in str(done.exception)


def test_a_url_is_not_stamped(url: str, tmp_path: Path) -> None:
    done = run("timestamp", url, "--url", "http://127.0.0.1:1/", "--ca", tmp_path / "pin")
    assert status(done) == 2
    assert str(done.exception).startswith("give the folder: a URL cannot be stamped in place")


def test_one_entry_is_not_entries(tmp_path: Path) -> None:
    log = Growing(tmp_path / "public")
    log.add(real_leaves(answered())[0])
    assert lines(run("verify", log.root, "--policy", tmp_path / "pin"))[0].startswith("1 entry, root ")
    [line] = lines(run("mirror", log.root, tmp_path / "copy"))
    assert line.startswith(f"{tmp_path / 'copy'}: 1 entry, 1 new, ")


def test_a_mirror_run_killed_half_way_goes_on(tmp_path: Path) -> None:
    log = Growing(tmp_path / "public")
    log.add(*(leaf() for _ in range(3000)))
    copy = tmp_path / "copy"
    arguments = ["ledger", "mirror", "--policy", str(tmp_path / "pin")]
    with serving(log.root) as web:
        reached, release = threading.Event(), threading.Event()

        def hang(name: str, handler: BaseHTTPRequestHandler) -> bool:
            if name == "tile/entries/010":
                reached.set()
                release.wait(60)
            return False

        web.fault = hang
        process = subprocess.Popen([sys.executable, "-m", "node.cli", *arguments, web.url, str(copy)])
        try:
            assert reached.wait(60)
        finally:
            process.kill()
            process.wait()
            release.set()
        assert not copy.exists()
        web.fault = lambda name, handler: False
        first, web.asked[:] = [name for name in web.asked if name.startswith("tile/entries")], []
        lines(run(*arguments[1:], web.url, copy))
    again = [name for name in web.asked if name.startswith("tile/entries")]
    assert len(first) + len(again) < 24
    assert "tile/entries/000" not in again
    assert verify_folder(copy, policy=PINNED.encode(), apply=cheap).size == 3000
    assert not copy.with_name("copy.mirror").exists()
