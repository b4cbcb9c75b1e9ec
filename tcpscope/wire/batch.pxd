"""The batch in which segments travel from the decoder to the replay."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

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
    cdef uint32_t *index                   # places of the segments, share after share
    cdef uint8_t *share                    # of each segment
    cdef int64_t *clock                    # the latest time up to each segment
    cdef uint32_t begin[MOST_SHARES + 1]   # where each share begins in `index`
    cdef uint64_t order                    # of the first segment among all
    cdef int64_t now_ns                    # the clock after the last
    cdef int64_t last_ns                   # the last one's own time
    cdef uint32_t steps                    # times that the clock was set back

    cdef Hint *new_hint(self) noexcept nogil
    cdef int divide(self, int shares, int64_t now_ns, int64_t last_ns, uint64_t order) except -1 nogil
