"""The documents are true as far as a program can tell: links lead somewhere, commands and options exist."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("adapters", "docker", "docs", "keys", "ledger", "node", "protocols", "requirements", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
README = ROOT / "README.md"
CHINESE_README = ROOT / "README.zh-CN.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"

LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

DUMP = """
import json, click
from node.config import prepare_transport
prepare_transport()
from node.cli.root import cli
def tree(command, context):
    params = command.get_params(context)
    shown = [item for item in params if isinstance(item, click.Option)]
    places = [item for item in params if isinstance(item, click.Argument)]
    names = command.list_commands(context) if isinstance(command, click.Group) else []
    below = {name: tree(command.get_command(context, name), context) for name in names}
    return {
        "options": {name: not item.is_flag and not item.count for item in shown for name in item.opts},
        "required": [item.opts for item in shown if item.required],
        "least": sum(item.required for item in places),
        "most": None if any(item.nargs < 0 for item in places) else len(places),
        "commands": below,
    }
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


@pytest.fixture(scope="module")
def source_files() -> list[str]:
    """Every Python file of the packages and tests, below the repository's root."""
    folders = ("node", "protocols", "ledger", "keys", "adapters", "tests", "scripts")
    return [name_of(path) for folder in folders for path in (ROOT / folder).rglob("*.py")]


CODE = re.compile(r"`([^`\s]+)`")
MODULE = re.compile(r"(?:node|protocols|ledger|keys|adapters)(?:\.[a-z_0-9]+)+")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_module_named_exists(page: Path, source_files: list[str]) -> None:
    """A file such as ``office/check.py``, a module such as ``ledger.merkle``, or a name in one."""
    named = CODE.findall(FENCE.sub("", page.read_text("utf-8")))
    files = {name for name in named if re.fullmatch(r"[\w/.-]+\.py", name)}
    assert [
        name for name in sorted(files) if not any(f"/{file}".endswith(f"/{name}") for file in source_files)
    ] == []
    known = {file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in source_files}
    modules = {name for name in named if MODULE.fullmatch(name)} - {"node.db", "node.toml"}
    assert [name for name in sorted(modules) if not {name, name.rpartition(".")[0]} & known] == []


@pytest.mark.parametrize("page", [README, CHINESE_README], ids=name_of)
def test_the_readme_leads_to_every_package_and_role(page: Path) -> None:
    targets = {target.rstrip("/") for _, target in links(page)}
    packages = {f"{name}/README.md" for name in ("node", "protocols", "ledger", "keys", "adapters")}
    rooms = ("office/check", "registrar/certify", "department/answer", "trustee/release", "report/verify")
    path = {f"node/{name}.py" for name in rooms}
    assert packages | path <= targets


def test_both_readmes_lead_to_the_same_places() -> None:
    english, chinese = ({target for _, target in links(page)} for page in (README, CHINESE_README))
    assert english - {CHINESE_README.name} == chinese - {README.name}


def test_the_readme_stays_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 135


@pytest.mark.parametrize("package", ["node", "ledger"])
def test_the_drawing_of_rooms_is_that_of_the_import_rules(package: str) -> None:
    """Line by line the layers that import-linter holds, and no room is left out of page or rules."""
    text = ARCHITECTURE.read_text("utf-8").partition(f"## Rooms of `{package}`\n")[2]
    drawing = text.partition("```\n")[2].partition("```")[0].splitlines()
    drawn = [{name.strip() for name in re.split(r"\s{2,}", line.strip())[0].split("·")} for line in drawing]
    drawn = [{name.removesuffix(".py") for name in line} for line in drawn]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [item["layers"] for item in contracts if item["name"].startswith(f"{package}: ")]
    held = [{name.strip().removeprefix(f"{package}.") for name in line.split(":")} for line in layers[0]]
    assert drawn == held
    rooms = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")} - {"wire"}
    assert rooms - {"report"} <= set.union(*held)


