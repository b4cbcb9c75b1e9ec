# cython: wraparound=False, freethreading_compatible=True
"""The replay: segments in, records of packets, events and connections out.

Every segment passes the observers in turn: Wireshark's rules, the flight of its sender and of
its receiver, the traffic statistics, Zeek's history; and the marks from which the states are
told when the connection ends or the capture does.  No Python object in the loop, no GIL.
"""
import os

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy, memset

from tcpscope.replay import layout
from tcpscope.replay.annotate cimport annotate, count_annotations
from tcpscope.replay.annotations cimport A_DUPLICATE_CAPTURE, A_NETWORK_DUPLICATE, bit
from tcpscope.replay.connection cimport Connection
from tcpscope.replay.flight cimport (
    Finding, Flight, flight_acked, flight_copy, flight_free, flight_sent,
)
from tcpscope.replay.flows cimport (
    flows_add, flows_close, flows_find, flows_known, flows_open, flows_remove, flows_unlink,
)
from tcpscope.replay.lifecycle cimport Step
from tcpscope.replay.marks cimport (
    MARK_BAD_SUM, MARK_EXACT, MARK_REUSE, MARK_UNREACHABLE, marks_free, marks_keep, marks_want,
)
from tcpscope.replay.rows cimport ConnectionRow, EventRow, PacketRow
from tcpscope.replay.settle cimport Past, Patch, settle_patches, settle_states
from tcpscope.replay.store cimport Store, drop, more
from tcpscope.replay.summary cimport Told, summarize, tell
from tcpscope.replay.traffic cimport traffic_free, traffic_observe, traffic_observe_copy
from tcpscope.replay.wireshark cimport (
    WS_REUSED_PORTS, Marks as Shown, wireshark_free, wireshark_new_stream, wireshark_observe, wireshark_start,
)
from tcpscope.replay.zeek cimport role_of_first, zeek_observe, zeek_start
from tcpscope.wire.batch cimport SegmentBatch
from tcpscope.wire.segment cimport (
    ACK, FIN, ICMP_QUOTE, OPT_FAST_OPEN, RST, SUM_BAD, SUM_GOOD, SYN, Segment,
)

assert layout.PACKET.size == sizeof(PacketRow), (layout.PACKET.size, sizeof(PacketRow))
assert layout.EVENT.size == sizeof(EventRow), (layout.EVENT.size, sizeof(EventRow))
assert layout.CONNECTION.size == sizeof(ConnectionRow), (layout.CONNECTION.size, sizeof(ConnectionRow))

cdef enum:
    STEP_BACK_NS = 1_000_000_000     # a clock that goes back by more has been set
    HANDED_DOWN = 8                  # segments of a new incarnation that are looked at for the old one's sake

cdef uint64_t TWICE = bit(A_DUPLICATE_CAPTURE) | bit(A_NETWORK_DUPLICATE)


# ---------------------------------------------------------------- beginnings and ends

cdef Connection *begin(Replay *r, const Segment *s, uint64_t hash, bint reused) noexcept nogil:
    """A new connection from its first segment; NULL when memory runs out."""
    cdef Connection *c = flows_add(&r.flows, hash)
    cdef int client
    if c == NULL:
        return NULL
    client = role_of_first(s)                 # 0: its sender
    c.number = r.n_connections
    r.n_connections += 1
    c.start_ns, c.first_frame, c.file = s.time_ns, s.frame, s.file
    c.ip_version, c.outer, c.reused = s.ip_version, s.outer, reused
    memcpy(c.addr[client], s.src, 16)
    memcpy(c.addr[1 - client], s.dst, 16)
    c.port[client], c.port[1 - client] = s.sport, s.dport
    c.role_evidence = <uint8_t>((1 if s.flags & ACK else 0) if s.flags & SYN else (2 if s.sport != s.dport else 3))
    c.from_start = s.flags & (SYN | ACK) == SYN
    c.icmp_type = 255
    c.syn_ns[0] = c.syn_ns[1] = c.ack_ns = c.reused_ns = c.reset_ns = c.last_syn_ns = -1
    wireshark_start(&c.wireshark, s, client)
    zeek_start(&c.zeek, s)
    return c


