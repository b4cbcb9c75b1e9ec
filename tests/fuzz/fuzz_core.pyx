# cython: wraparound=False
"""The fuzz targets, and libFuzzer's way into them.  Compiled by tests/fuzz/build.py only.

A target takes any bytes.  What it demands besides no sanitizer's complaint is said by `demand`: a broken
promise stops the process like a crash does.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport abort, free, malloc
from libc.string cimport memcpy, memmove, memset

from tcpscope.capture.container cimport Record
from tcpscope.capture.frames cimport FrameReader, FrameSet
from tcpscope.replay.brief cimport Brief
from tcpscope.replay.engine cimport Engine
from tcpscope.replay.rows cimport ConnectionRow, EventRow, EvidenceRow, PacketRow
from tcpscope.replay.stream cimport Streams
from tcpscope.replay.unacked cimport Queue, unacked_add, unacked_forget, unacked_free, unacked_span
from tcpscope.wire.batch cimport SegmentBatch
from tcpscope.wire.decode cimport Decoder
from tcpscope.wire.flow cimport set_flow
from tcpscope.wire.hints cimport (
    ALPN_ROOM, DETAIL_ROOM, N_SERVICES, NAME_ROOM, NO_VERSION, V_GREETING_220, Hint, hint_of,
)
from tcpscope.wire.segment cimport (
    ACK, FIN, ICMP_QUOTE, NOTE_CUT_HEADER, NOTE_FRAGMENT, OPT_CUT, OPT_FAST_OPEN, OPT_MALFORMED, OPT_MSS, OPT_SACK,
    OPT_SACK_PERMITTED, OPT_TIMESTAMPS, OPT_WSCALE, PSH, RST, SYN, TCP_SEGMENT, URG, Segment,
)

from tcpscope.replay.layout import ANNOTATIONS, CLOSE_KINDS, CONN_STATES, STATES
from tcpscope.tables.format import Formatter
from tcpscope.wire.pieces import PieceReader
from tcpscope.wire.reader import SegmentReader

from seeds import LINK_TYPES

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*one)(const uint8_t *data, size_t size));
    size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
    extern size_t (*fuzz_mutator)(uint8_t *data, size_t size, size_t most, unsigned seed);
    """
    int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*one)(const uint8_t *, size_t) noexcept) nogil
    size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most) noexcept nogil
    size_t (*fuzz_mutator)(uint8_t *, size_t, size_t, unsigned) noexcept nogil

cdef enum:
    MOST_SEGMENTS = 96           # of one input
    MOST_QUEUED = 256

cdef int64_t START_NS = 1_700_000_000_000_000_000
cdef int64_t EARLIEST_NS = -(<int64_t>1 << 60), LATEST_NS = <int64_t>1 << 62        # as the container gives


cdef void demand(bint holds, const char *promise) noexcept nogil:
    if not holds:
        fprintf(stderr, b"broken promise: %s\n", promise)
        abort()


cdef class Bytes:
    """A stream over the input that gives at most `step` bytes at a time."""
    cdef const uint8_t *data
    cdef size_t at, size, step
    cdef readonly object damage

    def readinto(self, unsigned char[::1] buffer):
        cdef size_t given = min(min(self.size - self.at, self.step), <size_t>buffer.shape[0])
        if given:
            memcpy(&buffer[0], self.data + self.at, given)
        self.at += given
        return given


cdef Bytes stream_of(const uint8_t *data, size_t size, size_t step):
    cdef Bytes it = Bytes()
    it.data, it.size, it.step = data, size, max(step, <size_t>1)
    return it


# ---------------------------------------------------------------- containers, and the pipeline behind them

cdef void check_segment(const Segment *s) noexcept nogil:
    demand(s.captured <= s.length, b"captured payload is part of the payload")
    demand(s.n_sack <= 4, b"four SACK blocks at most")
    demand(s.ip_version == 4 or s.ip_version == 6, b"a segment is IPv4 or IPv6")
    demand(s.header_length <= 60, b"a TCP header has 60 bytes at most")
    demand(s.checksum_state < 4, b"a checksum's state has a name")


