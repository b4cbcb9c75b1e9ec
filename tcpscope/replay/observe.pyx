# cython: wraparound=False, freethreading_compatible=True
"""One segment of a connection, shown to every observer in turn.

Wireshark's rules, the flight of its sender and of its receiver, the traffic statistics, Zeek's
history; and the marks from which the states are told when the connection ends or the capture does.
"""
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from tcpscope.replay.announce cimport touch
from tcpscope.replay.annotate cimport annotate, count_annotations, is_without_socket
from tcpscope.replay.annotations cimport (
    A_ACK_LOST_SEGMENT, A_LOST_SEGMENT, A_OUT_OF_ORDER, A_RETRANSMISSION, bit, probes, twice,
)
from tcpscope.replay.calm cimport calm_end, calm_look
from tcpscope.replay.chunks cimport chunk
from tcpscope.replay.connection cimport N_SPURIOUS, Connection
from tcpscope.replay.copies cimport ELSEWHERE_NS, copies_free, copy_seen, expect_copies
from tcpscope.replay.course cimport (
    Course, ECHOED_FIRST, ECHOED_LATER, FAST_OPEN_ACCEPTED, FAST_OPEN_ASKED, FAST_OPEN_GIVEN,
    FAST_OPEN_REFUSED, FAST_OPEN_USED, PAUSE_NS, RESET_ACK, RESET_EXACT,
    RESET_FIN_ALONE, RESET_IN_FLIGHT, RESET_NO_SOCKET,
    RESET_OPENING, RESET_OWN_FIN,
    RESET_PEER_FIN, RESET_PROBED, RESET_PROMPTED, RESET_SPOKE, RESET_STRANGE_ID, RESET_UNDELIVERED, RESET_UNREAD,
    course_pause,
)
from tcpscope.replay.ending cimport end, linger
from tcpscope.replay.evidence cimport NOTEWORTHY, evidence_keep
from tcpscope.replay.flight cimport (
    SAID_KEEP_ALIVE, SAID_UNACCEPTABLE, Chunk, Finding, Flight, flight_acked,
)
from tcpscope.replay.marks cimport MARK_BAD_SUM, MARK_EXACT, MARK_UNREACHABLE, marks_keep, marks_want
from tcpscope.replay.plain cimport Plain, observe_plain, plain_bits
from tcpscope.replay.roles cimport ports_differ, role_of_first
from tcpscope.replay.rows cimport PacketRow
from tcpscope.replay.run cimport Replay
from tcpscope.replay.sent cimport flight_sent, flight_stray
from tcpscope.replay.seq cimport after, before, distance
from tcpscope.replay.services cimport said_keep
from tcpscope.replay.settle cimport Patch
from tcpscope.replay.speaking cimport spoke
from tcpscope.replay.spending cimport spending_observe, spending_start
from tcpscope.replay.store cimport more
from tcpscope.replay.traffic cimport traffic_observe, traffic_observe_copy
from tcpscope.replay.turns cimport NOBODY_YET
from tcpscope.replay.wireshark cimport WS_REUSED_PORTS, Marks as Shown, wireshark_observe, wireshark_start
from tcpscope.replay.zeek cimport zeek_observe, zeek_start
from tcpscope.wire.segment cimport (
    ACK, FIN, NOTE_ELSEWHERE, OPT_FAST_OPEN, OPT_TIMESTAMPS, RST, SUM_BAD, SUM_GOOD, SYN, Segment, frame_at, spot,
)

cdef enum:
    UNKNOWN = 11                     # states.State
    HANDED_DOWN = 8                  # segments of a new incarnation that are looked at for the old one's sake
    LARGEST = 1 << 30                # window (RFC 7323, 2.3)
    NEAR_ID = 1024                   # IP IDs of one counter lie nearer together

cdef uint64_t LATE = bit(A_RETRANSMISSION) | bit(A_OUT_OF_ORDER)


