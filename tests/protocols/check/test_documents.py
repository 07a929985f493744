"""Documents of a check as types: each is written as it was read, and nothing malformed is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import canonical
from protocols.check.certificate import Certificate, RefusalDocument, RulesReference, Terms, first_difference
from protocols.check.json_form import SignatureValue
from protocols.check.terms import PartialOpening, Term, TermList
from protocols.errors import CertificateError, EncodingError, EvidenceError, ProtocolError, TermListError
from tests.protocols.check.small_check import household, terms

DIGEST = "ab" * 32
PINNED = "3995eef36547d0b3727c75659a9230d699e0f09e30fd6eaa7bfe27a8ecdb604b"
"""SHA-256 of the certificate in cheats.json."""
CERTIFICATE = household().certificate.to_json()
TERMS = terms().to_json()
REFUSAL: dict[str, Any] = {
    "v": 1,
    "network": "net",
    "office": "office",
    "registrar": "desk",
    "query": "0123456789abcdef" * 2,
    "code": "no_consent",
    "household": DIGEST,
}
TERM_LIST = household().term_list().to_json()
SHARE: dict[str, Any] = {"holder": "trust", "list": DIGEST, "proof": "00ff", "value": "01", "salt": DIGEST}
SIGNATURE: dict[str, Any] = {"key": "ab" * 16, "alg": "ed25519", "sig": "cd" * 64}

Parse = Callable[[Any], Any]
DOCUMENTS: dict[str, tuple[Parse, dict[str, Any], type[ProtocolError]]] = {
    "certificate": (Certificate.parse, CERTIFICATE, CertificateError),
    "terms": (lambda value: Terms.parse(value, 1), TERMS, CertificateError),
    "rules reference": (RulesReference.parse, CERTIFICATE["rules"], CertificateError),
    "refusal": (RefusalDocument.parse, REFUSAL, CertificateError),
    "term list": (TermList.parse, TERM_LIST, TermListError),
    "share": (PartialOpening.parse, SHARE, EvidenceError),
    "signature": (SignatureValue.parse, SIGNATURE, EncodingError),
}
FIELDS = [(name, key) for name, (_, value, _) in DOCUMENTS.items() for key in value]
HEX_FIELDS = [
    ("certificate", "elements"),
    ("certificate", "rlist"),
    ("certificate", "casemap"),
    ("certificate", "consents"),
    ("certificate", "query"),
    ("rules reference", "digest"),
    ("refusal", "household"),
    ("term list", "query"),
    ("share", "list"),
    ("share", "salt"),
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_written_as_it_was_read(name: str) -> None:
    parse, value, _ = DOCUMENTS[name]
    assert canonical.encode(parse(value).to_json()) == canonical.encode(value)


def test_an_office_own_share_has_no_salt() -> None:
    value = {key: item for key, item in SHARE.items() if key != "salt"}
    share = PartialOpening.parse(value)
    assert share.salt is None
    assert share.to_json() == value


@pytest.mark.parametrize(("name", "key"), [one for one in FIELDS if one != ("share", "salt")])
def test_a_missing_field_is_named(name: str, key: str) -> None:
    """A share's salt is the one field that may be left out."""
    parse, value, error = DOCUMENTS[name]
    with pytest.raises(error, match=rf"lacks {key}$"):
        parse({other: item for other, item in value.items() if other != key})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_unknown_field_is_refused_and_never_repeated(name: str) -> None:
    parse, value, error = DOCUMENTS[name]
    with pytest.raises(error, match="does not belong") as caught:
        parse({**value, "33102219800101001X": "33102219800101001X"})
    assert "3310" not in str(caught.value)


@pytest.mark.parametrize("wrong", [None, True, 1.5, ["x"], {"x": 1}, -7, "33102219800101001X" * 5000])
@pytest.mark.parametrize(("name", "key"), FIELDS)
def test_a_value_of_another_type_is_refused_and_never_repeated(name: str, key: str, wrong: Any) -> None:
    parse, value, error = DOCUMENTS[name]
    with pytest.raises(error) as caught:
        parse({**value, key: wrong})
    assert key == "v" or f", {key}: " in str(caught.value)
    assert "3310" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["", "ab", "ab" * 31, "ab" * 33, "AB" * 32, "zz" * 32, " " * 64, "a" * 63])
@pytest.mark.parametrize(("name", "key"), HEX_FIELDS)
def test_hex_of_another_length_or_spelling_is_refused(name: str, key: str, wrong: str) -> None:
    parse, value, error = DOCUMENTS[name]
    with pytest.raises(error, match=f", {key}: "):
        parse({**value, key: wrong})


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_what_is_no_object_is_refused(name: str, value: Any) -> None:
    parse, _, error = DOCUMENTS[name]
    with pytest.raises(error, match="is not an object"):
        parse(value)


