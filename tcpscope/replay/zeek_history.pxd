"""The letters of Zeek's `history`: each event of a connection once, or when it has happened ten times as often."""
from libc.stdint cimport uint8_t, uint32_t

from tcpscope.replay.zeek cimport ZEEK_HISTORY, Zeek
from tcpscope.wire.segment cimport Segment

cdef enum:                       # Zeek.seen
    SEEN_SYN = 0x01              # S or H
    SEEN_FIN = 0x02
    SEEN_RST = 0x04
    SEEN_FIN_RST = 0x08
    SEEN_DATA = 0x10
    SEEN_ACK = 0x20
    SEEN_MULTI = 0x40

cdef void tell_scaled(Zeek *z, int sender, uint32_t *count, char letter) noexcept nogil
cdef void tell_control(Zeek *z, const Segment *s, int sender, uint32_t position) noexcept nogil


cdef inline void tell(Zeek *z, char letter) noexcept nogil:
    if z.length < ZEEK_HISTORY - 1:
        z.history[z.length] = letter
        z.length += 1


cdef inline char case_of(const Zeek *z, int sender, char letter) noexcept nogil:
    """Upper case for the originator, lower for the responder; `letter` is upper case."""
    return letter if sender == z.originator else letter + 32


cdef inline bint tell_once(Zeek *z, int sender, uint8_t bit, char letter) noexcept nogil:
    """True if it had been told already."""
    cdef uint8_t *seen = &z.seen[sender != z.originator]
    if seen[0] & bit:
        return True
    seen[0] |= bit
    tell(z, case_of(z, sender, letter))
    return False
