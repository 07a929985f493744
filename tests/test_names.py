"""Names and words of the packages: one meaning a class name, errors that end in `Error`, plain English."""

from __future__ import annotations

import ast
import builtins
import functools
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("adapters", "keys", "ledger", "node", "protocols")
MODULES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if not path.name.endswith(("_pb2.py", "_pb2_grpc.py"))
)
WRITTEN = [
    path for path in (*MODULES, *sorted((ROOT / "tests").rglob("*.py"))) if path.name != "test_names.py"
]

RIDDLES = {
    r"anew": "again, new",
    r"puts? back|putting back": "restore",
    r"for good": "permanently",
    r"who(m|se)?ever": "the role that is meant: a peer, a caller, a reader",
    r"somebody|someone else|anybody|everybody": "the role that is meant",
    r"dribbles?": "sends slowly",
    r"patience": "timeout",
    r"heard": "received",
    r"takes? up|taken up|took up|taking up": "load, use",
    r"own replay": "local replay",
    r"of itself": "on its own, by default",
}
"""Words and phrases that an engineer has to puzzle over -> what to write in their place."""
BANNED = re.compile(rf"\b(?:{'|'.join(RIDDLES)})\b".replace(" ", r"\s+"), re.IGNORECASE)

RAISES = re.compile(r"^ *Raises:\n((?: +.*(?:\n|\Z)|\n)+)", re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def classes(path: Path) -> list[ast.ClassDef]:
    return [node for node in tree(path).body if isinstance(node, ast.ClassDef)]


def aliases(path: Path) -> Iterator[str]:
    """Names of a module's type aliases: annotated as such, or written like a class name."""
    for node in tree(path).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias":
                yield node.target.id
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if re.fullmatch(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*", name):
                yield name


def test_no_two_public_classes_or_aliases_have_one_name() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for name in [*(node.name for node in classes(path)), *aliases(path)]:
            if not name.startswith("_"):
                found[name].append(name_of(path))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


@functools.cache
def exceptions() -> dict[str, str]:
    """Every exception class of the packages, with the module that defines it."""
    bases = {
        node.name: ({ast.unparse(base).rpartition(".")[2] for base in node.bases}, name_of(path))
        for path in MODULES
        for node in classes(path)
    }

    def is_exception(name: str) -> bool:
        if name in bases:
            return any(is_exception(base) for base in bases[name][0] - {name})
        known = getattr(builtins, name, None)
        return name.endswith(("Error", "Exception")) or (
            isinstance(known, type) and issubclass(known, BaseException)
        )

    return {name: path for name, (_, path) in bases.items() if is_exception(name)}


def test_every_exception_ends_in_error() -> None:
    found = exceptions()
    assert len(found) > 50
    assert {name: path for name, path in found.items() if not name.endswith("Error")} == {}


def raised_names(text: str) -> Iterator[str]:
    """The names before the colons of a docstring's `Raises:` section."""
    for section in RAISES.findall(text):
        indent = min(len(line) - len(line.lstrip()) for line in section.splitlines() if line.strip())
        for line in section.splitlines():
            if len(line) - len(line.lstrip()) == indent:
                named = re.match(r"([A-Z][A-Za-z]+(?:, [A-Z][A-Za-z]+)*):", line.strip())
                yield from named[1].split(", ") if named else ()


def unknown_raises(path: Path) -> list[str]:
    """Names in `Raises:` sections that are no exception class of ours, of Python or imported there."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom | ast.Import)
        for alias in node.names
    }
    known = exceptions().keys() | dir(builtins) | imported
    documented = (ast.FunctionDef, ast.ClassDef, ast.Module)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(tree(path)) if isinstance(node, documented)]
    return [name for text in texts for name in raised_names(text) if name not in known]


def test_what_a_docstring_says_is_raised_is_an_exception() -> None:
    found = {name_of(path): unknown_raises(path) for path in MODULES}
    assert {path: names for path, names in found.items() if names} == {}


def words(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each comment and string of a module, docstrings among them."""
    text = path.read_text("utf-8")
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            yield token.start[0], token.string


def riddles(path: Path) -> list[str]:
    """`line: phrase` of each banned phrase, also of one that a line break divides."""
    return [
        f"{line + text.count(chr(10), 0, match.start())}: {' '.join(match[0].split())}"
        for line, text in words(path)
        for match in BANNED.finditer(text)
    ]


def test_comments_and_messages_are_plain_english() -> None:
    found = {name_of(path): riddles(path) for path in WRITTEN}
    assert {path: phrases for path, phrases in found.items() if phrases} == {}


def test_a_riddle_is_found_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "riddles.py"
    path.write_text('"""Wait\nfor\ngood."""\n\nX = f"{1} anew"  # Whoever reads this\n')
    assert riddles(path) == ["2: for good", "5: anew", "5: Whoever"]
