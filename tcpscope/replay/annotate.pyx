# cython: wraparound=False, freethreading_compatible=True
"""One segment's annotations: what the flight found, what stands in the header, and what it answers.

Where Wireshark's mark means what it says, its mark is taken over (windows, unseen data);
where the kernel or the RFC knows better, the flight's finding stands instead: a packet that was
captured or duplicated twice is nothing else besides, an acknowledgment with nothing outstanding
is no duplicate ACK (RFC 5681, 2), a probe of a closed window is no keep-alive.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tcpscope.replay.annotations cimport (
    A_ACK_WITHOUT_FLAG, A_BAD_CHECKSUM, A_CHALLENGE_ACK, A_CLOCK_STEP, A_CWR, A_DATA_ON_SYN, A_DELAYED_ACK,
    A_DUPLICATE_ACK, A_DUPLICATE_CAPTURE, A_ECN_CE, A_ECN_ECHO, A_FAST_OPEN, A_FAST_RETRANSMISSION,
    A_FIN_RETRANSMISSION, A_KEEP_ALIVE, A_KEEP_ALIVE_ACK, A_LOST_SEGMENT, A_MALFORMED_OPTIONS, A_NAGLE_STALL,
    A_NETWORK_DUPLICATE, A_OFFLOADED, A_OFFLOAD_CHECKSUM, A_PIGGYBACKED_ACK, A_RESET_ABORT, A_RESET_NO_SOCKET,
    A_RESET_REFUSED, A_RETRANSMISSION, A_RTO_RECOVERY, A_SIMULTANEOUS_OPEN, A_SPURIOUS_RETRANSMISSION,
    A_SYN_ACK_RETRANSMISSION, A_SYN_RETRANSMISSION, A_TAIL_LOSS_PROBE, A_TIMEOUT_RETRANSMISSION, A_TIME_WAIT_ACK,
    A_URGENT, A_WINDOW_FULL, A_WINDOW_UPDATE, A_ZERO_WINDOW_PROBE, A_ZERO_WINDOW_PROBE_ACK, bit, causes, not_new,
    probes,
)
from tcpscope.replay.connection cimport (
    N_AGAIN, N_CAPTURED_TWICE, N_CHALLENGES, N_DELAYED, N_FAST, N_FIN, N_FULL, N_HOLES, N_NETWORK_TWICE, N_PIGGYBACKED,
    N_PROBE, N_PROBE_ACKS, N_RECOVERY, N_SPURIOUS, N_SYN, N_TIMEOUT, N_UPDATES, Connection, Side,
)
from tcpscope.replay.course cimport course_probe
from tcpscope.replay.flight cimport (
    SAID_FIN_AGAIN, SAID_KEEP_ALIVE, SAID_PROBE, SAID_UNACCEPTABLE, Finding, Flight,
)
from tcpscope.replay.seq cimport within
from tcpscope.replay.traffic cimport offloaded
from tcpscope.replay.wireshark cimport (
    WS_DUPLICATE_ACK, WS_REUSED_PORTS, WS_WINDOW_FULL, WS_WINDOW_UPDATE, WS_ZERO_WINDOW,
    Marks as Shown,
)
from tcpscope.wire.segment cimport (
    ACK, CWR, ECE, FIN, OPT_FAST_OPEN, OPT_MALFORMED, RST, SUM_BAD, SYN, URG, Segment, congested,
)

cdef enum:
    HEELS_NS = 5_000_000         # data this soon after an acknowledgment had waited for it
    MOST_OPTIONS = 40            # of a TCP header; they take room from the MSS
    LEAST_MSS = 536              # RFC 9293, 3.7.1: where no option says otherwise
    TAKEN_OVER = WS_WINDOW_UPDATE | WS_WINDOW_FULL | WS_ZERO_WINDOW


cdef uint64_t annotate(Connection *c, const Segment *s, int d, bint copy, const Shown *shown, const Finding *f,
                       bint stepped_back) noexcept nogil:
    cdef uint64_t own = f.annotations | header(c, s, d, stepped_back)
    cdef Flight *mine = &c.flight[d]
    if s.flags & RST or (s.flags & (SYN | ACK) == SYN and (c.ack_ns >= 0 or c.flow.reused)):
        mine.last_kind = SAID_UNACCEPTABLE
    if copy or own & (bit(A_DUPLICATE_CAPTURE) | bit(A_NETWORK_DUPLICATE)):
        return own
    own |= shown.marks & TAKEN_OVER
    if s.flags & (SYN | ACK) == SYN:
        own |= shown.marks & WS_REUSED_PORTS
    if s.length == 0 and s.flags & (SYN | FIN | RST | ACK) == ACK and not own & probes():
        own |= answer(c, s, d, shown)
    elif s.flags & RST:
        own |= reset(c, s, d)
    elif s.length and mine.held_ns and not own & bit(A_RETRANSMISSION):
        own |= held(c, s, d)
    if own & bit(A_RETRANSMISSION) and s.flags & FIN:
        mine.last_kind = SAID_FIN_AGAIN
    return own


cdef inline uint64_t header(Connection *c, const Segment *s, int d, bint stepped_back) noexcept nogil:
    """What the header says by itself."""
    cdef uint64_t own = 0
    if s.checksum_state >= SUM_BAD:
        own |= bit(A_BAD_CHECKSUM) if s.checksum_state == SUM_BAD else bit(A_OFFLOAD_CHECKSUM)
    if s.flags & (URG | ECE | CWR) and not s.flags & SYN:
        if s.flags & URG:
            own |= bit(A_URGENT)
        if s.flags & ECE:
            own |= bit(A_ECN_ECHO)
        if s.flags & CWR:
            own |= bit(A_CWR)
    if congested(s):
        own |= bit(A_ECN_CE)
    if s.options & OPT_MALFORMED:
        own |= bit(A_MALFORMED_OPTIONS)
    if offloaded(&c.traffic[1 - d], s):
        own |= bit(A_OFFLOADED)
    if s.flags & SYN:
        if s.length:
            own |= bit(A_DATA_ON_SYN)
        if s.options & OPT_FAST_OPEN:
            own |= bit(A_FAST_OPEN)
        if c.simultaneous and d == 1:
            own |= bit(A_SIMULTANEOUS_OPEN)
    if not s.flags & ACK and s.ack and not s.flags & RST:
        own |= bit(A_ACK_WITHOUT_FLAG)
    if stepped_back:
        own |= bit(A_CLOCK_STEP)
    return own


cdef inline uint64_t held(Connection *c, const Segment *s, int d) noexcept nogil:
    """A little new data on the heels of a delayed ACK, behind a small segment: Nagle's algorithm held it (RFC 896)."""
    cdef Flight *mine = &c.flight[d]
    cdef Side *side = &c.side[d]
    cdef int64_t since = mine.held_ns
    cdef int64_t reach = c.flight[1 - d].rtt_min_ns
    mine.held_ns = 0
    if (s.time_ns - mine.news_ns > reach + HEELS_NS or mine.length_before == 0 or mine.holes or mine.undelayed
            or s.seq + s.length != mine.max):
        return 0
    if max(mine.length_before, s.length) + MOST_OPTIONS >= (c.traffic[1 - d].mss or LEAST_MSS) or s.seq != mine.una:
        return 0                    # a full segment, or more under way: the congestion window held it, not Nagle
    if c.flight[1 - d].sent_ns >= mine.news_ns:
        return 0                    # it answers what the peer has said since
    side.nagle_stalls += 1
    side.nagle_ns += s.time_ns - since
    return bit(A_NAGLE_STALL)


