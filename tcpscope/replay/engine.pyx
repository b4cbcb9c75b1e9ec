# cython: wraparound=False, freethreading_compatible=True
"""The replay: segments in, records of packets, events and connections out.

Every segment finds its connection, and is shown to the observers (observe.pyx).  No Python
object in the loop, no GIL.  Flows can be shared out among several engines: each is shown its
share of every batch, with the clock of the whole, so that what comes out does not depend on how
many there are.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcpy, memset

from tcpscope.replay import layout
from tcpscope.replay.ahead cimport FETCH_SEGMENT, FETCH_SLOT, Ahead, ahead_fetch, ahead_start
from tcpscope.replay.announce cimport forget, touch
from tcpscope.replay.bodies cimport bodies_close, bodies_open
from tcpscope.replay.connection cimport Connection, Flow
from tcpscope.replay.course cimport REUSE_LATER, REUSE_RISKY
from tcpscope.replay.crowd cimport crowd_join, crowd_keeps, crowd_leave
from tcpscope.replay.embryo cimport (
    embryo_free, embryo_keep, embryo_may_begin, embryo_takes, embryos_close, embryos_open, is_embryo,
)
from tcpscope.replay.ending cimport end, overdue, release, remember_past, shed_body, unlink
from tcpscope.replay.flows cimport (
    flows_add, flows_close, flows_dissolve, flows_find, flows_free, flows_known, flows_open, flows_unlink,
)
from tcpscope.replay.growing cimport (
    connection_of, end_flow, give_body, grow_up, retire, retire_flow, stay_embryo,
)
from tcpscope.replay.limit cimport make_room
from tcpscope.replay.marks cimport MARK_REUSE, marks_keep
from tcpscope.replay.near cimport near_body, near_end, near_flow, near_segment
from tcpscope.replay.observe cimport observe_fully, quote
from tcpscope.replay.plain cimport pass_plain
from tcpscope.replay.open cimport announce_due, show_open
from tcpscope.replay.reuse cimport reuse_of
from tcpscope.replay.resting cimport may_rest, rest, wake
from tcpscope.replay.roles cimport role_of_first
from tcpscope.replay.rows cimport N_STATES, ConnectionRow, EventRow, EvidenceRow, PacketRow
from tcpscope.replay.run cimport CLOSED_ONES, HALF_OPEN, IDLE, Replay
from tcpscope.replay.services cimport said_free
from tcpscope.replay.settle cimport settle_patches, settle_states
from tcpscope.replay.store cimport Store, drop, more
from tcpscope.replay.summary cimport Told, tell
from tcpscope.replay.wireshark cimport wireshark_new_stream
from tcpscope.wire.batch cimport MOST_SHARES, STEP_BACK_NS, SegmentBatch
from tcpscope.wire.segment cimport ACK, ICMP_QUOTE, SYN, Segment, spot

assert layout.PACKET.size == sizeof(PacketRow), (layout.PACKET.size, sizeof(PacketRow))
assert layout.EVENT.size == sizeof(EventRow), (layout.EVENT.size, sizeof(EventRow))
assert layout.EVIDENCE.size == sizeof(EvidenceRow), (layout.EVIDENCE.size, sizeof(EvidenceRow))
assert layout.CONNECTION.size == sizeof(ConnectionRow), (layout.CONNECTION.size, sizeof(ConnectionRow))

cdef enum:
    CROWD = 512                      # open flows from which on their memory is fetched ahead
    FETCH_ENDS = 8                   # flows ahead, when all are ended: the flow, half of that its connection
    KEPT = 1 << 20                   # bytes that a store of records may hold on to when they have been taken


cdef struct Open:
    uint64_t number
    Flow *flow


cdef inline bint stepped_back(const Replay *r, const Segment *s) noexcept nogil:
    return s.time_ns < r.now_ns - STEP_BACK_NS


# ---------------------------------------------------------------- flows and their connections

cdef Flow *add_flow(Replay *r, const Segment *s, uint8_t reused, uint64_t order) noexcept nogil:
    """A new flow from its first segment; NULL when memory runs out."""
    cdef Flow *f
    cdef int client = role_of_first(s)                 # 0: its sender
    cdef uint64_t *place
    if r.most_open and r.flows.used >= r.most_open and make_room(r) < 0:
        return NULL
    f = flows_add(&r.flows, s)
    if f == NULL:
        return NULL
    f.number = r.n_connections
    r.n_connections += 1
    f.reused = reused
    memcpy(f.addr[client], s.src, 16)
    memcpy(f.addr[1 - client], s.dst, 16)
    f.port[client], f.port[1 - client] = s.sport, s.dport
    if r.shares > 1:
        place = <uint64_t *>more(&r.begun, sizeof(uint64_t))
        if place == NULL:
            return NULL
        place[0] = order
    return f


# ---------------------------------------------------------------- one segment

cdef int show(Replay *r, Flow *f, Connection *c, const Segment *s, int d, uint64_t order) noexcept nogil:
    """Show s, of side d, to c's observers; -1 when memory runs out."""
    if observe_fully(r, c, s, d, order, stepped_back(r, s), r.want_packets) < 0:
        return -1
    if r.prompt:
        return 0
    if f.lingering and not f.woken and may_rest(c):
        crowd_leave(r, c)
        return rest(r, f, False)
    return 0 if c.in_crowd else crowd_join(r, c)


