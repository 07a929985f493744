"""Update the message catalogues, or compare them: what `make messages` and `make check` run.

Usage, from the repository's root: python scripts/messages.py [--check]

The texts are those that the code marks or shows (see ``node.messages.catalogue``), those of the page
template, the help of every command, and click's own. They go into ``hedui.pot``. The ``hedui.po`` of each
locale keeps its translations of these texts and no others, and ``hedui.mo`` is compiled from it. None of the
files has a date, a line number or a path of this machine, so that the same sources give the same bytes.

The exit status is 1 if a text has no translation, a fuzzy one, or one with other placeholders. With --check
nothing is written, and the exit status is also 1 if a file is not current.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from commands import cli, commands, context_of
from jinja2.ext import babel_extract

from node.cli.help import paragraphs
from node.messages.catalogue import DOMAIN, FOLDER, LOCALES

ONE = dict.fromkeys(("translate", "mark", "translated", "print_message", "stage"), (1,))
KEYWORDS = ONE | dict.fromkeys(("counted", "stage_counted"), (1, 2))
"""Our calls that take a text, and where in their arguments it stands."""
TEMPLATE_KEYWORDS = {"t": (1,)}
CLICK_FILES = ("core", "decorators", "exceptions", "formatting", "parser", "types")
CLICK_WORDS = ("required", "(dynamic)")
"""Words of click that it looks up under a variable."""
FOR_PROGRAMMERS = (
    "Deprecat",
    "deprecat",
    "Name '",
    "declarations",
    "parameter declaration",
    "flag for true",
    "No options defined",
    "must be an iterable",
    "Invalid start character",
    "Choice({",
    "Argument {name!r} takes",
)
"""Parts of click's messages that no user of ours sees."""

_PLACEHOLDER = re.compile(r"\{[a-z_]+(?:![rs])?\}|%\([a-z]+\)s")
"""Placeholders of ours and of click."""

Text = str | tuple[str, str]


class DatelessCatalog(Catalog):
    """A catalogue whose header says only what a reader of the file needs."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        """Header fields of the files."""
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Transfer-Encoding", "8bit")]
        if self.locale is not None:
            headers = [
                ("Language", f"{self.locale.language}_{self.locale.territory}"),
                ("Plural-Forms", self.plural_forms),
                *headers,
            ]
        return headers


def texts_of_code() -> Iterator[tuple[str, Text]]:
    """Each text in our Python files, with the file."""
    for path in sorted(Path("node").rglob("*.py")):
        for _, text, _, _ in extract_from_file("python", path, keywords=KEYWORDS, comment_tags=()):
            yield path.as_posix(), text


def texts_of_templates() -> Iterator[tuple[str, Text]]:
    """Each text in the page templates, with the file."""
    for path in sorted(Path("node").rglob("*.j2")):
        options = {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
        for _, _, found, _ in babel_extract(io.BytesIO(path.read_bytes()), TEMPLATE_KEYWORDS, [], options):
            text = found[0] if isinstance(found, tuple) else found  # after it come the values
            if text:
                yield path.as_posix(), text


def texts_of_help() -> Iterator[tuple[str, Text]]:
    """Each paragraph of a command's help and each option's help, with the command's file."""
    for command, context in commands(cli, context_of(cli, "hedui")):
        callback = command.callback
        module = "node.cli.root" if callback is None else callback.__module__
        place = module.replace(".", "/") + ".py"
        for part in paragraphs(command.help or ""):
            yield place, part
        for param in command.get_params(context):
            if isinstance(param, click.Option) and param.help:
                yield place, param.help


def texts_of_click() -> Iterator[tuple[str, Text]]:
    """Each of click's own texts that a user may see."""
    folder = Path(click.__file__).parent
    for name in CLICK_FILES:
        for _, text, _, _ in extract_from_file("python", folder / f"{name}.py"):
            if not any(part in str(text) for part in FOR_PROGRAMMERS):
                yield "click", text
    for word in CLICK_WORDS:
        yield "click", word


def template() -> DatelessCatalog:
    """Every text, without translations."""
    found = DatelessCatalog(domain=DOMAIN)
    for place, text in (*texts_of_code(), *texts_of_templates(), *texts_of_help(), *texts_of_click()):
        if all((text,) if isinstance(text, str) else text or (None,)):
            found.add(text, locations=[(place, 0)], flags=())
    return found


def translated(path: Path, locale: str, texts: DatelessCatalog) -> DatelessCatalog:
    """The texts with the translations that a file has for them."""
    old = read_po(io.BytesIO(path.read_bytes()), locale) if path.exists() else Catalog(locale)
    found = DatelessCatalog(locale, domain=DOMAIN)
    for message in texts:
        if message.id:
            known = old.get(message.id)
            string = "" if known is None else known.string
            flags = () if known is None else known.flags
            found.add(message.id, string, message.locations, flags)
    return found


def written(catalog: DatelessCatalog) -> bytes:
    """The text form of a catalogue."""
    file = io.BytesIO()
    write_po(file, catalog, width=0, omit_header=False, sort_by_file=True, include_lineno=False)
    text = file.getvalue().decode()
    return text[text.index("msgid") :].encode()


def compiled(catalog: DatelessCatalog) -> bytes:
    """The binary form of a catalogue, which the program reads."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def faults(catalog: DatelessCatalog) -> Iterator[str]:
    """What is wrong with the translations."""
    for message in catalog:
        if message.id:
            forms = message.string if isinstance(message.string, tuple) else (message.string,)
            if not all(forms) or len(forms) != (catalog.num_plurals if message.pluralizable else 1):
                yield f"no translation of {message.id!r}"
            elif message.fuzzy:
                yield f"a fuzzy translation of {message.id!r}"
            elif not all(_same_placeholders(message, form) for form in forms):
                yield f"other placeholders in the translation of {message.id!r}"


def _same_placeholders(message: Message, form: str) -> bool:
    """Whether a translation has the placeholders of the English text, of two texts those of the plural."""
    english = message.id[-1] if isinstance(message.id, tuple) else message.id
    return set(_PLACEHOLDER.findall(english)) == set(_PLACEHOLDER.findall(form))


def main(arguments: list[str]) -> int:
    """Write the catalogues, or compare them, and print every fault."""
    texts = template()
    files = {FOLDER / f"{DOMAIN}.pot": written(texts)}
    wrong = []
    for locale in LOCALES.values():
        folder = FOLDER / locale / "LC_MESSAGES"
        catalog = translated(folder / f"{DOMAIN}.po", locale, texts)
        files |= {folder / f"{DOMAIN}.po": written(catalog), folder / f"{DOMAIN}.mo": compiled(catalog)}
        wrong += [f"{locale}: {fault}" for fault in faults(catalog)]
    for path, data in files.items():
        place = path.relative_to(Path.cwd())
        if arguments != ["--check"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        elif not path.exists() or path.read_bytes() != data:
            wrong.append(f"{place} is not current: run 'make messages'")
    for fault in wrong:
        sys.stdout.write(f"{fault}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
