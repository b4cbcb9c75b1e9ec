# cython: wraparound=False, freethreading_compatible=True
"""Zeek's view of a connection, segment by segment, by the rules of its TCP analyzer.

Evidence for each rule: Zeek's documentation of conn.log, and the behaviour of its TCP session adapter,
endpoint and reassembler.  What the rules have in common is that Zeek believes the sender: a FIN or RST
moves its sender's state when it is seen, whatever its sequence number, delivered or not.

Order within one segment matters for the history and is Zeek's: flag letters, zero window (w),
retransmission (t), then the states, then the gap (g) that the acknowledgment reveals in the peer's
stream, and last the segment's own payload.

One rule is ours.  Zeek drops every segment with a wrong checksum (c) unless told not to look (-C).  Here
the checksums of a side that never had a right one are not believed: a network card or an anonymizer has
left them so, and its user would run Zeek with -C.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from tcpscope.replay import layout
from tcpscope.replay.known cimport known_absorb, known_add
from tcpscope.replay.roles cimport role_of_first, zeek_flips
from tcpscope.replay.seq cimport after, before, distance, place
from tcpscope.replay.zeek_history cimport SEEN_ACK, SEEN_DATA, tell, tell_control, tell_once, tell_scaled
from tcpscope.wire.batch cimport SegmentBatch
from tcpscope.wire.segment cimport (
    ACK, FIN, NOTE_BOGUS_OFFSET, NOTE_CUT_HEADER, NOTE_FRAGMENT, OPT_CUT, RST, SUM_BAD, SUM_GOOD, SYN,
    Segment
)

cdef enum:                             # layout.CONN_STATES
    OTH, S0, S1, SF, REJ, S2, S3, RSTO, RSTR, RSTOS0, RSTRH, SH, SHR

assert layout.CONN_STATES == (
    "OTH", "S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR",
)  # fmt: skip

# Zeek's defaults
cdef int64_t TOO_LARGE_JUMP = 1 << 20              # a SYN or RST this far off does not move `last`
cdef int64_t MAX_WITHOUT_ACKS = 16384              # tcp_max_above_hole_without_any_acks
cdef int64_t MAX_UNACKED = 10 * 1024 * 1024        # tcp_excessive_data_without_further_acks

# ---------------------------------------------------------------- who is the originator

cdef void zeek_start(Zeek *z, const Segment *s) noexcept nogil:
    """Begin with a connection's first segment, which `zeek_observe` has yet to see."""
    cdef int sender = role_of_first(s)
    memset(z, 0, sizeof(Zeek))
    z.originator = sender
    if zeek_flips(s):
        z.originator = 1 - sender
        tell(z, b'^')


cdef void take_for_responder(Zeek *z) noexcept nogil:
    """A SYN-ACK stood alone until data or an ACK followed: no scan, so its sender is the responder.

    From here on all is as if the first segment had been flipped.
    """
    become(&z.side[z.originator], ESTABLISHED)
    z.originator = 1 - z.originator
    z.seen[0], z.seen[1] = z.seen[1], z.seen[0]
    z.length = 0
    tell(z, b'^')
    tell(z, b'h')


cdef int zeek_originator(const Zeek *z) noexcept nogil:
    """0 if Zeek's originator is the client, 1 if it is the server."""
    return z.originator


# ---------------------------------------------------------------- positions

cdef void begin_at(ZeekSide *me, uint32_t seq, int64_t last) noexcept nogil:
    """The side's stream begins at `seq`; what is known beyond keeps its distance from the beginning."""
    cdef uint32_t moved = seq - me.start
    cdef int i
    if me.state == INACTIVE:
        me.known.upto = seq + 1
    elif moved:
        me.known.upto += moved
        for i in range(2 * me.known.count):
            me.known.islands[i] += moved
    me.start = seq
    me.acked = 0
    me.last = last


cdef inline void place_start(ZeekSide *me, const Segment *s, uint32_t occupied) noexcept nogil:
    """Where the sender's stream begins: at its SYN, or one before the first segment seen.

    A SYN is believed anew until the side has closed, and after a RST that came before anything else.
    """
    if me.state == INACTIVE:
        if s.flags & SYN:
            begin_at(me, s.seq, occupied)
        else:
            begin_at(me, s.seq - 1, 1)
    elif not s.flags & SYN:
        return
    elif me.state == SYN_SENT or me.state == SYN_ACK_SENT:
        if s.seq != me.start:
            begin_at(me, s.seq, occupied)
    elif me.state <= ESTABLISHED or (me.state == RESET and me.before == INACTIVE):
        begin_at(me, s.seq, occupied)


