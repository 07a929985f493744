"""Calls of a peer's Gateway that only tests make: waiting for an outcome, and queries."""

from __future__ import annotations

import time
from collections.abc import Sequence

import grpc
from fabric_protos.gateway import gateway_pb2

from ledger.errors import OutcomeUnknownError
from ledger.fabric.gateway import AGAIN_SECONDS, Gateway, TransactionOutcome, raise_endorse

ASK_SECONDS = 5.0
"""How long one CommitStatus may stay silent: a lost answer is asked for again."""


def final_outcome(gateway: Gateway, transaction: str, seconds: float) -> TransactionOutcome:
    """Ask, with the same id again and again, until the outcome is known.

    Raises:
        OutcomeUnknownError: not within ``seconds``.
        LogError: the peer does not accept this identity or channel.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        try:
            return gateway.status(transaction, min(max(left, AGAIN_SECONDS), ASK_SECONDS))
        except OutcomeUnknownError:
            if time.monotonic() + AGAIN_SECONDS > deadline:
                raise
            time.sleep(AGAIN_SECONDS)


def evaluate(gateway: Gateway, args: Sequence[bytes]) -> bytes:
    """Call a function on a peer of the own organisation, without a transaction; its result.

    Raises:
        EntryRefusedError, LogUnavailableError, LogError: as ``Gateway.endorse``.
    """
    profile, identity = gateway._profile, gateway._identity
    proposal = identity.proposal(profile, args)
    request = gateway_pb2.EvaluateRequest(
        transaction_id=proposal.transaction,
        channel_id=profile.channel,
        proposed_transaction=proposal.signed,
        target_organizations=[identity.msp],
    )
    try:
        answer = gateway._stub.Evaluate(request, timeout=profile.limits.endorse)
    except grpc.RpcError as error:
        raise_endorse(error, identity.msp)
    return bytes(answer.result.payload)
