"""The batch in which segments travel from the decoder to the replay."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tcpscope.wire.hints cimport Hint
from tcpscope.wire.segment cimport Segment

cdef enum:
    MOST_SHARES = 64
    STEP_BACK_NS = 1_000_000_000           # a clock that goes back by more has been set


cdef class SegmentBatch:
    cdef Segment *items
    cdef readonly Py_ssize_t size
    cdef readonly Py_ssize_t capacity
    cdef Hint *hints                       # Segment.hint counts them from 1
    cdef uint32_t n_hints, hints_room
    # once divided
    cdef uint32_t *lists                   # places of each share's segments, share after share: list_of, count
    cdef uint32_t count[MOST_SHARES]
    cdef int shares
    cdef int64_t *clock                    # the latest time up to each segment
    cdef uint64_t order                    # of the first segment among all
    cdef int64_t now_ns                    # the clock after the last
    cdef int64_t last_ns                   # the last one's own time
    cdef uint32_t steps                    # times that the clock was set back

    cdef Hint *new_hint(self) noexcept nogil
    cdef int divide(self, int shares, int64_t now_ns, int64_t last_ns, uint64_t order) except -1 nogil
    cdef int make_lists(self, int shares) except -1 nogil

    cdef inline uint32_t *list_of(self, uint32_t share) noexcept nogil:
        """Where the places of a share's segments stand, `count[share]` of them."""
        return self.lists + <size_t>share * <size_t>self.capacity
