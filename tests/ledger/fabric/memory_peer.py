"""A peer of the in-memory Fabric: endorses by its chaincode, validates, serves Gateway and Deliver."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.msp import identities_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    chaincode_shim_pb2,
    chaincode_shim_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from keys import msp
from ledger.fabric.gateway import DETAILS
from ledger.wire import rpc_status_pb2
from tests.ledger.fabric.memory_messages import (
    CHANNEL,
    OFFER,
    PACKAGE,
    Code,
    Fault,
    Kind,
    Parts,
    Simulation,
    parse_read_write_set,
    prepare,
    read_write_set,
)

if TYPE_CHECKING:
    from tests.ledger.fabric.memory_fabric import Network


class Chaincodes:
    """The peer's side of one Connect stream."""

    def __init__(self, peer: Peer, endpoint: str) -> None:
        self.peer = peer
        self.running: dict[tuple[str, str], Simulation] = {}
        self.outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.ready = threading.Event()
        self.channel = grpc.insecure_channel(endpoint)
        stub = chaincode_shim_pb2_grpc.ChaincodeStub(self.channel)
        self.stream = stub.Connect(iter(self.outgoing.get, None))
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        if not self.ready.wait(10):
            raise RuntimeError("the chaincode did not register")

    def close(self) -> None:
        self.outgoing.put(None)
        self.stream.cancel()
        self.reader.join()
        self.channel.close()

    def read(self) -> None:
        try:
            for message in self.stream:
                self.take(message)
        except grpc.RpcError:
            pass
        for one in list(self.running.values()):
            one.answer.put(None)

    def take(self, message: Any) -> None:
        if message.type == Kind.REGISTER:
            assert chaincode_pb2.ChaincodeID.FromString(message.payload).name == PACKAGE
            self.outgoing.put(Kind(type=Kind.REGISTERED))
            offer = self.peer.offer.SerializeToString()
            self.outgoing.put(Kind(type=Kind.READY, payload=offer))
            self.outgoing.put(Kind(type=Kind.KEEPALIVE))
            return
        if message.type == Kind.KEEPALIVE:
            self.ready.set()
            return
        one = self.running[message.channel_id, message.txid]
        if message.type in (Kind.COMPLETED, Kind.ERROR):
            one.answer.put(message)
            return
        kind, payload = self.peer.request(one, message)
        self.outgoing.put(Kind(type=kind, payload=payload, channel_id=message.channel_id, txid=message.txid))

    def invoke(self, txid: str, signed: Any, args: Any) -> tuple[Any, Simulation]:
        one = Simulation()
        self.running[CHANNEL, txid] = one
        payload = chaincode_pb2.ChaincodeInput(args=args).SerializeToString()
        self.outgoing.put(
            Kind(type=Kind.TRANSACTION, payload=payload, txid=txid, channel_id=CHANNEL, proposal=signed)
        )
        answer = one.answer.get(timeout=30)
        del self.running[CHANNEL, txid]
        if answer is None or answer.type == Kind.ERROR:
            text = "stream terminated" if answer is None else answer.payload.decode()
            return proposal_response_pb2.Response(status=500, message=f"error in simulation: {text}"), one
        return proposal_response_pb2.Response.FromString(answer.payload), one


