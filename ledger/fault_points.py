"""Named points of a node's work at which a test may stop it: before and after each durable change.

The creator of a ``Sequencer``, ``Witness``, ``Replica`` or a member's roles may pass an ``Observe``: it is
called with the point, in the thread that has reached it. Nothing else sets one: no environment variable, no
configuration. Without it a point costs the call of an empty function.

"Storing" points lie inside a transaction, after its last statement and before its commit: what is killed
there must be as if it had never begun. "Stored" points lie after the commit and before anything is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias


class Point(StrEnum):
    """A point at which a node can be stopped; the tests kill it at every one."""

    # The log.

    BATCH_TAKEN = "batch-taken"
    """A batch is out of the queue; nothing of it is stored."""
    STAGING = "staging"
    """Leaves, state and staged size are written, not committed."""
    STAGED = "staged"
    """They are committed; no head covers them yet."""
    REREAD = "reread"
    """Every staged leaf was read again and hashed."""
    SIGNED = "signed"
    """A head over them is signed, in memory only."""
    ORDERING = "ordering"
    """The head is swapped and the tiles are written, not committed."""
    ORDERED = "ordered"
    """They are committed; no witness has seen the head."""
    ASKING = "asking"
    """A round with the witnesses begins."""
    COSIGNED = "cosigned"
    """A quorum has cosigned; its lines are in memory only."""
    TILES = "tiles"
    """The public tiles are written, the checkpoint is the old one."""
    PUBLISHED = "published"
    """The public checkpoint is replaced; no submitter has a receipt."""
    FINAL = "final"
    """Receipts are handed out."""

    # A witness.

    WITNESS_CHECKED = "witness-checked"
    """A checkpoint is consistent and the cosignature made; the record is the old one."""
    WITNESS_STORED = "witness-stored"
    """The record is replaced; the cosignature has not left."""

    # A node's replica.

    REPLICA_STORING = "replica-storing"
    """Leaves, tiles, state and checkpoint are written, not committed."""
    REPLICA_STORED = "replica-stored"
    """They are committed; memory still has the head before."""

    # A department.

    INTENT_ACCEPTED = "intent-accepted"
    """The question is verified against the local replay; the key is not touched."""
    ANSWER_EVALUATED = "answer-evaluated"
    """The answer is computed, in memory only."""
    ANSWER_STORING = "answer-storing"
    """Answer, journal line and ``query.answer`` are written, not committed."""
    ANSWER_STORED = "answer-stored"
    """They are committed; the response has not left."""
    REFUSAL_STORED = "refusal-stored"
    """A refusal and its entry are committed; the response has not left."""

    # A trustee.

    SHARE_STORED = "share-stored"
    """A share and its ``share.release`` are committed; the entry is not final, the share has not left."""
    SHARE_FINAL = "share-final"
    """The release is final; the share has not left."""

    # Every node's outbox.

    OUTBOX_SENDING = "outbox-sending"
    """A waiting entry is about to be appended."""
    OUTBOX_APPENDED = "outbox-appended"
    """It is final; the outbox still calls it waiting."""
    OUTBOX_NOTED = "outbox-noted"
    """The outbox calls it final."""

    # The office.

    CERTIFIED = "certified"
    """The registrar has certified; the inquiry is not stored with it."""
    INTENT_COMPOSED = "intent-composed"
    """The intent's bytes are stored; the ledger has not seen them."""
    INTENT_FINAL = "intent-final"
    """The intent is final; the inquiry does not say so."""
    INTENT_LOGGED = "intent-logged"
    """The inquiry says so; no department has been asked."""
    ANSWERS_RECEIVED = "answers-received"
    """Departments have answered; nothing of it is stored."""
    CLOSE_STORED = "close-stored"
    """``query.close`` is in the outbox; the inquiry is not done."""


Observe: TypeAlias = Callable[[Point], None]
"""Told each point as it is reached."""


def unobserved(point: Point) -> None:
    """Ignore a point."""
    del point