cdef inline void advance(Zeek *z, const Segment *s, int sender, int64_t end) noexcept nogil:
    """Move `last` to a segment's end, or count it as a retransmission (t), late arrivals included."""
    cdef ZeekSide *me = &z.side[sender]
    if me.state == RESET:
        return
    if end > me.last:
        me.last = end
    elif s.length:
        tell_scaled(z, sender, &me.repeats, b'T')


cdef void advance_by_control(Zeek *z, const Segment *s, int sender, int64_t end) noexcept nogil:
    """The same for SYN, FIN and RST, whose numbers are believed less, or more."""
    cdef ZeekSide *me = &z.side[sender]
    cdef int64_t jump = end - me.last
    if s.flags & (SYN | RST) and (jump > TOO_LARGE_JUMP or jump < -TOO_LARGE_JUMP):
        return
    if s.flags & FIN and me.last == 1:
        # between SYN and FIN nothing was captured: the distance may be more than 2 GB
        me.last = <uint32_t>end
    else:
        advance(z, s, sender, end)


cdef inline bint none_acked(const ZeekSide *me) noexcept nogil:
    return me.acked == 0 or me.acked == 1


cdef int64_t zeek_bytes(const Zeek *z, int sender) noexcept nogil:
    """Payload bytes the side sent, as Zeek counts them: by sequence numbers, sent or acknowledged."""
    cdef const ZeekSide *me = &z.side[sender]
    cdef int64_t size = me.last if me.last > me.acked else me.acked
    if me.before == SYN_SENT and me.state == RESET and z.side[1 - sender].state == INACTIVE \
            and not none_acked(me):
        return 0                           # a half-open connection, found and aborted
    if size > 0:
        size -= 1                          # the SYN
    if size > 0 and me.marks & FINISHED:
        size -= 1
    return size if size > 0 else 0


# ---------------------------------------------------------------- reassembly

cdef inline bint is_clean(const ZeekSide *me) noexcept nogil:
    return me.state == ESTABLISHED or (me.state == CLOSED and me.before == ESTABLISHED)


cdef void give_up(ZeekSide *me) noexcept nogil:
    me.marks |= SKIPPING
    me.known.count = 0


cdef int64_t held(const ZeekSide *me) noexcept nogil:
    """Bytes captured and not yet acknowledged; Zeek keeps none while nothing is acknowledged."""
    cdef int64_t size = 0 if none_acked(me) else distance(me.start + <uint32_t>me.acked, me.known.upto)
    cdef int i
    for i in range(me.known.count):
        size += distance(me.known.islands[2 * i], me.known.islands[2 * i + 1])
    return size


cdef void zeek_received(ZeekSide *me, uint32_t start, uint32_t end) noexcept nogil:
    """Reassemble the payload [start, end); give up as Zeek does where too much waits to be acknowledged."""
    if me.marks & SKIPPING:
        return
    known_add(&me.known, start, end)
    if me.known.count and none_acked(me) \
            and distance(me.known.upto, me.known.islands[2 * me.known.count - 1]) > MAX_WITHOUT_ACKS:
        give_up(me)
    if me.last - me.acked > MAX_UNACKED and held(me) > MAX_UNACKED:
        give_up(me)


cdef inline void gap(Zeek *z, int sender, uint32_t upto, bint report) noexcept nogil:
    cdef ZeekSide *me = &z.side[sender]
    if report:
        me.missed += distance(me.known.upto, upto)
        tell_scaled(z, sender, &me.gaps, b'G')
    me.known.upto = upto
    known_absorb(&me.known)


cdef void zeek_acknowledged(Zeek *z, int sender, uint32_t upto) noexcept nogil:
    """The peer acknowledges sender's stream: what was not captured below is a gap.

    Reported only while both ends are cleanly open or closing; RSTs acknowledge anything.
    """
    cdef ZeekSide *me = &z.side[sender]
    cdef bint report
    if me.marks & FINISHED and not before(upto, me.fin_end):
        upto = me.fin_end - 1
    if not after(upto, me.known.upto):
        return
    if me.marks & SKIPPING:
        me.known.upto = upto
        return
    report = is_clean(me) and is_clean(&z.side[1 - sender])
    while me.known.count and before(me.known.islands[0], upto):
        gap(z, sender, me.known.islands[0], report)
    if after(upto, me.known.upto):
        gap(z, sender, upto, report)


# ---------------------------------------------------------------- states

cdef inline void become(ZeekSide *me, uint8_t state) noexcept nogil:
    if me.state != state:
        me.before = me.state
        me.state = state


