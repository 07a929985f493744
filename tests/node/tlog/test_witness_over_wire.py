"""A member's witness over gRPC: every way not to be answered is one error of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from ledger.errors import LogError
from node.tlog.witness import WitnessOverWire


class Closing:
    """A member whose address changes under each call: its channel is closed as the call is made."""

    def to(self, _member: str) -> Closing:
        self._channel = grpc.insecure_channel("127.0.0.1:1")
        return self

    def unary_unary(self, *given: Any, **named: Any) -> Callable[..., Any]:
        made = self._channel.unary_unary(*given, **named)

        def call(request: Any, timeout: float) -> Any:
            self._channel.close()
            return made(request, timeout=timeout)

        return call


def test_a_channel_closed_under_a_call_is_no_answer() -> None:
    witness = WitnessOverWire(Closing(), "tax")  # type: ignore[arg-type]  # all that it uses of channels
    for call in (lambda: witness.add_checkpoint(b"x"), witness.latest):
        with pytest.raises(LogError, match="does not answer") as caught:
            call()
        assert isinstance(caught.value.__cause__, ValueError)