cdef int end(Replay *r, Connection *c) noexcept nogil:
    """Tell c's states, write its records, and free it."""
    cdef Told told
    cdef ConnectionRow *row
    cdef int side, i
    if c.older != NULL and end(r, c.older) < 0:
        return -1
    c.older = NULL
    tell(c, r.now_ns, r.msl_ns, &told)
    row = <ConnectionRow *>more(&r.connections, sizeof(ConnectionRow))
    if row == NULL:
        return -1
    summarize(c, &told, r.now_ns, r.msl_ns, row)
    for side in range(2):
        for i in range(told.lives[side].count):
            if write_event(r, c, side, &told.lives[side].steps[i]) < 0:
                return -1
    if r.keep_past and remember_past(r, c, &told) < 0:
        return -1
    release(r, c)
    return 0


cdef int remember_past(Replay *r, const Connection *c, const Told *told) noexcept nogil:
    """Keep the steps of both ends, for `settle`."""
    cdef Past *past
    cdef Step *steps
    cdef int side
    while <uint64_t>r.pasts.size <= c.number * sizeof(Past):
        past = <Past *>more(&r.pasts, sizeof(Past))
        if past == NULL:
            return -1
        memset(past, 0, sizeof(Past))
    past = <Past *>(r.pasts.data + c.number * sizeof(Past))
    past.first = r.steps.size // sizeof(Step)
    for side in range(2):
        past.counts[side] = told.lives[side].count
        past.initial[side] = told.initial[side]
        if told.lives[side].count:
            steps = <Step *>more(&r.steps, told.lives[side].count * sizeof(Step))
            if steps == NULL:
                return -1
            memcpy(steps, told.lives[side].steps, told.lives[side].count * sizeof(Step))
    return 0


cdef void release(Replay *r, Connection *c) noexcept nogil:
    if c.older != NULL:
        release(r, c.older)
    wireshark_free(&c.wireshark)
    marks_free(&c.marks)
    for side in range(2):
        flight_free(&c.flight[side])
        traffic_free(&c.traffic[side])
    flows_remove(&r.flows, c)


cdef int write_event(Replay *r, Connection *c, int side, const Step *step) noexcept nogil:
    cdef EventRow *e = <EventRow *>more(&r.events, sizeof(EventRow))
    if e == NULL:
        return -1
    memset(e, 0, sizeof(EventRow))
    e.time_ns, e.frame, e.order = step.time_ns, step.frame, step.order
    e.connection, e.port, e.file = c.number, c.port[side], c.file
    memcpy(e.ip, c.addr[side], 16)
    e.ip_version, e.endpoint = c.ip_version, <uint8_t>side
    e.old, e.new, e.event, e.inferred = step.old, step.new, step.event, step.inferred
    return 0


cdef void linger(Replay *r, Connection *c) noexcept nogil:
    """Both ends have closed: c is done 2 MSL after its last segment."""
    c.lingering = True
    c.linger_until_ns = c.last_ns + 2 * r.msl_ns
    c.after_lingering, c.before_lingering = NULL, r.closed_last
    if r.closed_last == NULL:
        r.closed_first = c
    else:
        r.closed_last.after_lingering = c
    r.closed_last = c


cdef void unlink(Replay *r, Connection *c) noexcept nogil:
    """Take c out of the list of closed ones."""
    if c.before_lingering == NULL:
        r.closed_first = c.after_lingering
    else:
        c.before_lingering.after_lingering = c.after_lingering
    if c.after_lingering == NULL:
        r.closed_last = c.before_lingering
    else:
        c.after_lingering.before_lingering = c.before_lingering
    c.lingering = False