cdef void first_of_side(Zeek *z, const Segment *s, int sender) noexcept nogil:
    """The first segment of a side."""
    cdef ZeekSide *me = &z.side[sender]
    cdef ZeekSide *peer = &z.side[1 - sender]
    if s.flags & SYN:
        if sender == z.originator:
            become(me, SYN_ACK_SENT if s.flags & ACK else SYN_SENT)
        else:
            if not s.flags & ACK and peer.state == SYN_ACK_SENT:
                # the SYN was captured after its SYN-ACK: this side is the originator
                z.originator = <uint8_t>sender
                tell(z, b'^')
                become(peer, ESTABLISHED)
            elif peer.state == SYN_SENT:
                become(peer, ESTABLISHED)
            become(me, ESTABLISHED)
    if s.flags & FIN:
        become(me, CLOSED)
    if s.flags & RST:
        become(me, RESET)
    if me.state != INACTIVE:
        return
    if sender != z.originator and s.length == 0 and peer.state == SYN_SENT:
        return                             # some stacks acknowledge a SYN before they answer it
    if s.flags & ACK and peer.state == ESTABLISHED:
        become(me, ESTABLISHED)            # only its SYN is missing
    else:
        become(me, PARTIAL)


cdef void move(Zeek *z, const Segment *s, int sender) noexcept nogil:
    """The sender's state (and rarely its peer's) after a segment with SYN, FIN or RST, or its first one."""
    cdef ZeekSide *me = &z.side[sender]
    cdef ZeekSide *peer = &z.side[1 - sender]
    if me.state == INACTIVE:
        first_of_side(z, s, sender)
    elif me.state == SYN_SENT or me.state == SYN_ACK_SENT:
        if s.flags & FIN:
            become(me, CLOSED)
        if s.flags & RST:
            become(me, RESET)
    elif me.state == PARTIAL or me.state == ESTABLISHED:
        if s.flags & (SYN | ACK) == SYN and me.state == PARTIAL and peer.state == INACTIVE:
            become(me, SYN_SENT)
        if s.flags & (FIN | RST) == FIN:
            become(me, CLOSED)
            if peer.state == RESET and peer.before == CLOSED:
                become(peer, CLOSED)       # FIN then RST there, FIN here: a normal end after all
        if s.flags & RST:
            become(me, RESET)
    elif me.state == CLOSED and s.flags & RST and peer.state != CLOSED:
        become(me, RESET)


# ---------------------------------------------------------------- one segment

cdef void zeek_observe(Zeek *z, const Segment *s, int sender) noexcept nogil:
    """Take in the next segment; `sender` is 0 for the client, 1 for the server."""
    cdef ZeekSide *me = &z.side[sender]
    cdef ZeekSide *peer = &z.side[1 - sender]
    cdef int control = s.flags & (SYN | FIN | RST)
    cdef uint32_t occupied = s.length      # of sequence space; Zeek keeps a RST's payload out of it
    cdef int64_t position, end, acked
    cdef bint acknowledges = False

    if s.notes & (NOTE_BOGUS_OFFSET | NOTE_CUT_HEADER) or s.options & OPT_CUT:
        return
    if s.checksum_state == SUM_GOOD:
        me.marks |= VERIFIED
    elif s.checksum_state == SUM_BAD and me.marks & VERIFIED:
        tell_scaled(z, sender, &me.bad_sums, b'C')
        return                             # damaged; its receiver discards it too
    if control:
        occupied = (0 if control & RST else s.length) + (control & SYN != 0) + (control & FIN != 0)
    if control & SYN or me.state == INACTIVE:
        place_start(me, s, occupied)
    position = place(me.last, s.seq - me.start)

    if z.length == 1 and z.history[0] == b'H' and not control and (s.length or s.flags & ACK):
        take_for_responder(z)
    if control:
        tell_control(z, s, sender, <uint32_t>position)
    elif s.length:
        tell_once(z, sender, SEEN_DATA, b'D')
    elif s.flags & ACK:
        tell_once(z, sender, SEEN_ACK, b'A')
    if s.window == 0 and not control & RST and peer.state != CLOSED and me.state != RESET:
        tell_scaled(z, sender, &me.zero_windows, b'W')
    if control & FIN:
        me.marks |= FINISHED
        me.fin_end = s.seq + occupied

    if s.flags & ACK:
        if peer.state == INACTIVE:
            begin_at(peer, s.ack - 1, 0)
        else:
            acked = place(peer.acked, s.ack - peer.start)
            acknowledges = acked >= 0
            if acked > peer.acked and not control & RST \
                    and not (s.ack == 0 and acked - peer.acked > TOO_LARGE_JUMP):
                peer.acked = acked
    if control:
        advance_by_control(z, s, sender, position + occupied)
    else:
        advance(z, s, sender, position + occupied)
    if control or me.state == INACTIVE:
        move(z, s, sender)
    if acknowledges and after(s.ack, peer.known.upto):
        zeek_acknowledged(z, 1 - sender, s.ack)
    # Zeek reassembles only what was captured whole, nothing from before the beginning, nothing acknowledged
    if s.length and position >= 0 and not control & RST \
            and (s.captured >= s.length or s.notes & NOTE_FRAGMENT):
        if control & SYN:
            position += 1
        end = position + s.length
        if end > me.acked:
            zeek_received(me, me.start + <uint32_t>max(position, me.acked), me.start + <uint32_t>end)


