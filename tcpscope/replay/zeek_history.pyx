# cython: wraparound=False, freethreading_compatible=True
"""The rarer letters of Zeek's `history`."""
from libc.stdint cimport uint32_t

from tcpscope.replay.zeek cimport Zeek, ZeekSide
from tcpscope.wire.segment cimport ACK, FIN, RST, SYN, Segment


cdef void tell_scaled(Zeek *z, int sender, uint32_t *count, char letter) noexcept nogil:
    """The 1st, 10th, 100th … time."""
    cdef uint32_t power = 1
    count[0] += 1
    while power < count[0] and power < 1_000_000_000:
        power *= 10
    if power == count[0]:
        tell(z, case_of(z, sender, letter))


cdef void tell_control(Zeek *z, const Segment *s, int sender, uint32_t position) noexcept nogil:
    """The letter of a segment with SYN, FIN or RST.

    Seen again, it is told again only if its position differs from the latest of its kind.
    """
    cdef ZeekSide *me = &z.side[sender]
    cdef int control = s.flags & (SYN | FIN | RST)
    cdef uint32_t end = position + s.length
    cdef char letter
    if control == SYN:
        letter = b'H' if s.flags & ACK else b'S'
        if tell_once(z, sender, SEEN_SYN, letter) and position != me.last_syn:
            tell(z, case_of(z, sender, letter))
        me.last_syn = position
    elif control == FIN:
        if tell_once(z, sender, SEEN_FIN, b'F') and end != me.last_fin:
            tell(z, case_of(z, sender, b'F'))
        me.last_fin = end
    elif control == RST:
        if tell_once(z, sender, SEEN_RST, b'R') and position != me.last_rst:
            tell(z, case_of(z, sender, b'R'))
        me.last_rst = position
    elif control & FIN and control & RST:
        tell_once(z, sender, SEEN_FIN_RST, b'I')
    else:
        tell_once(z, sender, SEEN_MULTI, b'Q')
