# cython: wraparound=False, freethreading_compatible=True
"""Flows of which nothing but SYNs and SYN-ACKs has been seen.

A SYN flood, a scan, an unanswered client: many flows never get further.  They are kept as their few
segments, and a connection is made of them when there is more to say, by replaying them: the
result is the same, at a fraction of the memory and of the work.
"""
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from tcpscope.replay.connection cimport Flow, Saved
from tcpscope.wire.segment cimport ACK, FIN, RST, SYN, Segment

cdef enum:
    MOST = 8                     # segments; Linux repeats a SYN-ACK five times, a SYN six times


cdef bint embryo_may_begin(const Segment *s) noexcept nogil:
    return s.flags & (SYN | ACK | FIN | RST) == SYN and s.length == 0 and s.n_sack == 0


cdef bint embryo_takes(const Flow *f, const Segment *s, int sender) noexcept nogil:
    """s is one more SYN of the client, the same as before, or a SYN-ACK of the server."""
    if f.n_saved == MOST or s.flags & (SYN | FIN | RST) != SYN or s.length or s.n_sack:
        return False
    return sender == 1 if s.flags & ACK else sender == 0 and s.seq == f.saved[0].seq


cdef int embryo_keep(Flow *f, const Segment *s, int sender, uint64_t order, bint stepped_back) noexcept nogil:
    """Append s; -1 when memory runs out.  stepped_back: it is older than what came before it."""
    cdef Saved *k
    cdef int room
    if f.n_saved == f.saved_room:
        room = f.saved_room * 2 if f.saved_room else 1
        k = <Saved *>realloc(f.saved, room * sizeof(Saved))
        if k == NULL:
            return -1
        f.saved, f.saved_room = k, room
    k = &f.saved[f.n_saved]
    f.n_saved += 1
    k.time_ns, k.frame, k.payload_at, k.order = s.time_ns, s.frame, s.payload_at, order
    k.seq, k.ack, k.options, k.ts_val, k.ts_ecr, k.ip_id = s.seq, s.ack, s.options, s.ts_val, s.ts_ecr, s.ip_id
    k.flags, k.window, k.urgent, k.checksum, k.mss = s.flags, s.window, s.urgent, s.checksum, s.mss
    k.file, k.interface, k.window_scale, k.checksum_state = s.file, s.interface, s.window_scale, s.checksum_state
    k.ttl, k.tos, k.notes, k.header_length = s.ttl, s.tos, s.notes, s.header_length
    k.cookie_length, k.sender, k.stepped_back = s.cookie_length, <unsigned char>sender, stepped_back
    return 0


cdef void embryo_segment(const Flow *f, const Saved *k, Segment *s) noexcept nogil:
    """The segment that k was made of."""
    memset(s, 0, sizeof(Segment))
    memcpy(s.src, f.addr[k.sender], 16)
    memcpy(s.dst, f.addr[1 - k.sender], 16)
    s.sport, s.dport = f.port[k.sender], f.port[1 - k.sender]
    s.flow, s.outer, s.ip_version = f.hash, f.outer, f.ip_version
    s.time_ns, s.frame, s.payload_at = k.time_ns, k.frame, k.payload_at
    s.seq, s.ack, s.options, s.ts_val, s.ts_ecr, s.ip_id = k.seq, k.ack, k.options, k.ts_val, k.ts_ecr, k.ip_id
    s.flags, s.window, s.urgent, s.checksum, s.mss = k.flags, k.window, k.urgent, k.checksum, k.mss
    s.file, s.interface, s.window_scale, s.checksum_state = k.file, k.interface, k.window_scale, k.checksum_state
    s.ttl, s.tos, s.notes, s.header_length = k.ttl, k.tos, k.notes, k.header_length
    s.cookie_length = k.cookie_length


cdef void embryo_free(Flow *f) noexcept nogil:
    free(f.saved)
    f.saved = NULL
    f.n_saved = f.saved_room = 0