cdef void begin(Connection *c, const Segment *s) noexcept nogil:
    """Begin zeroed memory with its first segment, which `observe` has yet to see; c.flow is set."""
    cdef int client = role_of_first(s)                 # 0: its sender
    c.start_ns, c.first_frame = s.time_ns, spot(s)
    c.role_evidence = <uint8_t>((1 if s.flags & ACK else 0) if s.flags & SYN else (2 if ports_differ(s) else 3))
    c.from_start = s.flags & (SYN | ACK) == SYN
    c.icmp_type = 255
    c.turns.talker = NOBODY_YET
    c.course.first_flags, c.course.first_side = s.flags, <uint8_t>client
    c.last_ns = s.time_ns
    c.side[0].at_fin = c.side[1].at_fin = -1
    c.side[0].last_ns = c.side[1].last_ns = c.turns.side[0].data_ns = c.turns.side[1].data_ns = -1
    spending_start(&c.spending)
    if s.notes & NOTE_ELSEWHERE:
        expect_copies(&c.flight[0])
        expect_copies(&c.flight[1])
    c.syn_ns[0] = c.syn_ns[1] = c.ack_ns = c.reused_ns = c.reset_ns = -1
    wireshark_start(&c.wireshark, s, client)
    zeek_start(&c.zeek, s)


cdef inline bint is_opening(const Connection *c, const Segment *s, int d) noexcept nogil:
    """By its numbers nothing had been said that the capture lacks, as one does that holds SYN, FIN and RST alone."""
    cdef const Flight *mine = &c.flight[d]
    cdef const Flight *theirs = &c.flight[1 - d]
    return (not (mine.started and after(s.seq, mine.max))
            and not (s.flags & ACK and theirs.started and after(s.ack, theirs.max)))


cdef inline bint answers_latest(const Flight *f, const Segment *s) noexcept nogil:
    """What answers f's SYN echoes no earlier copy of it (RFC 7323, 3): the answer to the latest is yet to come."""
    cdef const Chunk *syn
    if not f.live or not s.options & OPT_TIMESTAMPS:
        return True
    syn = chunk(f, f.old)
    return syn.times < 2 or not before(s.ts_ecr, syn.last_ts)


cdef inline void handshake(Connection *c, const Segment *s, int d) noexcept nogil:
    """Times and kind of the opening."""
    if s.flags & SYN:
        offer(c, s, d)
        if s.flags & ACK:
            if c.syn_ns[1] < 0 and c.syn_ns[0] >= 0 and answers_latest(&c.flight[0], s):
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
        c.ack_rtt_ns = -1
        if is_opening(c, s, d):
            c.ack_rtt_ns = s.time_ns - c.syn_ns[1] if answers_latest(&c.flight[1], s) else 0


cdef bint closed(const Connection *c) noexcept nogil:
    """Both ends are done with it, as far as the capture shows."""
    return c.reset or c.fins == 3


cdef void offer(Connection *c, const Segment *s, int d) noexcept nogil:
    """A SYN or SYN-ACK: its options, Fast Open, and which SYN the server answers."""
    cdef Course *course = &c.course
    cdef bint with_cookie = s.options & OPT_FAST_OPEN and s.cookie_length
    course.syn_options[d] |= s.options
    if not s.flags & ACK:
        if course.syn_ts == 0 and s.options & OPT_TIMESTAMPS:
            course.syn_ts = s.ts_val
        if s.options & OPT_FAST_OPEN and course.fast_open == 0:
            course.fast_open = FAST_OPEN_USED if with_cookie and s.length else FAST_OPEN_ASKED
        return
    if course.syn_ack_ns:
        return
    course.syn_ack_ns = s.time_ns
    if course.syn_ts and s.options & OPT_TIMESTAMPS and s.ts_ecr:       # old Windows echoes nothing in its SYN-ACK
        course.echoed = ECHOED_FIRST if s.ts_ecr == course.syn_ts else ECHOED_LATER
    if course.fast_open == FAST_OPEN_ASKED and with_cookie:
        course.fast_open = FAST_OPEN_GIVEN
    elif course.fast_open == FAST_OPEN_USED:
        course.fast_open = FAST_OPEN_ACCEPTED if s.ack == c.flight[0].max else FAST_OPEN_REFUSED


