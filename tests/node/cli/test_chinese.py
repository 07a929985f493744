"""Every command speaks Chinese: its help, and what it prints as it works, without an English sentence."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.storage.database import open_database
from node.cli import root
from node.config import read_configuration
from node.home import Home
from node.store.opening import open_store
from node.times import system_clock
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.contract.contract_cases import answered
from tests.ledger.sequencer.log_cases import real_leaves
from tests.node.cli.leftover_english import leftover
from tests.node.cli.pinned_policy import nobodys_settings

ROOT = Path(__file__).parents[3]
HELP = """
import click
from node.config import prepare_language, prepare_transport
prepare_transport()
prepare_language()
from node.cli.root import cli
def show(command, context):
    print(command.get_help(context))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            show(below, below.context_class(below, parent=context, info_name=name, terminal_width=90))
show(cli, cli.context_class(cli, info_name="hedui", terminal_width=90))
"""


@pytest.fixture(autouse=True)
def chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is pinned, and the language is Chinese."""
    nobodys_settings(tmp_path, monkeypatch)
    monkeypatch.setenv("HEDUI_LANGUAGE", "zh_CN.UTF-8")


def run(*arguments: object) -> str:
    """Run a command to its end in this process; returns what it printed, on both streams."""
    out, status = io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["hedui", *map(str, arguments)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                root.run()
            except SystemExit as end:
                status = int(end.code or 0)
    assert status == 0, out.getvalue()
    return out.getvalue()


def said(*arguments: object) -> str:
    """The same, checked: there is Chinese, and no English sentence."""
    text = run(*arguments)
    assert any("\u4e00" <= mark <= "\u9fff" for mark in text), text
    assert leftover(text) == [], text
    return text


def in_a_process(*words: str, language: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HEDUI_LANGUAGE": language, "LANG": "C.UTF-8"}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_the_help_of_every_command() -> None:
    done = in_a_process("-c", HELP, language="zh-CN")
    assert done.returncode == 0, done.stderr
    assert leftover(done.stdout) == []
    assert done.stdout.count("用法：") > 40
    assert "Options" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 90
    english = in_a_process("-c", HELP, language="de_DE")
    assert english.stdout.startswith("Usage: hedui [OPTIONS] COMMAND [ARGS]...\n")
    assert not any("\u4e00" <= mark <= "\u9fff" for mark in english.stdout)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("no-such-command",), "错误：没有命令 'no-such-command'。"),
        (("ledger", "verify"), "错误：缺少参数 'DIR-or-URL'"),
        (("report", "verify", "/no/such/file"), "'FILE' 的值无效：文件 '/no/such/file' 不存在。"),
        (("ledger", "verify", "/no/such/folder"), "hedui: 命令用法有误，请参阅 --help。（/no/such/folder "),
    ],
)
def test_a_command_that_cannot_be_understood(words: tuple[str, ...], shown: str) -> None:
    done = in_a_process("-m", "node.cli", *words, language="zh")
    assert done.returncode == 2
    assert shown in done.stderr, done.stderr


def test_reading_the_public_log(tmp_path: Path) -> None:
    log = Growing(tmp_path / "public")
    log.add(*real_leaves(answered()), b"no entry")
    size = len(log.leaves)
    text = said("ledger", "verify", log.root)
    assert f"第 {size - 1} 条记录无效：entry" in text
    assert "未固定信任策略" in text
    assert f"{size} 条记录，其中新增 {size} 条" in said("ledger", "mirror", log.root, tmp_path / "mirror")
    assert f"共 {size} 条记录，符合条件的有 1 条" in said(
        "ledger", "search", log.root, "--type", "query.intent"
    )
    assert "无效：entry" in said("ledger", "search", log.root)
    rows = ("--format", "csv", "--output", tmp_path / "rows.csv")
    assert f"共 {size} 条记录" in said("ledger", "export", log.root, *rows)
    assert leftover(run("ledger", "show", log.root)) == []


def test_founding_a_network(tmp_path: Path) -> None:
    roles = {"log": "sequencer", "office": "office", "desk": "registrar", "tax": "department"}
    for name, role in roles.items():
        options = ("--id", name, "--name", f"单位{name}", "--role", role, "--listen", "127.0.0.1:1")
        assert "请通过电话告知其摘要" in said("node", "init", tmp_path / name, *options)
    proposal, sealed, draft = tmp_path / "proposal.json", tmp_path / "network.json", tmp_path / "draft.json"
    cards = [item for name in roles for item in ("--card", tmp_path / name / "card.json")]
    said("network", "create", proposal, "--network", "net", "--epoch", "2026-11", *cards)
    for number, name in enumerate(roles, 1):
        assert f"已有 {number} 方签署，共 4 方" in said("network", "sign", tmp_path / name, proposal)
    said("network", "seal", tmp_path / "log", proposal, sealed)
    said("network", "join", tmp_path / "tax", sealed)
    said("network", "invite", tmp_path / "tax", tmp_path / "invitation.json")
    options = ("--id", "new", "--name", "新单位", "--role", "auditor", "--listen", "h:1")
    said("node", "init", tmp_path / "new", *options)
    said("network", "admit-draft", tmp_path / "log", tmp_path / "new" / "card.json", draft)
    assert "须过半数：请转交下一方" in said("network", "admit-sign", tmp_path / "log", draft)


def test_backing_a_node_up(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "home.backup"
    options = ("--id", "tax", "--name", "税务", "--role", "department", "--listen", "127.0.0.1:1")
    run("node", "init", home, *options)
    database = open_database(read_configuration(home).store_url)
    open_store(Home(home), database, system_clock())
    database.dispose()
    assert "尚未加入网络" in said("node", "backup", home, file)
    words = ("--passphrase-file", home / "keys" / "passphrase")
    assert "：完整，共 " in said("node", "restore", file, "--verify", *words)
    restored = said("node", "restore", file, tmp_path / "again", *words)
    assert "1. 将节点的口令写入 " in restored
    assert "请重新发布备份之后发布过的数据" in restored


def test_checking_a_source(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id\n11010119900307889X\n", encoding="utf-8")
    said("dataset", "check", f"csv:{tmp_path / 'rows.csv'}", "--identifier", "id")
