"""Searching a log that the real contract replays: each condition, alone and together, void entries too."""

from __future__ import annotations

import pytest

from ledger.audit.search import SearchFilter, SearchHit, moment, search
from ledger.audit.source import FolderSource, LogSource
from ledger.canonical import decode, encode
from ledger.entries.entry import draft, signed
from ledger.errors import ReceiptError
from ledger.formats.receipt import Receipt
from ledger.merkle import inclusion_path
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.contract.contract_cases import NETWORK, NOW, answered, query_id, signer
from tests.ledger.sequencer.log_cases import cosigned, real_leaves, tree_of

QUERY = query_id(1)


@pytest.fixture(scope="module")
def leaves() -> list[bytes]:
    """A network with one answered question, then a void grant decision and a leaf that is no entry."""
    net = answered()
    body = {"grant": "none", "decision": "approve"}
    void = signed(draft(NETWORK, "grant.decide", "ab" * 16, "2026-11-22T03:00:00Z", body), signer("tax"))
    return [*real_leaves(net), void.leaf(), b"no entry"]


@pytest.fixture(scope="module")
def source(leaves: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> LogSource:
    log = Growing(tmp_path_factory.mktemp("log") / "public")
    log.add(*leaves)
    return FolderSource(log.root)


def found(source: LogSource, **conditions: object) -> list[SearchHit]:
    return list(search(source, SearchFilter(**conditions)))  # type: ignore[arg-type]


def types(source: LogSource, **conditions: object) -> list[str]:
    return [one.entry.type for one in found(source, **conditions) if one.entry is not None]


def test_without_conditions_everything_is_found(source: LogSource, leaves: list[bytes]) -> None:
    everything = found(source)
    assert [one.leaf for one in everything] == leaves
    assert [one.index for one in everything] == list(range(len(leaves)))
    assert [(one.index, one.void) for one in everything if one.void is not None] == [
        (len(leaves) - 2, "missing_signer"),
        (len(leaves) - 1, "entry"),
    ]


def test_by_type(source: LogSource) -> None:
    assert types(source, type="network.genesis") == ["network.genesis"]
    assert set(types(source, type="query")) == {"query.intent", "query.answer"}
    assert types(source, type="quer") == []


def test_by_grant_and_purpose_with_all_that_belongs_to_them(source: LogSource) -> None:
    intent = found(source, type="query.intent")[0]
    assert intent.grants
    for grant in intent.grants:
        assert {"grant.request", "grant.decide", "query.intent", "query.answer"} == set(
            types(source, grant=grant)
        )
    assert intent.purpose is not None
    assert {"grant.request", "grant.decide", "query.intent", "query.answer"} == set(
        types(source, purpose=intent.purpose)
    )
    assert found(source, grant="none")[0].void == "missing_signer"


def test_by_member_who_signed_or_is_named(source: LogSource) -> None:
    for one in found(source, member="housing"):
        assert one.entry is not None
        text = encode(one.entry.body).decode()
        assert "housing" in (one.by, *one.signers) or '"housing' in text
    assert {one.by for one in found(source, type="query.answer")} <= {"tax", "housing"}
    request = found(source, type="grant.request", member="housing")
    assert request
    assert all(one.by == "office" for one in request)
    decide = found(source, type="grant.decide", member="housing")[0]
    assert (decide.by, decide.signers) == ("housing", ("housing",))
    assert "sumkey.publish" in types(source, member="trust")
    assert found(source, member="nobody") == []


def test_by_time(source: LogSource, leaves: list[bytes]) -> None:
    assert len(found(source, since=NOW, until=NOW)) == len(leaves) - 2
    assert [one.void for one in found(source, since="2026-11-22T02:00:01Z")] == ["missing_signer"]
    assert found(source, until="2026-11-22T01:59:59Z") == []
    assert len(found(source, since=moment("2026-11-22"), until=moment("2026-11-22", is_end=True))) == (
        len(leaves) - 1
    )


def test_a_day_is_one_of_utc_plus_8() -> None:
    assert moment("2026-11-22") == "2026-11-21T16:00:00Z"
    assert moment("2026-11-22", is_end=True) == "2026-11-22T15:59:59Z"
    assert moment(NOW) == NOW
    for wrong in ("22.11.2026", "2026-11-22T02:00", "2026-02-30", "", "0001-01-01"):
        with pytest.raises(ValueError, match=r"written|day"):
            moment(wrong)


def test_by_id_and_place(source: LogSource, leaves: list[bytes]) -> None:
    [intent] = found(source, id=QUERY)
    assert intent.entry is not None
    assert intent.entry.type == "query.intent"
    assert [one.leaf for one in found(source, index=intent.index)] == [intent.leaf]
    assert [one.entry for one in found(source, index=len(leaves) - 1)] == [None]


def test_by_receipt(source: LogSource, leaves: list[bytes]) -> None:
    index = found(source, id=QUERY)[0].index
    note = cosigned(leaves)
    path = tuple(inclusion_path(index, len(leaves), tree_of(leaves)))
    receipt = Receipt(index, path, note)
    assert [one.index for one in found(source, receipt=receipt, index=index)] == [index]
    wrong = Receipt(index - 1, path, note)
    with pytest.raises(ReceiptError):
        found(source, receipt=wrong, index=index - 1)
    late = Receipt(len(leaves) + 5, path, note)
    with pytest.raises(ReceiptError, match="no entry"):
        found(source, receipt=late)


def test_conditions_together(source: LogSource) -> None:
    intent = found(source, type="query.intent")[0]
    grant = intent.grants[0]
    [answer, *_] = found(source, type="query.answer", grant=grant, member="tax", since=NOW)
    assert decode(answer.leaf)["body"]["query"] == QUERY
    assert found(source, type="query.answer", grant=grant, member="audit") == []
