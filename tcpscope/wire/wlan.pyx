# cython: wraparound=False, freethreading_compatible=True
"""IEEE 802.11 data frames, bare or behind radiotap, PPI, Prism or AVS headers.

Only unencrypted, unfragmented data frames lead to IP; of an aggregate (A-MSDU) the
first part is read.
"""
from libc.stdint cimport uint8_t, uint32_t

from tcpscope.capture.frame cimport be32, has, le16, le32, u8, u16
from tcpscope.wire.segment cimport NOTE_FCS
from tcpscope.wire.walk cimport (
    K_CUT, K_ENCRYPTED, K_FRAGMENT, K_MALFORMED_LINK, K_NOT_IP, L_LINK, L_LLC, Walk, end_at, layer, stop,
)

cdef enum:
    BARE = 105
    PRISM = 119
    RADIOTAP = 127
    AVS = 163
    PPI = 192
    FLAG_FCS = 0x10           # of radiotap's flags field
    FLAG_PAD = 0x20
    QOS = 0x80                # subtype bits, in the first byte of frame control
    NULL_DATA = 0x40


cdef int wlan(Walk *w) noexcept nogil:
    """The pseudo-header of link type w.proto, then the 802.11 header."""
    cdef Py_ssize_t at = w.at
    cdef uint32_t length
    if w.proto == BARE:
        return data_frame(w, at, False)
    if w.proto == RADIOTAP:
        return radiotap(w)
    if not has(&w.frame, at, 8):
        return stop(w, K_CUT)
    if w.proto == PPI:
        length = le16(w.frame.data + at + 2)
        w.proto = <int>(le32(w.frame.data + at + 4) & 0xFFFF)
        if length < 8 or w.proto == PPI:
            return stop(w, K_MALFORMED_LINK)
        return layer(w, at + length, L_LINK)
    if w.proto == PRISM and not is_avs(be32(w.frame.data + at)):
        return data_frame(w, at + 144, False)
    length = be32(w.frame.data + at + 4)                  # AVS, under either number
    if not is_avs(be32(w.frame.data + at)) or length < 8 or length > 1024:
        return stop(w, K_MALFORMED_LINK)
    return data_frame(w, at + length, False)


cdef bint is_avs(uint32_t cookie) noexcept nogil:
    return cookie >> 12 == 0x80211


cdef int radiotap(Walk *w) noexcept nogil:
    """Little-endian; a chain of `present` words, then fields at their natural alignment."""
    cdef Py_ssize_t at = w.at, field
    cdef uint32_t present
    cdef int length, flags = 0, _
    cdef bint padded
    if not has(&w.frame, at, 8):
        return stop(w, K_CUT)
    length = le16(w.frame.data + at + 2)
    present = le32(w.frame.data + at + 4)
    if w.frame.data[at] != 0 or length < 8:
        return stop(w, K_MALFORMED_LINK)
    field = at + 8
    for _ in range(32):
        if not has(&w.frame, field - 4, 4):
            return stop(w, K_CUT)
        if not le32(w.frame.data + field - 4) >> 31:
            break
        field += 4
    if present & 1:                                       # the time, eight bytes aligned to eight
        field = at + ((field - at + 7) & ~<Py_ssize_t>7) + 8
    if present & 2 and field < at + length:
        flags = u8(&w.frame, field)
    if flags & FLAG_FCS:
        if w.end - 4 < w.frame.size:
            w.notes |= NOTE_FCS
        end_at(w, w.end - 4)
    padded = flags & FLAG_PAD != 0
    return data_frame(w, at + length, padded)


cdef int data_frame(Walk *w, Py_ssize_t at, bint padded) noexcept nogil:
    cdef const uint8_t *p
    cdef Py_ssize_t header = 24
    cdef bint aggregate = False
    if not has(&w.frame, at, 24):
        return stop(w, K_CUT if w.frame.size - at < 2 or w.frame.data[at] & 0x0C == 0x08 else K_NOT_IP)
    p = w.frame.data + at
    if p[0] & 0x0C != 0x08 or p[0] & NULL_DATA:           # not data, or data without a body
        return stop(w, K_NOT_IP)
    if p[1] & 0x40:
        return stop(w, K_ENCRYPTED)
    if p[1] & 0x04 or p[22] & 0x0F:                       # more fragments, or not the first
        return stop(w, K_FRAGMENT)
    if p[1] & 0x03 == 0x03:                               # to and from the distribution system: four addresses
        header += 6
    if p[0] & QOS:
        aggregate = u8(&w.frame, at + header) & 0x80 != 0
        header += 2
        if p[1] & 0x80:                                   # HT control
            header += 4
    if padded:
        header = (header + 3) & ~<Py_ssize_t>3
    at += header
    if aggregate:
        end_at(w, at + 14 + u16(&w.frame, at + 12))
        at += 14
    return layer(w, at, L_LLC)
