"""The first frames of a connection that bear each annotation worth a word: what proves a finding."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

cdef struct Proof:
    uint64_t frame
    int64_t time_ns
    uint8_t annotation           # its position
    uint8_t side

cdef struct Evidence:
    Proof *items
    uint16_t count
    uint16_t room
    uint64_t full[2]             # of each side: annotations of which there are enough

cdef uint64_t NOTEWORTHY         # bits of the annotations that are kept

cdef int evidence_keep(Evidence *e, int side, uint64_t bits, uint64_t frame, int64_t time_ns) noexcept nogil
cdef void evidence_free(Evidence *e) noexcept nogil
