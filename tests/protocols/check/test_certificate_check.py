"""The registrar's certificate: what it commits to, who can tell padding, and every opening that must fail."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocols import profiles
from protocols.check import certify as making
from protocols.check.certificate import Certificate
from protocols.check.certify import BlindedPerson, certify
from protocols.check.openings import Openings, check_elements, check_openings
from protocols.encoding import fields
from protocols.errors import CertificateError, EncodingError, GroupError, ProtocolError
from protocols.psi import group, tags, voprf
from tests.protocols.check.small_check import (
    ANNA,
    BAO,
    CHEN,
    NOT_AFTER,
    NOT_BEFORE,
    PADDING,
    QUERY,
    household,
    persons,
    recommitted,
    scalar,
    terms,
)

IDENTITY = bytes(32)
NOT_REDUCED = (2**255 - 19 + 6).to_bytes(32, "little")


def people(count: int, cases: int = 1) -> list[BlindedPerson]:
    """Persons spread over cases."""
    return [
        BlindedPerson(
            tags.identifier(f"{number:017d}X"), scalar(f"blind {number}"), number % cases, f"{number:032x}"
        )
        for number in range(count)
    ]


def signed(openings: Openings) -> Certificate:
    """The household's certificate with commitments to other openings: a cheating registrar's."""
    return recommitted(household().certificate, openings)


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 5), st.binary(min_size=16, max_size=64))
@example(1, 1, b"x" * 16)
@example(32, 1, b"x" * 16)
@example(33, 3, b"x" * 16)
def test_certified_questions_open(count: int, cases: int, secret: bytes) -> None:
    who = people(count, cases)
    certificate, openings = certify(terms(cases=cases), who, secret, NOT_BEFORE, NOT_AFTER)
    check_openings(certificate, openings)
    assert certificate.count == len(openings.elements) == profiles.padded_elements(count)
    assert list(openings.elements) == sorted(set(openings.elements))
    assert len(openings.real) == count
    assert sorted(openings.casemap) == sorted(
        [0] * (certificate.count - count) + [one.case + 1 for one in who]
    )
    assert list(certificate.trace) == sorted(certificate.trace)
    assert len(certificate.trace) == certificate.count
    again = Openings.parse(openings.to_json())
    assert again == openings


def test_every_real_element_stands_with_its_own_commitment_and_case() -> None:
    who = people(7, 3)
    _, openings = certify(terms(cases=3), who, PADDING, NOT_BEFORE, NOT_AFTER)
    by_commitment = dict(zip(openings.rlist, openings.real, strict=True))
    for person in who:
        position = by_commitment[group.multiply_base([person.blind])[0]]
        assert openings.elements[position] == voprf.blind([person.identifier], [person.blind])[0]
        assert openings.casemap[position] == person.case + 1


def test_padding_follows_from_secret_and_query_and_from_nothing_else() -> None:
    first = making.draw_padding(PADDING, QUERY, 5)
    assert first == making.draw_padding(PADDING, QUERY, 5)
    assert first[:3] == making.draw_padding(PADDING, QUERY, 3)
    others = making.draw_padding(PADDING + b"x", QUERY, 5) + making.draw_padding(PADDING, "ab" * 16, 5)
    assert len({*first, *others}) == 15
    message = b"hedui/padding/v1" + fields(bytes.fromhex(QUERY), (2).to_bytes(4, "big"))
    assert voprf.hash_inputs([hmac.digest(PADDING, message, "sha512")]) == [first[2]]


def test_nobody_but_the_registrar_can_tell_padding() -> None:
    """What a certificate and its elements show is the same for one person as for three, salts aside."""
    shown = []
    for names in ((ANNA,), (ANNA, BAO, CHEN)):
        certificate, openings = certify(terms(), persons(*names), PADDING, NOT_BEFORE, NOT_AFTER)
        document = certificate.to_json()
        varying = ("elements", "rlist", "casemap", "consents", "trace")
        shown.append({name: value for name, value in document.items() if name not in varying})
        group.check_points(openings.elements)
        assert {len(document[name]) for name in varying[:4]} == {64}
    assert shown[0] == shown[1]
    _, one = certify(terms(), persons(ANNA), PADDING, NOT_BEFORE, NOT_AFTER)
    guesses = [voprf.hash_inputs([hashlib.sha512(QUERY.encode()).digest()])[0], *voprf.hash_inputs([ANNA])]
    assert not set(guesses) & set(one.elements)


def test_the_same_household_commits_to_other_bytes_each_time() -> None:
    names = ("elements", "rlist", "casemap", "consents")
    first, second = (
        certify(terms(), persons(ANNA), PADDING, NOT_BEFORE, NOT_AFTER)[0].to_json() for _ in range(2)
    )
    assert all(first[name] != second[name] for name in names)
    assert {name: first[name] for name in first if name not in names} == {
        name: second[name] for name in second if name not in names
    }


REFUSED_QUESTIONS: dict[str, tuple[list[BlindedPerson], type[ProtocolError]]] = {
    "nobody": ([], CertificateError),
    "named twice": ([*persons(ANNA), *persons(ANNA)], CertificateError),
    "named twice with other blinds": (
        [*persons(ANNA), replace(persons(ANNA)[0], blind=scalar("other"))],
        CertificateError,
    ),
    "case below the question": ([replace(persons(ANNA)[0], case=-1)], CertificateError),
    "case beyond the question": ([replace(persons(ANNA)[0], case=1)], CertificateError),
    "r = 0": ([replace(persons(ANNA)[0], blind=0)], GroupError),
    "r of one among others = 0": ([*persons(BAO), replace(persons(ANNA)[0], blind=0)], GroupError),
    "r = order": ([replace(persons(ANNA)[0], blind=group.ORDER)], GroupError),
    "r negative": ([replace(persons(ANNA)[0], blind=-1)], GroupError),
}


@pytest.mark.parametrize("name", REFUSED_QUESTIONS)
def test_questions_that_are_not_certified(name: str) -> None:
    who, error = REFUSED_QUESTIONS[name]
    with pytest.raises(error):
        certify(terms(), who, PADDING, NOT_BEFORE, NOT_AFTER)


def test_one_person_may_stand_in_two_households() -> None:
    who = [*persons(ANNA, case=0), *persons(ANNA, BAO, case=1)]
    certificate, openings = certify(terms(cases=2), who, PADDING, NOT_BEFORE, NOT_AFTER)
    check_openings(certificate, openings)
    assert len(set(openings.rlist)) == 3


def changed(elements: tuple[bytes, ...], at: int, value: bytes) -> tuple[bytes, ...]:
    return (*elements[:at], value, *elements[at + 1 :])


ELEMENT_CHEATS: dict[str, tuple[Callable[[tuple[bytes, ...]], tuple[bytes, ...]], type[ProtocolError]]] = {
    "unsorted": (lambda e: (e[1], e[0], *e[2:]), CertificateError),
    "reversed": (lambda e: e[::-1], CertificateError),
    "one twice": (lambda e: (e[0], e[0], *e[2:]), CertificateError),
    "swapped for another": (lambda e: tuple(sorted([*e[1:], *voprf.hash_inputs([b"x"])])), CertificateError),
    "one left out": (lambda e: e[1:], CertificateError),
    "one more": (lambda e: tuple(sorted([*e, *voprf.hash_inputs([b"x"])])), CertificateError),
    "none": (lambda e: (), CertificateError),
    "short": (lambda e: changed(e, 0, e[0][:31]), CertificateError),
    "long": (lambda e: changed(e, 0, e[0] + b"\0"), CertificateError),
    "two glued": (lambda e: (e[0] + e[1], b"", *e[2:]), CertificateError),
}


@pytest.mark.parametrize("name", ELEMENT_CHEATS)
def test_elements_other_than_certified(name: str) -> None:
    check = household()
    cheat, error = ELEMENT_CHEATS[name]
    with pytest.raises(error):
        check_elements(check.certificate, cheat(check.openings.elements), check.openings.elements_salt)


@pytest.mark.parametrize(
    "name", [name for name in ELEMENT_CHEATS if name not in ("none", "swapped for another")]
)
def test_a_registrar_cannot_certify_a_bad_list(name: str) -> None:
    """Form is checked even where the commitment opens."""
    check = household()
    elements = ELEMENT_CHEATS[name][0](check.openings.elements)
    openings = replace(check.openings, elements=elements)
    certificate = replace(signed(openings), count=check.certificate.count)
    with pytest.raises(CertificateError):
        check_elements(certificate, elements, openings.elements_salt)


@pytest.mark.parametrize("bad", [IDENTITY, NOT_REDUCED, b"\xff" * 32])
def test_elements_that_are_no_points(bad: bytes) -> None:
    """Sorted and committed to, so that the point itself is what is refused."""
    openings = household().openings
    elements = tuple(sorted([*openings.elements[1:], bad]))
    with pytest.raises(GroupError):
        check_elements(signed(replace(openings, elements=elements)), elements, openings.elements_salt)


@pytest.mark.parametrize("bad", [IDENTITY, NOT_REDUCED, b"\x01" * 31])
def test_commitments_that_are_no_points(bad: bytes) -> None:
    openings = household().openings
    cheat = replace(openings, rlist=changed(openings.rlist, 0, bad))
    with pytest.raises(GroupError):
        check_openings(signed(cheat), cheat)


def casemap(openings: Openings, *cases: int) -> Openings:
    return replace(openings, casemap=cases)


OPENING_CHEATS: dict[str, Callable[[Openings], Openings]] = {
    "blinds other than certified": lambda o: replace(
        o, rlist=changed(o.rlist, 0, group.multiply_base([scalar("other")])[0])
    ),
    "R list in another order": lambda o: replace(o, rlist=o.rlist[::-1]),
    "R list one short": lambda o: replace(o, rlist=o.rlist[:-1]),
    "R list one long": lambda o: replace(o, rlist=(*o.rlist, o.rlist[0])),
    "no R": lambda o: replace(o, rlist=()),
    "case map: a real element as padding": lambda o: casemap(o, 0, *o.casemap[1:]),
    "case map: a case too high": lambda o: casemap(o, 2, *o.casemap[1:]),
    "case map: a negative case": lambda o: casemap(o, -1, *o.casemap[1:]),
    "case map: one short": lambda o: casemap(o, *o.casemap[:-1]),
    "case map: one long": lambda o: casemap(o, *o.casemap, 0),
    "wrong salt of elements": lambda o: replace(o, elements_salt=o.rlist_salt),
    "wrong salt of R list": lambda o: replace(o, rlist_salt=o.elements_salt),
    "wrong salt of case map": lambda o: replace(o, casemap_salt=o.elements_salt),
}
NOT_A_REGISTRARS = ("blinds", "R list in another order", "wrong salt")
"""What is false only against the certificate: a registrar that committed to it would have certified it."""


@pytest.mark.parametrize("name", OPENING_CHEATS)
def test_openings_other_than_certified(name: str) -> None:
    check = household()
    with pytest.raises(CertificateError):
        check_openings(check.certificate, OPENING_CHEATS[name](check.openings))


@pytest.mark.parametrize("name", [name for name in OPENING_CHEATS if not name.startswith(NOT_A_REGISTRARS)])
def test_a_registrar_cannot_certify_bad_openings(name: str) -> None:
    """Lengths and ranges are checked even where every commitment opens."""
    openings = OPENING_CHEATS[name](household().openings)
    in_range = replace(openings, casemap=tuple(max(0, case) for case in openings.casemap))
    with pytest.raises(CertificateError):
        check_openings(signed(in_range), openings)


def test_a_salt_of_another_length() -> None:
    check = household()
    with pytest.raises(EncodingError, match="salt of 32 bytes"):
        check_openings(check.certificate, replace(check.openings, rlist_salt=b"\0" * 31))


PARTS = ("elements", "elements_salt", "rlist", "rlist_salt", "casemap", "casemap_salt")


@settings(max_examples=150)
@given(st.sampled_from(PARTS), st.integers(0, 10**6), st.integers(1, 255))
def test_any_changed_byte_of_any_opening_fails(part: str, place: int, change: int) -> None:
    check = household()
    value = getattr(check.openings, part)
    if isinstance(value, bytes):
        at = place % len(value)
        other: object = value[:at] + bytes([value[at] ^ change]) + value[at + 1 :]
    elif part == "casemap":
        at = place % len(value)
        shift = 8 * (place // len(value) % 4)
        other = (*value[:at], value[at] ^ change << shift, *value[at + 1 :])
    else:
        at, byte = place % len(value), place // len(value) % 32
        element = value[at]
        element = element[:byte] + bytes([element[byte] ^ change]) + element[byte + 1 :]
        other = changed(value, at, element)
    with pytest.raises(ProtocolError):
        check_openings(check.certificate, replace(check.openings, **{part: other}))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["count", "elements", "rlist", "casemap", "cases"])
def test_any_changed_commitment_fails(name: str) -> None:
    check = household()
    value = getattr(check.certificate, name)
    other: Any = value - 1 if isinstance(value, int) else value[:-1] + bytes([value[-1] ^ 1])
    with pytest.raises(CertificateError):
        check_openings(replace(check.certificate, **{name: other}), check.openings)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"elements": "00"},
        household().openings.to_json() | {"elements": ["zz"]},
        household().openings.to_json() | {"rlist_salt": None},
        household().openings.to_json() | {"casemap": ["one"]},
        household().openings.to_json() | {"casemap": None},
    ],
)
def test_malformed_openings(value: dict[str, object]) -> None:
    with pytest.raises(CertificateError, match="openings lack"):
        Openings.parse(value)


def test_openings_for_the_trustee_name_no_consent() -> None:
    value = household().openings.to_json()
    del value["consents"], value["consents_salt"]
    shown = Openings.parse(value)
    assert shown.consents == ()
    check_openings(household().certificate, shown)


def test_the_certificate_says_nothing_of_the_persons() -> None:
    text = repr(household().certificate) + repr(household().certificate.to_json())
    secret = [person.identifier.decode() for person in persons(ANNA, BAO, CHEN)]
    secret += [element.hex() for element in household().openings.elements + household().openings.rlist]
    secret += list(household().openings.consents)
    assert not [value for value in secret if value in text]
