"""Words of memory in fewer bytes: most are zero, small, or like one not long before."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    SETS = 16
    WAYS = 4
    SQUEEZED_MOST = 5            # bytes a word, and a bit

cdef struct Recent:              # words met of late, by their upper halves; zeroed to begin with
    uint32_t words[SETS * WAYS]

cdef uint8_t *squeeze(Recent *r, const uint32_t *words, uint32_t count, uint8_t *at) noexcept nogil
cdef const uint8_t *unsqueeze(Recent *r, const uint8_t *at, uint32_t *words, uint32_t count) noexcept nogil
cdef uint8_t *drop_zeros(const uint64_t *words, uint32_t count, uint8_t *at) noexcept nogil
cdef const uint8_t *add_zeros(const uint8_t *at, uint64_t *words, uint32_t count) noexcept nogil
