"""Memory brought near before it is needed: with many flows, most of the time goes into waiting for it."""
from tcpscope.replay.connection cimport PACKED, Connection, Flow, Packed, Saved
from tcpscope.replay.embryo cimport saved_at
from tcpscope.replay.flight cimport Flight
from tcpscope.replay.wireshark cimport WiresharkSide
from tcpscope.wire.segment cimport Segment

cdef extern from *:
    void prefetch "__builtin_prefetch" (const void *) noexcept nogil

cdef enum:
    LINE = 64                        # bytes of a cache line


cdef inline void near_segment(const Segment *s) noexcept nogil:
    prefetch(s)
    prefetch(<const char *>s + LINE)
    prefetch(<const char *>s + 2 * LINE - 1)


cdef inline void near_flow(const Flow *f) noexcept nogil:
    prefetch(f)
    prefetch(<const char *>f + LINE)


cdef inline void near_body(const Flow *f) noexcept nogil:
    """The connection, every second line: the processor brings the neighbour."""
    cdef size_t at = 0
    while f.body != NULL and at < sizeof(Connection):
        prefetch(<const char *>f.body + at)
        at += 2 * LINE


cdef inline void near_kept(const Flow *f) noexcept nogil:
    """Where an embryo's segments are."""
    prefetch(&f.kept.pieces)


cdef inline void near_saved(const Flow *f) noexcept nogil:
    """Room for the next segment of an embryo whose `near_kept` has come."""
    cdef const char *next = <const char *>saved_at(f, f.n_saved - 1) + sizeof(Saved)
    prefetch(next)
    prefetch(next + LINE)


cdef inline void near_rings(const Flight *f, const WiresharkSide *w) noexcept nogil:
    """What the observers keep of the segments in flight."""
    if f.room:
        prefetch(&f.ring[(f.head + f.old) & (f.room - 1)])
        prefetch(&f.ring[(f.head + f.old + f.live) & (f.room - 1)])
    if w.unacked.room:
        prefetch(&w.unacked.ring[w.unacked.head])


cdef inline void near_end(const Flow *f) noexcept nogil:
    """What is read of a flow that ends, which is near itself."""
    cdef const Connection *c = f.body
    cdef const Packed *packed = f.packed
    cdef int i
    while packed != NULL:
        for i in range(PACKED // LINE + 1):
            prefetch(&packed.bytes[i * LINE])
        packed = packed.next
    for i in range(f.n_saved):
        prefetch(saved_at(f, i))
    if c == NULL:
        return
    for i in range(0, c.marks.count, 2):
        prefetch(&c.marks.items[i])
    for i in range(2):
        prefetch(c.traffic[i].rtt.firsts)
        prefetch(c.traffic[i].rtt.histogram)