@pytest.mark.parametrize("version", [0, 2, "1", None, True])
@pytest.mark.parametrize("name", ["certificate", "refusal", "term list"])
def test_another_version_is_refused(name: str, version: Any) -> None:
    parse, value, error = DOCUMENTS[name]
    with pytest.raises(error, match="version"):
        parse({**value, "v": version})


@pytest.mark.parametrize(
    "time", ["2026-11-22", "2026-11-22T02:00:00", "2026-13-22T02:00:00Z", "9999-12-31T23:59:59Z", "now", ""]
)
def test_a_time_in_another_form_is_refused(time: str) -> None:
    with pytest.raises(CertificateError, match="not_after"):
        Certificate.parse({**CERTIFICATE, "not_after": time})


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ({}, "lacks"),
        ({**CERTIFICATE["datasets"][0], "dataset": "income"}, "dataset"),
        ({**CERTIFICATE["datasets"][0], "key": "00"}, "key"),
        ({**CERTIFICATE["datasets"][0], "note": 1}, "does not belong"),
        ("tax.income", "not an object"),
    ],
)
def test_a_malformed_dataset_is_refused(dataset: Any, message: str) -> None:
    for parse, value in ((Certificate.parse, CERTIFICATE), (lambda v: Terms.parse(v, 1), TERMS)):
        with pytest.raises(CertificateError, match=message):
            parse({**value, "datasets": [dataset]})


ROW = next(term for term in TERM_LIST["terms"] if term["kind"] == "row")
ABSENT = next(term for term in TERM_LIST["terms"] if term["kind"] == "absent")


@pytest.mark.parametrize(
    "term",
    [
        {**ROW, "sign": 0},
        {**ROW, "sign": 2},
        {**ROW, "kind": "maybe"},
        {**ROW, "kind": "absent"},
        {**ABSENT, "kind": "row"},
        {**ABSENT, "index": 3},
        {**ROW, "index": None},
        {name: item for name, item in ROW.items() if name != "leaf"},
    ],
)
def test_a_malformed_term_is_refused(term: Any) -> None:
    with pytest.raises(TermListError):
        Term.parse(term)


def documents_of(form: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(form)


def hexed(size: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=size, max_size=size).map(bytes.hex)


NAMES = st.text(st.characters(categories=("Ll", "Nd", "Lo")), min_size=1, max_size=64)
MOMENTS = st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat() + "Z")
CERTIFICATES = documents_of(
    {
        "v": st.just(1),
        "network": NAMES,
        "office": NAMES,
        "registrar": NAMES,
        "query": hexed(16),
        "protocol": st.sampled_from(["sum", "check"]),
        "reveal": st.sampled_from(["total", "bits"]),
        "purpose": NAMES,
        "rules": documents_of({"id": NAMES, "version": NAMES, "digest": hexed(32)}),
        "datasets": st.lists(
            documents_of(
                {
                    "dataset": st.from_regex(r"[a-z]{1,8}\.[a-z0-9_-]{1,8}", fullmatch=True),
                    "grant": NAMES,
                    "key": hexed(32),
                    "publication": NAMES,
                }
            ),
            max_size=4,
        ),
        "count": st.integers(1, 1 << 20),
        "cases": st.integers(1, (1 << 32) - 2),
        **{name: hexed(32) for name in ("elements", "rlist", "casemap", "consents")},
        "trace": st.lists(st.one_of(hexed(16), hexed(32)), max_size=8),
        "not_before": MOMENTS,
        "not_after": MOMENTS,
    }
)


@settings(max_examples=100)
@given(CERTIFICATES)
def test_every_certificate_is_written_as_it_was_read(value: dict[str, Any]) -> None:
    parsed = Certificate.parse(value)
    assert parsed.to_json() == value
    assert canonical.encode(parsed.to_json()) == canonical.encode(value)
    assert Certificate.parse(parsed.to_json()) == parsed


@settings(max_examples=100)
@given(CERTIFICATES, CERTIFICATES)
def test_a_difference_from_the_intent_is_named(one: dict[str, Any], other: dict[str, Any]) -> None:
    differing = {name for name in one if one[name] != other[name]} - {"not_before", "not_after"}
    found = first_difference(Certificate.parse(one), Certificate.parse(other))
    assert found in differing if differing else found is None


def test_a_certificates_bytes_are_pinned() -> None:
    """The canonical bytes of a fixed certificate never change: signatures and reports rest on them."""
    encoded = canonical.encode(household().certificate.to_json())
    assert hashlib.sha256(encoded).hexdigest() == PINNED
