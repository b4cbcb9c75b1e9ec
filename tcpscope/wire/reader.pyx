# cython: wraparound=False, freethreading_compatible=True
"""Bytes in, batches of segments out: the loop all sources share.

The buffer holds what the stream gave and grows only when one record is larger than
it.  A stream is read only when there is nothing left to hand over, so a slow pipe
is served promptly.
"""
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memmove, memset

from tcpscope.capture.container cimport (
    MAX_PACKET, NEED_MORE, RECORD, SIMPLE_HEADER, STOPPED, Container, Record,
)
from tcpscope.capture.frame cimport le32
from tcpscope.wire.batch cimport SegmentBatch
from tcpscope.wire.decode cimport ETHERNET, Decoder
from tcpscope.wire.firsts cimport Firsts, firsts_close, firsts_open, firsts_see, firsts_want
from tcpscope.wire.segment cimport NOTE_FRAGMENT, TCP_SEGMENT, Segment
from tcpscope.wire.usual cimport usual, usual_header


cdef class SegmentReader:
    """The TCP segments of one capture stream.

    `stream` has `readinto(buffer) -> int`, 0 at its end; `file_index` goes into Segment.file.
    `hints`: what the first bytes of each side say comes with the segments (`batch.hints`).
    `prompt`: hand on what there is, as a pipe's reader wants it, rather than fill the batch.
    """
    cdef object stream
    cdef object waiting                   # the stream's own answer to whether it has more at once; None: it has none
    cdef object memory                    # the bytearray behind `data`
    cdef const uint8_t *data
    cdef Py_ssize_t start, filled, capacity
    cdef Container container
    cdef Decoder decoder
    cdef Firsts firsts
    cdef bint at_end, finished, prompt
    cdef str stream_damage
    cdef uint64_t total_bytes             # of the stream
    cdef uint64_t wire_bytes              # of its packets, as they were on the wire
    cdef int64_t first_ns, last_ns        # of its packets; the first is later than the last before there is one
    cdef readonly int file_index

    def __init__(self, stream, int file_index=0, *, Py_ssize_t buffer_size=1 << 20, bint verify_checksums=True,
                 bint prompt=True, bint hints=False):
        if not 0 <= file_index <= 0xFFFF:
            raise ValueError("a file index has 16 bits")
        self.stream = stream
        self.waiting = getattr(stream, "waiting", None)
        self.file_index = file_index
        self.container = Container()
        self.decoder = Decoder(file_index, verify_checksums)
        self.stream_damage = None
        self.first_ns, self.last_ns = INT64_MAX, INT64_MIN
        self.prompt = prompt
        if hints and not firsts_open(&self.firsts):
            raise MemoryError()
        self.resize(max(buffer_size, 64))

    def __dealloc__(self):
        firsts_close(&self.firsts)

    def fill(self, SegmentBatch batch not None):
        """Put the next segments into `batch`; False when there are none and never will be.

        The batch may come back empty with True: what arrived held no TCP.
        """
        cdef int status
        cdef bint asked = False
        batch.size = batch.n_hints = 0
        while True:
            with nogil:
                status = self.decode(batch)
            if batch.size == batch.capacity:
                return True
            if status == STOPPED or (self.at_end and status == NEED_MORE):
                self.finished = True
                return batch.size > 0
            if self.prompt and (batch.size or asked) and not self.more_waits():
                return True
            self.read_more()
            asked = True

    cdef bint more_waits(self) except -1:
        """Whether the stream has more at once."""
        return not self.at_end and self.waiting is not None and self.waiting()

    def first_time(self):
        """The time of the next packet, ns, which is lost by this; None at the end of the file."""
        cdef Record record
        cdef int status
        while True:
            status = self.container.next(self.data, self.filled, &self.start, &record)
            if status == RECORD:
                return record.time_ns
            if status == STOPPED or self.at_end:
                return None
            self.read_more()

    cdef void resize(self, Py_ssize_t capacity):
        """A buffer of `capacity` bytes that holds the unread ones."""
        cdef bytearray fresh = bytearray(capacity)
        fresh[:self.filled - self.start] = memoryview(self.memory)[self.start:self.filled] if self.memory else b""
        del fresh[capacity:]
        self.memory = fresh
        self.data = <const uint8_t *>PyByteArray_AS_STRING(fresh)
        self.capacity = capacity
        self.filled -= self.start
        self.start = 0

    cdef void read_more(self) except *:
        """One read; what is left of a record moves to the front first."""
        cdef object given
        if self.filled - self.start == self.capacity:
            self.resize(self.capacity * 2)        # bounded: the container refuses larger records
        elif self.start:
            memmove(<void *>self.data, self.data + self.start, self.filled - self.start)
            self.filled -= self.start
            self.start = 0
        try:
            given = self.stream.readinto(memoryview(self.memory)[self.filled:self.capacity])
        except OSError as error:
            self.stream_damage = f"reading failed: {error.strerror or error}"
            given = 0
        if given is None:                         # a non-blocking stream has nothing now
            return
        if not 0 <= given <= self.capacity - self.filled:
            raise ValueError("readinto() gave an impossible count")
        self.filled += given
        self.total_bytes += given
        self.at_end = given == 0

    cdef int decode(self, SegmentBatch batch) noexcept nogil:
        """From the buffer into the batch, until one of them ends."""
        cdef Record record
        cdef int status = RECORD
        cdef Segment *s
        while True:
            if self.container.simple:
                self.decode_simple(batch)
            if batch.size == batch.capacity:
                return status
            status = self.container.next(self.data, self.filled, &self.start, &record)
            if status != RECORD:
                return status
            self.note(record.time_ns, record.time_ns, max(record.wirelen, record.caplen))
            s = &batch.items[batch.size]
            if self.decoder.frame(&record, s):
                batch.size += 1
                if self.firsts.entries != NULL and firsts_want(&self.firsts, s):
                    self.first(batch, s, record.data, record.caplen, record.offset)

    cdef void decode_simple(self, SegmentBatch batch) noexcept nogil:
        """The records of a simple file, as far as they are in the buffer and in order."""
        cdef const uint8_t *start = self.data + self.start
        cdef const uint8_t *p = start                      # the next record
        cdef const uint8_t *end = self.data + self.filled
        cdef Segment *s = &batch.items[batch.size]
        cdef Segment *last = &batch.items[batch.capacity]
        cdef uint64_t position = self.container.position + SIMPLE_HEADER, frame = self.container.frames
        cdef uint64_t wire_bytes = 0, cut = 0
        cdef uint32_t caplen, wirelen, header
        cdef int64_t tick = self.container.tick_ns, time_ns, least = INT64_MAX, most = INT64_MIN
        cdef bint wants = self.firsts.entries != NULL
        cdef uint64_t states[4]
        cdef Record record
        memset(states, 0, sizeof(states))
        memset(&record, 0, sizeof(record))
        record.linktype = ETHERNET
        while s < last and end - p >= SIMPLE_HEADER:
            caplen, wirelen = le32(p + 8), le32(p + 12)
            if caplen > MAX_PACKET or end - p - SIMPLE_HEADER < <Py_ssize_t>caplen:
                break
            frame += 1
            time_ns = <int64_t>le32(p) * 1000000000 + le32(p + 4) * tick
            least, most = min(least, time_ns), max(most, time_ns)
            wire_bytes += max(wirelen, caplen)
            p += SIMPLE_HEADER
            header = usual_header(p, caplen, wirelen)
            if header:
                usual(p, caplen, header, self.decoder.verify_checksums, s)
                s.time_ns, s.frame, s.file, s.interface = time_ns, frame, <uint16_t>self.file_index, 0
                s.payload_at += position + <uint64_t>(p - SIMPLE_HEADER - start)
                cut += caplen < wirelen
                states[s.checksum_state] += 1
            else:
                record.data, record.caplen, record.wirelen = p, caplen, wirelen
                record.time_ns, record.frame = time_ns, frame
                record.offset = position + <uint64_t>(p - SIMPLE_HEADER - start)
                if not self.decoder.frame(&record, s):
                    p += caplen
                    continue
            if wants and firsts_want(&self.firsts, s):
                self.first(batch, s, p, caplen, position + <uint64_t>(p - SIMPLE_HEADER - start))
            s += 1
            p += caplen
        if p > start:
            batch.size = s - batch.items
            self.start += p - start
            self.note(least, most, wire_bytes)
            self.decoder.add_usual(states, cut)
            self.container.pass_simple(frame, p - start)

    cdef inline void note(self, int64_t first_ns, int64_t last_ns, uint64_t wire_bytes) noexcept nogil:
        """Packets were read."""
        self.first_ns = min(self.first_ns, first_ns)
        self.last_ns = max(self.last_ns, last_ns)
        self.wire_bytes += wire_bytes

    cdef void first(self, SegmentBatch batch, Segment *s, const uint8_t *packet, uint32_t caplen,
                    uint64_t offset) noexcept nogil:
        """What a segment says that may bring a side's first bytes; the payload of a fragmented one is elsewhere.

        packet: its frame's bytes, which begin at `offset` of the file.
        """
        cdef uint64_t at = s.payload_at - offset
        if s.kind != TCP_SEGMENT or s.notes & NOTE_FRAGMENT:
            return
        if at <= caplen and s.captured <= caplen - at:
            firsts_see(&self.firsts, batch, s, packet + at)

    @property
    def damage(self):
        """What is wrong with the file and where, None if nothing is; final once `fill` gave False."""
        offset = self.container.position
        broken = self.stream_damage or getattr(self.stream, "damage", None)
        if self.container.damage is not None:
            return f"{self.container.damage} at byte {offset}; what follows was not read"
        if broken:
            return f"{broken}, after {self.total_bytes} bytes of capture"
        if self.finished and (self.filled > self.start or self.container.inside_block):
            return f"cut off in the middle of a record at byte {offset}"
        if self.finished and self.total_bytes == 0:
            return "empty: not a single byte"
        return None

    def statistics(self):
        """What was read so far.  Times in nanoseconds since the epoch, None before the first packet."""
        interfaces = self.container.described_interfaces()
        return {
            "format": self.container.format,
            "link_types": sorted({it["link_type"] for it in interfaces}),
            "interfaces": interfaces,
            "packets": self.container.packets,
            "bytes": self.container.position,
            "wire_bytes": self.wire_bytes,
            "tcp": self.decoder.kinds().get("tcp", 0),
            "first_ns": self.first_ns if self.first_ns <= self.last_ns else None,
            "last_ns": self.last_ns if self.first_ns <= self.last_ns else None,
            "snaplen": max((it["snaplen"] for it in interfaces), default=0),
            "cut_packets": self.decoder.cut,
            "kinds": self.decoder.kinds(),
            "unsupported_links": self.decoder.unsupported_links(),
            "checksums": self.decoder.checksum_counts(),
            "incomplete_datagrams": self.decoder.incomplete,
            "comments": self.container.comments,
            "sections": self.container.sections,
            "damage": self.damage,
        }