cdef int retire(Replay *r) noexcept nogil:
    """End the closed connections whose time has come."""
    cdef Connection *c
    while r.closed_first != NULL and r.closed_first.linger_until_ns < r.now_ns:
        c = r.closed_first
        unlink(r, c)
        if c.last_ns + 2 * r.msl_ns >= r.now_ns:
            linger(r, c)
        elif end(r, c) < 0:
            return -1
    return 0


# ---------------------------------------------------------------- one segment

cdef inline void handshake(Connection *c, const Segment *s, int d) noexcept nogil:
    """Times and kind of the opening."""
    if s.flags & SYN:
        c.last_syn_ns = s.time_ns
        if s.flags & ACK:
            if c.syn_ns[1] < 0 and c.syn_ns[0] >= 0:
                c.syn_rtt_ns = s.time_ns - c.syn_ns[0]
            c.syn_ns[1] = s.time_ns
        else:
            if d == 1:
                c.simultaneous = True
            c.syn_ns[0] = s.time_ns
        if s.options & OPT_FAST_OPEN and s.length and not s.flags & ACK:
            c.fast_open = True
    elif d == 0 and c.syn_ns[1] >= 0 and c.ack_ns < 0 and s.flags & ACK and not s.flags & RST:
        c.ack_ns = s.time_ns
        c.ack_rtt_ns = s.time_ns - c.syn_ns[1]


cdef inline void closing(Replay *r, Connection *c, const Segment *s, int d) noexcept nogil:
    """Notice when both ends are done, so that the connection can be let go in time."""
    cdef Flight *mine = &c.flight[d]
    cdef Flight *theirs = &c.flight[1 - d]
    if s.flags & RST:
        c.reset = True
        if c.reset_ns < 0:
            c.reset_ns, c.reset_by = s.time_ns, <uint8_t>d
    if s.flags & FIN and not c.fin_seen:
        c.first_fin = <uint8_t>d
        c.fin_seen = True
    if theirs.fin_sent and s.flags & ACK and theirs.live == 0:
        c.fins |= <uint8_t>(2 - d)            # bit of the other side: 1 client, 2 server
    if mine.fin_sent and mine.live == 0:
        c.fins |= <uint8_t>(1 + d)
    if not c.lingering and (c.reset or c.fins == 3):
        linger(r, c)


cdef inline bint damaged(const Connection *c, const Segment *s, int d) noexcept nogil:
    """The receiver's TCP discards it.  A capture in which every sum is wrong was anonymised or edited instead."""
    return s.checksum_state == SUM_BAD and c.side[d].good_sum


cdef inline uint8_t mark_bits(const Connection *c, const Segment *s, int d) noexcept nogil:
    cdef const Flight *mine = &c.flight[d]
    cdef uint8_t bits = MARK_BAD_SUM if damaged(c, s, d) else 0
    if s.flags & RST and (s.seq == mine.max or s.seq == mine.una):
        bits |= MARK_EXACT
    return bits


cdef int hand_down(Replay *r, Connection *c, const Segment *s, int d, uint64_t order) noexcept nogil:
    """What still belongs to the incarnation before c: the answer to its numbers, until the new one is answered.

    A SYN that meets an old connection gets a challenge ACK; the RST that answers it ends the old one (RFC 9293, 3.5.1,
    figure 9; RFC 5961, 4.2).
    """
    cdef Connection *old = c.older
    cdef int side = d if old.port[0] == c.port[0] and memcmp(old.addr[0], c.addr[0], 16) == 0 else 1 - d
    cdef Flight *mine = &old.flight[side]
    if (s.flags & (SYN | ACK) == SYN | ACK or s.time_ns - old.reused_ns > 2 * r.msl_ns
            or c.traffic[0].packets + c.traffic[1].packets > HANDED_DOWN):
        c.older = NULL
        return end(r, old)
    if s.flags & SYN or s.length or (s.seq != mine.max and s.seq != mine.una):
        return 0
    if s.flags & RST and not old.reset:
        old.reset, old.reset_ns, old.reset_by = True, s.time_ns, <uint8_t>side
    return marks_keep(&old.marks, s, side, order, mark_bits(old, s, side))