cdef inline uint64_t answer(Connection *c, const Segment *s, int d, const Shown *shown) noexcept nogil:
    """What a pure acknowledgment answers."""
    cdef Flight *theirs = &c.flight[1 - d]
    if shown.marks & WS_WINDOW_UPDATE:
        return 0
    if theirs.last_kind == SAID_KEEP_ALIVE:
        return bit(A_KEEP_ALIVE_ACK)
    if theirs.last_kind == SAID_PROBE:
        return bit(A_ZERO_WINDOW_PROBE_ACK)
    if theirs.last_kind == SAID_FIN_AGAIN and c.fins == 3:
        return bit(A_TIME_WAIT_ACK)
    if theirs.last_kind == SAID_UNACCEPTABLE and s.time_ns - c.side[1 - d].last_ns >= theirs.rtt_min_ns // 2:
        return bit(A_CHALLENGE_ACK)     # sooner it had been on its way
    if shown.marks & WS_DUPLICATE_ACK and theirs.live:
        return bit(A_DUPLICATE_ACK)
    return 0


cdef inline uint64_t reset(const Connection *c, const Segment *s, int d) noexcept nogil:
    """RFC 9293, 3.5.2: refused, without a connection (no ACK flag), or an abort."""
    if (d == 1 and c.syn_ns[1] < 0 and c.syn_ns[0] >= 0 and s.flags & ACK
            and within(s.ack, c.wireshark.side[0].base + 1, c.flight[0].max - c.wireshark.side[0].base)):
        return bit(A_RESET_REFUSED)
    if is_without_socket(c, s, d):
        return bit(A_RESET_NO_SOCKET)
    return bit(A_RESET_ABORT)