cdef int container(const uint8_t *data, size_t size) except -1:
    """pcap and pcapng, compressed ones excepted: the reader in steps, then whole frames, then fragments."""
    cdef SegmentBatch batch = SegmentBatch(16)
    cdef const Segment *s
    cdef Py_ssize_t i
    if size < 2:
        return 0
    reader = SegmentReader(stream_of(data + 1, size - 1, data[0]), buffer_size=64 + data[0] * 8)
    while reader.fill(batch):
        for i in range(batch.size):
            check_segment(&batch.items[i])
            s = &batch.items[i]
            demand(s.captured == 0 or s.notes & NOTE_FRAGMENT or s.payload_at + s.captured <= size,
                   b"a payload lies inside the file")
    found = reader.statistics()
    demand(found["bytes"] <= size, b"no more is read than there is")
    demand(found["tcp"] <= found["packets"], b"a frame carries one segment at most")
    frames = FrameReader(stream_of(data + 1, size - 1, data[0]), buffer_size=64)
    while frames.pick(everything, 0):
        pass
    frames.interfaces()
    if data[0] & 3:
        return 0
    pieces = PieceReader(stream_of(data + 1, size - 1, 4096), keep_bytes=True)
    while pieces.next() is not None:
        pass
    return 0


everything = FrameSet(1)
for at in range(64):
    everything.add(0, at)


cdef int pipeline(const uint8_t *data, size_t size) except -1:
    """A capture through reader, replay, settling and the writers of text."""
    cdef SegmentBatch batch
    if size < 2:
        return 0
    batches = []
    reader = SegmentReader(stream_of(data + 1, size - 1, 1 << 20), buffer_size=4096, hints=True)
    batch = SegmentBatch(64)
    while reader.fill(batch):
        batches.append(batch)
        batch = SegmentBatch(64)
    replay_both(batches, True)
    return 0


# ---------------------------------------------------------------- frames

cdef int32_t links[64]
cdef int n_links = len(LINK_TYPES)
for at, number in enumerate(LINK_TYPES):
    links[at] = number


cdef int decoder(const uint8_t *data, size_t size) except -1:
    """Frames: a link type, then (length, bytes missing at the end, bytes) of each."""
    cdef Decoder it
    cdef Record r
    cdef Segment s
    cdef size_t at = 2, length
    cdef uint8_t *frame
    if size < 5:
        return 0
    it = Decoder(0, True)
    memset(&r, 0, sizeof(Record))
    r.linktype = links[data[0] % n_links]
    r.fcs = 4 if data[1] & 1 else 0
    while at + 3 <= size:
        length = min(<size_t>(data[at] | (data[at + 1] & 7) << 8), size - at - 3)
        frame = <uint8_t *>malloc(length)              # of its own: a read past its end is seen
        memcpy(frame, data + at + 3, length)
        r.data, r.caplen = frame, <uint32_t>length
        r.wirelen = <uint32_t>length + data[at + 2] if data[at + 2] < 240 else data[at + 2]
        r.frame += 1
        r.time_ns += 1000
        if it.frame(&r, &s):
            check_segment(&s)
        free(frame)
        at += 3 + length
    return 0


# ---------------------------------------------------------------- segments for the replay

cdef Segment scratch[MOST_SEGMENTS]

cdef struct Side:
    uint32_t nxt
    uint32_t acked               # by the peer
    uint32_t ts
    uint16_t id

FLAG_SETS = (ACK, ACK | PSH, ACK, SYN, SYN | ACK, FIN | ACK, RST, RST | ACK, ACK, 0, FIN, SYN | FIN, ACK | PSH | FIN,
             ACK | URG, SYN | RST, ACK | 0xC0)
LENGTHS = (0, 0, 0, 1, 1, 2, 100, 536, 1460, 1460, 2920, 65495, 7, 1448, 0, 4000000000)
WINDOWS = (65535, 64240, 0, 0, 1, 1460, 502, 512, 29200, 255, 100, 65535, 64240, 64240, 8192, 2)
cdef uint16_t flag_sets[16]
cdef uint32_t lengths[16]
cdef uint16_t windows[16]
for at in range(16):
    flag_sets[at], lengths[at], windows[at] = FLAG_SETS[at], LENGTHS[at], WINDOWS[at]