cdef int observe(Replay *r, const Segment *s) noexcept nogil:
    """Replay one TCP segment; -1 when memory runs out."""
    cdef Connection *c
    cdef Connection *older = NULL
    cdef uint64_t hash, order = r.segments, own
    cdef int d = 0
    cdef bint reused = False, copy, fresh = False
    cdef Shown shown
    cdef Finding f
    cdef int64_t reach
    cdef Patch *patch

    r.segments += 1
    if s.time_ns > r.now_ns or r.segments == 1:
        r.now_ns = s.time_ns
    elif s.time_ns < r.now_ns - STEP_BACK_NS:
        r.clock_steps += 1
    if r.closed_first != NULL and retire(r) < 0:
        return -1
    c = flows_find(&r.flows, s, &hash, &d)
    if c != NULL and wireshark_new_stream(&c.wireshark, s, d):
        c.reused_ns, c.reused_frame, c.reused_order = s.time_ns, s.frame, order
        if marks_keep(&c.marks, s, d, order, MARK_REUSE) < 0:
            return -1
        if c.lingering:
            unlink(r, c)
            if end(r, c) < 0:
                return -1
        else:
            older = c
            flows_unlink(&r.flows, c)
        c, reused = NULL, True
    if c == NULL:
        reused = reused or (s.flags & (SYN | ACK) == SYN and flows_known(&r.flows, hash))
        c = begin(r, s, hash, reused)
        if c == NULL:
            return -1
        fresh = True
        d = role_of_first(s)
        c.older = older

    memset(&f, 0, sizeof(Finding))
    f.rtt_ns = -1
    if wireshark_observe(&c.wireshark, s, d, r.want_packets, &shown) < 0:
        return -1
    if fresh and reused:
        shown.marks |= WS_REUSED_PORTS
    if s.checksum_state == SUM_GOOD:
        c.side[d].good_sum = True
    copy = flight_copy(&c.flight[d], s, c.copies > 0, &f)
    handshake(c, s, d)
    if not copy:
        reach = c.flight[1 - d].rtt_min_ns
        if not damaged(c, s, d):
            flight_acked(&c.flight[1 - d], s, shown.window, reach, &f)
        if flight_sent(&c.flight[d], s, order, reach, &f) < 0:
            return -1
    if f.annotations & TWICE:
        c.copies += 1
        traffic_observe_copy(&c.traffic[d], s)
    elif traffic_observe(&c.traffic[d], &c.traffic[1 - d], s) < 0:
        return -1
    zeek_observe(&c.zeek, s, d)
    if marks_want(&c.marks, s, d) and not copy:
        if marks_keep(&c.marks, s, d, order, mark_bits(c, s, d)) < 0:
            return -1
    if c.older != NULL and not fresh and hand_down(r, c, s, d, order) < 0:
        return -1
    own = annotate(c, s, d, copy, &shown, &f, r.now_ns)
    count_annotations(c, s, d, own, shown.window)
    c.last_ns, c.last_frame = s.time_ns, s.frame
    c.side[d].last_ns = s.time_ns
    closing(r, c, s, d)
    if f.late_bits:
        c.side[1 - d].counts[3] += 1          # N_SPURIOUS
        if r.keep_past:
            patch = <Patch *>more(&r.patches, sizeof(Patch))
            if patch == NULL:
                return -1
            patch.order, patch.bits = f.late_order, f.late_bits
    if r.want_packets:
        return write_packet(r, c, s, d, order, own, &shown, &f)
    return 0


