"""What data mean for the course of a connection: who waited for whom, and what comes again and again."""
from libc.stdint cimport int64_t

from tcpscope.replay.connection cimport Connection
from tcpscope.replay.course cimport BEAT_NS, course_beat
from tcpscope.replay.turns cimport turns_observe
from tcpscope.wire.segment cimport Segment


cdef inline void spoke(Connection *c, const Segment *s, int d, bint new_data) noexcept nogil:
    """Side d sent data."""
    cdef int64_t before = c.turns.side[d].data_ns
    if before >= 0 and s.time_ns - before >= BEAT_NS:
        course_beat(&c.course.beats[d], s.time_ns - before)
    turns_observe(&c.turns, d, s, new_data, &c.flight[d], &c.flight[1 - d])