cdef bint zeek_is_plain(const Zeek *z, int sender, uint32_t una, uint32_t nxt) noexcept nogil:
    """The sender is open as Zeek sees it too, from una to nxt."""
    cdef const ZeekSide *me = &z.side[sender]
    return ((me.state == ESTABLISHED or me.state == PARTIAL) and z.length > 1
            and 0 <= me.acked <= me.last
            and me.start + <uint32_t>me.acked == una and me.start + <uint32_t>me.last == nxt)


cdef void zeek_met(Zeek *z, int sender, bint data) noexcept nogil:
    """The sender's plain segments begin: with data, or acknowledgments."""
    if data:
        tell_once(z, sender, SEEN_DATA, b'D')
    else:
        tell_once(z, sender, SEEN_ACK, b'A')


# ---------------------------------------------------------------- the answer

cdef bint reset_before_answer(const Zeek *z) noexcept nogil:
    """History: SYN, then RST, both of the originator, and none of its H A F G I Q between."""
    cdef int i = 1 if z.length and z.history[0] == b'^' else 0
    cdef char letter
    if i >= z.length or z.history[i] != b'S':
        return False
    for i in range(i + 1, z.length):
        letter = z.history[i]
        if letter == b'R':
            return True
        if letter in (b'H', b'A', b'F', b'G', b'I', b'Q'):
            return False
    return False


cdef int zeek_conn_state(const Zeek *z) noexcept nogil:
    """Zeek's conn_state, as an index into `layout.CONN_STATES`."""
    cdef int o = z.side[z.originator].state, r = z.side[1 - z.originator].state
    cdef bint o_silent = o == INACTIVE or o == PARTIAL, r_silent = r == INACTIVE or r == PARTIAL
    if r == RESET:
        if o == SYN_SENT or o == SYN_ACK_SENT:
            return REJ
        if o == RESET and zeek_bytes(z, 0) == 0 and zeek_bytes(z, 1) == 0:
            return REJ
        return RSTRH if o_silent else RSTR
    if o == RESET:
        if not r_silent:
            return RSTO
        return RSTOS0 if reset_before_answer(z) else OTH
    if o == CLOSED and r == CLOSED:
        return SF
    if o == CLOSED:
        return SH if r_silent else S2
    if r == CLOSED:
        return SHR if o_silent else S3
    if o == SYN_SENT and r == INACTIVE:
        return S0
    return S1 if o == ESTABLISHED and r == ESTABLISHED else OTH


cdef void zeek_history(const Zeek *z, char *out, int room) noexcept nogil:
    """Zeek's history into out[room], NUL-terminated; cut where it does not fit."""
    cdef int n = z.length if z.length < room else room - 1
    if n >= 0:
        memcpy(out, z.history, n)
        out[n] = 0


cdef int64_t zeek_missed_bytes(const Zeek *z, int sender) noexcept nogil:
    """Bytes of sender's stream that the peer acknowledged and the capture does not hold."""
    return z.side[sender].missed


# ---------------------------------------------------------------- for tests

cdef class ZeekProbe:
    """One connection under Zeek's eyes: `observe` its segments, then ask."""
    cdef Zeek z
    cdef bint begun

    def __cinit__(self):
        memset(&self.z, 0, sizeof(Zeek))
        self.begun = False

    def observe(self, SegmentBatch batch not None, Py_ssize_t index, int sender):
        """Take in `batch`'s segment at `index`, sent by the client (0) or the server (1)."""
        if not 0 <= index < batch.size or sender not in (0, 1):
            raise IndexError("no such segment or side")
        if not self.begun:
            zeek_start(&self.z, &batch.items[index])
            self.begun = True
        zeek_observe(&self.z, &batch.items[index], sender)

    @property
    def state(self):
        """Zeek's conn_state."""
        return layout.CONN_STATES[zeek_conn_state(&self.z)]

    @property
    def history(self):
        cdef char out[ZEEK_HISTORY]
        zeek_history(&self.z, out, ZEEK_HISTORY)
        return (<bytes>out).decode("ascii")

    @property
    def originator(self):
        """Which side Zeek calls the originator: 0 the client, 1 the server."""
        return zeek_originator(&self.z)

    def payload(self, int sender):
        """(bytes sent, bytes missed) of a side."""
        if sender not in (0, 1):
            raise IndexError("a connection has sides 0 and 1")
        return zeek_bytes(&self.z, sender), zeek_missed_bytes(&self.z, sender)


def zeek_size():
    """Bytes of one Zeek."""
    return sizeof(Zeek)