cdef void note_reset(Connection *c, const Segment *s, int d) noexcept nogil:
    """The first RST of a connection: what it looks like, and what there was before it."""
    cdef const Flight *mine = &c.flight[d]
    cdef const Flight *theirs = &c.flight[1 - d]
    cdef uint32_t bits = 0
    cdef int32_t step
    if s.flags & ACK:
        bits |= RESET_ACK
    elif is_without_socket(c, s, d):
        bits |= RESET_NO_SOCKET
    if s.seq == mine.max or s.seq == mine.una:
        bits |= RESET_EXACT
    if mine.fin_sent:
        bits |= RESET_OWN_FIN
    if theirs.fin_sent:
        bits |= RESET_PEER_FIN
    if theirs.last_kind == SAID_KEEP_ALIVE:
        bits |= RESET_PROBED
    if c.side[1 - d].last_ns > c.side[d].last_ns:
        bits |= RESET_PROMPTED
    if c.ack_ns < 0 and is_opening(c, s, d):
        bits |= RESET_OPENING
    if c.turns.side[1 - d].data_ns > c.turns.side[d].data_ns:
        bits |= RESET_UNREAD
    if theirs.live and not (s.flags & ACK and not before(s.ack, theirs.max)):
        bits |= RESET_UNDELIVERED
        if theirs.fin_sent and theirs.max - theirs.una == 1:
            bits |= RESET_FIN_ALONE
    if mine.live:
        bits |= RESET_IN_FLIGHT
    if mine.ids == 1 and s.ip_id != 0 and s.ip_id <= 0xFFFF:
        step = <int32_t><int16_t>(s.ip_id - mine.top_id)
        if step < -NEAR_ID or step > NEAR_ID:
            bits |= RESET_STRANGE_ID
    c.reset, c.reset_ns, c.reset_by = True, s.time_ns, <uint8_t>d
    c.course.reset_bits, c.course.reset_frame, c.course.reset_ttl = bits, spot(s), s.ttl


cdef inline bint own_reset(const Connection *c, const Segment *s, int d) noexcept nogil:
    """An open socket's RST, from where its side comes, after one that was neither (RFC 9293, 3.10.7.1)."""
    return (s.flags & (SYN | RST | ACK) == RST | ACK and not c.course.reset_bits & RESET_ACK
            and s.ttl == c.side[d].ttl and s.ttl != c.course.reset_ttl)


cdef inline void closing(Replay *r, Connection *c, const Segment *s, int d, bint copy) noexcept nogil:
    """Notice when both ends are done, so that the connection can be let go in time."""
    cdef Flight *mine = &c.flight[d]
    cdef Flight *theirs = &c.flight[1 - d]
    if c.reset and d == c.reset_by and not copy and (not s.flags & (SYN | RST) or own_reset(c, s, d)):
        c.course.reset_bits |= RESET_SPOKE
    if s.flags & FIN and not c.fin_seen:
        c.first_fin = <uint8_t>d
        c.fin_seen = True
    if theirs.fin_sent and s.flags & ACK and theirs.live == 0:
        c.fins |= <uint8_t>(2 - d)            # bit of the other side: 1 client, 2 server
    if mine.fin_sent and mine.live == 0:
        c.fins |= <uint8_t>(1 + d)
    if not c.flow.lingering and closed(c):
        linger(r, c.flow)


cdef inline bint damaged(const Connection *c, const Segment *s, int d) noexcept nogil:
    """The receiver's TCP discards it.  A capture in which every sum is wrong was anonymised or edited instead."""
    return s.checksum_state == SUM_BAD and c.side[d].good_sum


cdef inline bint beyond(const Flight *f, const Segment *s) noexcept nogil:
    """Its number lies behind all that the peer allows."""
    return f.started and distance(f.max, s.seq) > <int32_t>max(min(f.peer_window, LARGEST), 0xFFFF)


cdef inline bint begins(const Connection *c, const Segment *s, int d) noexcept nogil:
    """The side's stream begins with this segment."""
    cdef uint32_t base = c.wireshark.side[d].base
    return c.syn_ns[d] >= 0 and s.seq + (1 if s.flags & SYN else 0) == base + 1


cdef inline uint8_t mark_bits(const Connection *c, const Segment *s, int d) noexcept nogil:
    """Of a segment that the flight has not been shown: it would take a RST's number for the furthest sent."""
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
    cdef bint alike = old.flow.port[0] == c.flow.port[0] and memcmp(old.flow.addr[0], c.flow.addr[0], 16) == 0
    cdef int side = d if alike else 1 - d
    cdef Flight *mine = &old.flight[side]
    if (s.flags & (SYN | ACK) == SYN | ACK or s.time_ns - old.reused_ns > 2 * r.msl_ns
            or c.traffic[0].packets + c.traffic[1].packets > HANDED_DOWN):
        c.older = NULL
        return end(r, old, r.now_ns)
    if s.flags & SYN or s.length or (s.seq != mine.max and s.seq != mine.una):
        return 0
    if s.flags & RST and not old.reset:
        note_reset(old, s, side)
    if marks_keep(&old.marks, s, side, order, mark_bits(old, s, side)) < 0:
        return -1
    return touch(r, old.flow) if r.live else 0


