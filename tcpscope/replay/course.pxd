"""The course of a connection that findings are made from: how it opened, where it paused, what its RST was like."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:                       # Course.reset_bits: the first RST, and what there was before it
    RESET_ACK = 0x001            # with the ACK flag: by a socket (or a host that got no ACK to answer)
    RESET_EXACT = 0x002          # its number is one that its sender would use next
    RESET_NO_SOCKET = 0x004      # bare, and its number is the acknowledgment it answers
    RESET_OWN_FIN = 0x008        # its sender had closed
    RESET_PEER_FIN = 0x010       # the other side had
    RESET_PROBED = 0x020         # it answers a keep-alive probe
    RESET_PROMPTED = 0x040       # the other side had spoken last
    RESET_OPENING = 0x080        # the handshake was not complete
    RESET_UNREAD = 0x100         # the other side's latest data came after anything its sender had said with data
    RESET_UNDELIVERED = 0x200    # data of the other side was not acknowledged
    RESET_IN_FLIGHT = 0x400      # data of its sender was not acknowledged
    RESET_SPOKE = 0x800          # whoever was said to have sent it went on talking
    RESET_REPLACED = 0x2000      # a new SYN had taken the four-tuple
    RESET_STRANGE_ID = 0x1000    # its IP ID does not continue its sender's
    RESET_FIN_ALONE = 0x4000     # with RESET_UNDELIVERED: but for the other side's FIN all was acknowledged

cdef enum:                       # Course.fast_open (RFC 7413): layout.FAST_OPEN, from 1
    FAST_OPEN_ASKED = 1          # for a cookie
    FAST_OPEN_GIVEN = 2          # ... and got it
    FAST_OPEN_USED = 3           # data in the SYN; no SYN-ACK yet
    FAST_OPEN_ACCEPTED = 4
    FAST_OPEN_REFUSED = 5        # the SYN-ACK acknowledged the SYN only

cdef enum:                       # Course.echoed: which SYN the first SYN-ACK echoes (RFC 7323, 4.3)
    ECHOED_FIRST = 1
    ECHOED_LATER = 2

cdef enum:                       # Flow.reused: layout.REUSE
    REUSE_LATER = 1              # the connection before was over, as far as is known
    REUSE_SAFE = 2               # in its TIME_WAIT, with a higher number or a later time stamp (RFC 1122, 4.2.2.13)
    REUSE_RISKY = 3              # in its TIME_WAIT, with neither
    REUSE_OPEN = 4               # it had not been closed

cdef enum:
    PAUSE_NS = 5_000_000_000     # silence that may have let a box on the path forget the connection
    BEAT_NS = 1_000_000_000      # data after less is part of the same exchange

cdef struct Probes:              # keep-alive probes of one side
    int64_t idle_ns              # silence before the first of a round; 0: none
    int64_t interval_ns          # between two without an answer; 0: there was but one
    uint32_t rounds
    uint32_t lost                # most in a row without an answer

cdef struct Beats:               # data that comes again and again after the same time
    uint32_t run_ms              # the time of the present run
    uint32_t best_ms             # ... and of the longest so far
    uint16_t run
    uint16_t best

cdef struct Course:
    int64_t syn_ack_ns           # first SYN-ACK; 0: none
    int64_t pause_ns             # the latest silence of PAUSE_NS or more; 0: none
    int64_t pause_end_ns
    uint64_t reset_frame
    uint32_t reset_bits
    uint32_t syn_ts              # TSval of the first SYN
    uint32_t syn_options[2]
    Probes probes[2]
    Beats beats[2]
    uint16_t first_flags
    uint8_t first_side
    uint8_t pause_by             # side that spoke after the pause
    uint8_t reset_ttl
    uint8_t echoed
    uint8_t fast_open
    uint8_t ignored              # data that the client repeated before the server said anything but SYN-ACK


cdef inline void course_pause(Course *course, int d, int64_t quiet_ns, int64_t now_ns) noexcept nogil:
    """Side d spoke after a silence of both."""
    course.pause_ns, course.pause_end_ns, course.pause_by = quiet_ns, now_ns, <uint8_t>d


cdef inline void course_beat(Beats *beats, int64_t gap_ns) noexcept nogil:
    """A side sends data, so long after its data before."""
    cdef uint32_t gap = <uint32_t>min(gap_ns // 1_000_000, <int64_t>0xFFFFFFFF)
    cdef uint32_t most = max(gap, beats.run_ms), least = min(gap, beats.run_ms)
    if most - least <= most // 8:
        beats.run = <uint16_t>min(beats.run + 1, 0xFFFF)
    else:
        beats.run, beats.run_ms = 1, gap
    if beats.run > beats.best:
        beats.best, beats.best_ms = beats.run, beats.run_ms


cdef inline void course_probe(Probes *probes, uint32_t unanswered, int64_t quiet_ns,
                              int64_t since_own_ns) noexcept nogil:
    """A keep-alive probe; unanswered: with this one, since the peer last spoke."""
    if unanswered == 1:
        probes.rounds += 1
        if probes.idle_ns == 0 or quiet_ns < probes.idle_ns:
            probes.idle_ns = quiet_ns
    else:
        probes.interval_ns = since_own_ns
    if unanswered > probes.lost:
        probes.lost = unanswered
