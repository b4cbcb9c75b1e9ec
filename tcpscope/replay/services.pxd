"""What the first bytes of a connection's sides said, as the decoder told it."""
from libc.stdint cimport uint8_t, uint16_t

from tcpscope.replay.rows cimport ConnectionRow
from tcpscope.wire.hints cimport Hint

cdef struct Said:                # of one side; no larger than its texts
    uint8_t service
    uint8_t flags
    uint8_t tls_version
    uint8_t name                 # bytes of each text, without a NUL
    uint8_t detail
    uint8_t alpn
    uint16_t size                # bytes of the stream that they are of; 0: not all was captured
    char texts[1]                # one behind the other

cdef struct Saids:
    Said *side[2]                # NULL: nothing

cdef int said_keep(Saids *w, int d, const Hint *hint, bint first) noexcept nogil
cdef void said_row(const Saids *w, ConnectionRow *row) noexcept nogil
cdef void said_free(Saids *w) noexcept nogil
