# cython: wraparound=False
"""Which pieces of which IP datagrams have been seen."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tcpscope.wire.segment cimport Segment
from tcpscope.wire.walk cimport Walk

cdef enum:
    HEAD_BYTES = 256          # of each datagram's start, enough for tunnels' headers and TCP's
    HEAD_UNITS = 32           # fragments begin at multiples of eight bytes
    MAX_PIECES = 64
    SETS = 128
    WAYS = 8

cdef struct Piece:
    uint32_t start
    uint32_t end

cdef struct Datagram:
    bint used
    bint has_first            # the piece with offset 0 was seen; `first` and what follows it are valid
    uint8_t src[16]
    uint8_t dst[16]
    uint32_t identification
    uint32_t outer
    int proto
    int version
    uint64_t touched
    uint64_t born             # its number, never 0
    uint32_t total            # 0: the last piece was not seen
    int n_pieces
    Piece pieces[MAX_PIECES]  # sorted, disjoint, not adjacent
    uint8_t known[HEAD_UNITS]  # captured bytes of each unit of head
    uint8_t head[HEAD_BYTES]
    Segment first             # the frame with offset 0: time, number, IP fields
    uint32_t first_captured   # bytes of that piece in the capture
    uint8_t notes

cdef struct Part:             # where the piece last added stands
    uint64_t born             # of its datagram; 0: it was not added
    uint32_t start            # in the datagram
    const uint8_t *data
    Py_ssize_t size           # captured bytes

cdef struct Fragments:
    Datagram *table           # SETS x WAYS, allocated with the first fragment
    uint64_t clock
    Datagram complete         # what `add` finished
    uint64_t given_up         # datagrams that had to make room
    Part last

cdef bint add(Fragments *f, Walk *w) noexcept nogil
cdef uint64_t unfinished(const Fragments *f) noexcept nogil
cdef Py_ssize_t head_size(Datagram *d) noexcept nogil
cdef uint32_t extent(Datagram *d) noexcept nogil
