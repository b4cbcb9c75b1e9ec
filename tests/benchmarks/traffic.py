"""What the two hosts say to each other: both programs in one process, on sockets of two namespaces.

    python -m tests.benchmarks.traffic CLIENT_NAMESPACE SERVER_NAMESPACE SERVER PACKETS CLIENT…

A request opens with its length, the length of the answer it wants, and how the exchange ends; the
kinds of traffic differ in no more than these numbers.  `Pace` lets no kind run ahead of the
others, so that every stretch of the capture holds the same mix.  Prints how many connections there were.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field

from tests.samples.network import inside

HEAD = struct.Struct(">IIB")
KEEP, CLIENT_CLOSES, SERVER_CLOSES, SERVER_RESETS, CLIENT_RESETS = range(5)
WEB = range(8000, 8008)
WEB_LOSSY, BULK, BULK_LOSSY, IDLE, CLOSED = 8100, 5001, 5002, 9000, 9999
LOSSY = {WEB_LOSSY, BULK_LOSSY}
MSS = 1448
CHUNK = 262_144
ZEROS = memoryview(bytes(CHUNK))
NO_LINGER = struct.pack("ii", 1, 0)  # close() sends a reset
WINDOW = 300_000  # bytes of receive buffer of the bulk transfers: their windows together fit the link's queue
SOON = 0.002
CLEAN, LOSSY_SHARE = 0.97, 0.87  # segments of data among the packets of a transfer, as they come out


@dataclass
class Pace:
    """How much of its work each kind has done; nobody is more than `lead` ahead of the slowest."""

    lead: float = 0.02
    done: dict[str, float] = field(default_factory=dict)

    async def advance(self, kind: str, share: float) -> None:
        self.done[kind] += share
        while self.done[kind] > min(self.done.values()) + self.lead:
            await asyncio.sleep(SOON)


@dataclass
class Hosts:
    client: str
    server: str
    address: str
    clients: list[str]
    asked: int = 0

    def listener(self, port: int, **options: int) -> socket.socket:
        with inside(self.server):
            made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for name, value in options.items():
            made.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        made.bind((self.address, port))
        made.listen(4096)
        made.setblocking(False)
        return made

    async def connect(self, port: int, source: str, **options: int) -> socket.socket:
        """OSError where the server refuses or the network loses all."""
        self.asked += 1
        with inside(self.client):
            made = socket.socket()
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: the kernel chooses at connect()
        for name, value in options.items():
            made.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        try:
            made.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(made, (self.address, port))
        except OSError:
            made.close()
            raise
        return made


async def send(end: socket.socket, count: int, head: bytes = b"") -> None:
    """`count` bytes, the head first."""
    loop = asyncio.get_running_loop()
    if count <= CHUNK:
        await loop.sock_sendall(end, head + bytes(count - len(head)))
        return
    await loop.sock_sendall(end, head)
    left = count - len(head)
    while left > 0:
        await loop.sock_sendall(end, ZEROS[:left])
        left -= CHUNK


async def take(end: socket.socket, count: int, told: Callable[[int], Awaitable[None]] | None = None) -> int:
    """Read `count` bytes, fewer at the end of the stream; `told` hears of every piece."""
    loop = asyncio.get_running_loop()
    room = bytearray(min(count, CHUNK))
    left = count
    while left > 0 and (got := await loop.sock_recv_into(end, memoryview(room)[:left])):
        left -= got
        if told:
            await told(got)
    return count - left


async def serve(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    working: set[asyncio.Task[None]] = set()
    while True:
        end, _ = await loop.sock_accept(listener)
        task = asyncio.create_task(answer(end))
        working.add(task)
        task.add_done_callback(working.discard)


async def answer(end: socket.socket) -> None:
    """Answer requests until one closes the connection, or the client does."""
    loop = asyncio.get_running_loop()
    with end, contextlib.suppress(OSError):
        end.setblocking(False)
        while head := await loop.sock_recv(end, HEAD.size):
            asked, wanted, how = HEAD.unpack(head)
            await take(end, asked - HEAD.size)
            await send(end, wanted)
            if how == SERVER_RESETS:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            if how in (SERVER_CLOSES, SERVER_RESETS):
                return


async def ask(end: socket.socket, request: int, wanted: int, how: int) -> None:
    await send(end, request, HEAD.pack(request, wanted, how))
    await take(end, wanted if how != CLIENT_RESETS else wanted // 2)
    if how == CLIENT_RESETS:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    elif how == SERVER_CLOSES:
        await asyncio.get_running_loop().sock_recv(end, 1)


# ------------------------------------------------------------ the kinds


async def short(hosts: Hosts, pace: Pace, count: int, workers: int) -> None:
    """One request a connection: most are closed by the server, some reset, some lossy, some refused."""
    luck = random.Random(1)
    ports = itertools.cycle(WEB)
    sources = itertools.cycle(hosts.clients)

    async def work() -> None:
        for _ in range(count // workers):
            drawn = luck.random()
            port = CLOSED if drawn < 0.01 else WEB_LOSSY if drawn < 0.06 else next(ports)
            how = luck.choices((SERVER_CLOSES, CLIENT_CLOSES, SERVER_RESETS, CLIENT_RESETS), (60, 32, 5, 3))[0]
            with contextlib.suppress(OSError), await hosts.connect(port, next(sources)) as end:
                await ask(end, luck.randint(80, 700), int(luck.lognormvariate(7.8, 1.1)) + 40, how)
            await pace.advance("short", 1 / count)

    await asyncio.gather(*(work() for _ in range(workers)))


async def sessions(hosts: Hosts, pace: Pace, requests: int, each: int) -> None:
    """Connections that stay for `each` requests, with a thought between them."""
    luck = random.Random(2)
    sources = itertools.cycle(hosts.clients)
    workers = max(1, requests // each)

    async def work() -> None:
        with await hosts.connect(luck.choice(WEB), next(sources)) as end:
            for number in range(each):
                last = number == each - 1
                await ask(end, luck.randint(80, 400), luck.randint(100, 4000), SERVER_CLOSES if last else KEEP)
                await pace.advance("sessions", 1 / (workers * each))

    running: set[asyncio.Task[None]] = set()
    for _ in range(workers):  # a tenth of them at a time
        running.add(asyncio.create_task(work()))
        if len(running) >= max(2, workers // 10):
            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(*running)


async def bulk(hosts: Hosts, pace: Pace, port: int, kind: str, size: int, streams: int, each: int) -> None:
    """Transfers of some `each` bytes, `streams` of them at a time, three of four from the server."""
    luck = random.Random(port)

    async def told(got: int) -> None:
        await pace.advance(kind, got / size)

    async def work(number: int) -> None:
        left = size // streams
        while left > 0:
            amount = min(left, int(each * luck.uniform(0.5, 1.5)))
            left -= amount
            with await hosts.connect(port, luck.choice(hosts.clients), SO_RCVBUF=WINDOW) as end:
                if number % 4:
                    await send(end, 100, HEAD.pack(100, amount, CLIENT_CLOSES))
                    await take(end, amount, told)
                else:
                    await send(end, amount, HEAD.pack(amount, 10, CLIENT_CLOSES))
                    await take(end, 10)
                    await told(amount)

    await asyncio.gather(*(work(number) for number in range(streams)))


async def slow_reader(hosts: Hosts, source: str) -> None:
    """Windows that close: reads a little at a time, until cancelled."""
    with await hosts.connect(WEB[0], source, SO_RCVBUF=16_384) as end:
        await send(end, 100, HEAD.pack(100, 2**31, KEEP))
        while True:
            await take(end, 20_000)
            await asyncio.sleep(0.3)


async def idle(hosts: Hosts, source: str) -> None:
    """A connection kept open by keep-alives, until cancelled."""
    with await hosts.connect(IDLE, source, SO_KEEPALIVE=1) as end:
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            end.setsockopt(socket.IPPROTO_TCP, option, 1)
        await ask(end, 100, 100, KEEP)
        await asyncio.Event().wait()


async def talk(hosts: Hosts, packets: int) -> None:
    """All of it, about `packets` packets."""
    listeners = [hosts.listener(port) for port in (*WEB, WEB_LOSSY, IDLE)]
    listeners += [hosts.listener(port, SO_RCVBUF=WINDOW) for port in (BULK, BULK_LOSSY)]
    pace = Pace(done={"short": 0, "sessions": 0, "bulk": 0, "loss": 0})
    kinds: list[Coroutine[None, None, None]] = [
        short(hosts, pace, packets * 13 // 100 // 14, 64),
        sessions(hosts, pace, packets * 8 // 100 // 5, 200),
        bulk(hosts, pace, BULK, "bulk", int(packets * 0.60 * MSS * CLEAN), 8, 100_000_000),
        bulk(hosts, pace, BULK_LOSSY, "loss", int(packets * 0.19 * MSS * LOSSY_SHARE), 16, 20_000_000),
    ]
    serving = [asyncio.create_task(serve(it)) for it in listeners]
    staying = [asyncio.create_task(idle(hosts, it)) for it in hosts.clients]
    staying += [asyncio.create_task(slow_reader(hosts, it)) for it in hosts.clients[:4]]
    await asyncio.gather(*kinds)
    for task in staying + serving:
        task.cancel()
    await asyncio.gather(*staying, *serving, return_exceptions=True)


if __name__ == "__main__":
    client, server, address, amount, *clients = sys.argv[1:]
    hosts = Hosts(client, server, address, clients)
    asyncio.run(talk(hosts, int(amount)))
    print(hosts.asked)