def test_every_page_is_in_the_index_of_documents() -> None:
    index = ROOT / "docs" / "README.md"
    known = {(index.parent / target.partition("#")[0]).resolve() for _, target in links(index)}
    pages = [*index.parent.glob("*.md"), *(index.parent / "guides").glob("*.md")]
    assert [name_of(page) for page in pages if page != index and page not in known] == []


def test_every_decision_is_in_the_index_once() -> None:
    index = ROOT / "docs" / "adr" / "README.md"
    listed = sorted(target for _, target in links(index) if re.match(r"\d{4}-", target))
    assert listed == sorted(page.name for page in index.parent.glob("[0-9]*.md"))


def glossary() -> list[list[str]]:
    """Rows of the glossary: English word, Chinese word, meaning in English, meaning in Chinese."""
    lines = (ROOT / "docs" / "glossary.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[2:]


def test_each_row_of_the_glossary_has_both_languages() -> None:
    han = re.compile("[\u4e00-\u9fff]")
    for row in glossary():
        english, chinese, meaning, in_chinese = row
        assert english, row
        assert han.search(english + meaning) is None, row
        assert han.search(chinese), row
        assert re.fullmatch(r"[^.]*(\.\w[^.]*)*\.", meaning), f"one sentence: {english}"
        assert re.fullmatch("[^。]*[\u4e00-\u9fff][^。]*。", in_chinese), f"one sentence: {english}"


def test_each_term_is_in_the_glossary_once_and_in_order() -> None:
    english, chinese = [row[0].casefold() for row in glossary()], [row[1] for row in glossary()]
    assert english == sorted(set(english))
    assert sorted(chinese) == sorted(set(chinese))


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    """The command line as it is; in a process of its own, which alone imports gRPC."""
    done = subprocess.run([sys.executable, "-c", DUMP], cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


SHELL = re.compile(r"[|;&<>]+")
"""Words that end a command's own words."""


def shown_commands(page: Path) -> list[tuple[str, list[str]]]:
    """Every line of a page's shell blocks that runs this program, with the words after its name."""
    found = []
    for kind, text in FENCE.findall(page.read_text("utf-8")):
        for line in text.replace("\\\n", " ").splitlines() if kind == "sh" else ():
            words = shlex.split(line, comments=True)
            if words and Path(words[0]).name == "hedui":
                end = next((at for at, word in enumerate(words) if SHELL.fullmatch(word)), len(words))
                found.append((line, words[1:end]))
    return found


def given(level: dict[str, Any], words: list[str]) -> tuple[list[str], int]:
    """Options that stand among a command's words, and the number of its arguments."""
    options: list[str] = []
    rest, arguments = iter(words), 0
    for word in rest:
        if not word.startswith("--"):
            arguments += 1
            continue
        name, equals, _ = word.partition("=")
        options.append(name)
        if level["options"].get(name) and not equals:
            assert next(rest, "--")[:2] != "--", f"{name} has no value"
    return options, arguments


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_shown_can_be_given(page: Path, commands: dict[str, Any]) -> None:
    """It exists, knows its options, and lacks none that is required and no argument."""
    for line, words in shown_commands(page):
        level, rest = commands, words
        while rest and rest[0] in level["commands"]:
            level, rest = level["commands"][rest[0]], rest[1:]
        assert not level["commands"], f"no such command: {line}"
        options, arguments = given(level, rest)
        assert [name for name in options if name not in level["options"]] == [], line
        lacking = [names[0] for names in level["required"] if not set(names) & set(options)]
        assert lacking == [], line
        assert level["least"] <= arguments, line
        assert level["most"] is None or arguments <= level["most"], line


def test_a_command_that_lacks_something_is_seen(commands: dict[str, Any]) -> None:
    level = commands["commands"]["share"]["commands"]["except"]
    assert (level["required"], level["least"], level["most"]) == ([["--list"], ["--reason"]], 2, 2)
    assert given(level, shlex.split("HOME QUERY --reason correction")) == (["--reason"], 2)
