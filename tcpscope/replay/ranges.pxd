"""Which sequence numbers one side has sent: disjoint ranges, ascending, on unwrapped positions.

The topmost range lies in the struct itself, so a stream without holes costs one comparison a segment.
Invariants: below[i].start < below[i].end < below[i + 1].start, and below[count - 1].end < start.
"""
from libc.stdint cimport int64_t, uint32_t

cdef enum:
    MAX_RANGES = 1024           # holes remembered; beyond, the lowest half are taken as filled

cdef struct Range:
    int64_t start
    int64_t end                 # first position behind it

cdef struct Ranges:
    int64_t start               # the topmost range; empty (start == end) before the first insertion
    int64_t end
    Range *below
    uint32_t count
    uint32_t capacity
    uint32_t forgotten          # holes given up at MAX_RANGES

cdef struct Overlap:            # what an insertion met
    int64_t known               # positions that were in a range already
    int64_t gap_end             # end of the hole in which the insertion starts; its own start if in none
    bint out_of_order           # starts in a hole, ends before the range that closes that hole does

cdef int ranges_insert_slowly(Ranges *r, int64_t start, int64_t end, Overlap *met) noexcept nogil
cdef void ranges_free(Ranges *r) noexcept nogil


cdef inline int ranges_insert(Ranges *r, int64_t start, int64_t end, Overlap *met) noexcept nogil:
    """Add [start, end), tell what of it was there; -1 when memory fails."""
    if start == r.end and r.start != r.end:
        r.end = end
        met.known = 0
        met.gap_end = start
        met.out_of_order = False
        return 0
    return ranges_insert_slowly(r, start, end, met)
