# cython: wraparound=False, freethreading_compatible=True
"""Memory for many pieces of one size."""
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

cdef extern from *:
    """
    #include <stdlib.h>
    #if defined(__linux__)
    #include <sys/mman.h>
    #define large_pages(at, size) ((void)madvise((at), (size), MADV_HUGEPAGE))
    #else
    #define large_pages(at, size) ((void)0)
    #endif
    """
    void *aligned_alloc(size_t alignment, size_t size) noexcept nogil
    void large_pages(void *at, size_t size) noexcept nogil

cdef enum:
    LINE = 64                    # bytes of a cache line
    SMALL_ARENA = 1 << 18        # bytes allocated at a time
    LARGE_ARENA = 1 << 21        # ... once there are FEW_ARENAS: a page of the large kind
    FEW_ARENAS = 8


cdef void pool_open(Pool *p, uint32_t size) noexcept nogil:
    memset(p, 0, sizeof(Pool))
    p.size = (size + 15) & ~<uint32_t>15


cdef void *pool_take(Pool *p) noexcept nogil:
    """A piece, zeroed if it is new, else as it was given back but for its first word; NULL when memory runs out."""
    cdef void *piece
    cdef void **arenas
    cdef uint32_t size
    if p.spare != NULL:
        piece = p.spare
        p.spare = (<void **>piece)[0]
        return piece
    else:
        if p.left == 0:
            arenas = <void **>realloc(p.arenas, (p.n_arenas + 1) * sizeof(void *))
            if arenas == NULL:
                return NULL
            p.arenas = arenas
            size = LARGE_ARENA if p.n_arenas >= FEW_ARENAS else SMALL_ARENA
            arenas[p.n_arenas] = aligned_alloc(size if size == LARGE_ARENA else LINE, size)
            if arenas[p.n_arenas] == NULL:
                return NULL
            if size == LARGE_ARENA:
                large_pages(arenas[p.n_arenas], size)
            p.left = size // p.size
            p.n_arenas += 1
        p.left -= 1
        piece = <char *>p.arenas[p.n_arenas - 1] + p.left * p.size
    memset(piece, 0, p.size)
    return piece


cdef void pool_give(Pool *p, void *piece) noexcept nogil:
    (<void **>piece)[0] = p.spare
    p.spare = piece


cdef void pool_close(Pool *p) noexcept nogil:
    cdef uint32_t i
    for i in range(p.n_arenas):
        free(p.arenas[i])
    free(p.arenas)
    p.arenas = NULL
    p.spare = NULL
    p.n_arenas = p.left = 0