class Peer:
    """One organisation's peer."""

    def __init__(self, network: Network, name: str, offer: Any = OFFER) -> None:
        self.network = network
        self.name = name
        self.up = True
        self.lag = False
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.calls: dict[str, int] = defaultdict(int)
        self.state: dict[str, tuple[bytes, tuple[int, int]]] = {}
        self.blocks: list[Any] = []
        self.flags: dict[str, tuple[int, int]] = {}
        self.refuse_put: set[str] = set()
        self.offer = offer
        self.deviate: Callable[[str, int], int] = lambda _txid, code: code
        self.changed = threading.Condition(threading.RLock())
        self.chaincodes: Chaincodes | None = None
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 1 << 27)]
        self.pool = futures.ThreadPoolExecutor(96, f"peer-{name}")
        self.server = grpc.server(self.pool, options=options)
        gateway_pb2_grpc.add_GatewayServicer_to_server(GatewayEdge(self), self.server)
        events_pb2_grpc.add_DeliverServicer_to_server(DeliverEdge(self), self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def connect(self, endpoint: str) -> None:
        """Connect to a chaincode server, as the peer does at its first call."""
        self.chaincodes = Chaincodes(self, endpoint)

    def wait_blocks(self, number: int) -> list[Any]:
        """Blocks from ``number`` on; none after a moment without any."""
        with self.changed:
            self.changed.wait_for(lambda: (len(self.blocks) > number and not self.lag) or not self.up, 0.1)
            return [] if self.lag else self.blocks[number:]

    def stop(self) -> None:
        self.switch(up=False)
        if self.chaincodes is not None:
            self.chaincodes.close()
        self.server.stop(grace=None).wait()
        self.pool.shutdown()

    def switch(self, *, up: bool) -> None:
        with self.changed:
            self.up = up
            self.changed.notify_all()

    def request(self, one: Simulation, message: Any) -> tuple[int, bytes]:
        """Answer a message that reads or writes."""
        shim = chaincode_shim_pb2
        if message.type == Kind.GET_STATE:
            return Kind.RESPONSE, self.read(one, shim.GetState.FromString(message.payload).key)
        if message.type == Kind.GET_STATE_MULTIPLE:
            keys = shim.GetStateMultiple.FromString(message.payload).keys
            values = [self.read(one, key) for key in keys]
            return Kind.RESPONSE, shim.GetStateMultipleResult(values=values).SerializeToString()
        if message.type == Kind.WRITE_BATCH_STATE:
            puts = list(shim.WriteBatchState.FromString(message.payload).rec)
            assert all(put.type == shim.WriteRecord.PUT_STATE for put in puts)
        else:
            puts = [shim.PutState.FromString(message.payload)]
        for put in puts:
            if put.key in self.refuse_put:
                return Kind.ERROR, b"PUT_STATE failed: ledger: injected"
            one.writes[put.key] = put.value
        return Kind.RESPONSE, b""

    def read(self, one: Simulation, key: str) -> bytes:
        """The value of a key, noted in the read set."""
        with self.changed:
            value, version = self.state.get(key, (b"", None))
        one.reads.setdefault(key, version)
        return value

    def endorse(self, signed: Any) -> tuple[Any, bytes]:
        """Response and payload of one endorsement."""
        proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
        parts = Parts.of(proposal.header, proposal.payload)
        parts.check(signed.proposal_bytes, signed.signature)
        assert parts.channel.tx_id not in self.flags, "duplicate transaction found"
        assert self.chaincodes is not None
        response, one = self.chaincodes.invoke(parts.channel.tx_id, signed, parts.args)
        action = proposal_pb2.ChaincodeAction(
            results=read_write_set(one),
            response=response,
            chaincode_id=chaincode_pb2.ChaincodeID(name=parts.chaincode),
        )
        payload = proposal_response_pb2.ProposalResponsePayload(
            proposal_hash=parts.hash, extension=action.SerializeToString()
        )
        return response, payload.SerializeToString()

    def commit(self, header: Any, data: list[bytes]) -> None:
        """Validate a block and apply it."""
        flags = bytearray()
        with self.changed:
            for place, envelope in enumerate(data):
                txid, code, writes = self.validate(envelope)
                code = self.deviate(txid, code)
                flags.append(code)
                if code == Code.VALID:
                    for key, value in writes.items():
                        self.state[key] = (value, (header.number, place))
                if txid:
                    self.flags.setdefault(txid, (code, header.number))
            metadata = common_pb2.BlockMetadata(metadata=[b"", b"", bytes(flags), b"", b""])
            block = common_pb2.Block(header=header, data=common_pb2.BlockData(data=data), metadata=metadata)
            self.blocks.append(block)
            self.changed.notify_all()

    def validate(self, data: bytes) -> tuple[str, int, dict[str, bytes]]:
        envelope = common_pb2.Envelope.FromString(data)
        payload = common_pb2.Payload.FromString(envelope.payload)
        channel = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        if channel.type != common_pb2.ENDORSER_TRANSACTION:
            return "", Code.VALID, {}
        action = transaction_pb2.Transaction.FromString(payload.data).actions[0]
        inner = transaction_pb2.ChaincodeActionPayload.FromString(action.payload)
        parts = Parts.of(payload.header.SerializeToString(), inner.chaincode_proposal_payload)
        parts.check(envelope.payload, envelope.signature)
        txid = str(channel.tx_id)
        endorsed = inner.action
        answer = proposal_response_pb2.ProposalResponsePayload.FromString(endorsed.proposal_response_payload)
        if txid in self.flags:
            return txid, Code.DUPLICATE_TXID, {}
        if answer.proposal_hash != parts.hash:
            return txid, Code.BAD_RESPONSE_PAYLOAD, {}
        if {one.endorser.decode() for one in endorsed.endorsements} != set(self.network.peers):
            return txid, Code.ENDORSEMENT_POLICY_FAILURE, {}
        results = proposal_pb2.ChaincodeAction.FromString(answer.extension).results
        reads, writes = parse_read_write_set(results)
        for key, version in reads.items():
            if self.state.get(key, (b"", None))[1] != version:
                return txid, Code.MVCC_READ_CONFLICT, {}
        return txid, Code.VALID, writes

    def enter(self, method: str, context: grpc.ServicerContext) -> Fault | None:
        """Count a call, fail it where a test says so; a fault for its end otherwise."""
        self.calls[method] += 1
        if not self.up:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the peer is down")
        fault = self.faults[method].popleft() if self.faults[method] else None
        if fault is not None and not fault.after:
            self.fail(context, fault)
        return fault

    def fail(self, context: grpc.ServicerContext, fault: Fault) -> None:
        """End a call as a peer does: status, and details in the trailer."""
        status = rpc_status_pb2.RpcStatus(code=fault.code.value[0], message=fault.text)
        for text in fault.details:
            detail = gateway_pb2.ErrorDetail(
                address=self.endpoint, msp_id=fault.msp or self.name, message=text
            )
            status.details.add().Pack(detail)
        if fault.details:
            context.set_trailing_metadata(((DETAILS, status.SerializeToString()),))
        context.abort(fault.code, fault.text)


class GatewayEdge:
    """gateway.Gateway."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def Endorse(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        late = self.peer.enter("Endorse", context)
        network = self.peer.network
        peers = [self.peer, *(one for one in network.peers.values() if one is not self.peer)]
        payloads: list[bytes] = []
        for one in peers:
            if not one.up:
                self._abort(
                    context,
                    grpc.StatusCode.FAILED_PRECONDITION,
                    "no combination of peers can be derived which satisfy the endorsement policy",
                )
            response, payload = one.endorse(request.proposed_transaction)
            if not 200 <= response.status < 400:
                text = f"chaincode response {response.status}, {response.message}"
                if response.message.startswith("error in simulation"):
                    text = response.message
                failed = "failed to endorse transaction, see attached details for more info"
                self.peer.fail(context, Fault(grpc.StatusCode.ABORTED, failed, (text,), msp=one.name))
            payloads.append(payload)
        if len(set(payloads)) > 1:
            self._abort(
                context,
                grpc.StatusCode.ABORTED,
                "failed to collect enough transaction endorsements, see attached details for more info",
                "ProposalResponsePayloads do not match",
            )
        if late is not None:
            self.peer.fail(context, late)
        return gateway_pb2.EndorseResponse(
            prepared_transaction=prepare(request.proposed_transaction, payloads[0], list(network.peers))
        )

    def Submit(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        late = self.peer.enter("Submit", context)
        assert request.prepared_transaction.signature
        self.peer.network.order(request.prepared_transaction.SerializeToString())
        if late is not None:
            self.peer.fail(context, late)
        return gateway_pb2.SubmitResponse()

    def CommitStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        late = self.peer.enter("CommitStatus", context)
        asked = gateway_pb2.CommitStatusRequest.FromString(request.request)
        creator = identities_pb2.SerializedIdentity.FromString(asked.identity)
        msp.verify(creator.id_bytes, request.request, request.signature)
        peer = self.peer
        with peer.changed:
            peer.changed.wait_for(
                lambda: asked.transaction_id in peer.flags or not peer.up, context.time_remaining()
            )
            found = peer.flags.get(asked.transaction_id)
        if found is None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "no outcome")
        if late is not None:
            peer.fail(context, late)
        return gateway_pb2.CommitStatusResponse(result=found[0], block_number=found[1])

    def Evaluate(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.peer.enter("Evaluate", context)
        assert list(request.target_organizations) == [self.peer.name]
        response, _ = self.peer.endorse(request.proposed_transaction)
        if not 200 <= response.status < 400:
            text = f"chaincode response {response.status}, {response.message}"
            self._abort(
                context,
                grpc.StatusCode.UNKNOWN,
                f"evaluate call to endorser returned error: {text}",
                text,
            )
        return gateway_pb2.EvaluateResponse(result=response)

    def ChaincodeEvents(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "not used")

    def _abort(self, context: grpc.ServicerContext, code: grpc.StatusCode, text: str, *details: str) -> None:
        self.peer.fail(context, Fault(code, text, details))


class DeliverEdge:
    """protos.Deliver."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def Deliver(  # noqa: N802
        self, requests: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        peer = self.peer
        peer.enter("Deliver", context)
        envelope = next(requests)
        payload = common_pb2.Payload.FromString(envelope.payload)
        creator = common_pb2.SignatureHeader.FromString(payload.header.signature_header).creator
        certificate = identities_pb2.SerializedIdentity.FromString(creator).id_bytes
        msp.verify(certificate, envelope.payload, envelope.signature)
        channel = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        assert channel.type == common_pb2.DELIVER_SEEK_INFO
        if channel.channel_id != CHANNEL:
            yield events_pb2.DeliverResponse(status=common_pb2.NOT_FOUND)
            return
        number = ab_pb2.SeekInfo.FromString(payload.data).start.specified.number
        while context.is_active() and peer.up:
            fresh = peer.wait_blocks(number)
            for block in fresh:
                fault = peer.faults["Block"].popleft() if peer.faults["Block"] else None
                if fault is not None:
                    context.abort(fault.code, fault.text)
                yield events_pb2.DeliverResponse(block=block)
            number += len(fresh)
        if context.is_active():
            context.abort(grpc.StatusCode.UNAVAILABLE, "the peer is down")

    def DeliverFiltered(self, requests: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "not used")

    def DeliverWithPrivateData(self, requests: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "not used")