cdef uint32_t near(uint32_t anchor, uint32_t other, uint8_t how) noexcept nogil:
    """A number told by a byte: mostly the anchor, or near it, or near the other, rarely anywhere."""
    cdef int32_t step = <int32_t>(how & 31) - 16
    if how < 96:
        return anchor
    if how < 128:
        return anchor + <uint32_t>(step * 1460)
    if how < 160:
        return anchor + <uint32_t>step
    if how < 192:
        return other + <uint32_t>(step * 1460)
    if how < 224:
        return other + <uint32_t>step
    return anchor + (<uint32_t>how << 27)


cdef uint32_t make_segments(const uint8_t *data, size_t size, Segment *items) noexcept nogil:
    """Segments of a few flows from bytes: eight of each, more for SACK blocks and odd ones."""
    cdef Side sides[4][2]
    cdef Segment *s
    cdef Side *me
    cdef Side *peer
    cdef uint32_t count = 0, end
    cdef int64_t now = START_NS
    cdef size_t at = 0
    cdef const uint8_t *p
    cdef int flow, d, i, n
    memset(sides, 0, sizeof(sides))
    for i in range(4):
        sides[i][0].nxt = sides[i][0].acked = <uint32_t>0xFFFFF000 * <uint32_t>(i + 1)
        sides[i][1].nxt = sides[i][1].acked = <uint32_t>0x80000000 - <uint32_t>i
    while count < MOST_SEGMENTS and at + 8 <= size:
        p = data + at
        at += 8
        flow, d = p[0] & 3, p[0] >> 2 & 1
        me, peer = &sides[flow][d], &sides[flow][1 - d]
        s = &items[count]
        count += 1
        memset(s, 0, sizeof(Segment))
        if p[6] & 0x80:
            now -= <int64_t>1 << min(p[6] & 63, 61)
        else:
            now += <int64_t>(p[6] & 3) << (p[6] >> 2 & 31)
        now = min(max(now, EARLIEST_NS), LATEST_NS)
        s.time_ns, s.frame = now, count
        s.ip_version = 6 if flow == 3 else 4
        s.src[0], s.dst[0], s.sport, s.dport = 10, 10, 40000, 80
        s.src[3], s.dst[3] = <uint8_t>(1 + flow), 9
        if flow == 1:
            s.dport = 40000
        if d:
            s.src[3], s.dst[3] = s.dst[3], s.src[3]
            s.sport, s.dport = s.dport, s.sport
        s.ttl = 64 - (p[0] >> 3 & 1) * 3
        s.flags = flag_sets[p[1] & 15] if p[1] < 0xE0 else <uint16_t>(p[1] << 4 | p[7]) & 0x1FF
        s.length = lengths[p[4] & 15] if p[4] < 128 else p[4]
        s.captured = s.length if p[4] & 16 else 0
        s.seq = near(me.nxt, me.acked, p[2])
        s.ack = near(peer.nxt, peer.acked, p[3]) if s.flags & ACK or p[3] & 1 else 0
        s.window = windows[p[5] & 15]
        s.checksum_state = 2 if p[5] >= 0xF0 else 3 if p[5] >= 0xE8 else 1 if p[5] & 16 else 0
        s.tos = p[5] >> 5 & 3
        s.urgent = p[5] & 1
        me.ts += p[6] & 7
        if p[7] & 1:
            s.options |= OPT_TIMESTAMPS
            s.ts_val = me.ts - (p[7] & 2) * 3
            s.ts_ecr = peer.ts
        if p[7] & 4 or s.flags & SYN:
            s.options |= OPT_SACK_PERMITTED
        if p[7] & 8:
            s.options |= OPT_MSS | OPT_WSCALE
            s.mss, s.window_scale = 1460, p[5] >> 4
        me.id += 1 + (p[7] >> 1 & 1) * (p[2] & 7)
        s.ip_id = me.id if p[7] & 16 else 0
        if flow == 3:
            s.ip_id = 0x10000
        if p[7] & 2 and p[7] & 16:
            s.ip_id = <uint32_t>(me.id - 1)
        s.checksum = <uint16_t>(s.seq * 31 + s.length) if p[7] & 1 else p[1]
        if p[7] & 32 and at < size:
            s.options |= OPT_SACK
            n = min(1 + (data[at] & 3), 4)
            for i in range(n):
                if at + 2 > size:
                    break
                s.sack[2 * i] = near(peer.acked, peer.nxt, data[at]) + (<uint32_t>data[at] >> 2) * 730
                s.sack[2 * i + 1] = s.sack[2 * i] + <uint32_t>data[at + 1] * 365
                s.n_sack += 1
                at += 2
        if p[0] >= 0xF0 and at < size:
            s.options |= (OPT_MALFORMED if data[at] & 1 else 0) | (OPT_CUT if data[at] & 2 else 0)
            s.options |= OPT_FAST_OPEN if data[at] & 4 else 0
            s.cookie_length = data[at] >> 4
            s.notes = data[at] & 0x3F
            s.outer = data[at] & 8
            if data[at] & 0x80:
                s.kind, s.icmp_type, s.icmp_code = ICMP_QUOTE, data[at] & 15, data[at] & 3
            at += 1
        if s.notes & NOTE_CUT_HEADER and s.kind != ICMP_QUOTE:
            s.notes &= ~<uint8_t>NOTE_CUT_HEADER
        set_flow(s)
        if s.kind == TCP_SEGMENT:
            end = s.seq + s.length + ((s.flags & SYN) >> 1) + (s.flags & FIN)
            if <int32_t>(end - me.nxt) > 0 and s.length < 1 << 20:
                me.nxt = end
            if s.flags & ACK and <int32_t>(s.ack - peer.acked) > 0 and <int32_t>(peer.nxt - s.ack) >= 0:
                peer.acked = s.ack
    return count


