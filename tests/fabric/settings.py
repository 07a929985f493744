"""The settings of a Fabric network of two organisations: what cryptogen, configtxgen, orderer and peer read.

Everything is a dict written as JSON, which is YAML. What is not named keeps Fabric's default. The reasons for
the tuned values are in docs/guides/fabric.md; they are gathered in ``TUNED`` so that a bench can change one.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Settings = dict[str, Any]

ORDERERS = "orderers.example"
ORGANISATIONS = ("org1", "org2")
CHANNEL = "hedui"
CHAINCODE = "hedui"


PROGRAMS = ("orderer", "peer", "configtxgen", "cryptogen", "osnadmin")


def missing_programs() -> list[str]:
    """Which of Fabric's programs are not on the PATH."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@dataclass(frozen=True)
class Tuned:
    """The settings that differ from Fabric's defaults for a reason."""

    batch_timeout: str = "50ms"
    batch_messages: int = 500
    raft_tick: str = "100ms"
    orderer_rpc: str = "2s"
    gossip_reconnect: str = "2s"
    deliver_backoff: str = "2s"


TUNED = Tuned()


@dataclass(frozen=True)
class Ports:
    """Where everything listens on the loopback."""

    orderer: Sequence[int]
    admin: Sequence[int]
    orderer_operations: Sequence[int]
    peer: Mapping[str, int]
    peer_operations: Mapping[str, int]
    peer_unused: Mapping[str, int]


def msp(organisation: str) -> str:
    """MSP id of an organisation."""
    return f"{organisation.capitalize()}MSP"


def peer_name(organisation: str) -> str:
    """TLS server name of an organisation's peer."""
    return f"peer0.{organisation}.example"


def orderer_name(number: int) -> str:
    """TLS server name of an orderer."""
    return f"orderer{number}.{ORDERERS}"


def crypto_config(orderers: int) -> Settings:
    """Input of ``cryptogen generate``."""
    hosts = ["localhost", "127.0.0.1"]
    return {
        "OrdererOrgs": [
            {
                "Name": "Orderers",
                "Domain": ORDERERS,
                "EnableNodeOUs": True,
                "Specs": [{"Hostname": f"orderer{number}", "SANS": hosts} for number in range(orderers)],
            }
        ],
        "PeerOrgs": [
            {
                "Name": organisation,
                "Domain": f"{organisation}.example",
                "EnableNodeOUs": True,
                "Template": {"Count": 1, "SANS": hosts},
                "Users": {"Count": 1},
            }
            for organisation in ORGANISATIONS
        ],
    }


def _signature(rule: str) -> Settings:
    return {"Type": "Signature", "Rule": rule}


def _meta(rule: str) -> Settings:
    return {"Type": "ImplicitMeta", "Rule": rule}


_CHANNEL_POLICIES = {
    "Readers": _meta("ANY Readers"),
    "Writers": _meta("ANY Writers"),
    "Admins": _meta("MAJORITY Admins"),
}


def _orderer_organisation(crypto: Path, ports: Ports) -> Settings:
    member = _signature("OR('OrdererMSP.member')")
    return {
        "Name": "Orderers",
        "ID": "OrdererMSP",
        "MSPDir": str(crypto / f"ordererOrganizations/{ORDERERS}/msp"),
        "Policies": {"Readers": member, "Writers": member, "Admins": _signature("OR('OrdererMSP.admin')")},
        "OrdererEndpoints": [f"127.0.0.1:{port}" for port in ports.orderer],
    }


def _peer_organisation(organisation: str, crypto: Path, ports: Ports) -> Settings:
    name = msp(organisation)
    return {
        "Name": name,
        "ID": name,
        "MSPDir": str(crypto / f"peerOrganizations/{organisation}.example/msp"),
        "Policies": {
            "Readers": _signature(f"OR('{name}.admin', '{name}.peer', '{name}.client')"),
            "Writers": _signature(f"OR('{name}.admin', '{name}.client')"),
            "Admins": _signature(f"OR('{name}.admin')"),
            "Endorsement": _signature(f"OR('{name}.peer')"),
        },
        "AnchorPeers": [{"Host": "127.0.0.1", "Port": ports.peer[organisation]}],
    }


def _raft(crypto: Path, ports: Ports, tuned: Tuned) -> Settings:
    consenters = []
    for number, port in enumerate(ports.orderer):
        folder = crypto / f"ordererOrganizations/{ORDERERS}/orderers/{orderer_name(number)}/tls"
        certificate = str(folder / "server.crt")
        consenters.append(
            {"Host": "127.0.0.1", "Port": port, "ClientTLSCert": certificate, "ServerTLSCert": certificate}
        )
    options = {
        "TickInterval": tuned.raft_tick,
        "ElectionTick": 10,
        "HeartbeatTick": 1,
        "MaxInflightBlocks": 5,
        "SnapshotIntervalSize": "16 MB",
    }
    return {"Consenters": consenters, "Options": options}


def channel_config(crypto: Path, ports: Ports, tuned: Tuned) -> Settings:
    """Input of ``configtxgen -profile Hedui``: an application channel on Raft."""
    return {
        "Profiles": {
            "Hedui": {
                "Policies": _CHANNEL_POLICIES,
                "Capabilities": {"V2_0": True},
                "Orderer": {
                    "OrdererType": "etcdraft",
                    "BatchTimeout": tuned.batch_timeout,
                    "BatchSize": {
                        "MaxMessageCount": tuned.batch_messages,
                        "AbsoluteMaxBytes": "10 MB",
                        "PreferredMaxBytes": "2 MB",
                    },
                    "EtcdRaft": _raft(crypto, ports, tuned),
                    "Organizations": [_orderer_organisation(crypto, ports)],
                    "Policies": {**_CHANNEL_POLICIES, "BlockValidation": _meta("ANY Writers")},
                    "Capabilities": {"V2_0": True},
                },
                "Application": {
                    "Organizations": [_peer_organisation(each, crypto, ports) for each in ORGANISATIONS],
                    "Policies": {
                        **_CHANNEL_POLICIES,
                        "LifecycleEndorsement": _meta("MAJORITY Endorsement"),
                        "Endorsement": _meta("MAJORITY Endorsement"),
                    },
                    "Capabilities": {"V2_5": True},
                },
            }
        }
    }


