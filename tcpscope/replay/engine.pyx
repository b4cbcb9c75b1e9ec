# cython: wraparound=False, freethreading_compatible=True
"""The replay: segments in, records of packets, events and connections out.

Every segment finds its connection, and is shown to the observers (observe.pyx).  No Python
object in the loop, no GIL.  Flows can be shared out among several engines: each is shown its
share of every batch, with the clock of the whole, so that what comes out does not depend on how
many there are.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcpy, memset

from tcpscope.replay import layout
from tcpscope.replay.connection cimport Connection, Flow
from tcpscope.replay.embryo cimport embryo_free, embryo_keep, embryo_may_begin, embryo_segment, embryo_takes
from tcpscope.replay.ending cimport end, release, remember_past, retire, shed_body, unlink
from tcpscope.replay.flight cimport Flight
from tcpscope.replay.flows cimport (
    bodies_take, flows_add, flows_close, flows_find, flows_known, flows_open, flows_unlink, prefetch,
    slot_of,
)
from tcpscope.replay.marks cimport MARK_REUSE, marks_keep
from tcpscope.replay.observe cimport begin, observe, quote
from tcpscope.replay.roles cimport role_of_first
from tcpscope.replay.rows cimport ConnectionRow, EventRow, EvidenceRow, PacketRow
from tcpscope.replay.run cimport Replay
from tcpscope.replay.settle cimport settle_patches, settle_states
from tcpscope.replay.store cimport Store, drop, more
from tcpscope.replay.summary cimport Told, tell
from tcpscope.replay.wireshark cimport WiresharkSide, wireshark_new_stream
from tcpscope.wire.batch cimport MOST_SHARES, SegmentBatch
from tcpscope.wire.segment cimport ACK, ICMP_QUOTE, SYN, Segment

assert layout.PACKET.size == sizeof(PacketRow), (layout.PACKET.size, sizeof(PacketRow))
assert layout.EVENT.size == sizeof(EventRow), (layout.EVENT.size, sizeof(EventRow))
assert layout.EVIDENCE.size == sizeof(EvidenceRow), (layout.EVIDENCE.size, sizeof(EvidenceRow))
assert layout.CONNECTION.size == sizeof(ConnectionRow), (layout.CONNECTION.size, sizeof(ConnectionRow))

cdef enum:
    STEP_BACK_NS = 1_000_000_000     # a clock that goes back by more has been set
    LINE = 64                        # bytes of a cache line
    CROWD = 512                      # open flows from which on their memory is fetched ahead
    FETCH_SEGMENT = 32               # segments ahead: the segment, the table's slot, the flow, the connection
    FETCH_SLOT = 24
    FETCH_FLOW = 16
    FETCH_BODY = 10
    FETCH_RINGS = 4

cdef int LINES = sizeof(Connection) // LINE
cdef int SEGMENT_LINES = (sizeof(Segment) + LINE - 1) // LINE

cdef struct Open:
    uint64_t number
    Flow *flow


cdef inline bint stepped_back(const Replay *r, const Segment *s) noexcept nogil:
    return s.time_ns < r.now_ns - STEP_BACK_NS


# ---------------------------------------------------------------- flows and their connections

cdef Flow *add_flow(Replay *r, const Segment *s, bint reused, uint64_t order) noexcept nogil:
    """A new flow from its first segment; NULL when memory runs out."""
    cdef Flow *f = flows_add(&r.flows, s)
    cdef int client = role_of_first(s)                 # 0: its sender
    cdef uint64_t *place
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


cdef Connection *give_body(Replay *r, Flow *f, const Segment *first) noexcept nogil:
    """A connection for f; NULL when memory runs out."""
    cdef Connection *c = bodies_take(&r.flows)
    if c == NULL:
        return NULL
    c.flow = f
    f.body = c
    begin(c, first)
    return c


cdef Connection *grow_up(Replay *r, Flow *f) noexcept nogil:
    """The connection that an embryo's segments make; NULL when memory runs out.  They are still kept."""
    cdef Connection *c
    cdef Segment s
    cdef int i
    embryo_segment(f, &f.saved[0], &s)
    c = give_body(r, f, &s)
    for i in range(f.n_saved if c != NULL else 0):
        embryo_segment(f, &f.saved[i], &s)
        if observe(r, c, &s, f.saved[i].sender, f.saved[i].order, f.saved[i].stepped_back, False) < 0:
            return NULL
    return c


cdef Connection *leave_embryo(Replay *r, Flow *f) noexcept nogil:
    """From now on f is a connection."""
    cdef Connection *c = grow_up(r, f)
    embryo_free(f)
    return c


