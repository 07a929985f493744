"""The documents are true as far as a program can tell: links lead somewhere, commands and options exist."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("adapters", "docker", "docs", "keys", "ledger", "node", "protocols", "requirements", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
README = ROOT / "README.md"

LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

DUMP = """
import json, click
from node.config import prepare_transport
prepare_transport()
from node.cli.root import cli
def tree(command, context):
    shown = [item for item in command.get_params(context) if isinstance(item, click.Option)]
    names = command.list_commands(context) if isinstance(command, click.Group) else []
    below = {name: tree(command.get_command(context, name), context) for name in names}
    return {"options": [name for item in shown for name in item.opts], "commands": below}
print(json.dumps(tree(cli, click.Context(cli))))
"""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def links(page: Path) -> list[tuple[str, str]]:
    """Label and target of every link to a file of the repository."""
    text = FENCE.sub("", page.read_text("utf-8"))
    found = [(label, target) for label, target in LINK.findall(text) if not re.match(r"[a-z]+:", target)]
    return [(label.strip("`"), target) for label, target in found]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as code hosts make them."""
    text = FENCE.sub("", page.read_text("utf-8"))
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text)]
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for label, target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        known = there.exists() and there.is_relative_to(ROOT)
        if not known or (anchor and anchor not in anchors(there)):
            broken.append((label, target))
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_name_linked_to_a_module_is_defined_in_it(page: Path) -> None:
    wrong = []
    for label, target in links(page):
        name = label.rpartition(".")[2]
        if not target.endswith(".py") or label.endswith(".py") or not name.isidentifier():
            continue
        text = (page.parent / target).read_text("utf-8")
        if re.search(rf"^\s*(def|class) {name}\b", text, re.MULTILINE) is None:
            wrong.append((label, target))
    assert wrong == []


def test_the_readme_leads_to_every_package_and_role() -> None:
    targets = {target.rstrip("/") for _, target in links(README)}
    packages = {f"{name}/README.md" for name in ("node", "protocols", "ledger", "keys", "adapters")}
    path = {f"node/{name}.py" for name in ("check", "certify", "answer", "release", "report/verify")}
    assert packages | path <= targets


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    """The command line as it is; in a process of its own, which alone imports gRPC."""
    done = subprocess.run([sys.executable, "-c", DUMP], cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_shown_exists(page: Path, commands: dict[str, Any]) -> None:
    shown = [
        line
        for kind, text in FENCE.findall(page.read_text("utf-8"))
        if kind == "sh"
        for line in text.splitlines()
    ]
    for line in shown:
        words = shlex.split(line)
        if not words or Path(words[0]).name != "hedui":
            continue
        level, rest = commands, words[1:]
        while rest and rest[0] in level["commands"]:
            level, rest = level["commands"][rest[0]], rest[1:]
        assert not level["commands"], f"no such command: {line}"
        unknown = [word for word in rest if word.startswith("--") and word not in level["options"]]
        assert unknown == [], line
