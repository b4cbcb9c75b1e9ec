# cython: wraparound=False, freethreading_compatible=True
"""Which connection a segment belongs to, once the capture has been replayed.

A flow's connections follow each other: each owns the flow's segments from its first frame to its
last.  So a second reading needs no replay to tell whose a segment is, only the connections' records
and the same segments in the same order.
"""
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from tcpscope.capture.frames cimport FrameSet
from tcpscope.replay.rows cimport ConnectionRow
from tcpscope.replay.store cimport drop, more
from tcpscope.wire.batch cimport SegmentBatch
from tcpscope.wire.flow cimport set_flow
from tcpscope.wire.segment cimport ICMP_QUOTE, Segment, spot

cdef enum:
    FIRST_SLOTS = 256


cdef class Owners:
    """The connections asked for.  by_tunnel: as in the replay.  everything: all segments are chosen."""

    def __cinit__(self, *, bint by_tunnel=False, bint everything=False):
        memset(&self.spans, 0, sizeof(self.spans))
        memset(&self.flows, 0, sizeof(self.flows))
        self.by_outer, self.everything = by_tunnel, everything
        self.mask = FIRST_SLOTS - 1
        self.slots = <uint32_t *>calloc(FIRST_SLOTS, sizeof(uint32_t))
        if self.slots == NULL or more(&self.spans, sizeof(Span)) == NULL or more(&self.flows, sizeof(Owned)) == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.slots)
        drop(&self.spans)
        drop(&self.flows)

    def __len__(self):
        return self.n_spans

    def add(self, const unsigned char[::1] records):
        """More connections, as layout.CONNECTION records; a flow's in any order."""
        cdef Py_ssize_t i, count = records.shape[0] // <Py_ssize_t>sizeof(ConnectionRow)
        cdef const ConnectionRow *row
        cdef Segment s
        cdef Owned *f
        cdef Span *span
        cdef Span *spans
        cdef uint32_t at, hash
        cdef uint32_t *link
        memset(&s, 0, sizeof(Segment))
        for i in range(count):
            row = <const ConnectionRow *>&records[i * <Py_ssize_t>sizeof(ConnectionRow)]
            memcpy(s.src, row.client_addr, 16)
            memcpy(s.dst, row.server_addr, 16)
            s.sport, s.dport, s.ip_version, s.outer = row.client_port, row.server_port, row.ip_version, row.outer
            set_flow(&s)
            hash = hash_of(self, &s)
            f = self.flow(&s, hash)
            if f == NULL:
                self.add_flow(&s, hash)
                f = self.flow(&s, hash)
            span = <Span *>more(&self.spans, sizeof(Span))
            if span == NULL:
                raise MemoryError()
            memset(span, 0, sizeof(Span))
            self.n_spans += 1
            span.first_frame, span.last_frame = row.first_frame, row.last_frame
            span.number = row.connection
            spans = <Span *>self.spans.data
            link = &f.first
            if f.first and spans[f.last].number < span.number:
                link = &spans[f.last].later
            while link[0] and spans[link[0]].number < span.number:
                link = &spans[link[0]].later
            at, link[0] = link[0], self.n_spans
            span.later = at
            if not at:
                f.last = self.n_spans

    cdef int add_flow(self, const Segment *s, uint32_t hash) except -1:
        cdef Owned *f
        if self.n_flows >= self.mask:
            self.grow()
        f = <Owned *>more(&self.flows, sizeof(Owned))
        if f == NULL:
            raise MemoryError()
        memset(f, 0, sizeof(Owned))
        self.n_flows += 1
        memcpy(f.addr[0], s.src, 16)
        memcpy(f.addr[1], s.dst, 16)
        f.port[0], f.port[1], f.version, f.outer, f.hash = s.sport, s.dport, s.ip_version, s.outer, hash
        f.chain = self.slots[hash & self.mask]
        self.slots[hash & self.mask] = self.n_flows
        return 0

    cdef int grow(self) except -1:
        cdef uint32_t size = (self.mask + 1) * 4, i
        cdef uint32_t *fresh = <uint32_t *>calloc(size, sizeof(uint32_t))
        cdef Owned *flows = <Owned *>self.flows.data
        if fresh == NULL:
            raise MemoryError()
        for i in range(1, self.n_flows + 1):
            flows[i].chain = fresh[flows[i].hash & (size - 1)]
            fresh[flows[i].hash & (size - 1)] = i
        free(self.slots)
        self.slots, self.mask = fresh, size - 1
        return 0

    cdef Owned *flow(self, const Segment *s, uint32_t hash) noexcept nogil:
        """The flow of s; NULL if no connection asked for is of it."""
        cdef Owned *flows = <Owned *>self.flows.data
        cdef uint32_t at = self.slots[hash & self.mask]
        while at:
            if (flows[at].hash == hash and flows[at].version == s.ip_version
                    and (not self.by_outer or flows[at].outer == s.outer)
                    and (is_between(&flows[at], s, 0) or is_between(&flows[at], s, 1))):
                return &flows[at]
            at = flows[at].chain
        return NULL

    cdef Span *find(self, const Segment *s) noexcept nogil:
        """The connection asked for that s belongs to; NULL: none.  Segments must come in the replay's order."""
        cdef Owned *f = self.flow(s, hash_of(self, s))
        cdef Span *spans = <Span *>self.spans.data
        cdef Span *span
        if f == NULL:
            return NULL
        if s.kind == ICMP_QUOTE:                  # an answer may come after the last segment
            return &spans[f.now] if f.now else NULL
        if f.now and not spans[f.now].over:
            span = &spans[f.now]
        elif f.first and spans[f.first].first_frame == spot(s):
            f.now = f.first
            span = &spans[f.now]
            f.first = span.later
        else:
            return NULL
        span.over = span.last_frame == spot(s)
        return span

    def choose(self, SegmentBatch batch not None, FrameSet frames not None, since=None, until=None):
        """Add to `frames` the batch's segments that belong to the connections, from `since` to `until` (ns)."""
        cdef Py_ssize_t i
        cdef int64_t begin = INT64_MIN if since is None else since, end = INT64_MAX if until is None else until
        cdef const Segment *s
        cdef Span *span
        cdef bint room = True
        with nogil:
            for i in range(batch.size):
                s = &batch.items[i]
                if not self.everything:
                    span = self.find(s)
                    if span == NULL:
                        continue
                    if begin <= s.time_ns <= end:
                        span.used = 1
                if begin <= s.time_ns <= end and s.file < frames.n_files:
                    room = room and frames.put(s.file, s.frame)
        if not room:
            raise MemoryError()

    def used(self):
        """How many of the connections have a chosen segment."""
        cdef uint32_t i
        cdef const Span *spans = <const Span *>self.spans.data
        return sum(spans[i].used for i in range(1, self.n_spans + 1))


cdef inline bint is_between(const Owned *f, const Segment *s, int d) noexcept nogil:
    """s goes from end d of the flow to the other."""
    return (f.port[d] == s.sport and f.port[1 - d] == s.dport and memcmp(f.addr[d], s.src, 16) == 0
            and memcmp(f.addr[1 - d], s.dst, 16) == 0)


cdef inline uint32_t hash_of(Owners self, const Segment *s) noexcept nogil:
    return s.flow ^ (s.outer * <uint32_t>0x9E3779B1 if self.by_outer else 0)