cdef int end_flow(Replay *r, Flow *f) noexcept nogil:
    cdef Connection *c = f.body if f.body != NULL else leave_embryo(r, f)
    return -1 if c == NULL else end(r, c, r.now_ns)


cdef int stay_embryo(Replay *r, Flow *f, const Segment *s, int d, uint64_t order) noexcept nogil:
    """Keep one more segment of an embryo; where its packet record is wanted, of a connection made for the moment."""
    cdef Connection *c
    if r.want_packets:
        if f.n_saved:
            c = grow_up(r, f)
        else:
            c = give_body(r, f, s)
        if c == NULL or observe(r, c, s, d, order, stepped_back(r, s), True) < 0:
            return -1
    if embryo_keep(f, s, d, order, stepped_back(r, s)) < 0:
        return -1
    if r.want_packets:
        shed_body(r, f)
    return 0


# ---------------------------------------------------------------- one segment

cdef int take(Replay *r, const Segment *s, uint64_t order) noexcept nogil:
    """Replay one TCP segment; -1 when memory runs out."""
    cdef Flow *f
    cdef Connection *c = NULL
    cdef Connection *older = NULL
    cdef int d = 0
    cdef bint reused = False

    r.segments += 1
    f = flows_find(&r.flows, s, &d)
    if f != NULL and f.body == NULL:
        if embryo_takes(f, s, d):
            return stay_embryo(r, f, s, d, order)
        if leave_embryo(r, f) == NULL:
            return -1
    if f != NULL:
        c = f.body
        if wireshark_new_stream(&c.wireshark, s, d):
            c.reused_ns, c.reused_frame, c.reused_order = s.time_ns, s.frame, order
            if marks_keep(&c.marks, s, d, order, MARK_REUSE) < 0:
                return -1
            if c.lingering:
                unlink(r, c)
                if end(r, c, r.now_ns) < 0:
                    return -1
            else:
                older = c
                flows_unlink(&r.flows, f)
            f, reused = NULL, True
    if f == NULL:
        reused = reused or (s.flags & (SYN | ACK) == SYN and flows_known(&r.flows, s))
        f = add_flow(r, s, reused, order)
        if f == NULL:
            return -1
        d = role_of_first(s)
        if older == NULL and embryo_may_begin(s):
            return stay_embryo(r, f, s, d, order)
        c = give_body(r, f, s)
        if c == NULL:
            return -1
        c.older = older
    return observe(r, c, s, d, order, stepped_back(r, s), r.want_packets)


cdef int take_quote(Replay *r, const Segment *s, uint64_t order) noexcept nogil:
    """An ICMP error that quotes a segment."""
    cdef int d = 0
    cdef Flow *f = flows_find(&r.flows, s, &d)
    r.quotes += 1
    if f == NULL:
        r.unmatched_quotes += 1
        return 0
    if f.body == NULL and leave_embryo(r, f) == NULL:
        return -1
    return quote(f.body, s, d, order)


cdef inline void fetch(Replay *r, const Segment *items, const uint32_t *index, uint32_t left) noexcept nogil:
    """Bring near what segments further on will need: with many flows, most of the time goes into waiting for memory."""
    cdef Flow *f
    cdef const char *body
    cdef int line
    if left > FETCH_SLOT:
        prefetch(&r.flows.slots[slot_of(&r.flows, &items[index[FETCH_SLOT]])])
    if left > FETCH_FLOW:
        f = r.flows.slots[slot_of(&r.flows, &items[index[FETCH_FLOW]])]
        if f != NULL:
            prefetch(f)
            prefetch(<char *>f + LINE)
    if left > FETCH_BODY:
        f = r.flows.slots[slot_of(&r.flows, &items[index[FETCH_BODY]])]
        if f != NULL and f.body != NULL:
            body = <const char *>f.body
            for line in range(LINES):
                prefetch(body + line * LINE)
    if left > FETCH_RINGS:
        f = r.flows.slots[slot_of(&r.flows, &items[index[FETCH_RINGS]])]
        if f != NULL and f.body != NULL:
            for line in range(2):
                fetch_rings(&f.body.flight[line], &f.body.wireshark.side[line])


cdef inline void fetch_rings(const Flight *f, const WiresharkSide *w) noexcept nogil:
    """What the observers keep of the segments in flight."""
    if f.room:
        prefetch(&f.ring[(f.head + f.old) & (f.room - 1)])
        prefetch(&f.ring[(f.head + f.old + f.live) & (f.room - 1)])
    if w.room:
        prefetch(&w.queue[w.head])


