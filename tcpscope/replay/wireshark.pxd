"""Wireshark's own TCP analysis, as tshark 4.0 does it: the marks and numbers it would show."""
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.replay.unacked cimport Queue
from tcpscope.wire.segment cimport ACK, SYN, Segment

cdef enum:                       # bit = position in layout.WIRESHARK
    WS_RETRANSMISSION = 0x0001
    WS_FAST_RETRANSMISSION = 0x0002
    WS_SPURIOUS_RETRANSMISSION = 0x0004
    WS_OUT_OF_ORDER = 0x0008
    WS_LOST_SEGMENT = 0x0010
    WS_ACK_LOST_SEGMENT = 0x0020
    WS_DUPLICATE_ACK = 0x0040
    WS_WINDOW_UPDATE = 0x0080
    WS_WINDOW_FULL = 0x0100
    WS_ZERO_WINDOW = 0x0200
    WS_ZERO_WINDOW_PROBE = 0x0400
    WS_ZERO_WINDOW_PROBE_ACK = 0x0800
    WS_KEEP_ALIVE = 0x1000
    WS_KEEP_ALIVE_ACK = 0x2000
    WS_REUSED_PORTS = 0x4000

cdef enum:                       # Wireshark.completeness: tcp.completeness
    COMPLETE_SYN = 1
    COMPLETE_SYN_ACK = 2
    COMPLETE_ACK = 4
    COMPLETE_DATA = 8
    COMPLETE_FIN = 16
    COMPLETE_RST = 32

cdef enum:
    SHIFT_UNKNOWN = -1
    SHIFT_REFUSED = -2

cdef struct WiresharkSide:
    Queue unacked
    uint32_t base                # relative numbers count from here
    uint32_t high                # furthest end seen; 0: unset, as Wireshark has it
    uint32_t front               # end of what was seen without a hole, roughly
    uint32_t last_ack
    uint32_t dups
    uint32_t sack_bytes          # of the first three blocks of the latest packet
    int32_t last_win             # -1: none yet
    uint16_t last_marks
    int8_t shift
    uint8_t base_known
    uint8_t doubt                # the peer acknowledged data that the capture lacks
    uint8_t plain_window         # last_win came in a SYN-ACK and is not to be scaled
    uint8_t lost_pending         # a lost_segment since the peer's last acknowledgment
    int64_t high_when
    int64_t last_ack_when

cdef struct Wireshark:
    WiresharkSide side[2]
    int64_t syn_when             # of the latest SYN without ACK; -1: none
    int64_t irtt                 # 0: not known
    uint8_t completeness

cdef enum:
    QUEUE_MOST = 10000           # Wireshark keeps no more unacknowledged segments

cdef struct Marks:               # what Wireshark shows for one packet
    uint32_t marks
    uint32_t bytes_in_flight
    uint32_t duplicate_ack_num
    uint32_t window
    int64_t ack_rtt              # 0: not shown
    int64_t irtt

cdef inline uint32_t window_of(const WiresharkSide *r) noexcept nogil:
    """What that side's latest packet allows."""
    if r.shift < 0 or r.plain_window:
        return <uint32_t>r.last_win
    return <uint32_t>r.last_win << r.shift


cdef void wireshark_start(Wireshark *w, const Segment *s, int sender) noexcept nogil
cdef int wireshark_observe(Wireshark *w, const Segment *s, int sender, bint numbers, Marks *out) noexcept nogil
cdef void wireshark_free(Wireshark *w) noexcept nogil


cdef inline bint wireshark_new_stream(const Wireshark *w, const Segment *s, int sender) noexcept nogil:
    """A SYN without ACK whose number is not the one known for its direction begins a new stream."""
    return s.flags & (SYN | ACK) == SYN and w.side[sender].base_known and s.seq != w.side[sender].base
