"""uvicorn's server with a deadline for the handshake of TLS, before which no protocol sees a connection."""

import asyncio
import socket
import sys

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from berthub.serving.bounds import Bounds

__all__ = ["AcceptingServer"]


class AcceptingServer(uvicorn.Server):
    """A server at sockets that are given to it.

    uvicorn leaves the event loop's deadlines as they are: a client that connects and never shakes hands would have a
    minute, and one that never answers the end of TLS half a minute.
    """

    def __init__(self, config: uvicorn.Config, bounds: Bounds) -> None:
        super().__init__(config)
        self._bounds = bounds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and listen."""
        if sockets is None:
            raise ValueError("this server listens at sockets that are given to it")
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        loop, config = asyncio.get_running_loop(), self.config

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
            )

        tls = config.ssl is not None
        self.servers = [
            await loop.create_server(
                protocol,
                sock=each,
                ssl=config.ssl,
                backlog=config.backlog,
                ssl_handshake_timeout=self._bounds.header_seconds if tls else None,
                ssl_shutdown_timeout=self._bounds.linger_seconds if tls else None,
            )
            for each in sockets
        ]
        self.started = True
