"""What commands about the ledger are run under: a policy to pin, another one, and settings of nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.formats.policy import Policy
from tests.ledger.sequencer.log_cases import COSIGNERS, LOG, POLICY

PINNED = POLICY.format()
OTHER = Policy.create(LOG.verifier, [cosigner.verifier for cosigner in COSIGNERS[:3]])
"""A policy of the same log with other witnesses."""


def nobodys_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is pinned, and the language is English; ``folder/pin`` is a policy. The user's folder."""
    monkeypatch.setenv("HEDUI_CONFIG", str(folder / "config"))
    monkeypatch.setenv("HEDUI_LANGUAGE", "en")
    (folder / "pin").write_text(PINNED)
    return folder / "config"
