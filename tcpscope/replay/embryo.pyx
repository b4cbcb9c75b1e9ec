# cython: wraparound=False, freethreading_compatible=True
"""Flows of which few segments have been seen.

A SYN flood, a scan, a short request and its answer: many flows never get further.  They are kept as their few
segments, and a connection is made of them when there is more to say, by replaying them at one go: the
result is the same, at a fraction of the memory; and with many flows most of the work is to bring a connection's
memory near, here once and not for every segment.
"""
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from tcpscope.replay.connection cimport MORE, PAIR, PIECES, Flow, Kept, Saved
from tcpscope.replay.pool cimport pool_close, pool_give, pool_open, pool_take
from tcpscope.wire.segment cimport ACK, FIN, RST, SUM_BAD, SUM_GOOD, SYN, Segment

cdef enum:
    MOST = 16                    # segments; a short connection has some twelve
    BOTH = 3                     # Flow.fins

if MOST > PAIR + PIECES * MORE:
    raise ImportError("an embryo's segments do not fit into connection.Kept")


cdef bint embryo_may_begin(const Segment *s) noexcept nogil:
    return s.flags & (SYN | ACK | FIN | RST) == SYN and s.length == 0 and s.n_sack == 0


cdef bint embryo_takes(const Flow *f, const Segment *s, int sender, bint prompt) noexcept nogil:
    """s may be kept; prompt: nothing but one more SYN of the client, the same as before, or a SYN-ACK of the server."""
    if f.n_saved == MOST or s.n_sack:
        return False
    if not s.flags & SYN:
        return not prompt
    if s.flags & (FIN | RST) or s.length or f.past_handshake:
        return False
    return sender == 1 if s.flags & ACK else sender == 0 and s.seq == f.kept.pair[0].seq


cdef void embryos_open(Segments *all) noexcept nogil:
    pool_open(&all.kept, sizeof(Kept))
    pool_open(&all.pieces, MORE * sizeof(Saved))


cdef void embryos_close(Segments *all) noexcept nogil:
    pool_close(&all.kept)
    pool_close(&all.pieces)


cdef Saved *room_for_one(Segments *all, Flow *f) noexcept nogil:
    """Behind those that are kept of f; NULL when memory runs out."""
    cdef int beyond = f.n_saved - PAIR
    cdef Saved *piece
    if f.n_saved == 0:
        f.kept = <Kept *>pool_take(&all.kept)
        return NULL if f.kept == NULL else &f.kept.pair[0]
    if beyond >= 0 and beyond % MORE == 0:
        piece = <Saved *>pool_take(&all.pieces)
        f.kept.pieces[beyond // MORE] = piece
        return piece
    return saved_at(f, f.n_saved)


cdef int embryo_keep(Segments *all, Flow *f, const Segment *s, int sender, uint64_t order,
                     bint stepped_back) noexcept nogil:
    """Append s; -1 when memory runs out.  stepped_back: it is older than what came before it."""
    cdef Saved *k = room_for_one(all, f)
    if k == NULL:
        return -1
    f.n_saved += 1
    k.time_ns, k.frame, k.payload_at, k.order = s.time_ns, s.frame, s.payload_at, order
    k.seq, k.ack, k.options, k.ts_val, k.ts_ecr, k.ip_id = s.seq, s.ack, s.options, s.ts_val, s.ts_ecr, s.ip_id
    k.length, k.flags, k.window, k.urgent, k.checksum, k.mss = s.length, s.flags, s.window, s.urgent, s.checksum, s.mss
    k.file, k.window_scale, k.checksum_state = s.file, s.window_scale, s.checksum_state
    k.ttl, k.tos, k.notes, k.header_length = s.ttl, s.tos, s.notes, s.header_length
    k.captured = s.captured
    k.cookie_length, k.sender, k.stepped_back = s.cookie_length, <unsigned char>sender, stepped_back
    if not s.flags & SYN:
        f.past_handshake = True
    if s.flags & FIN:
        f.fins |= <unsigned char>(1 + sender)
    if s.flags & RST:
        f.fins = BOTH
    return 0


cdef bint embryo_damaged(const Flow *f, const Segment *s, int sender) noexcept nogil:
    """Its receiver discards s: the checksum is wrong, and was right before."""
    cdef const Saved *k
    cdef int i
    if s.checksum_state == SUM_BAD:
        for i in range(f.n_saved):
            k = saved_at(f, i)
            if k.sender == sender and k.checksum_state == SUM_GOOD:
                return True
    return False


cdef bint embryo_begins(const Flow *f, const Segment *s, int sender) noexcept nogil:
    """The sender's stream begins with s."""
    cdef const Saved *k
    cdef int i
    for i in range(f.n_saved - 1, -1, -1):
        k = saved_at(f, i)
        if k.sender == sender and k.flags & SYN:
            return s.seq == k.seq + 1
    return False


cdef bint embryo_may_be_closed(const Flow *f) noexcept nogil:
    """Both ends have sent FIN, or one has sent RST; whether they were closed by it the replay tells."""
    return f.fins == BOTH


cdef int64_t embryo_last_ns(const Flow *f) noexcept nogil:
    """Time of its latest segment."""
    return saved_at(f, f.n_saved - 1).time_ns


cdef void embryo_segment(const Flow *f, const Saved *k, Segment *s) noexcept nogil:
    """The segment that k was made of."""
    memset(s, 0, sizeof(Segment))
    memcpy(s.src, f.addr[k.sender], 16)
    memcpy(s.dst, f.addr[1 - k.sender], 16)
    s.sport, s.dport = f.port[k.sender], f.port[1 - k.sender]
    s.flow, s.outer, s.ip_version = f.hash, f.outer, f.ip_version
    s.time_ns, s.frame, s.payload_at = k.time_ns, k.frame, k.payload_at
    s.seq, s.ack, s.options, s.ts_val, s.ts_ecr, s.ip_id = k.seq, k.ack, k.options, k.ts_val, k.ts_ecr, k.ip_id
    s.length, s.flags, s.window, s.urgent, s.checksum, s.mss = k.length, k.flags, k.window, k.urgent, k.checksum, k.mss
    s.file, s.window_scale, s.checksum_state = k.file, k.window_scale, k.checksum_state
    s.ttl, s.tos, s.notes, s.header_length = k.ttl, k.tos, k.notes, k.header_length
    s.captured, s.cookie_length = k.captured, k.cookie_length


cdef void embryo_free(Segments *all, Flow *f) noexcept nogil:
    cdef int i
    for i in range((f.n_saved - PAIR + MORE - 1) // MORE if f.n_saved > PAIR else 0):
        pool_give(&all.pieces, f.kept.pieces[i])
    if f.n_saved:
        pool_give(&all.kept, f.kept)
    f.kept = NULL
    f.n_saved = 0
