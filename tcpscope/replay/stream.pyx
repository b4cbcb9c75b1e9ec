# cython: wraparound=False, freethreading_compatible=True
"""The byte streams of one connection, put together from its segments as each receiver would have.

By sequence number alone (RFC 9293, 3.4): the first copy of a byte is the one delivered, a later one that
differs is told apart.  Bytes beyond a hole wait for it to be filled; when more than `most` bytes wait, or
the capture is over, the hole is passed over and told as a gap.  Both directions come out in the order in
which they were delivered, so while one waits for a hole what the other one sent later waits as well.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from tcpscope.capture.window cimport Window
from tcpscope.replay.line cimport (
    ACKNOWLEDGED, AFTER_RESET, BEHIND, CONFLICT, CUT, DATA, FORWARD, GAP, HISTORY, JUMP, LATE, UNHEARD, Chunk, Item,
    Line, Origin, line_drop, line_fill_hole, line_find, line_fits, line_had_until, line_hole, line_keep_alive,
    line_leaps, line_open, line_origin, line_put, line_remember, line_sacked,
)
from tcpscope.replay.outlet cimport Outlet
from tcpscope.replay.owners cimport Owners
from tcpscope.replay.rows cimport ConnectionRow
from tcpscope.replay.seq cimport place
from tcpscope.wire.batch cimport SegmentBatch
from tcpscope.wire.segment cimport (
    ACK, FIN, ICMP_QUOTE, NOTE_FRAGMENT, OPT_SACK, OPT_WSCALE, RST, SUM_BAD, SUM_GOOD, SYN, Segment,
)

KINDS = ("data", "gap", "cut", "conflict", "late")
COUNTS = ("bytes", "missing", "gaps", "cut", "duplicate", "conflicts", "conflicting", "late", "past_fin", "after_reset",
          "in_reset", "bad_sums", "doubtful", "outside", "probes")
globals().update(ACKNOWLEDGED=ACKNOWLEDGED, UNHEARD=UNHEARD, JUMP=JUMP, AFTER_RESET=AFTER_RESET)

cdef enum:
    MOST = 8 << 20                # bytes that may wait
    MOST_HELD = 1 << 14           # pieces that may wait of a side: each is found by bisection and moved
    MOST_SHOWN = 1 << 16          # bytes of a conflict


cdef class Streams(Outlet):
    """Both directions, or those of `sides` (client, server); `merge`: runs of data come as one item."""

    def __cinit__(self, *, sides=(True, True), Py_ssize_t most=MOST, bint merge=False):
        cdef int d
        for d in range(2):
            self.lines[d].wanted = sides[d]
        self.most, self.merge = most, merge

    def of(self, const unsigned char[::1] record):
        """Whose streams: a layout.CONNECTION record; tells the client from the server in `take`."""
        if record.shape[0] != sizeof(ConnectionRow):
            raise ValueError("not one connection record")
        row = <const ConnectionRow *>&record[0]
        memcpy(self.addr[0], row.client_addr, 16)
        memcpy(self.addr[1], row.server_addr, 16)
        self.port[0], self.port[1] = row.client_port, row.server_port

    def take(self, SegmentBatch batch not None, Owners owners not None, windows, joined):
        """The segments of the owners' one connection; how many they are.

        windows: of each file its bytes; joined(file, frame, length): (offset, bytes) of a fragmented segment's payload.
        """
        cdef Py_ssize_t i, found = 0, captured
        cdef const Segment *s
        cdef const uint8_t *data
        cdef Window window
        cdef int d
        for i in range(batch.size):
            s = &batch.items[i]
            if s.kind == ICMP_QUOTE or owners.find(s) == NULL:
                continue
            found += 1
            d = self.side_of(s)
            if s.length == 0 or not self.lines[d].wanted:
                self.one(d, s, NULL, 0)
                continue
            if s.notes & NOTE_FRAGMENT:
                self.from_fragments(d, s, joined(s.file, s.frame, s.length))
                continue
            captured = min(s.captured, s.length)
            window = windows[s.file]
            data = window.at(s.payload_at, captured) if captured else NULL
            self.one(d, s, data, captured if data != NULL else 0)
        if self.failed:
            raise MemoryError("out of memory while putting a stream together")
        return found

    cdef void from_fragments(self, int d, const Segment *s, list parts):
        """A payload in pieces: up to the first byte that is not there."""
        cdef bytearray whole = bytearray(s.length)
        cdef Py_ssize_t known = 0
        for at, part in sorted(parts, key=lambda it: it[0]):
            if at > known:
                break
            if at + len(part) > known:
                whole[known:at + len(part)] = part[known - at:]
                known = at + len(part)
        self.one(d, s, <const uint8_t *><char *>whole, min(known, <Py_ssize_t>s.length))

    def feed(self, int side, bytes payload=b"", *, uint32_t seq, ack=None, int flags=0, int window=65535, length=None,
             uint64_t frame=0, int64_t time_ns=0, window_scale=None, sack=(), int checksum=0):
        """One segment by hand.

        length: payload bytes on the wire, where the capture holds fewer.  sack: up to four (left, right) edges.
        checksum: as Segment.checksum_state, 0 not verified, 1 good, 2 bad.
        """
        cdef Segment s
        memset(&s, 0, sizeof(Segment))
        s.seq, s.flags, s.window, s.frame, s.time_ns = seq, flags, window, frame, time_ns
        s.length = len(payload) if length is None else length
        if ack is not None:
            s.ack, s.flags = ack, s.flags | ACK
        if window_scale is not None:
            s.options, s.window_scale = OPT_WSCALE, window_scale
        s.checksum_state = <uint8_t>checksum
        for i, (left, right) in enumerate(sack[:4]):
            s.options |= OPT_SACK
            s.sack[2 * i], s.sack[2 * i + 1], s.n_sack = left, right, <uint8_t>(i + 1)
        self.one(side & 1, &s, payload, min(len(payload), s.length))
        if self.failed:
            raise MemoryError()

    def counts(self):
        """Of the client's stream and of the server's, under the names of COUNTS."""
        found = []
        for d in range(2):
            line = &self.lines[d]
            found.append(dict(zip(COUNTS, (
                line.bytes, line.missing, line.gaps, line.cut, line.duplicate, line.conflicts, line.conflicting,
                line.late, line.past_fin, line.after_reset, line.in_reset, line.bad_sums,
                line.doubtful, line.outside, line.probes,
            ), strict=True)))
        return found

    @property
    def held(self):
        """Bytes that wait."""
        return self.waiting

    # ---------------------------------------------------------------- a segment

    cdef int side_of(self, const Segment *s) noexcept nogil:
        return 0 if s.sport == self.port[0] and memcmp(s.src, self.addr[0], 16) == 0 else 1

    cdef void one(self, int d, const Segment *s, const uint8_t *data, Py_ssize_t captured) noexcept nogil:
        """A segment that side d sent, with the captured bytes of its payload."""
        cdef Line *mine = &self.lines[d]
        cdef int64_t pos, end
        self.order += 1
        if s.checksum_state == SUM_GOOD:
            mine.good_sum = True
        # the receiver drops it, or it was changed on its way to the capture; see observe.damaged
        self.doubtful = s.checksum_state == SUM_BAD and mine.good_sum
        self.now = s
        line_open(mine, s)
        self.acknowledge(d, s)
        if not mine.based or (s.flags & SYN and s.seq + 1 != mine.base):
            return
        pos = place(mine.next, s.seq + (1 if s.flags & SYN else 0) - mine.base)
        if self.doubtful and (s.flags & RST or s.length == 0):
            return
        if s.flags & RST:                                     # may carry a text for people (RFC 9293, 3.5.3): no data
            mine.in_reset += s.length
            mine.reset = mine.reset or -BEHIND < pos - mine.next < FORWARD
            return
        end = pos + s.length
        if s.length or s.flags & FIN:
            if not line_fits(mine, pos, s.length):
                if line_leaps(mine, pos, s.length):
                    self.leap(d, pos)
                return
            mine.outside_run = 0
        if s.flags & FIN and end >= mine.next and (mine.fin < 0 or end < mine.fin):
            mine.fin = end
        if s.length == 0:
            mine.highest = max(mine.highest, pos)
        elif s.length == 1 and line_keep_alive(mine, pos):
            mine.probes += 1
        elif s.length == 1 and pos == mine.next and mine.window_shut and mine.acked == pos:
            mine.probes += 1                                  # zero-window probe: counts only if it is acknowledged
            self.probed(d, pos, data, captured)
        elif mine.wanted:
            mine.highest = max(mine.highest, end)
            self.insert(d, pos, end, data, captured)
            self.release()
            while ((self.waiting > self.most and self.lines[0].n_held + self.lines[1].n_held)
                   or mine.n_held > MOST_HELD):
                self.give_up_hole()
        else:
            mine.highest = max(mine.highest, end)
            mine.next = max(mine.next, end)

    cdef void probed(self, int d, int64_t pos, const uint8_t *data, Py_ssize_t captured) noexcept nogil:
        cdef Line *mine = &self.lines[d]
        cdef Item it
        if mine.wanted and mine.probe == NULL:
            self.item(d, DATA, pos, 1, captured, &it)
            mine.probe = self.chunk(&it, data, self.order)

    cdef void acknowledge(self, int d, const Segment *s) noexcept nogil:
        """What the segment of side d says of the other side's stream."""
        cdef Line *mine = &self.lines[d]
        cdef Line *other = &self.lines[1 - d]
        cdef int64_t pos, start, window = s.window
        cdef int i
        if not s.flags & ACK or s.flags & RST:
            return
        mine.heard = True
        if not other.based:
            other.base, other.based = s.ack, True
            other.acked = 0
            line_hole(other, -FORWARD, 0)
        pos = place(other.next, s.ack - other.base)
        if not -BEHIND < pos - other.next < FORWARD or (self.doubtful and pos > other.highest):
            return
        if pos == 1 and not other.from_syn and other.highest == 0 and other.n_held == 0:
            other.base += 1                                   # its first segment was a keep-alive
            pos = 0
        other.acked = max(other.acked, pos)
        if s.options & OPT_SACK and not self.doubtful:
            for i in range(s.n_sack):
                start = place(other.next, s.sack[2 * i] - other.base)
                line_sacked(other, start, place(start, s.sack[2 * i + 1] - other.base))
        if pos >= other.acked:
            other.window_shut = window == 0 and not s.flags & SYN
            if other.probe != NULL and pos > other.probe.item.offset:
                if other.next == other.probe.item.offset:     # the receiver took it after all
                    other.highest = max(other.highest, other.next + 1)
                    self.deliver(1 - d, &other.probe.item, other.probe.data, self.order)
                    self.drain(1 - d, True)
                    self.release()
                self.let_go(other.probe)
                other.probe = NULL
        if other.n_held and other.held[0].doubtful:
            self.drain(1 - d, True)
            self.release()
        if mine.syn_seen and other.syn_seen:
            if mine.scaled and other.scaled and not s.flags & SYN:
                window <<= mine.scale
            other.window_max = max(other.window_max, window)
            other.edge = max(other.edge, pos + window)

    cdef void leap(self, int d, int64_t pos) noexcept nogil:
        """The capture paused for so long that the numbers have gone on: take up the stream behind this segment."""
        cdef Line *mine = &self.lines[d]
        cdef int64_t end
        while mine.n_held:
            self.give_up(d)
        end = mine.next + <uint32_t>(<uint32_t>pos - <uint32_t>mine.next) + self.now.length
        mine.fin = mine.edge = -1
        mine.acked = mine.highest = end
        mine.n_sacked = 0
        if mine.wanted:
            self.pass_over(d, end, self.order, NULL, JUMP)
            self.release()
        else:
            mine.next = end

    # ---------------------------------------------------------------- into the stream

    cdef void item(self, int d, int kind, int64_t pos, int64_t length, int64_t captured, Item *it) noexcept nogil:
        """What the segment at work brings."""
        memset(it, 0, sizeof(Item))
        it.side, it.kind, it.offset, it.length = <uint8_t>d, <uint8_t>kind, pos, length
        it.time_ns, it.frame, it.file = self.now.time_ns, self.now.frame, self.now.file
        it.data_size = max(0, min(captured, length))
        if self.lines[0].reset or self.lines[1].reset:
            it.note = AFTER_RESET

    cdef void insert(self, int d, int64_t pos, int64_t end, const uint8_t *data, int64_t captured) noexcept nogil:
        """Bytes pos to end, of which the first `captured` are there."""
        cdef Line *mine = &self.lines[d]
        cdef Item it
        cdef int64_t step
        if pos < mine.next:
            step = min(end, mine.next) - pos
            if self.doubtful:
                mine.duplicate += step
            else:
                self.behind(d, pos, pos + step, data, captured)
            pos, data, captured = pos + step, data + step, captured - step
            if pos >= end:
                return
        if mine.probe != NULL and pos <= mine.probe.item.offset:
            self.let_go(mine.probe)
            mine.probe = NULL
        if not self.doubtful:
            self.drop_doubtful(d, pos, end)
        if pos == mine.next and not self.doubtful and (mine.n_held == 0 or end <= mine.held[0].item.offset):
            self.item(d, DATA, pos, end - pos, captured, &it)
            self.deliver(d, &it, data, self.order)
        else:
            self.hold(d, pos, end, data, captured)
        self.drain(d, True)

    cdef void hold(self, int d, int64_t pos, int64_t end, const uint8_t *data, int64_t captured) noexcept nogil:
        """Keep what no held piece covers; compare what one does."""
        cdef Line *mine = &self.lines[d]
        cdef Py_ssize_t at = line_find(mine, pos)
        cdef Chunk *c
        cdef Item it
        cdef int64_t step, same
        while pos < end:
            if at < mine.n_held and mine.held[at].item.offset <= pos:
                c = mine.held[at]
                step = min(end, c.item.offset + c.item.length) - pos
                same = min(min(captured, step), c.size - (pos - c.item.offset))
                mine.duplicate += step
                if same > 0 and not self.doubtful and memcmp(data, c.data + (pos - c.item.offset), same) != 0:
                    self.conflict(d, pos, data, c.data + (pos - c.item.offset), same, &c.item, self.order)
                at += 1
            else:
                step = end - pos
                if at < mine.n_held:
                    step = min(step, mine.held[at].item.offset - pos)
                self.item(d, DATA, pos, step, captured, &it)
                c = self.chunk(&it, data, self.order)
                if c == NULL or not line_put(mine, at, c):
                    self.failed = True
                    return
                at += 1
            pos, data, captured = pos + step, data + step, captured - step

    cdef void behind(self, int d, int64_t pos, int64_t end, const uint8_t *data, int64_t captured) noexcept nogil:
        """Bytes that were delivered or passed over before: compare them, or tell that they come late."""
        cdef Line *mine = &self.lines[d]
        cdef int64_t start, size, run
        cdef Item it
        cdef int i = 0
        cdef Origin *from_
        if mine.fin >= 0 and mine.next == mine.fin and end > mine.fin:
            end = mine.fin
        size = end - pos
        while i < mine.n_holes:
            start = max(pos, mine.holes[i].start)
            run = min(min(end, mine.holes[i].end), pos + captured) - start
            if run > 0:
                self.item(d, LATE, start, run, run, &it)
                mine.late += run
                size -= run
                self.emit(d, &it, data + (start - pos), self.order)
                line_fill_hole(mine, i, start, start + run)
            else:
                i += 1
        mine.duplicate += max(size, 0)
        start = max(max(pos, mine.history_from), mine.next - HISTORY)
        end = min(end, pos + captured)
        while start < end:                                    # the ring may be cut in two
            run = min(end - start, HISTORY - start % HISTORY)
            if memcmp(data + (start - pos), mine.history + start % HISTORY, run) != 0:
                self.item(d, CONFLICT, start, run, run, &it)
                from_ = line_origin(mine, start)
                if from_ != NULL:
                    it.other_frame, it.other_file = from_.frame, from_.file
                self.conflict(d, start, data + (start - pos), mine.history + start % HISTORY, run, &it, self.order)
            start += run

    cdef void conflict(self, int d, int64_t pos, const uint8_t *mine, const uint8_t *first, int64_t size, Item *of,
                       uint64_t order) noexcept nogil:
        """Two copies that differ: from the first such byte to the last.  of: tells the first copy's frame."""
        cdef Line *line = &self.lines[d]
        cdef Item it
        cdef uint8_t *both
        while mine[0] == first[0]:
            mine, first, pos, size = mine + 1, first + 1, pos + 1, size - 1
        while mine[size - 1] == first[size - 1]:
            size -= 1
        line.conflicts += 1
        line.conflicting += size
        self.item(d, CONFLICT, pos, size, 0, &it)
        if of.kind == CONFLICT:
            it.other_frame, it.other_file = of.other_frame, of.other_file
        else:
            it.other_frame, it.other_file = of.frame, of.file
        size = min(size, MOST_SHOWN)
        both = <uint8_t *>malloc(2 * size)
        if both == NULL:
            self.failed = True
            return
        memcpy(both, mine, size)
        memcpy(both + size, first, size)
        it.data_size = 2 * size
        self.emit(d, &it, both, order)
        free(both)

    # ---------------------------------------------------------------- delivery

    cdef void deliver(self, int d, Item *it, const uint8_t *data, uint64_t order) noexcept nogil:
        """Hand on bytes that begin at `next`, up to the FIN."""
        cdef Line *mine = &self.lines[d]
        cdef Item cut
        cdef int64_t over
        if mine.fin >= 0 and it.offset + it.length > mine.fin:
            over = min(it.length, it.offset + it.length - mine.fin)
            mine.past_fin += over
            it.length -= over
            it.data_size = min(it.data_size, it.length)
        if it.length <= 0:
            return
        if not line_remember(mine, it, data):
            self.failed = True
            return
        cut = it[0]
        mine.next += it.length
        mine.bytes += it.data_size
        if it.note & AFTER_RESET:
            mine.after_reset += it.length
        if it.data_size:
            it.length = it.data_size
            self.emit(d, it, data, order)
        if cut.data_size < cut.length:
            cut.kind = CUT
            cut.offset += cut.data_size
            cut.length -= cut.data_size
            cut.data_size = 0
            mine.cut += cut.length
            line_hole(mine, cut.offset, cut.offset + cut.length)
            self.emit(d, &cut, NULL, order)

    cdef void drain(self, int d, bint filled) noexcept nogil:
        """What was held and follows now.  filled: by the segment at work, else as if nothing had been missing."""
        cdef Line *mine = &self.lines[d]
        cdef Py_ssize_t n = 0
        cdef Chunk *c
        while n < mine.n_held and (mine.held[n].item.offset <= mine.next
                                   or mine.fin >= 0 and mine.next == mine.fin):
            c = mine.held[n]
            if c.doubtful and mine.next != mine.fin:
                if mine.acked < c.item.offset + c.item.length and self.lines[1 - d].heard:
                    break
                mine.doubtful += c.size
            if c.item.offset < mine.next or mine.next == mine.fin:
                mine.past_fin += c.item.length
            else:
                self.deliver(d, &c.item, c.data, self.order if filled else max(mine.last_order, c.order))
            self.let_go(c)
            n += 1
        if n:
            line_drop(mine, 0, n)

    cdef void pass_over(self, int d, int64_t end, uint64_t order, Item *behind, uint8_t note) noexcept nogil:
        """Tell a gap from `next` to `end`: first what the peer has acknowledged of it, then what it has not."""
        cdef Line *mine = &self.lines[d]
        cdef Item it
        cdef int64_t stop
        cdef bint had
        line_hole(mine, mine.next, end)
        while mine.next < end:
            memset(&it, 0, sizeof(Item))
            stop = end
            it.note = note
            if note & JUMP:
                pass
            elif not self.lines[1 - d].heard:
                it.note |= UNHEARD
            else:
                stop = min(end, line_had_until(mine, mine.next, &had))
                it.note |= ACKNOWLEDGED if had else 0
            it.side, it.kind, it.offset, it.length = <uint8_t>d, GAP, mine.next, stop - mine.next
            if behind != NULL:
                it.time_ns, it.frame, it.file = behind.time_ns, behind.frame, behind.file
            elif self.now != NULL and not self.finished:
                it.time_ns, it.frame, it.file = self.now.time_ns, self.now.frame, self.now.file
            mine.gaps += 1
            mine.missing += it.length
            mine.next = stop
            self.emit(d, &it, NULL, order)
        mine.history_from = mine.next

    cdef void give_up(self, int d) noexcept nogil:
        """Pass over the first hole of side d, which has something behind it."""
        cdef Line *mine = &self.lines[d]
        cdef Chunk *c = mine.held[0]
        cdef int64_t end = c.item.offset
        if mine.probe != NULL and mine.probe.item.offset == mine.next and mine.acked > mine.next:
            self.deliver(d, &mine.probe.item, mine.probe.data, max(mine.last_order, mine.probe.order))
        if mine.fin >= 0:
            end = min(end, mine.fin)
        if c.doubtful and end <= mine.next and mine.next != mine.fin:
            self.drop_doubtful(d, end, end + c.item.length)   # the peer has not acknowledged it
            self.release()
            return
        self.pass_over(d, end, max(mine.last_order, c.order), &c.item, 0)
        self.drain(d, False)
        self.release()

    cdef void drop_doubtful(self, int d, int64_t pos, int64_t end) noexcept nogil:
        """Forget what is held of these bytes with a wrong checksum."""
        cdef Line *mine = &self.lines[d]
        cdef Py_ssize_t at = line_find(mine, pos)
        while at < mine.n_held and mine.held[at].item.offset < end:
            if mine.held[at].doubtful:
                mine.bad_sums += 1
                self.let_go(mine.held[at])
                line_drop(mine, at, 1)
            else:
                at += 1

    cdef void give_up_hole(self) noexcept nogil:
        """Pass over the hole that has been waited for longest."""
        cdef int d = 0
        if self.lines[0].n_held == 0 or (self.lines[1].n_held and self.barrier(1) < self.barrier(0)):
            d = 1
        if self.lines[d].n_held:
            self.give_up(d)

    def finish(self):
        """The capture is over: what waits comes out, and what the peer acknowledged beyond it is a gap."""
        cdef int d
        cdef Line *mine
        self.finished = True
        while self.lines[0].n_held or self.lines[1].n_held:
            self.give_up_hole()
        self.order += 1
        for d in range(2):
            mine = &self.lines[d]
            if mine.wanted and mine.based:
                end = mine.fin if mine.fin >= 0 else max(mine.acked, mine.highest)
                if mine.fin < 0 and end == mine.next + 1:     # that was a FIN, very likely
                    end = mine.next
                if end > mine.next:
                    self.pass_over(d, end, self.order, NULL, 0)
        self.release()
        if self.failed:
            raise MemoryError("out of memory while putting a stream together")
