"""Memory for many pieces of one size."""
from libc.stdint cimport uint32_t

cdef struct Pool:                # pieces of one size, allocated many at a time, reused when given back
    void *spare
    void **arenas
    uint32_t n_arenas
    uint32_t left                # unused ones in the newest arena
    uint32_t size

cdef void pool_open(Pool *p, uint32_t size) noexcept nogil
cdef void *pool_take(Pool *p) noexcept nogil
cdef void pool_give(Pool *p, void *piece) noexcept nogil
cdef void pool_close(Pool *p) noexcept nogil
