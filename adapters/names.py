"""Names of persons in one form, so that two exports of one name compare equal.

Unicode NFKC; every kind of white space and zero-width character dropped; one middle dot ``·`` (U+00B7) for
U+00B7, U+2022, U+30FB and their compatibility forms, as in names of Uyghur or Tibetan persons. Nothing else
is folded: rare characters of GB 18030-2022, private-use ones among them, stay what they are, and so does
letter case.
"""

from __future__ import annotations

import unicodedata

from adapters.errors import PersonNameError

_DOTS = dict.fromkeys(map(ord, "\u2022\u2027\u22c5\u30fb"), "\u00b7")


def person_name(text: str) -> str:
    """The normal form of a person's name.

    Raises:
        PersonNameError: name_empty, or name_characters for control characters and lone surrogates.
    """
    normal = unicodedata.normalize("NFKC", text).translate(_DOTS)
    kept = [character for character in normal if not character.isspace() and _category(character) != "Cf"]
    if not kept:
        raise PersonNameError("name_empty")
    if any(_category(character) in ("Cc", "Cs") for character in kept):
        raise PersonNameError("name_characters")
    return unicodedata.normalize("NFKC", "".join(kept))


def _category(character: str) -> str:
    return unicodedata.category(character)
