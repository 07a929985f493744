"""The form of ``node.toml``, the configuration of a node; what its settings mean is in ``node.config``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ledger.entries.body_schema import ROLES
from node.validation.model import Listed, StrictModel

Role = Annotated[
    str, Field(pattern=f"^({'|'.join(ROLES)})$", description=f"one of {', '.join(sorted(ROLES))}")
]
"""A role of a member, as the ledger names it."""
_Address = Annotated[str, Field(description='HOST:PORT, such as "127.0.0.1:7401"')]


class MemberTable(StrictModel):
    """``[member]``: who the node belongs to."""

    id: str = Field(description="the member's id")
    name: str = Field(description="the member's name for people")
    roles: Listed[Role] = Field(
        min_length=1, description=f"a list with at least one of {', '.join(sorted(ROLES))}"
    )


class ListenTable(StrictModel):
    """``[listen]``: where the one port is opened, and what other members are told."""

    address: _Address
    endpoint: _Address | None = None


class StoreTable(StrictModel):
    """``[store]``: the member's database."""

    url: str = Field(default="sqlite:///node.db", description="a database URL")


class LedgerTable(StrictModel):
    """``[ledger]``: the engine of the ledger."""

    uri: str = Field(
        default="embedded:",
        pattern=r"(?s)^(embedded:|fabric:.+)$",
        description="embedded: or fabric:<connection profile>",
    )


class WorkTable(StrictModel):
    """``[work]``: gRPC worker threads, and processes for heavy work."""

    threads: int = Field(default=64, ge=1, description="an integer, 1 or more")
    processes: int = Field(default=0, ge=0, description="an integer, 0 or more")


class WebLogTable(StrictModel):
    """``[[web.logs]]``: a further log that this witness cosigns."""

    vkey: str = Field(description="the verification key of a log")


class WebTable(StrictModel):
    """``[web]``: the HTTP port."""

    address: _Address
    logs: Listed[WebLogTable] = Field(default=(), description="tables [[web.logs]] with vkey")


class KeysTable(StrictModel):
    """``[keys]``: where the passphrase is."""

    passphrase_file: str | None = Field(default=None, description="the path of a file")


class TimestampsTable(StrictModel):
    """``[timestamps]``: the authority that stamps checkpoints."""

    url: str = Field(description="the authority's address")
    ca: str = Field(description="the path of a file with the authority's certificates")
    every: int = Field(default=3600, ge=1, description="a number of seconds greater than 0")
    policy: str | None = Field(default=None, description="an object identifier")


class NodeToml(StrictModel):
    """The whole file."""

    member: MemberTable = Field(description="a table [member] with id, name and roles")
    listen: ListenTable = Field(description="a table [listen] with address")
    store: StoreTable = Field(default=StoreTable(), description="a table [store]")
    ledger: LedgerTable = Field(default=LedgerTable(), description="a table [ledger]")
    work: WorkTable = Field(default=WorkTable(), description="a table [work]")
    web: WebTable | None = Field(default=None, description="a table [web] with address")
    keys: KeysTable = Field(default=KeysTable(), description="a table [keys]")
    timestamps: TimestampsTable | None = Field(
        default=None, description="a table [timestamps] with url and ca"
    )


class StoreAndKeys(StrictModel, extra="ignore"):
    """The tables that a backup needs; the rest of the file is not validated."""

    store: StoreTable = Field(default=StoreTable(), description="a table [store]")
    keys: KeysTable = Field(default=KeysTable(), description="a table [keys]")
