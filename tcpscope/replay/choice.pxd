"""Which connections get a record where not all are asked for: those that `analyze` looks at or shows.

The first odd ones by number, the oddest, and the first of the others.  They end in any order, so that some more are
told; whoever asked sorts them out.
"""
from libc.stdint cimport uint32_t, uint8_t

from tcpscope.replay.rows cimport ConnectionRow

cdef struct Choice:
    bint few                     # not all are told
    uint32_t most_odd            # the first of those in which something is odd
    uint32_t most_plain          # the first of the others; and so many of the oddest
    uint32_t odd_told
    uint32_t odd_highest         # number among these
    uint32_t as_odd[256]         # how many of these are so odd, for more than `bar`
    uint8_t bar                  # `most_plain` of them are at least as odd as that


cdef inline void count_odd(Choice *c, const ConnectionRow *row) noexcept nogil:
    cdef uint32_t above = 0
    cdef int odd = 255
    c.odd_told += 1
    c.odd_highest = max(c.odd_highest, row.connection)
    if row.odd <= c.bar:
        return
    c.as_odd[row.odd] += 1
    while odd > c.bar:
        above += c.as_odd[odd]
        if above >= c.most_plain:
            c.bar = <uint8_t>odd
            return
        odd -= 1


cdef inline bint chosen(Choice *c, const ConnectionRow *row) noexcept nogil:
    """Whether row may be one of them, after all that were asked about before."""
    if not row.odd:
        return row.connection < c.most_plain
    if c.odd_told >= c.most_odd and row.connection > c.odd_highest and row.odd <= c.bar:
        return False
    count_odd(c, row)
    return True
