"""Live capture through Wireshark's display filter, by pyshark: tshark dissects every packet, so this is slow.

pyshark hands over the packets that pass, with their bytes, and a thread makes a capture of them that the session reads.
It is for some hundred packets a second; a capture filter beside it keeps the rest away.  What was dropped is not told.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from tcpscope.capture.rights import choose
from tcpscope.errors import CaptureError, UsageError
from tcpscope.tables.session import Session
from tcpscope.wireshark.tshark import find

PATIENCE = 0.05  # seconds that a read waits
STOP = 5.0  # seconds in which tshark ends when it is told to
NANOSECONDS = 0xA1B23C4D
LINKS = {"eth": 1, "sll": 113, "ip": 101, "ipv6": 101, "null": 0}  # the packet's first layer → link type
HEADER, RECORD = struct.Struct("<IHHiIII"), struct.Struct("<IIII")


@contextlib.contextmanager
def filtered(
    interfaces: tuple[str, ...], capture_filter: str, display_filter: str, tee: Callable[[bytes], None] | None,
    **settings: Any,
) -> Iterator[tuple[Session, str]]:  # fmt: skip
    """A session on the packets that pass the display filter, and the name of who captures; settings: of `Session`.

    Raises UsageError for a filter that Wireshark does not understand, CaptureError without the right to capture.
    """
    choose(True)  # dumpcap captures for tshark
    check(display_filter)
    stream = Filtered(interfaces, capture_filter, display_filter, tee)
    try:
        yield Session(stream, name=" ".join(interfaces), stop=stream.stop, **settings), "tshark"
    finally:
        stream.close()


def check(display_filter: str) -> None:
    """UsageError, with what tshark says, for an expression that is no display filter."""
    empty = HEADER.pack(NANOSECONDS, 2, 4, 0, 0, 262144, 1)
    done = subprocess.run([find().path, "-n", "-r", "-", "-Y", display_filter], input=empty, capture_output=True)
    if done.returncode:
        lines = [it for it in done.stderr.decode("utf-8", "replace").splitlines() if not it.startswith("Running as")]
        said = lines[0].removeprefix("tshark: ") if lines else f"exit code {done.returncode}"
        raise UsageError(f"--display-filter {display_filter!r}: {said}")


class Filtered:
    """The packets that pass, as a pcap stream."""

    def __init__(
        self, interfaces: tuple[str, ...], capture_filter: str, display_filter: str,
        tee: Callable[[bytes], None] | None,
    ) -> None:  # fmt: skip
        self.damage: str | None = None
        self._chunks: deque[bytes] = deque()
        self._change = threading.Condition()
        self._over = self._stopping = False
        self._tee, self._link = tee, -1
        self._wanted = list(interfaces), capture_filter, display_filter
        self._capture: Any = None
        self._thread = threading.Thread(target=self._work, name="tcpscope-pyshark", daemon=True)
        self._thread.start()

    def readinto(self, buffer: Any) -> int | None:
        with self._change:
            if not self._chunks and not self._over:
                self._change.wait(PATIENCE)
            if not self._chunks:
                return 0 if self._over else None
            data = self._chunks.popleft()
            count = min(len(data), len(buffer))
            buffer[:count] = data[:count]
            if count < len(data):
                self._chunks.appendleft(data[count:])
            return count

    def waiting(self) -> bool:
        return bool(self._chunks)

    def stop(self) -> None:
        """dumpcap ends, and tshark after it, when it has told all it has read."""
        if not self._stopping:
            self._stopping = True
            threading.Thread(target=self._signal, daemon=True).start()

    def close(self) -> None:
        self._stopping = True
        self._signal()
        self._thread.join(STOP)

    def _signal(self) -> None:
        deadline = time.monotonic() + STOP
        for number in (signal.SIGINT, signal.SIGKILL):
            for process in list(getattr(self._capture, "_running_processes", ())):
                with contextlib.suppress(OSError):
                    os.kill(process.pid, number)
            while self._thread.is_alive() and time.monotonic() < deadline:
                time.sleep(PATIENCE)

    def _work(self) -> None:
        """pyshark wants an event loop of its own; what it raises when it is stopped means nothing."""
        import pyshark

        interfaces, capture_filter, display_filter = self._wanted
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            self._capture = pyshark.LiveCapture(
                interface=interfaces, bpf_filter=capture_filter or None, display_filter=display_filter, use_json=True,
                include_raw=True, eventloop=loop, tshark_path=find().path,
            )  # fmt: skip
            for packet in self._capture.sniff_continuously():
                self._put(packet)
            if not self._stopping:
                self.damage = "tshark, which captures, has ended"
        except Exception as error:
            if not self._stopping:
                self.damage = f"pyshark: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        finally:
            if self._link < 0 and self.damage is None:  # nothing has passed
                self._hand_on(HEADER.pack(NANOSECONDS, 2, 4, 0, 0, 262144, LINKS["eth"]))
            with self._change:
                self._over = True
                self._change.notify_all()
            with contextlib.suppress(Exception):
                self._capture.close()
            with contextlib.suppress(Exception):
                loop.close()

    def _put(self, packet: Any) -> None:
        raw: bytes = packet.get_raw_packet()
        ns = int(Decimal(packet.sniff_timestamp) * 1_000_000_000)
        data = RECORD.pack(ns // 1_000_000_000, ns % 1_000_000_000, len(raw), max(int(packet.length), len(raw))) + raw
        if self._link < 0:
            layer = packet.layers[0].layer_name.lower() if packet.layers else ""
            if layer not in LINKS:
                raise CaptureError(f"packets that begin with {layer or 'nothing'} cannot be passed on")
            self._link = LINKS[layer]
            data = HEADER.pack(NANOSECONDS, 2, 4, 0, 0, 262144, self._link) + data
        self._hand_on(data)

    def _hand_on(self, data: bytes) -> None:
        if self._tee is not None:
            self._tee(data)
        with self._change:
            self._chunks.append(data)
            self._change.notify_all()
