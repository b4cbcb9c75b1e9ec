"""Who waits for whom: a side's first new data after the peer's is a reply, and took time."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    NOBODY_YET = 2

cdef struct Replies:             # of one side
    int64_t data_ns              # its latest data, repeated data included; -1: none
    int64_t sum_ns
    int64_t longest_ns
    uint64_t longest_frame
    uint32_t count

cdef struct Turns:
    Replies side[2]
    uint8_t talker               # who sent the latest new data; NOBODY_YET


cdef inline void turns_observe(Turns *t, int d, int64_t time_ns, uint64_t frame, bint new_data) noexcept nogil:
    """Side d sent data.  A reply counts from the latest data that the peer sent: what it repeated, it had to."""
    cdef Replies *mine = &t.side[d]
    cdef int64_t took
    mine.data_ns = time_ns
    if not new_data:
        return
    if t.talker == 1 - d:
        took = max(time_ns - t.side[1 - d].data_ns, 0)
        mine.count += 1
        mine.sum_ns += took
        if took > mine.longest_ns or mine.count == 1:
            mine.longest_ns, mine.longest_frame = took, frame
    t.talker = <uint8_t>d
