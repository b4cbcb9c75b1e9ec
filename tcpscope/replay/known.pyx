# cython: wraparound=False, freethreading_compatible=True
"""The slow half of `known.pxd`: pieces beyond a hole."""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

from tcpscope.replay.seq cimport after, before


cdef void drop(Known *k, int n) noexcept nogil:
    """Forget the first n."""
    cdef int i
    k.count -= n
    for i in range(2 * k.count):
        k.islands[i] = k.islands[i + 2 * n]


cdef void known_absorb(Known *k) noexcept nogil:
    """Move `upto` over the pieces it has reached."""
    cdef int n = 0
    while n < k.count and not after(k.islands[2 * n], k.upto):
        if after(k.islands[2 * n + 1], k.upto):
            k.upto = k.islands[2 * n + 1]
        n += 1
    if n:
        drop(k, n)


cdef void known_add_beyond(Known *k, uint32_t start, uint32_t end) noexcept nogil:
    """Remember [start, end), which begins beyond `upto`."""
    cdef uint32_t found[2 * ISLANDS + 2]
    cdef int n = 0, i, closest
    cdef bint placed = False
    for i in range(k.count):
        if before(k.islands[2 * i + 1], start):
            pass                                        # wholly below
        elif after(k.islands[2 * i], end):
            if not placed:
                found[2 * n], found[2 * n + 1] = start, end
                n += 1
                placed = True
        else:                                           # touches: becomes part of the new one
            if before(k.islands[2 * i], start):
                start = k.islands[2 * i]
            if after(k.islands[2 * i + 1], end):
                end = k.islands[2 * i + 1]
            continue
        found[2 * n], found[2 * n + 1] = k.islands[2 * i], k.islands[2 * i + 1]
        n += 1
    if not placed:
        found[2 * n], found[2 * n + 1] = start, end
        n += 1
    if n > ISLANDS:                                     # take the smallest hole for filled
        closest = 1
        for i in range(2, n):
            if found[2 * i] - found[2 * i - 1] < found[2 * closest] - found[2 * closest - 1]:
                closest = i
        for i in range(2 * closest - 1, 2 * n - 2):
            found[i] = found[i + 2]
        n -= 1
    memcpy(k.islands, found, 2 * n * sizeof(uint32_t))
    k.count = <uint8_t>n


cdef class KnownProbe:
    """One Known, for tests."""
    cdef Known k

    def __cinit__(self, uint32_t upto):
        memset(&self.k, 0, sizeof(Known))
        self.k.upto = upto

    def add(self, uint32_t start, uint32_t end):
        """[start, end) is known now."""
        known_add(&self.k, start, end)

    @property
    def upto(self):
        return self.k.upto

    @property
    def islands(self):
        """The pieces beyond, as (start, end)."""
        return [(self.k.islands[2 * i], self.k.islands[2 * i + 1]) for i in range(self.k.count)]