cdef int write_packet(Replay *r, const Connection *c, const Segment *s, int d, uint64_t order, uint64_t own,
                      const Shown *shown, const Finding *f) noexcept nogil:
    cdef PacketRow *p = <PacketRow *>more(&r.packets, sizeof(PacketRow))
    cdef uint32_t base = c.wireshark.side[d].base, peer = c.wireshark.side[1 - d].base
    cdef int i
    if p == NULL:
        return -1
    memset(p, 0, sizeof(PacketRow))
    p.frame, p.order, p.time_ns, p.payload_at = s.frame, order, s.time_ns, s.payload_at
    p.annotations, p.retransmission_of, p.acked_frame = own, f.retransmission_of, f.acked_frame
    p.rtt_ns = f.rtt_ns
    p.ack_rtt_ns = shown.ack_rtt if shown.ack_rtt else -1
    p.initial_rtt_ns = shown.irtt if shown.irtt else -1
    memcpy(p.src, s.src, 16)
    memcpy(p.dst, s.dst, 16)
    p.connection, p.wireshark = c.number, shown.marks
    p.seq_raw, p.ack_raw = s.seq, s.ack
    p.seq = s.seq - base
    p.ack = s.ack - peer if s.flags & ACK else s.ack
    p.length, p.window = s.length, shown.window
    p.bytes_in_flight, p.duplicate_ack_num = shown.bytes_in_flight, shown.duplicate_ack_num
    p.ts_val, p.ts_ecr, p.options = s.ts_val, s.ts_ecr, s.options
    for i in range(2 * s.n_sack):
        p.sack[i] = s.sack[i] - peer
    p.sport, p.dport, p.flags, p.window_raw = s.sport, s.dport, s.flags, s.window
    p.mss, p.file, p.window_scale, p.n_sack = s.mss, s.file, s.window_scale, s.n_sack
    p.sender, p.ip_version, p.ttl, p.checksum_state = <uint8_t>d, s.ip_version, s.ttl, s.checksum_state
    p.client_state = p.server_state = 11      # UNKNOWN until settled
    return 0


cdef int quote(Replay *r, const Segment *s) noexcept nogil:
    """An ICMP error that quotes a segment: evidence, not part of the connection."""
    cdef uint64_t hash
    cdef int d = 0
    cdef Connection *c = flows_find(&r.flows, s, &hash, &d)
    r.quotes += 1
    if c == NULL:
        r.unmatched_quotes += 1
        return 0
    c.icmp_type, c.icmp_code = s.icmp_type, s.icmp_code
    if not is_unreachable(s):
        return 0
    # told to the side that sent what is quoted: the mark's sender is the other one
    return marks_keep(&c.marks, s, 1 - d, r.segments, MARK_UNREACHABLE)


cdef inline bint is_unreachable(const Segment *s) noexcept nogil:
    """Destination unreachable, but not fragmentation needed (RFC 792; RFC 4443, 3.1)."""
    if s.ip_version == 4:
        return s.icmp_type == 3 and s.icmp_code != 4
    return s.icmp_type == 1


cdef int by_number(const void *a, const void *b) noexcept nogil:
    cdef uint32_t x = (<const Connection *const *>a)[0].number, y = (<const Connection *const *>b)[0].number
    return (x > y) - (x < y)


cdef bytes taken(Store *s):
    cdef bytes found = PyBytes_FromStringAndSize(s.data, s.size)
    drop(s)
    return found