def orderer_config(number: int, home: Path, crypto: Path, ports: Ports, tuned: Tuned) -> Settings:
    """``orderer.yaml`` of one orderer."""
    identity = crypto / f"ordererOrganizations/{ORDERERS}/orderers/{orderer_name(number)}"
    tls = identity / "tls"
    ca = [str(tls / "ca.crt")]
    return {
        "General": {
            "ListenAddress": "127.0.0.1",
            "ListenPort": ports.orderer[number],
            "TLS": {
                "Enabled": True,
                "PrivateKey": str(tls / "server.key"),
                "Certificate": str(tls / "server.crt"),
                "RootCAs": ca,
            },
            "Cluster": {
                "ClientCertificate": str(tls / "server.crt"),
                "ClientPrivateKey": str(tls / "server.key"),
                "SendBufferSize": 100,
                "RPCTimeout": tuned.orderer_rpc,
                "DialTimeout": tuned.orderer_rpc,
            },
            "LocalMSPDir": str(identity / "msp"),
            "LocalMSPID": "OrdererMSP",
            "BCCSP": {"Default": "SW", "SW": {"Hash": "SHA2", "Security": 256}},
        },
        "FileLedger": {"Location": str(home / "blocks")},
        "Operations": {"ListenAddress": f"127.0.0.1:{ports.orderer_operations[number]}"},
        "Metrics": {"Provider": "prometheus"},
        "Admin": {
            "ListenAddress": f"127.0.0.1:{ports.admin[number]}",
            "TLS": {
                "Enabled": True,
                "PrivateKey": str(tls / "server.key"),
                "Certificate": str(tls / "server.crt"),
                "ClientAuthRequired": True,
                "ClientRootCAs": ca,
            },
        },
        "ChannelParticipation": {"Enabled": True, "MaxRequestBodySize": "1 MB"},
        "Consensus": {"WALDir": str(home / "wal"), "SnapDir": str(home / "snapshots")},
    }


def core_config(
    organisation: str, home: Path, crypto: Path, ports: Ports, builder: Path, tuned: Tuned
) -> Settings:
    """``core.yaml`` of one organisation's peer."""
    identity = crypto / f"peerOrganizations/{organisation}.example/peers/{peer_name(organisation)}"
    tls = identity / "tls"
    address = f"127.0.0.1:{ports.peer[organisation]}"
    return {
        "peer": {
            "id": peer_name(organisation),
            "networkId": "hedui",
            "listenAddress": address,
            "address": address,
            # For chaincode the peer starts itself; opened whether or not there is any.
            "chaincodeListenAddress": f"127.0.0.1:{ports.peer_unused[organisation]}",
            "localMspId": msp(organisation),
            "mspConfigPath": str(identity / "msp"),
            "fileSystemPath": str(home / "data"),
            "BCCSP": {"Default": "SW", "SW": {"Hash": "SHA2", "Security": 256}},
            "tls": {
                "enabled": True,
                "cert": {"file": str(tls / "server.crt")},
                "key": {"file": str(tls / "server.key")},
                "rootcert": {"file": str(tls / "ca.crt")},
            },
            "gateway": {"enabled": True, "endorsementTimeout": "10s", "broadcastTimeout": "10s"},
            "gossip": {
                "bootstrap": address,
                "endpoint": address,
                "externalEndpoint": address,
                "orgLeader": True,
                "useLeaderElection": False,
                "reconnectInterval": tuned.gossip_reconnect,
                "state": {"enabled": False},
            },
            "deliveryclient": {
                "blockGossipEnabled": False,
                "reconnectTotalTimeThreshold": "3600s",
                "reConnectBackoffThreshold": tuned.deliver_backoff,
            },
            "discovery": {
                "enabled": True,
                "authCacheEnabled": True,
                "authCacheMaxSize": 1000,
                "authCachePurgeRetentionRatio": 0.75,
            },
            "handlers": {
                "authFilters": [
                    {"name": "DefaultAuth"},
                    {"name": "ExpirationCheck"},
                    {"name": "TimeWindowCheck"},
                ],
                "decorators": [{"name": "DefaultDecorator"}],
                "endorsers": {"escc": {"name": "DefaultEndorsement"}},
                "validators": {"vscc": {"name": "DefaultValidation"}},
            },
            "limits": {
                "concurrency": {"endorserService": 2500, "deliverService": 2500, "gatewayService": 500}
            },
        },
        "chaincode": {
            "externalBuilders": [{"name": "hedui", "path": str(builder)}],
            "installTimeout": "60s",
            "startuptimeout": "30s",
            "executetimeout": "30s",
            "system": {"_lifecycle": "enable", "cscc": "enable", "lscc": "enable", "qscc": "enable"},
            "logging": {"level": "info", "shim": "warning"},
            "runtimeParams": {"useWriteBatch": True, "useGetMultipleKeys": True},
        },
        "ledger": {
            "state": {"stateDatabase": "goleveldb"},
            "history": {"enableHistoryDatabase": False},
            "snapshots": {"rootDir": str(home / "snapshots")},
        },
        "operations": {"listenAddress": f"127.0.0.1:{ports.peer_operations[organisation]}"},
        "metrics": {"provider": "prometheus"},
    }