cdef int run(Replay *r, const Segment *items, const uint32_t *index, uint32_t count, const int64_t *clock,
             uint64_t order) noexcept nogil:
    """Replay the segments at these places; -1 when memory runs out.  order: of the first in `items`."""
    cdef uint32_t i
    cdef const Segment *s
    cdef int line
    cdef bint crowd = r.flows.used > CROWD
    for i in range(count):
        s = &items[index[i]]
        if count - i > FETCH_SEGMENT:
            for line in range(SEGMENT_LINES):
                prefetch(<const char *>&items[index[i + FETCH_SEGMENT]] + line * LINE)
        if crowd:
            fetch(r, items, index + i, count - i)
        r.now_ns = clock[index[i]]
        r.clock_steps += stepped_back(r, s)
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
    qsort(found.data, found.size // sizeof(Open), sizeof(Open), by_number)
    return 0


cdef void give_all_back(Replay *r) noexcept nogil:
    cdef Flow *f
    cdef uint32_t i
    for i in range(r.flows.mask + 1):
        while r.flows.slots[i] != NULL:
            f = r.flows.slots[i]
            embryo_free(f)
            if f.body != NULL:
                release(r, f.body)
            else:
                r.flows.slots[i] = f.next_in_slot
    flows_close(&r.flows)


cdef bytes taken(Store *s):
    cdef bytes found = PyBytes_FromStringAndSize(s.data, s.size)
    drop(s)
    return found


cdef class Engine:
    def __cinit__(self, *, bint packets=False, int64_t msl_ns=30_000_000_000, bint flow_by_tunnel=False,
                  bint keep_past=True, int share=0, int shares=1):
        memset(&self.r, 0, sizeof(Replay))
        memset(&self.open_ones, 0, sizeof(Store))
        if not 0 <= share < shares <= MOST_SHARES:
            raise ValueError(f"shares are counted from 0, and are {MOST_SHARES} at most")
        if flows_open(&self.r.flows, flow_by_tunnel) < 0:
            raise MemoryError()
        self.r.msl_ns = msl_ns
        self.r.want_packets = packets
        self.r.keep_past = keep_past
        self.r.share, self.r.shares = share, shares

    def __dealloc__(self):
        if self.r.flows.slots != NULL:
            give_all_back(&self.r)
        drop(&self.open_ones)
        drop(&self.r.connections)
        drop(&self.r.events)
        drop(&self.r.evidence)
        drop(&self.r.packets)
        drop(&self.r.begun)
        drop(&self.r.steps)
        drop(&self.r.pasts)
        drop(&self.r.patches)

    def replay(self, SegmentBatch batch not None):
        """Take in a batch of segments, in time order.  With shares, a Divider must have divided it."""
        cdef uint32_t start
        cdef bint failed
        if self.r.shares == 1:
            batch.divide(1, self.r.now_ns, self.r.order)
        with nogil:
            start = batch.begin[self.r.share]
            self.r.hints = batch.hints
            failed = run(&self.r, batch.items, batch.index + start, batch.begin[self.r.share + 1] - start, batch.clock,
                         batch.order) < 0
            self.r.now_ns = batch.now_ns
            self.r.order = batch.order + batch.size
        if failed:
            raise MemoryError("out of memory while replaying")

    def finish(self, Py_ssize_t most=1 << 62):
        """The capture is over: end what is still open, in order of beginning; `most` at a time.  False: all is done."""
        cdef Py_ssize_t n, i
        cdef Open *found
        cdef bint failed = False
        if not self.finishing:
            self.finishing = True
            if list_open(&self.r, &self.open_ones) < 0:
                raise MemoryError()
            self.r.closed_first = self.r.closed_last = NULL
        found = <Open *>self.open_ones.data
        n = min(self.open_ones.size // <Py_ssize_t>sizeof(Open) - self.at, most)
        with nogil:
            for i in range(self.at, self.at + n):
                if end_flow(&self.r, found[i].flow) < 0:
                    failed = True
                    break
        if failed:
            raise MemoryError("out of memory while replaying")
        self.at += n
        if self.at < self.open_ones.size // <Py_ssize_t>sizeof(Open):
            return True
        drop(&self.open_ones)
        self.at = 0
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
                embryo = f.body == NULL
                if embryo and grow_up(r, f) == NULL:
                    raise MemoryError()
                tell(f.body, r.now_ns, r.msl_ns, &told)
                if remember_past(r, f.body, &told) < 0:
                    raise MemoryError()
                if embryo:
                    shed_body(r, f)
                f = f.next_in_slot

    def take_connections(self):
        """Records (layout.CONNECTION) of the connections that ended since the last call."""
        return taken(&self.r.connections)

    def take_events(self):
        """Records (layout.EVENT) of their state changes."""
        return taken(&self.r.events)

    def take_evidence(self):
        """Records (layout.EVIDENCE) of the frames that show what was odd about them, at most a few of each kind."""
        return taken(&self.r.evidence)

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
            "clock_steps": self.r.clock_steps,
        }
