"""The transport that sends the head of an answer together with its body."""

import asyncio
from typing import cast

from berthub.serving.joined import JoinedWrites


class Transport:
    """Notes what is written; as uvloop's, it takes nothing once it is closed."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closed


def test_a_client_that_goes_before_the_loop_turns() -> None:
    for closed in (False, True):
        loop, transport = asyncio.new_event_loop(), Transport()
        faults: list[object] = []
        loop.set_exception_handler(lambda _, context, faults=faults: faults.append(context))  # type: ignore[misc]
        JoinedWrites(cast("asyncio.Transport", transport), loop).write(b"head")
        transport.closed = closed
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        assert (transport.written, faults) == ([] if closed else [b"head"], [])
