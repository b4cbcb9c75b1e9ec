# cython: wraparound=False, freethreading_compatible=True
"""Sorted, disjoint ranges of sent sequence numbers; binary search, bounded in number."""
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove


cdef uint32_t first_reaching(const Ranges *r, int64_t position) noexcept nogil:
    """Index of the lowest range below the top whose end is at or behind `position`."""
    cdef uint32_t low = 0
    cdef uint32_t high = r.count
    cdef uint32_t middle
    while low < high:
        middle = (low + high) // 2
        if r.below[middle].end < position:
            low = middle + 1
        else:
            high = middle
    return low


cdef int make_room(Ranges *r) noexcept nogil:
    """Room for one more range below the top; at the limit the lower half of the holes is given up at once."""
    cdef uint32_t kept
    cdef uint32_t wider
    cdef Range *bigger
    if r.count < r.capacity:
        return 0
    if r.capacity >= MAX_RANGES:
        kept = r.count // 2
        r.below[0].end = r.below[kept].end
        memmove(&r.below[1], &r.below[kept + 1], (r.count - kept - 1) * sizeof(Range))
        r.count -= kept
        r.forgotten += kept
        return 0
    wider = r.capacity * 2 if r.capacity else 4
    bigger = <Range *>realloc(r.below, wider * sizeof(Range))
    if bigger == NULL:
        return -1
    r.below = bigger
    r.capacity = wider
    return 0


cdef int push_top(Ranges *r, int64_t start, int64_t end) noexcept nogil:
    """[start, end) lies above everything, behind a hole: it becomes the top."""
    if make_room(r) < 0:
        return -1
    r.below[r.count].start = r.start
    r.below[r.count].end = r.end
    r.count += 1
    r.start = start
    r.end = end
    return 0


cdef int put_below(Ranges *r, uint32_t at, int64_t start, int64_t end) noexcept nogil:
    """[start, end) touches nothing and belongs before below[at]."""
    cdef uint32_t before = r.forgotten
    if make_room(r) < 0:
        return -1
    if r.forgotten != before:
        at = first_reaching(r, start)
        if at < r.count and r.below[at].start <= start:
            return 0                        # inside what was just given up
    memmove(&r.below[at + 1], &r.below[at], (r.count - at) * sizeof(Range))
    r.below[at].start = start
    r.below[at].end = end
    r.count += 1
    return 0


cdef int ranges_insert_slowly(Ranges *r, int64_t start, int64_t end, Overlap *met) noexcept nogil:
    cdef uint32_t at, behind
    cdef int64_t low, high
    met.known = 0
    met.gap_end = start
    met.out_of_order = False
    if start >= end:
        return 0
    if r.start == r.end:
        r.start = start
        r.end = end
        return 0
    if start >= r.start:                    # touches the top, or lies above it
        if start > r.end:
            return push_top(r, start, end)
        met.known = min(end, r.end) - start
        r.end = max(r.end, end)
        return 0

    at = first_reaching(r, start)           # first range that [start, end) can touch
    behind = at
    if at < r.count and r.below[at].end == start:
        behind = at + 1                     # only adjacent: the hole starts here
    if behind == r.count:
        low = r.start
        high = r.end
    else:
        low = r.below[behind].start
        high = r.below[behind].end
    if start < low:
        met.gap_end = low
        met.out_of_order = end < high

    low = start
    high = end
    behind = at
    while behind < r.count and r.below[behind].start <= end:
        met.known += max(0, min(end, r.below[behind].end) - max(start, r.below[behind].start))
        low = min(low, r.below[behind].start)
        high = max(high, r.below[behind].end)
        behind += 1
    if end >= r.start:                      # everything from `at` on melts into the top
        met.known += min(end, r.end) - r.start
        r.start = low
        r.end = max(r.end, high)
        r.count = at
        return 0
    if behind == at:
        return put_below(r, at, start, end)
    r.below[at].start = low
    r.below[at].end = high
    if behind > at + 1:
        memmove(&r.below[at + 1], &r.below[behind], (r.count - behind) * sizeof(Range))
        r.count -= behind - at - 1
    return 0


cdef void ranges_free(Ranges *r) noexcept nogil:
    free(r.below)
    r.below = NULL
    r.count = r.capacity = 0
