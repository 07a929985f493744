"""Opening a member's HTTP edge as its configuration says."""

from __future__ import annotations

import logging

from node.config import Configuration
from node.errors import ConfigurationError
from node.web.app import create_app
from node.web.files import PublicFiles
from node.web.server import WebServer
from node.witnessing import WitnessDesk

log = logging.getLogger("hedui.web")


def open_web(configuration: Configuration, desk: WitnessDesk | None) -> WebServer | None:
    """The running HTTP edge of a member; None where ``node.toml`` has no section ``[web]``.

    Args:
        configuration: of the member.
        desk: its witness; None at the sequencer, which serves the public log instead.

    Raises:
        ConfigurationError: the address cannot be opened, or the sequencer is told to cosign logs.
    """
    web = configuration.web
    if web is None:
        return None
    if desk is None and web.logs:
        raise ConfigurationError("the member that runs the log has no witness: remove [[web.logs]] there")
    files = PublicFiles(configuration.home.public_log) if desk is None else None
    server = WebServer(create_app(desk, files), web.address)
    server.start()
    log.info("the web edge of %s listens on %s", configuration.member, web.address)
    return server
