"""Nobody signs unseen: what the commands show before a founder's signature, and how many have signed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli.network import network as command
from node.cli.node import node
from node.errors import ConfigurationError, UsageError
from node.home import Home
from node.membership.network import read_card
from node.membership.signing_preview import card_digest, proposal_lines
from node.messages.catalogue import Messages

ROLES = {"log": "sequencer", "office": "office", "desk": "registrar", "tax": "department"}


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDUI_LANGUAGE", "en")


def run(*arguments: object, group: object = command) -> str:
    done = CliRunner().invoke(group, [str(item) for item in arguments])  # type: ignore[arg-type]
    if done.exception is not None:
        raise done.exception
    return done.output


def test_every_founder_sees_what_it_signs(tmp_path: Path) -> None:
    said = {}
    for name, role in ROLES.items():
        options = ("--id", name, "--name", f"成员 {name}", "--role", role, "--listen", "127.0.0.1:1")
        said[name] = run("init", tmp_path / name, *options, group=node)
    proposal = tmp_path / "proposal.json"
    cards = [item for name in ROLES for item in ("--card", tmp_path / name / "card.json")]
    run("create", proposal, "--network", "net", "--epoch", "2026-11", *cards)
    for number, name in enumerate(ROLES, 1):
        shown = run("sign", tmp_path / name, proposal)
        for other, role in ROLES.items():
            digest = card_digest(read_card(Home(tmp_path / other).card))
            assert digest in said[other], "what the member was told is what the founders see"
            assert f"{other}  成员 {other}  {role}  127.0.0.1:1\n    card {digest}\n" in shown
        assert "network 'net', epoch 2026-11, pilot: no\n" in shown
        assert "quorum: 2 of 3 witnesses\n" in shown
        rest = "the sequencer seals it" if number == 4 else "pass it on"
        assert shown.endswith(f"signed by {number} of 4: {rest}\n")
    run("seal", tmp_path / "log", proposal, tmp_path / "network.json")
    signed = proposal.read_bytes()
    with pytest.raises(UsageError, match="is there already: it may hold signatures"):
        run("create", proposal, "--network", "net", "--epoch", "2026-11", *cards)
    assert proposal.read_bytes() == signed

    run(
        "init",
        tmp_path / "new",
        "--id",
        "new",
        "--name",
        "n",
        "--role",
        "auditor",
        "--listen",
        "h:1",
        group=node,
    )
    draft = tmp_path / "draft.json"
    run("join", tmp_path / "tax", tmp_path / "network.json")
    invitation = tmp_path / "invitation.json"
    told = run("invite", tmp_path / "tax", invitation)
    assert told == f"{invitation}: the new member joins with `hedui network join HOME {invitation}`\n"
    with pytest.raises(UsageError, match="is there already"):
        run("invite", tmp_path / "tax", tmp_path / "invitation.json")
    assert "admit-sign" in run("admit-draft", tmp_path / "log", tmp_path / "new" / "card.json", draft)
    with pytest.raises(UsageError, match="is there already: it may hold signatures"):
        run("admit-draft", tmp_path / "log", tmp_path / "new" / "card.json", draft)
    digest = card_digest(read_card(tmp_path / "new" / "card.json"))
    for _ in range(2):
        shown = run("admit-sign", tmp_path / "log", draft)
        assert f"new  n  auditor  h:1\n    card {digest}\n" in shown
        assert shown.endswith("signed by 1 of 4, more than half are needed: pass it on\n"), (
            "once, however often"
        )
    assert "signed by 2 of 4" in run("admit-sign", tmp_path / "tax", draft)


def test_what_the_ledger_would_refuse_is_neither_shown_nor_signed(tmp_path: Path) -> None:
    proposal = {"network": "net", "sigs": [], "body": {"pilot": False, "members": [], "name": "\x1b[2J"}}
    with pytest.raises(ConfigurationError, match="do not sign it"):
        proposal_lines(proposal, Messages("en"))
    file = tmp_path / "proposal.json"
    file.write_text(json.dumps(proposal))
    run("init", tmp_path / "h", "--id", "a", "--name", "a", "--role", "office", "--listen", "h:1", group=node)
    with pytest.raises(ConfigurationError, match="do not sign it"):
        run("sign", tmp_path / "h", file)
    assert json.loads(file.read_text()) == proposal


def test_a_false_signature_is_not_counted(tmp_path: Path) -> None:
    for name, role in ROLES.items():
        run(
            "init",
            tmp_path / name,
            "--id",
            name,
            "--name",
            name,
            "--role",
            role,
            "--listen",
            "h:1",
            group=node,
        )
    proposal = tmp_path / "proposal.json"
    cards = [item for name in ROLES for item in ("--card", tmp_path / name / "card.json")]
    run("create", proposal, "--network", "net", "--epoch", "2026-11", *cards, "--pilot")
    run("sign", tmp_path / "tax", proposal)
    found = json.loads(proposal.read_text())
    found["body"]["epoch"] = "2026-12"
    proposal.write_text(json.dumps(found))
    shown = run("sign", tmp_path / "desk", proposal)
    assert "pilot: yes" in shown
    assert shown.endswith("signed by 1 of 4: pass it on\n"), "the earlier one is over another body"