cdef int observe_fully(Replay *r, Connection *c, const Segment *s, int d, uint64_t order, bint stepped_back,
                       bint write) noexcept nogil:
    """`observe` (observe.pxd) of a segment that is not plain."""
    cdef bint copy, stray, fresh = c.last_frame == 0
    cdef uint64_t own, fresh_bits
    cdef Shown shown
    cdef Plain plain
    cdef Finding f
    cdef int64_t reach, quiet
    cdef Patch *patch
    cdef int done
    cdef uint8_t bits

    memset(&f, 0, sizeof(Finding))
    f.rtt_ns = -1
    if c.calm:
        if write and not stepped_back:
            done = observe_plain(c, s, d, order, &plain)
            if done:
                return done if done < 0 else write_plain(r, c, s, d, order, &plain)
        if calm_end(c) < 0:
            return -1
    if wireshark_observe(&c.wireshark, s, d, write, &shown) < 0:
        return -1
    if fresh and c.flow.reused:
        shown.marks |= WS_REUSED_PORTS
    if s.checksum_state == SUM_GOOD:
        c.side[d].good_sum = True
    copy = copy_seen(&c.flight[d], s, c.copies > 0, &f)
    stray = flight_stray(&c.flight[d], s)
    if stray:
        c.flight[d].last_kind = SAID_UNACCEPTABLE
    elif damaged(c, s, d) and beyond(&c.flight[d], s):
        stray = True                     # dropped without a word
    else:
        handshake(c, s, d)
    bits = mark_bits(c, s, d)
    if not copy and not stray:
        reach = c.flight[1 - d].rtt_min_ns
        if not damaged(c, s, d):
            flight_acked(&c.flight[1 - d], s, shown.window, reach, &f)
        if flight_sent(&c.flight[d], s, order, reach, &f) < 0:
            return -1
        r.in_part += f.in_part
    if f.annotations & twice():
        c.copies += 1
        traffic_observe_copy(&c.traffic[d], s)
    elif stray:
        traffic_observe_copy(&c.traffic[d], s)
    elif traffic_observe(&c.traffic[d], &c.traffic[1 - d], s) < 0:
        return -1
    zeek_observe(&c.zeek, s, d)
    if not copy and not stray and marks_want(&c.marks, s, d, f.annotations >> A_LOST_SEGMENT & 1,
                                             f.annotations >> A_ACK_LOST_SEGMENT & 1):
        if marks_keep(&c.marks, s, d, order, bits) < 0 or r.live and touch(r, c.flow) < 0:
            return -1
    if c.older != NULL and not fresh and hand_down(r, c, s, d, order) < 0:
        return -1
    own = annotate(c, s, d, copy, &shown, &f, stepped_back)
    count_annotations(c, s, d, own, shown.window, f.retransmission_of != 0)
    if s.length and not own & (twice() | probes()):
        spoke(c, s, d, not own & LATE)
    if s.hint and not damaged(c, s, d) and said_keep(&c.flow.saids, d, &r.hints[s.hint - 1], begins(c, s, d)) < 0:
        return -1
    quiet = s.time_ns - c.last_ns
    if quiet >= PAUSE_NS and not fresh and not own & (bit(A_RETRANSMISSION) | probes() | twice()):
        course_pause(&c.course, d, quiet, s.time_ns)
    if s.flags & RST and not c.reset and not copy and not (c.older != NULL and c.older.reset_ns == s.time_ns):
        note_reset(c, s, d)              # else it answered, and ended, the incarnation before
    spending_observe(&c.spending, c.flight, c.traffic, s, d, s.time_ns - c.last_ns, own, &f)
    c.last_ns, c.last_frame = s.time_ns, spot(s)
    c.side[d].last_ns = s.time_ns
    closing(r, c, s, d, own & twice() != 0)
    fresh_bits = own & NOTEWORTHY & ~c.evidence.full[d]
    if fresh_bits and evidence_keep(&c.evidence, d, fresh_bits, spot(s), s.time_ns) < 0:
        return -1
    if f.late_bits:
        fresh_bits = f.late_bits & ~c.evidence.full[1 - d]
        if fresh_bits and evidence_keep(&c.evidence, 1 - d, fresh_bits, f.late_frame, s.time_ns) < 0:
            return -1
        c.side[1 - d].counts[N_SPURIOUS] += 1
        if r.keep_past:
            patch = <Patch *>more(&r.patches, sizeof(Patch))
            if patch == NULL:
                return -1
            patch.order, patch.bits = f.late_order, f.late_bits
    if c.flight[0].many != NULL and c.copies == 0 and s.time_ns - c.start_ns > ELSEWHERE_NS:
        copies_free(&c.flight[0])            # the other capture is of another path
        copies_free(&c.flight[1])
    if not r.careful:
        calm_look(c)
    if write:
        return write_packet(r, c, s, d, order, own, &shown, &f)
    return 0


