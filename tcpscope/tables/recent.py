"""The packets of a live capture that came last, in memory, and those of one connection as they come.

    recent = Recent()
    session, stream = live(wish, tee=recent)     # every chunk of the capture's bytes
    own = Own(recent, connection_row)
    own.grow()                                   # looks at what has come since the last call
    own.packets, own.events                      # PACKET and EVENT records, with the session's frame numbers
    own.write("one.pcap")                        # the packets themselves

Nothing goes to a disk unless it is asked for.  Memory is bounded: `most` bytes of all packets, and of a connection
HELD_BYTES of packets and HELD_ROWS records; what had to be given up is counted.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Mapping
from io import BytesIO
from ipaddress import ip_address
from typing import Any, NamedTuple

from tcpscope.capture.frames import FrameReader, FrameSet
from tcpscope.capture.writer import SUFFIXES, Packet, PcapngWriter, PcapWriter
from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import CONNECTION, EVENT, PACKET
from tcpscope.tables.analysis import DEFAULT_MSL
from tcpscope.tables.one import belonging
from tcpscope.tables.output import destination
from tcpscope.tables.rows import Row, rows
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.layout import SEGMENT_FIELDS
from tcpscope.wire.reader import SegmentReader

MOST = 32 << 20  # bytes of the capture that are held
BLOCK = 1 << 18  # bytes, at least, that are given up at a time
HELD_BYTES = 16 << 20  # of one connection's packets
HELD_ROWS = 8_000  # PACKET records of one connection
HELD_EVENTS = 2_000
BATCH = 4096  # segments
PCAPNG = b"\n\r\r\n"
LITTLE = (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")
PCAP_HEADER, RECORD_HEADER, BLOCK_HEADER = 24, 16, 12
SECTION, INTERFACE = 0x0A0D0D0A, 1
PACKET_BLOCKS = (2, 3, 6)  # obsolete, simple, enhanced


class Block(NamedTuple):
    """Whole records, with the header that they need to be read; frame: number of the first."""

    header: bytes
    data: bytes
    frame: int
    records: int


class Recent:
    """Takes a capture's bytes in any pieces, from one thread; the rest may be called from any."""

    def __init__(self, most: int = MOST) -> None:
        self.bytes = 0
        self._most = most
        self._blocks: deque[Block] = deque()
        self._lock = threading.Lock()
        self._held = b""
        self._header = b""
        self._order = ""  # empty: nothing has come
        self._pcapng = False
        self._frame = 1  # of the next record
        self._parts: list[bytes] = []  # the block that is being filled
        self._size = self._count = 0
        self._head = b""  # its header

    def __call__(self, data: bytes) -> None:
        with self._lock:
            self._take(self._held + data if self._held else data)

    def blocks(self, frame: int = 0) -> list[Block]:
        """What is held from this frame on (and some frames before it)."""
        with self._lock:
            self._close_block()
            return [it for it in self._blocks if it.frame + it.records > frame]

    def _take(self, data: bytes) -> None:
        at = 0
        if not self._order:
            if len(data) < PCAP_HEADER:
                self._held = data
                return
            self._pcapng = data[:4] == PCAPNG
            self._order = "<" if self._pcapng or data[:4] in LITTLE else ">"
            if not self._pcapng:
                self._header, at = data[:PCAP_HEADER], PCAP_HEADER
            self._head = self._header
        end, count = self._whole_blocks(data, at) if self._pcapng else self._whole_records(data, at)
        if end > at:
            self._parts.append(data[at:end])
            self._size += end - at
            self._count += count
        self._held = data[end:]
        if self._size >= BLOCK:
            self._close_block()

    def _whole_records(self, data: bytes, at: int) -> tuple[int, int]:
        """Where the last whole record of pcap ends, and how many there are."""
        length = struct.Struct(self._order + "I").unpack_from
        size, count = len(data) - RECORD_HEADER, 0
        while at <= size:
            after = at + RECORD_HEADER + length(data, at + 8)[0]
            if after > len(data):
                break
            at, count = after, count + 1
        return at, count

    def _whole_blocks(self, data: bytes, at: int) -> tuple[int, int]:
        """The same of pcapng; what later blocks need to be read is kept."""
        count = 0
        while at <= len(data) - BLOCK_HEADER:
            if data[at : at + 4] == PCAPNG:
                self._order = "<" if data[at + 8] == 0x4D else ">"
            kind, length = struct.unpack_from(self._order + "II", data, at)
            after = at + max(length, BLOCK_HEADER)
            if after > len(data):
                break
            if kind == SECTION:
                self._header = data[at:after]
            elif kind == INTERFACE:
                self._header += data[at:after]
            count += kind in PACKET_BLOCKS
            at = after
        return at, count

    def _close_block(self) -> None:
        if self._count:
            self._blocks.append(Block(self._head, b"".join(self._parts), self._frame, self._count))
            self.bytes += self._size
            self._frame += self._count
            while self.bytes > self._most and len(self._blocks) > 1:
                self.bytes -= len(self._blocks.popleft().data)
        if self._parts:
            self._parts, self._size, self._count = [], 0, 0
            self._head = self._header