cdef int replay(const uint8_t *data, size_t size) except -1:
    """Segments, in batches of a size that the input tells, through two engines that must agree."""
    cdef Segment *items = scratch
    cdef SegmentBatch batch
    cdef uint32_t count, at = 0, n, step
    if size < 10:
        return 0
    count = make_segments(data + 2, size - 2, items)
    step = 1 + data[0] % 64
    batches = []
    while at < count:
        n = min(step, count - at)
        batch = SegmentBatch(n)
        memcpy(batch.items, &items[at], n * sizeof(Segment))
        batch.size = n
        batches.append(batch)
        at += n
    replay_both(batches, data[1] >= 0xF0)
    return 0


class Nowhere:
    """A stream that takes all."""

    @staticmethod
    def write(text):
        return len(text)


def segments_of(bytes data):
    """The segments that `replay` and `streams` make of an input, as wire.layout has them."""
    cdef SegmentBatch batch = SegmentBatch(MOST_SEGMENTS)
    if len(data) > 2:
        batch.size = make_segments(<const uint8_t *><const char *>data + 2, len(data) - 2, batch.items)
    return batch.tobytes()


cdef bint same(bytes records, bytes others, size_t size) except -1:
    """The same records; connections that end may do so in another order."""
    if records == others:
        return True
    return (sorted(records[at:at + size] for at in range(0, len(records), size))
            == sorted(others[at:at + size] for at in range(0, len(others), size)))


cdef bint among(bytes some, bytes records, size_t size) except -1:
    return ({some[at:at + size] for at in range(0, len(some), size)}
            <= {records[at:at + size] for at in range(0, len(records), size)})


