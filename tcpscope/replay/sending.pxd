"""What new data mean for their sender's flight."""
from libc.stdint cimport int16_t, int32_t, int64_t, uint32_t, uint64_t

from tcpscope.replay.chunks cimport append
from tcpscope.replay.copies cimport identified
from tcpscope.replay.flight cimport Flight
from tcpscope.replay.sacks cimport SPARE
from tcpscope.replay.seq cimport after
from tcpscope.wire.segment cimport FIN, OPT_TIMESTAMPS, SYN, Segment

cdef enum:
    SMALL = 536                  # bytes of a segment that a program wrote so, and no path asks for (RFC 9293, 3.7.1)


cdef inline void watch_order(Flight *f, const Segment *s, bint new) noexcept nogil:
    """Newest IP ID and timestamp of the data; whether the IDs grow with every packet.  A SYN has one of its own.

    new: s holds nothing but new data, whose ID and timestamp count whatever they were before; a repetition may have
    been overtaken.
    """
    cdef int32_t step
    if identified(s) and not s.flags & SYN:
        step = <int32_t><int16_t>(s.ip_id - f.top_id)
        if f.ids == 0:
            f.ids = 1
        elif f.ids == 1 and (step < -2048 or step > 2048):
            f.ids = 2
        if new or step > 0:
            f.top_id = s.ip_id
    if s.options & OPT_TIMESTAMPS:
        if new or not f.has_ts or after(s.ts_val, f.top_ts):
            f.top_ts = s.ts_val
        f.has_ts = True


cdef inline int sent_next(Flight *f, const Segment *s, uint32_t end, uint64_t order, int64_t *since_ns) noexcept nogil:
    """Nothing of s, which ends at `end`, was sent before; -1 when memory runs out.

    since_ns: set to the time since the sender's data before.
    """
    cdef int result
    if f.live and s.length and 0 < f.length_last < SMALL and s.length < SMALL and not s.flags & FIN:
        f.undelayed = True                          # two small ones at a time: Nagle's algorithm is off
    result = append(f, s, end, order)
    f.spare += SPARE
    f.max = end
    since_ns[0] = s.time_ns - f.sent_ns
    f.sent_ns = s.time_ns
    f.length_before, f.length_last = f.length_last, s.length
    watch_order(f, s, True)
    return result