cdef int take_first(Replay *r, const Segment *s, uint64_t order, Connection *older, uint8_t reused,
                    int64_t gap) noexcept nogil:
    """The first segment of a connection.  older: the one before it, if something may still come of that.

    reused: how the four-tuple came to be used again, `gap` ns after that; 0 where that is not known.
    """
    cdef int d = role_of_first(s)
    cdef Flow *f
    cdef Connection *c
    if reused == 0 and s.flags & (SYN | ACK) == SYN and flows_known(&r.flows, s):
        reused = REUSE_LATER
    f = add_flow(r, s, reused, order)
    if f == NULL:
        return -1
    f.reuse_gap_ms = <uint32_t>min(max(gap, 0) // 1_000_000, <int64_t>0xFFFFFFFF)
    if older == NULL and embryo_may_begin(s):
        return stay_embryo(r, f, s, d, order, stepped_back(r, s))
    c = give_body(r, f, s)
    if c == NULL:
        return -1
    c.older = older
    return show(r, f, c, s, d, order)


cdef int take_again(Replay *r, Flow *f, Connection *c, const Segment *s, int d, uint64_t order) noexcept nogil:
    """s, of side d, begins another connection of c's four-tuple: c ends, or waits for what may still come of it."""
    cdef uint8_t reused = reuse_of(c, s, d)
    cdef int64_t gap = s.time_ns - c.last_ns
    cdef bint rested = f.lingering
    c.reused_ns, c.reused_frame, c.reused_order = s.time_ns, spot(s), order
    if marks_keep(&c.marks, s, d, order, MARK_REUSE) < 0 or r.live and touch(r, f) < 0:
        return -1
    if rested:
        unlink(r, f)
    if rested and reused != REUSE_RISKY:
        return -1 if end(r, c, r.now_ns) < 0 else take_first(r, s, order, NULL, reused, gap)
    crowd_leave(r, c)
    flows_unlink(&r.flows, f)
    if c.older != NULL:                  # nothing more can come of it; a chain of them would have no bound
        if end(r, c.older, r.now_ns) < 0:
            return -1
        c.older = NULL
    return take_first(r, s, order, c, reused, gap)


cdef int take(Replay *r, const Segment *s, uint64_t order) noexcept nogil:
    """Replay one TCP segment; -1 when memory runs out."""
    cdef Flow *f
    cdef Connection *c
    cdef int d = 0, done
    r.segments += 1
    f = flows_find(&r.flows, s, &d)
    if f != NULL and f.body != NULL and f.body.calm and not r.want_packets and not stepped_back(r, s):
        done = pass_plain(f.body, s, d, order)         # as nearly always
        if done:
            return min(done, 0)
    if f != NULL and f.lingering and overdue(r, f):
        if retire_flow(r, f) < 0:
            return -1
        f = flows_find(&r.flows, s, &d)
    if f == NULL:
        return take_first(r, s, order, NULL, 0, 0)
    if f.n_saved and f.packed == NULL and embryo_takes(f, s, d, r.prompt):
        return stay_embryo(r, f, s, d, order, stepped_back(r, s))
    if f.packed != NULL:
        if crowd_keeps(f, s):
            return embryo_keep(&r.saved, f, s, d, order, stepped_back(r, s))
        f.woken |= f.lingering
    c = connection_of(r, f)
    if c == NULL:
        return -1
    if wireshark_new_stream(&c.wireshark, s, d):
        return take_again(r, f, c, s, d, order)
    return show(r, f, c, s, d, order)


cdef int take_quote(Replay *r, const Segment *s, uint64_t order) noexcept nogil:
    """An ICMP error that quotes a segment."""
    cdef Connection *c
    cdef int d = 0
    cdef Flow *f = flows_find(&r.flows, s, &d)
    r.quotes += 1
    if f != NULL and f.lingering and overdue(r, f):
        if retire_flow(r, f) < 0:
            return -1
        f = flows_find(&r.flows, s, &d)
    if f == NULL:
        r.unmatched_quotes += 1
        return 0
    if f.packed != NULL:
        f.woken |= f.lingering
    c = connection_of(r, f)
    return -1 if c == NULL or quote(c, s, d, order) < 0 or r.live and touch(r, f) < 0 else 0


cdef int run(Replay *r, const Segment *items, const uint32_t *index, uint32_t count, const int64_t *clock,
             uint64_t order) noexcept nogil:
    """Replay the segments at these places; -1 when memory runs out.  order: of the first in `items`."""
    cdef uint32_t i
    cdef const Segment *s
    cdef Ahead known
    cdef bint crowd = r.flows.used > CROWD
    ahead_start(&known)
    for i in range(count):
        s = &items[index[i]]
        if count - i > FETCH_SEGMENT:
            near_segment(&items[index[i + FETCH_SEGMENT]])
        if crowd:
            ahead_fetch(&known, &r.flows, &items[index[i + FETCH_SLOT]] if count - i > FETCH_SLOT else NULL, i)
        r.now_ns = clock[index[i]]
        if r.closed_first != NULL and r.closed_first.linger_until_ns < r.now_ns and retire(r) < 0:
            return -1
        if (take_quote(r, s, order + index[i]) if s.kind == ICMP_QUOTE else take(r, s, order + index[i])) < 0:
            return -1
    return 0


# ---------------------------------------------------------------- the end

cdef int by_number(const void *a, const void *b) noexcept nogil:
    cdef uint64_t x = (<const Open *>a).number, y = (<const Open *>b).number
    return (x > y) - (x < y)


cdef int list_open(Replay *r, Store *found) noexcept nogil:
    """All open flows in order of their beginning; -1 when memory runs out."""
    cdef Flow *f
    cdef Open *place
    cdef uint32_t i
    for i in range(r.flows.mask + 1):
        f = r.flows.slots[i]
        while f != NULL:
            place = <Open *>more(found, sizeof(Open))
            if place == NULL:
                return -1
            place.number, place.flow = f.number, f
            f = f.next_in_slot
    if found.size:
        qsort(found.data, found.size // sizeof(Open), sizeof(Open), by_number)
    return 0


cdef int end_all(Replay *r, Open *found, Py_ssize_t at, Py_ssize_t upto, Py_ssize_t count) noexcept nogil:
    """End those from `at` to `upto` of `count`; -1 when memory runs out."""
    cdef Py_ssize_t i
    cdef Flow *f
    for i in range(at, upto):
        if i + FETCH_ENDS < count:
            near_flow(found[i + FETCH_ENDS].flow)
        if i + FETCH_ENDS // 2 < count:
            near_body(found[i + FETCH_ENDS // 2].flow)
        if i + FETCH_ENDS // 4 < count:
            near_end(found[i + FETCH_ENDS // 4].flow)
        f, found[i].flow = found[i].flow, NULL
        if end_flow(r, f) < 0:
            return -1
    return 0


cdef void give_back(Replay *r, Flow *f) noexcept nogil:
    embryo_free(&r.saved, f)
    said_free(&f.saids)
    if f.body != NULL or f.packed != NULL and wake(r, f) != NULL:
        release(r, f.body)
    else:
        forget(r, f)
        flows_free(&r.flows, f)


cdef void give_all_back(Replay *r, const Store *still_open) noexcept nogil:
    """still_open: of a table that is dissolved."""
    cdef const Open *found = <const Open *>still_open.data
    cdef Py_ssize_t at
    cdef uint32_t i
    for at in range(still_open.size // <Py_ssize_t>sizeof(Open)):
        if found[at].flow != NULL:
            give_back(r, found[at].flow)
    for i in range(r.flows.mask + 1):
        while r.flows.slots[i] != NULL:
            give_back(r, r.flows.slots[i])
    flows_close(&r.flows)
    bodies_close(&r.bodies)
    embryos_close(&r.saved)


cdef bytes taken(Store *s):
    cdef bytes found = PyBytes_FromStringAndSize(s.data, s.size)
    if s.room > KEPT:
        drop(s)
    s.size = 0
    return found


cdef class Engine:
    def __cinit__(self, *, bint packets=False, int64_t msl_ns=30_000_000_000, bint flow_by_tunnel=False,
                  bint keep_past=True, bint prompt=False, bint live=False, uint64_t max_connections=0,
                  bint careful=False, uint32_t unpacked=4096, object most_odd=None, uint32_t most_plain=0,
                  int share=0, int shares=1):
        memset(&self.r, 0, sizeof(Replay))
        memset(&self.open_ones, 0, sizeof(Store))
        if not 0 <= share < shares <= MOST_SHARES:
            raise ValueError(f"shares are counted from 0, and are {MOST_SHARES} at most")
        if flows_open(&self.r.flows, flow_by_tunnel) < 0:
            raise MemoryError()
        bodies_open(&self.r.bodies)
        embryos_open(&self.r.saved)
        self.r.msl_ns = msl_ns
        self.r.want_packets = packets
        self.r.keep_past = keep_past
        self.r.choice.few = most_odd is not None
        self.r.choice.most_odd, self.r.choice.most_plain = most_odd or 0, most_plain
        if self.r.choice.few and (keep_past or live):
            raise ValueError("where few are told there is nothing to settle, and nothing to announce")
        self.r.careful = careful
        self.r.prompt = prompt or packets or live
        self.r.live = live
        self.r.share, self.r.shares = share, shares
        self.r.unpacked = max(unpacked // shares, <uint32_t>1)
        self.r.most_open = (max_connections + shares - 1) // shares

    def __dealloc__(self):
        if self.r.flows.slots != NULL:
            give_all_back(&self.r, &self.open_ones)
        drop(&self.open_ones)
        drop(&self.r.connections)
        drop(&self.r.events)
        drop(&self.r.evidence)
        drop(&self.r.briefs)
        drop(&self.r.packets)
        drop(&self.r.begun)
        drop(&self.r.steps)
        drop(&self.r.pasts)
        drop(&self.r.patches)
        drop(&self.r.due)

    def replay(self, SegmentBatch batch not None):
        """Take in a batch of segments, in time order.  With shares, a Divider must have divided it."""
        cdef bint failed
        if self.r.shares == 1:
            batch.divide(1, self.r.now_ns, self.r.last_ns, self.r.order)
        with nogil:
            self.r.hints = batch.hints
            failed = run(&self.r, batch.items, batch.list_of(self.r.share), batch.count[self.r.share], batch.clock,
                         batch.order) < 0
            self.r.now_ns, self.r.last_ns = batch.now_ns, batch.last_ns
            self.r.clock_steps += batch.steps
            self.r.order = batch.order + batch.size
        if failed:
            raise MemoryError("out of memory while replaying")

    def finish(self, Py_ssize_t most=1 << 62):
        """The capture is over: end what is still open, in order of beginning; `most` at a time.  False: all is done."""
        cdef Py_ssize_t n, count
        cdef Open *found
        cdef bint failed = False
        if not self.finishing:
            self.finishing = True
            if list_open(&self.r, &self.open_ones) < 0:
                raise MemoryError()
            flows_dissolve(&self.r.flows)
        found = <Open *>self.open_ones.data
        count = self.open_ones.size // <Py_ssize_t>sizeof(Open)
        n = min(count - self.at, most)
        with nogil:
            failed = end_all(&self.r, found, self.at, self.at + n, count) < 0
        if failed:
            raise MemoryError("out of memory while replaying")
        self.at += n
        if self.at < count:
            return True
        drop(&self.open_ones)
        self.at = 0
        self.r.flows.dissolved = False
        return False

    def tell(self):
        """Let `settle` know the states of what is still open, as far as they can be told now."""
        cdef Replay *r = &self.r
        cdef Flow *f
        cdef Told told
        cdef uint32_t i
        cdef bint embryo
        for i in range(r.flows.mask + 1):
            f = r.flows.slots[i]
            while f != NULL:
                embryo = is_embryo(f)
                if (grow_up(r, f) if embryo else connection_of(r, f)) == NULL:
                    raise MemoryError()
                tell(f.body, r.now_ns, r.msl_ns, &told)
                if remember_past(r, f.body, &told) < 0:
                    raise MemoryError()
                if embryo:
                    shed_body(r, f)
                f = f.next_in_slot

    def announce(self):
        """Live: write events of the changes of state known by now, and corrections of those told too early."""
        cdef int failed
        with nogil:
            failed = announce_due(&self.r)
        if failed < 0:
            raise MemoryError("out of memory while replaying")

    def tally(self):
        """Live: how many open connections are in which states: {(client's, server's): count}, by layout.STATES."""
        cdef int i, j
        return {(i, j): self.r.tally[i][j] for i in range(N_STATES) for j in range(N_STATES) if self.r.tally[i][j]}

    def open_connections(self, uint64_t most=1 << 62, str by="latest"):
        """Records (layout.CONNECTION) of the open connections as they are now, and their evidence (layout.EVIDENCE).

        Of more than `most` those come that lead by: latest (to send), begin, bytes, repeated.
        """
        cdef Store connections, evidence
        cdef int failed, order = ("latest", "begin", "bytes", "repeated").index(by)
        memset(&connections, 0, sizeof(Store))
        memset(&evidence, 0, sizeof(Store))
        with nogil:
            failed = show_open(&self.r, most, order, &connections, &evidence)
        try:
            if failed < 0:
                raise MemoryError("out of memory while replaying")
            return PyBytes_FromStringAndSize(connections.data, connections.size), PyBytes_FromStringAndSize(
                evidence.data, evidence.size)
        finally:
            drop(&connections)
            drop(&evidence)

    def take_connections(self):
        """Records (layout.CONNECTION) of the connections that ended since the last call."""
        return taken(&self.r.connections)

    def take_events(self):
        """Records (layout.EVENT) of their state changes."""
        return taken(&self.r.events)

    def take_evidence(self):
        """Records (layout.EVIDENCE) of the frames that show what was odd about them, at most a few of each kind."""
        return taken(&self.r.evidence)

    def take_briefs(self):
        """With most_odd: what the Census wants of all connections that ended since the last call."""
        return taken(&self.r.briefs)

    def take_begun(self):
        """Of each connection begun since the last call its first segment's place among all (uint64); with shares."""
        return taken(&self.r.begun)

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
            "clock_steps": self.r.clock_steps, "judged_in_part": self.r.in_part,
            "retired_half_open": self.r.retired[HALF_OPEN], "retired_closed": self.r.retired[CLOSED_ONES],
            "retired_idle": self.r.retired[IDLE],
        }
