"""What other machines' troubles look like: an orderer that loses transactions, a peer that is behind."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from ledger.canonical import encode
from ledger.errors import EntryRefusedElsewhereError
from ledger.fabric import backend
from ledger.fabric.gateway import Gateway
from tests.ledger.conformance.memory_engine import MemoryNetwork
from tests.ledger.fabric.memory_fabric import Network
from tests.ledger.fabric.memory_messages import ORGANISATIONS, Fault
from tests.ledger.sequencer.log_cases import POLICY, cheap, leaf


@pytest.mark.parametrize("times", [1, 3])
def test_a_lost_transaction_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    monkeypatch.setattr(backend, "LOST_SECONDS", 0.05)
    network = MemoryNetwork(cheap)
    engine = network.engine(tmp_path, cheap)
    own = network.network.peers[ORGANISATIONS[0]]
    own.faults["Submit"] += [Fault(grpc.StatusCode.UNAVAILABLE)] * times
    data = leaf()
    receipt = engine.members[0].append(data)
    receipt.verify(POLICY, data)
    assert (own.calls["Endorse"], own.calls["Submit"]) == (1, times + 1)
    assert list(engine.read(0, 10)) == [data]
    engine.close()
    network.close()


def test_a_refusal_of_another_organisations_peer_alone_is_told_apart(
    fabric: Network, gateway: Gateway
) -> None:
    used = encode({"leaf": "00", "type": "incident"})
    fabric.peers[ORGANISATIONS[1]].state["id/one"] = (used, (9, 9))
    with pytest.raises(EntryRefusedElsewhereError) as refused:
        gateway.endorse([b"append", leaf(id="one")])
    assert refused.value.code == "id_used"


def test_a_peer_that_is_behind_is_given_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = MemoryNetwork(cheap)
    engine = network.engine(tmp_path, cheap)
    other = network.network.peers[ORGANISATIONS[1]]
    other.state["id/one"] = (encode({"leaf": "00", "type": "incident"}), (9, 9))
    member, data = engine.members[0], leaf(id="one")
    with pytest.raises(EntryRefusedElsewhereError):
        member.append(data)
    endorse = member.gateway.endorse

    def catch_up_after(args: list[bytes]) -> object:
        try:
            return endorse(args)
        finally:
            other.state.pop("id/one", None)

    monkeypatch.setattr(member.gateway, "endorse", catch_up_after)
    member.append(data).verify(POLICY, data)
    engine.close()
    network.close()