cdef inline uint32_t in_flight(const Connection *c, int d) noexcept nogil:
    """As Wireshark has it, of a calm connection: to the end of the data, less what the peer's latest packet SACKed."""
    cdef const Flight *f = &c.flight[d]
    cdef uint32_t oldest = chunk(f, f.old).seq
    cdef uint32_t size = f.max - (f.una if after(f.una, oldest) else oldest)
    cdef uint32_t sacked = 0 if c.said & plain_bits(1 - d) else c.wireshark.side[1 - d].sack_bytes
    return size - sacked if size > sacked else 0


cdef int write_plain(Replay *r, const Connection *c, const Segment *s, int d, uint64_t order,
                     const Plain *found) noexcept nogil:
    """A packet record of a plain segment: what Wireshark's observer would have shown, the flight tells."""
    cdef Shown shown
    cdef Finding f
    memset(&shown, 0, sizeof(Shown))
    memset(&f, 0, sizeof(Finding))
    shown.window, shown.irtt, shown.ack_rtt = found.window, c.wireshark.irtt, max(found.ack_rtt_ns, 0)
    if s.length and (not c.wireshark.side[d].lost_pending or c.said & plain_bits(1 - d)):
        shown.bytes_in_flight = in_flight(c, d)
    f.rtt_ns, f.acked_frame = found.rtt_ns, found.acked_frame
    return write_packet(r, c, s, d, order, found.annotations, &shown, &f)


cdef int write_packet(Replay *r, const Connection *c, const Segment *s, int d, uint64_t order, uint64_t own,
                      const Shown *shown, const Finding *f) noexcept nogil:
    cdef PacketRow *p = <PacketRow *>more(&r.packets, sizeof(PacketRow))
    cdef uint32_t base = c.wireshark.side[d].base, peer = c.wireshark.side[1 - d].base
    cdef int i
    if p == NULL:
        return -1
    memset(p, 0, sizeof(PacketRow))
    p.frame, p.order, p.time_ns, p.payload_at = s.frame, order, s.time_ns, s.payload_at
    p.annotations = own
    p.retransmission_of, p.acked_frame = frame_at(f.retransmission_of), frame_at(f.acked_frame)
    p.rtt_ns = f.rtt_ns
    p.ack_rtt_ns = shown.ack_rtt if shown.ack_rtt else -1
    p.initial_rtt_ns = shown.irtt if shown.irtt else -1
    memcpy(p.src, s.src, 16)
    memcpy(p.dst, s.dst, 16)
    p.connection, p.wireshark = c.flow.number, shown.marks
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
    p.client_state = p.server_state = UNKNOWN           # until settled
    return 0


cdef int quote(Connection *c, const Segment *s, int d, uint64_t order) noexcept nogil:
    """An ICMP error that quotes a segment of side d: evidence, not part of the connection."""
    c.icmp_type, c.icmp_code = s.icmp_type, s.icmp_code
    if c.calm and calm_end(c) < 0:
        return -1
    if not is_unreachable(s):
        return 0
    # told to the side that sent what is quoted: the mark's sender is the other one
    return marks_keep(&c.marks, s, 1 - d, order, MARK_UNREACHABLE)


cdef inline bint is_unreachable(const Segment *s) noexcept nogil:
    """Destination unreachable, but not fragmentation needed (RFC 792; RFC 4443, 3.1)."""
    if s.ip_version == 4:
        return s.icmp_type == 3 and s.icmp_code != 4
    return s.icmp_type == 1
