"""What Zeek's conn.log would say of a connection: conn_state, history, payload bytes, missed bytes.

Zeek's endpoint states are not the RFC's, and its originator need not be the client: where a capture
begins with a SYN-ACK or in the middle, Zeek guesses by port.  Everything here follows Zeek, so that its
users find the values they know; the states of RFC 9293 are told elsewhere.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from tcpscope.replay.known cimport Known
from tcpscope.replay.roles cimport role_of_first
from tcpscope.replay.seq cimport after, place
from tcpscope.wire.segment cimport SUM_GOOD, Segment

cdef enum:
    ZEEK_HISTORY = 48            # with the NUL; letters beyond are dropped

cdef enum:                       # ZeekSide.state
    INACTIVE = 0                 # nothing seen of this side
    SYN_SENT = 1
    SYN_ACK_SENT = 2             # an originator that began with a SYN-ACK
    PARTIAL = 3                  # seen, but not how it began
    ESTABLISHED = 4
    CLOSED = 5                   # sent a FIN
    RESET = 6                    # sent a RST

cdef enum:                       # ZeekSide.marks
    FINISHED = 0x01              # has sent a FIN
    SKIPPING = 0x02              # Zeek has given up reassembling this side
    VERIFIED = 0x04              # a checksum of this side was right

cdef struct ZeekSide:
    int64_t last                 # behind the highest position sent; 0 is the SYN, assumed if not seen
    int64_t acked                # the highest position the peer acknowledged
    int64_t missed               # bytes in content gaps
    uint32_t start               # sequence number of position 0
    uint32_t fin_end             # sequence number behind the latest FIN
    uint32_t last_syn            # positions (modulo 2**32) of the latest SYN, FIN, RST: others are told again
    uint32_t last_fin
    uint32_t last_rst
    uint32_t bad_sums
    uint32_t gaps
    uint32_t repeats
    uint32_t zero_windows
    Known known                  # of its stream, or given up as a gap
    uint8_t state
    uint8_t before               # the state it had before that
    uint8_t marks

cdef struct Zeek:
    ZeekSide side[2]             # 0 the client, 1 the server
    char history[ZEEK_HISTORY]
    uint8_t seen[2]              # letters told once: of the originator, of the responder
    uint8_t originator           # which side Zeek calls so
    uint8_t length               # of history

cdef void zeek_start(Zeek *z, const Segment *s) noexcept nogil
cdef void zeek_observe(Zeek *z, const Segment *s, int sender) noexcept nogil
cdef bint zeek_is_plain(const Zeek *z, int sender, uint32_t una, uint32_t nxt) noexcept nogil
cdef void zeek_met(Zeek *z, int sender, bint data) noexcept nogil
cdef void zeek_received(ZeekSide *me, uint32_t start, uint32_t end) noexcept nogil
cdef void zeek_acknowledged(Zeek *z, int sender, uint32_t upto) noexcept nogil
cdef int zeek_conn_state(const Zeek *z) noexcept nogil
cdef void zeek_history(const Zeek *z, char *out, int room) noexcept nogil
cdef int64_t zeek_bytes(const Zeek *z, int sender) noexcept nogil
cdef int64_t zeek_missed_bytes(const Zeek *z, int sender) noexcept nogil
cdef int zeek_originator(const Zeek *z) noexcept nogil


cdef inline void zeek_plain(Zeek *z, const Segment *s, int sender) noexcept nogil:
    """`zeek_observe` of a plain segment (plain.pyx), but for its letter."""
    cdef ZeekSide *me = &z.side[sender]
    cdef ZeekSide *peer = &z.side[1 - sender]
    if s.checksum_state == SUM_GOOD:
        me.marks |= VERIFIED
    peer.acked = place(peer.acked, s.ack - peer.start)
    me.last += s.length
    if after(s.ack, peer.known.upto):
        zeek_acknowledged(z, 1 - sender, s.ack)
    if s.length and s.captured >= s.length:
        zeek_received(me, s.seq, s.seq + s.length)