cdef inline void tally(Side *side, uint64_t own, int annotation, int counter) noexcept nogil:
    side.counts[counter] += (own >> annotation) & 1


cdef inline bint is_ignored(const Connection *c, const Segment *s, int d, uint64_t own, bint seen) noexcept nogil:
    """Data that the client repeats though they had come here undamaged, before the server said more than SYN-ACK."""
    return (s.length and d == 0 and own & causes() != 0 and seen and c.course.syn_ack_ns and not c.marks.spoke[1]
            and not c.traffic[0].bad_checksums)


cdef void count_annotations(Connection *c, const Segment *s, int d, uint64_t own, uint32_t window,
                            bint seen) noexcept nogil:
    """seen: of what s repeats, if it does, an earlier copy was captured."""
    cdef Side *side = &c.side[d]
    cdef Side *other = &c.side[1 - d]
    cdef int64_t spell
    if side.ttl == 0:
        side.ttl = s.ttl
    other.unanswered = 0
    if side.at_fin < 0 and c.flight[1 - d].fin_sent and s.flags & ACK and c.flight[1 - d].una == c.flight[1 - d].max:
        side.at_fin = c.traffic[d].unique_bytes - (0 if own & not_new() else s.length)
    if not s.flags & (SYN | RST) and s.flags & ACK:
        if window == 0:
            if side.zero_since_ns == 0:
                side.zero_since_ns = s.time_ns
                side.zero_spells += 1
        elif side.zero_since_ns:
            spell = s.time_ns - side.zero_since_ns
            side.zero_ns += spell
            side.zero_longest_ns = max(side.zero_longest_ns, spell)
            side.zero_since_ns = 0
    if c.flight[1 - d].una_ns == s.time_ns or s.length and not own & not_new():
        side.unanswered = 0             # the peer has answered, though the capture may not show it
    if own == 0:
        return
    if own & (bit(A_RETRANSMISSION) | bit(A_KEEP_ALIVE) | bit(A_ZERO_WINDOW_PROBE)):
        side.unanswered += 1
        if own & bit(A_KEEP_ALIVE):
            course_probe(&c.course.probes[d], side.unanswered, s.time_ns - c.last_ns, s.time_ns - side.last_ns)
        elif c.course.ignored < 255:
            c.course.ignored += is_ignored(c, s, d, own, seen)
    tally(side, own, A_RETRANSMISSION, N_AGAIN)
    tally(side, own, A_FAST_RETRANSMISSION, N_FAST)
    tally(side, own, A_TIMEOUT_RETRANSMISSION, N_TIMEOUT)
    tally(side, own, A_TAIL_LOSS_PROBE, N_PROBE)
    tally(side, own, A_RTO_RECOVERY, N_RECOVERY)
    tally(side, own, A_SPURIOUS_RETRANSMISSION, N_SPURIOUS)
    tally(side, own, A_SYN_RETRANSMISSION, N_SYN)
    tally(side, own, A_SYN_ACK_RETRANSMISSION, N_SYN)
    tally(side, own, A_FIN_RETRANSMISSION, N_FIN)
    tally(side, own, A_DUPLICATE_CAPTURE, N_CAPTURED_TWICE)
    tally(side, own, A_NETWORK_DUPLICATE, N_NETWORK_TWICE)
    tally(side, own, A_LOST_SEGMENT, N_HOLES)
    tally(side, own, A_WINDOW_UPDATE, N_UPDATES)
    tally(side, own, A_WINDOW_FULL, N_FULL)
    tally(side, own, A_DELAYED_ACK, N_DELAYED)
    tally(side, own, A_PIGGYBACKED_ACK, N_PIGGYBACKED)
    tally(side, own, A_CHALLENGE_ACK, N_CHALLENGES)
    tally(side, own, A_ZERO_WINDOW_PROBE_ACK, N_PROBE_ACKS)