cdef class Engine:
    def __cinit__(self, *, bint packets=False, int64_t msl_ns=30_000_000_000, bint flow_by_tunnel=False,
                  bint keep_past=True):
        memset(&self.r, 0, sizeof(Replay))
        if flows_open(&self.r.flows, int.from_bytes(os.urandom(8), "little"), flow_by_tunnel) < 0:
            raise MemoryError()
        self.r.msl_ns = msl_ns
        self.r.want_packets = packets
        self.r.keep_past = keep_past

    def __dealloc__(self):
        cdef Connection *c
        cdef Connection *following
        cdef uint64_t i
        if self.r.flows.slots != NULL:
            for i in range(self.r.flows.mask + 1):
                c = self.r.flows.slots[i]
                while c != NULL:
                    following = c.next_in_slot
                    release(&self.r, c)
                    c = following
            flows_close(&self.r.flows)
        drop(&self.r.connections)
        drop(&self.r.events)
        drop(&self.r.packets)
        drop(&self.r.steps)
        drop(&self.r.pasts)
        drop(&self.r.patches)

    def replay(self, SegmentBatch batch):
        """Take in a batch of segments, in time order."""
        cdef Py_ssize_t i
        cdef Replay *r = &self.r
        cdef const Segment *s
        with nogil:
            for i in range(batch.size):
                s = &batch.items[i]
                if (quote(r, s) if s.kind == ICMP_QUOTE else observe(r, s)) < 0:
                    r.failed = True
                    break
        if r.failed:
            raise MemoryError("out of memory while replaying")

    def finish(self):
        """The capture is over: end what is still open, in order of beginning."""
        cdef Replay *r = &self.r
        cdef Connection *c
        cdef Store open_ones
        cdef Connection **place
        cdef uint64_t i
        memset(&open_ones, 0, sizeof(Store))
        for i in range(r.flows.mask + 1):
            c = r.flows.slots[i]
            while c != NULL:
                place = <Connection **>more(&open_ones, sizeof(Connection *))
                if place == NULL:
                    raise MemoryError()
                place[0] = c
                c = c.next_in_slot
        r.closed_first = r.closed_last = NULL
        qsort(open_ones.data, open_ones.size // sizeof(Connection *), sizeof(Connection *), by_number)
        for i in range(<uint64_t>open_ones.size // sizeof(Connection *)):
            if end(r, (<Connection **>open_ones.data)[i]) < 0:
                raise MemoryError()
        drop(&open_ones)

    def tell(self):
        """Let `settle` know the states of what is still open, as far as they can be told now."""
        cdef Replay *r = &self.r
        cdef Connection *c
        cdef Told told
        cdef uint64_t i
        for i in range(r.flows.mask + 1):
            c = r.flows.slots[i]
            while c != NULL:
                tell(c, r.now_ns, r.msl_ns, &told)
                if remember_past(r, c, &told) < 0:
                    raise MemoryError()
                c = c.next_in_slot

    def take_connections(self):
        """Records (layout.CONNECTION) of the connections that ended since the last call."""
        return taken(&self.r.connections)

    def take_events(self):
        """Records (layout.EVENT) of their state changes."""
        return taken(&self.r.events)

    def take_packets(self):
        """Records (layout.PACKET) of the segments since the last call; `settle` completes them."""
        return taken(&self.r.packets)

    def settle(self, rows):
        """Fill in states and corrections of packet records, in place, when all is known (after `finish`).

        rows: writable buffer of layout.PACKET records in capture order, from this engine or
        from another that replayed the same segments.
        """
        cdef unsigned char[::1] view = rows
        cdef Py_ssize_t count = view.shape[0] // <Py_ssize_t>sizeof(PacketRow)
        cdef PacketRow *p
        cdef Replay *r = &self.r
        if count * <Py_ssize_t>sizeof(PacketRow) != view.shape[0]:
            raise ValueError("not a whole number of packet records")
        if count == 0:
            return
        p = <PacketRow *>&view[0]
        with nogil:
            settle_states(&r.pasts, &r.steps, p, count)
            settle_patches(&r.patches, p, count)

    def counters(self):
        """Counts over everything replayed so far."""
        return {
            "segments": self.r.segments, "connections": self.r.n_connections, "open": self.r.flows.used,
            "icmp_quotes": self.r.quotes, "icmp_quotes_unmatched": self.r.unmatched_quotes,
            "clock_steps": self.r.clock_steps,
        }