class Own:
    """The packets of one connection: those that are held now, and those that come.

    connection: its row of the connections table (addresses, ports, first_frame).  msl in seconds.
    seen: its packets found so far; undrawn: no longer in `packets`.
    """

    def __init__(self, recent: Recent, connection: Mapping[str, Any], *, msl: float = DEFAULT_MSL) -> None:
        self.number = int(connection["connection"])
        self.seen = self.undrawn = 0
        self.first = 0  # frame of the first packet found
        self._recent, self._connection = recent, connection
        self._next = int(connection["first_frame"])
        self._engine = Engine(packets=True, live=True, prompt=True, msl_ns=round(msl * 1e9))
        self._batch, self._part = SegmentBatch(BATCH), SegmentBatch(BATCH)
        self._rows: deque[bytes] = deque(maxlen=HELD_ROWS)
        self._events: deque[bytes] = deque(maxlen=HELD_EVENTS)
        self._kept: deque[tuple[dict[str, Any], Packet]] = deque()
        self._size = 0
        self._ended = b""

    def grow(self, last_frame: int | None = None) -> bool:
        """Take in what has come, up to last_frame where the connection has ended; whether there was anything."""
        before = self.seen
        for block in self._recent.blocks(self._next):
            self._take(block, last_frame)
            self._next = block.frame + block.records
        return self.seen > before

    @property
    def packets(self) -> bytes:
        """PACKET records, the latest HELD_ROWS, with the states that are known by now."""
        held = bytearray(b"".join(self._rows))
        if held:
            self._engine.tell()
            self._engine.settle(held)
        return bytes(held)

    @property
    def events(self) -> bytes:
        """EVENT records, corrections among them."""
        return b"".join(self._events)

    def row(self) -> Row | None:
        """The connection as these packets alone show it, with the number that it has in the session."""
        raw = self._engine.open_connections(1, "begin")[0] if not self._ended else self._ended
        found = next(rows("connections", belonging(CONNECTION, raw, 0)), None)
        return None if found is None else {**found, "connection": self.number}

    def write(self, path: str) -> int:
        """Write the packets that are held, as pcap or, by the suffix, pcapng; how many.

        Raises UsageError where it cannot be written.
        """
        from os.path import splitext

        with destination(path) as stream:
            out: PcapngWriter | PcapWriter
            if SUFFIXES.get(splitext(path)[1].lower()) == "pcapng":
                out = PcapngWriter(stream, "tcpscope")
            else:
                out = PcapWriter(stream, [interface for interface, _ in self._kept])
            for interface, packet in self._kept:
                out.write(0, interface, packet)
            out.close()
        return len(self._kept)

    # ------------------------------------------------------------

    def _take(self, block: Block, last_frame: int | None) -> None:
        frames = FrameSet(1)
        reader = SegmentReader(BytesIO(block.header + block.data), verify_checksums=False)
        while reader.fill(self._batch) or len(self._batch):
            mine = self._mine(self._batch.tobytes(), block.frame - 1, last_frame)
            for frame in mine["frame"].tolist():
                frames.add(0, frame)
            if len(mine):
                mine["frame"] += block.frame - 1
                self.first = self.first or int(mine["frame"][0])
                self._replay(mine.tobytes())
        if frames.count:
            self._keep(block, frames)

    def _mine(self, raw: bytes, offset: int, last_frame: int | None) -> Any:
        """The connection's segments, as a numpy array of its own."""
        found = _segments(raw)
        it = self._connection
        ends = [(_packed(it[f"{role}_ip"]), it[f"{role}_port"]) for role in ("client", "server")]
        ours = False
        for (src, sport), (dst, dport) in (ends, ends[::-1]):
            some = (found["sport"] == sport) & (found["dport"] == dport)
            ours = ours | (some & (found["src"] == src) & (found["dst"] == dst))
        ours = ours & (found["frame"] >= max(it["first_frame"] - offset, 0))
        if last_frame is not None:
            ours = ours & (found["frame"] <= max(last_frame - offset, 0))
        return found[ours]

    def _replay(self, raw: bytes) -> None:
        self._part.load(raw)
        self._engine.replay(self._part)
        self._engine.announce()
        records = belonging(PACKET, self._engine.take_packets(), 0)
        count = len(records) // PACKET.size
        self.seen += count
        self.undrawn += max(len(self._rows) + count - HELD_ROWS, 0)
        self._rows.extend(records[at : at + PACKET.size] for at in range(0, len(records), PACKET.size))
        events = belonging(EVENT, self._engine.take_events(), 0)
        self._events.extend(events[at : at + EVENT.size] for at in range(0, len(events), EVENT.size))
        self._ended = self._engine.take_connections() or self._ended
        self._engine.take_evidence()

    def _keep(self, block: Block, frames: FrameSet) -> None:
        reader = FrameReader(BytesIO(block.header + block.data))
        while picked := reader.pick(frames, 0):
            described = reader.interfaces()
            for packet in picked:
                self._kept.append((described[packet.interface], packet))
                self._size += len(packet.data)
        while self._size > HELD_BYTES:
            self._size -= len(self._kept.popleft()[1].data)


def _segments(raw: bytes) -> Any:
    """As a numpy structured array, which may be written to."""
    import numpy

    kinds = [(name, f"V{code[:-1]}" if code.endswith("s") else code) for name, code in SEGMENT_FIELDS]
    return numpy.frombuffer(bytearray(raw), numpy.dtype(kinds, align=True))


def _packed(address: str) -> Any:
    """An address as a segment holds it: 16 bytes, IPv4's first."""
    import numpy

    return numpy.void(ip_address(address).packed.ljust(16, b"\0"))
