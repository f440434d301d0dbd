"""A client that costs little: it sends prepared requests over connections that stay open, and notes when answers came.

    python -m benchmarks.serving.client < PLAN.json > RESULT.json

It is a process of its own, so that the server's threads do not wait for it.
"""

import asyncio
import json
import random
import sys
import time
from typing import Any


class Connection:
    """A connection to a server; a request at a time."""

    def __init__(self, port: int, headers: str) -> None:
        self._port = port
        self._headers = headers

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)

    async def post(self, path: str, body: bytes) -> int:
        """The status of the answer, which is read to its end."""
        head = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{self._headers}"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        status = int(answer[9:12])
        if b"transfer-encoding: chunked" in answer:
            while True:
                size = int(await self._reader.readline(), 16)
                await self._reader.readexactly(size + 2)
                if not size:
                    break
        else:
            start = answer.index(b"content-length: ") + 16
            await self._reader.readexactly(int(answer[start : answer.index(b"\r\n", start)]))
        return status


async def closed(plan: dict[str, Any]) -> dict[str, Any]:
    """So many clients, each of which sends its next request when it has the answer to the last."""
    bodies = [body.encode() for body in plan["bodies"]]
    connections = [Connection(plan["port"], plan.get("headers", "")) for _ in range(plan["clients"])]
    await asyncio.gather(*(each.open() for each in connections))
    seconds: list[float] = []
    failed = 0
    waiting = iter(bodies)
    until = time.perf_counter() + plan.get("seconds", 1e9)

    async def client(connection: Connection) -> None:
        nonlocal failed
        for body in waiting:
            if time.perf_counter() > until:
                return
            begin = time.perf_counter()
            status = await connection.post(plan["path"], body)
            seconds.append(time.perf_counter() - begin)
            failed += status != 200

    begin = time.perf_counter()
    await asyncio.gather(*(client(each) for each in connections))
    return {"seconds": seconds, "failed": failed, "wall": time.perf_counter() - begin}


async def opened(plan: dict[str, Any]) -> dict[str, Any]:
    """Requests at random moments, so many a second (a Poisson process), whether or not the last ones are answered."""
    chance = random.Random(0)
    free: list[Connection] = []
    seconds: list[float] = []
    failed = 0

    async def one(body: bytes, due: float) -> None:
        nonlocal failed
        if free:
            connection = free.pop()
        else:
            connection = Connection(plan["port"], plan.get("headers", ""))
            await connection.open()
        failed += await connection.post(plan["path"], body) != 200
        seconds.append(time.perf_counter() - due)
        free.append(connection)

    begin = time.perf_counter()
    due = begin
    running = []
    for body in plan["bodies"]:
        due += chance.expovariate(plan["rate"])
        if (left := due - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        running.append(asyncio.ensure_future(one(body.encode(), due)))
    await asyncio.gather(*running)
    return {"seconds": seconds, "failed": failed, "wall": time.perf_counter() - begin}


def main() -> None:
    plan = json.load(sys.stdin)
    json.dump(asyncio.run((opened if "rate" in plan else closed)(plan)), sys.stdout)


if __name__ == "__main__":
    main()