cdef int64_t number_of(bytes records, size_t size) except -1:
    demand(<size_t>len(records) % size == 0, b"whole records")
    return <int64_t>(<size_t>len(records) // size)


cdef int replay_both(list batches, bint write) except -1:
    """One engine makes packet records, three do not: connections and events must be the same."""
    cdef Engine bare = Engine(careful=True)      # plain segments are not let off (plain.pyx): it is the same
    cdef Engine full = Engine(packets=True)
    cdef Engine crowded = Engine(unpacked=1)     # of more connections those that are silent are packed (crowd.pyx)
    cdef Engine few = Engine(keep_past=False, most_odd=2, most_plain=1)      # the others are counted (choice.pxd)
    cdef SegmentBatch batch
    cdef uint64_t tcp = 0, packets = 0
    cdef int64_t n, i
    cdef const ConnectionRow *c
    cdef const EventRow *e
    cdef const PacketRow *p
    for batch in batches:
        for i in range(batch.size):
            tcp += batch.items[i].kind == TCP_SEGMENT
        full.replay(batch)
        bare.replay(batch)
        crowded.replay(batch)
        few.replay(batch)
    for engine in (full, bare, crowded, few):
        engine.finish()
    connections, events, evidence = full.take_connections(), full.take_events(), full.take_evidence()
    demand(same(connections, bare.take_connections(), sizeof(ConnectionRow)), b"packet records change no connection")
    demand(same(events, bare.take_events(), sizeof(EventRow)), b"packet records change no event")
    demand(same(evidence, bare.take_evidence(), sizeof(EvidenceRow)), b"packet records change no evidence")
    demand(same(connections, crowded.take_connections(), sizeof(ConnectionRow)), b"packing changes no connection")
    demand(same(events, crowded.take_events(), sizeof(EventRow)), b"packing changes no event")
    demand(same(evidence, crowded.take_evidence(), sizeof(EvidenceRow)), b"packing changes no evidence")
    demand(among(few.take_connections(), connections, sizeof(ConnectionRow)), b"few are told as all are")
    counters = full.counters()
    demand(counters["segments"] == tcp, b"each segment is replayed")
    n = number_of(connections, sizeof(ConnectionRow))
    demand(n == counters["connections"], b"each connection has its record")
    demand(n == number_of(few.take_briefs(), sizeof(Brief)), b"each connection is counted")
    c = <const ConnectionRow *><const char *>connections
    for i in range(n):
        demand(c[i].client_state < n_states and c[i].server_state < n_states, b"a state has a name")
        demand(c[i].conn_state < n_conn_states and c[i].close_kind < n_close_kinds, b"an end has a name")
        demand(c[i].side[0].unique_bytes >= 0 and c[i].side[0].unique_bytes <= c[i].side[0].bytes, b"unique bytes")
        demand(c[i].side[1].unique_bytes >= 0 and c[i].side[1].unique_bytes <= c[i].side[1].bytes, b"unique bytes")
        packets += <uint64_t>c[i].side[0].packets + <uint64_t>c[i].side[1].packets
    demand(packets == tcp, b"each packet is counted for one connection")
    e = <const EventRow *><const char *>events
    for i in range(number_of(events, sizeof(EventRow))):
        demand(e[i].connection < n, b"an event belongs to a connection")
        demand(e[i].old < n_states and e[i].new < n_states and e[i].old != e[i].new, b"a state changes")
    rows = bytearray(full.take_packets())
    bare.settle(rows)
    settled = bytes(rows)
    n = number_of(settled, sizeof(PacketRow))
    demand(<uint64_t>n == tcp, b"each segment has its packet record")
    p = <const PacketRow *><const char *>settled
    for i in range(n):
        demand(p[i].connection < counters["connections"], b"a packet belongs to a connection")
        demand(p[i].client_state < n_states and p[i].server_state < n_states, b"a packet's states have names")
        demand(p[i].annotations >> n_annotations == 0, b"an annotation has a name")
    if write:
        for table, records in (("connections", connections), ("events", events), ("packets", settled)):
            for form in ("csv", "jsonl", "json"):
                writers[table, form].write(records, Nowhere)
    return 0


# ---------------------------------------------------------------- Wireshark's queue

cdef struct Plain:
    int64_t when
    uint32_t seq
    uint32_t end


cdef int queue(const uint8_t *data, size_t size) except -1:
    """The queue of unacknowledged segments against the same without any cleverness: four bytes an operation."""
    cdef Queue q
    cdef Plain plain[MOST_QUEUED]
    cdef uint32_t count = 0, kept, i, number = 0, seq, end, first, last
    cdef int64_t got, wanted
    cdef size_t at = 0
    memset(&q, 0, sizeof(Queue))
    while at + 4 <= size:
        seq = <uint32_t>0xFFFFF000 + (data[at] | <uint32_t>(data[at + 1] & 31) << 8)
        number += 1
        if data[at + 1] & 0x80:
            got, wanted, kept = unacked_forget(&q, seq, number), 0, 0
            for i in range(count):
                if <int32_t>(plain[i].end - seq) > 0:
                    if <int32_t>(plain[i].seq - seq) < 0:
                        plain[i].seq = seq
                    plain[kept] = plain[i]
                    kept += 1
                elif plain[i].end == seq and wanted == 0:
                    wanted = number - plain[i].when
            count = kept
            demand(got == wanted, b"the queue tells the round trip")
        elif count < MOST_QUEUED:
            end = seq + 1 + data[at + 2]
            plain[count].when, plain[count].seq, plain[count].end = number, seq, end
            count += 1
            demand(unacked_add(&q, number, seq, end) == 0, b"there is memory")
        demand(q.count == count, b"the queue knows how much it holds")
        if count:
            first, last = plain[0].seq, plain[0].end
            for i in range(1, count):
                if <int32_t>(plain[i].seq - first) < 0:
                    first = plain[i].seq
                if <int32_t>(plain[i].end - last) > 0:
                    last = plain[i].end
            demand(unacked_span(&q) == last - first, b"the queue knows its span")
        at += 4 if data[at + 1] & 0x40 else 3
    unacked_free(&q)
    return 0


# ---------------------------------------------------------------- streams

cdef int streams(const uint8_t *data, size_t size) except -1:
    """The same segments with a payload, put together as `follow` does."""
    cdef Segment *items = scratch
    cdef Streams both
    cdef uint8_t *payload
    cdef uint32_t count, i, j, length
    cdef int64_t known = 0
    if size < 10:
        return 0
    count = make_segments(data + 2, size - 2, items)
    both = Streams(sides=(not data[0] & 1, not data[0] & 2), most=1 << (4 + (data[1] & 15)), merge=data[0] & 4)
    for i in range(count):
        if items[i].kind != TCP_SEGMENT:
            continue
        length = min(items[i].captured, <uint32_t>4096)
        payload = <uint8_t *>malloc(length)
        for j in range(length):
            payload[j] = <uint8_t>((items[i].seq + j) * 7 + (data[j % size] if data[0] & 8 else 0))
        both.one(items[i].src[3] == 9, &items[i], payload, length)
        free(payload)
        demand(both.waiting <= both.most + 70000, b"what waits is bounded")
        if data[0] & 16:
            known += check_items(both.taken())
    both.finish()
    known += check_items(both.taken())
    found = both.counts()
    demand(known == found[0]["bytes"] + found[1]["bytes"], b"what is counted comes out")
    return 0


cdef int64_t check_items(list items) except -1:
    """Bytes of data among them."""
    cdef int64_t total = 0
    for _, kind, offset, length, _, _, _, _, _, _, data in items:
        demand(length > 0, b"an item has a length")
        if kind == 0:
            demand(length == len(data), b"data has its length")
            total += length
    return total


# ---------------------------------------------------------------- mutators that know a little of the format

cdef uint32_t word_at(const uint8_t *p, bint big) noexcept nogil:
    if big:
        return <uint32_t>p[0] << 24 | <uint32_t>p[1] << 16 | <uint32_t>p[2] << 8 | p[3]
    return <uint32_t>p[3] << 24 | <uint32_t>p[2] << 16 | <uint32_t>p[1] << 8 | p[0]


cdef void set_word(uint8_t *p, uint32_t value, bint big) noexcept nogil:
    cdef int i
    for i in range(4):
        p[3 - i if big else i] = <uint8_t>(value >> (8 * i))


cdef size_t mend_capture(uint8_t *data, size_t size, size_t most, unsigned seed) noexcept nogil:
    """libFuzzer's mutation; then, three times out of four, lengths that fit again, so that the walk goes on."""
    cdef size_t at
    cdef uint32_t length, trailer
    cdef bint big
    size = LLVMFuzzerMutate(data, size, most)
    if size < 40 or seed & 3 == 0:
        return size
    if word_at(data + 1, True) == 0x0A0D0D0A:
        at = 1
        big = word_at(data + 9, True) == 0x1A2B3C4D
        while at + 12 <= size:
            length = word_at(data + at + 4, big)
            if length < 12 or length > size - at or length & 3:
                length = <uint32_t>(size - at) & ~<uint32_t>3
                set_word(data + at + 4, length, big)
            trailer = <uint32_t>at + length - 4
            set_word(data + trailer, length, big)
            at += length
        return size
    big = data[1] == 0xA1
    at = 25
    while at + 16 <= size:
        length = word_at(data + at + 8, big)
        if length > size - at - 16:
            length = <uint32_t>min(size - at - 16, <size_t>(54 + (seed >> 8) % 64))
            set_word(data + at + 8, length, big)
        at += 16 + length
    return size


cdef size_t move_segments(uint8_t *data, size_t size, size_t most, unsigned seed) noexcept nogil:
    """libFuzzer's mutation, or a segment doubled, taken out, or changed for another: eight bytes of the input."""
    cdef size_t count = (size - 2) // 8 if size >= 18 else 0, a, b
    cdef uint8_t one[8]
    if count == 0 or seed & 1:
        return LLVMFuzzerMutate(data, size, most)
    a, b = 2 + (seed >> 4) % count * 8, 2 + (seed >> 14) % count * 8
    memcpy(one, data + a, 8)
    if seed & 6 == 0:
        memcpy(data + a, data + b, 8)
        memcpy(data + b, one, 8)
    elif seed & 6 == 2 and size > 18:
        memmove(data + a, data + a + 8, size - a - 8)
        return size - 8
    elif size + 8 <= most:
        memmove(data + b + 8, data + b, size - b)
        memcpy(data + b, one, 8)
        return size + 8
    return LLVMFuzzerMutate(data, size, most)


# ---------------------------------------------------------------- what first bytes say

cdef bint printable(const char *words, size_t room) noexcept nogil:
    cdef size_t i = 0
    while i < room and words[i]:
        if not 0x20 <= <uint8_t>words[i] < 0x7F:
            return False
        i += 1
    return i < room


cdef int hints(const uint8_t *data, size_t size) except -1:
    """A side's first bytes; the first byte of the input: the service that the other side told."""
    cdef Hint found
    cdef uint8_t *bytes_
    if size < 2:
        return 0
    bytes_ = <uint8_t *>malloc(size - 1)              # of their own: a read past their end is seen
    memcpy(bytes_, data + 1, size - 1)
    memset(&found, 0x55, sizeof(Hint))
    if hint_of(bytes_, size - 1, data[0], &found):
        demand(found.service < N_SERVICES or found.service >= V_GREETING_220, b"a service has a name")
        demand(found.tls_version <= 4 or found.tls_version == NO_VERSION, b"a TLS version has a name")
    demand(printable(found.name, NAME_ROOM) and printable(found.detail, DETAIL_ROOM)
           and printable(found.alpn, ALPN_ROOM), b"a hint's texts are printable")
    free(bytes_)
    return 0


# ---------------------------------------------------------------- into and out of libFuzzer

cdef uint8_t n_states = len(STATES), n_conn_states = len(CONN_STATES), n_close_kinds = len(CLOSE_KINDS)
cdef int n_annotations = len(ANNOTATIONS)
cdef dict writers = {}
cdef int target = 0
TARGETS = ("container", "decoder", "replay", "streams", "pipeline", "queue", "hints")


cdef int one(const uint8_t *data, size_t size) noexcept with gil:
    try:
        run(data, size)
    except BaseException:
        import traceback

        traceback.print_exc()
        fprintf(stderr, b"a Python exception left the target\n")
        abort()
    return 0


cdef int run(const uint8_t *data, size_t size) except -1:
    if target == 0:
        return container(data, size)
    if target == 1:
        return decoder(data, size)
    if target == 2:
        return replay(data, size)
    if target == 3:
        return streams(data, size)
    if target == 5:
        return queue(data, size)
    if target == 6:
        return hints(data, size)
    return pipeline(data, size)


def fuzz(str name, list arguments):
    """Give this thread to libFuzzer, which ends the process."""
    global fuzz_mutator, target
    cdef int argc = len(arguments)
    cdef char **argv = <char **>malloc((argc + 1) * sizeof(char *))
    target = TARGETS.index(name)
    if name in ("replay", "streams"):
        fuzz_mutator = move_segments
    elif name in ("container", "pipeline"):
        fuzz_mutator = mend_capture
    prepare()
    raw = [it.encode() for it in arguments]
    for i in range(argc):
        argv[i] = raw[i]
    argv[argc] = NULL
    return LLVMFuzzerRunDriver(&argc, &argv, one)


def prepare():
    """What targets use again and again."""
    from tcpscope.tables.schema import LAYOUTS, TABLES

    for table in ("connections", "events", "packets"):
        for form in ("csv", "jsonl", "json"):
            writers[table, form] = Formatter(LAYOUTS[table], TABLES[table], form)
