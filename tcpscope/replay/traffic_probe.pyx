# cython: wraparound=False, freethreading_compatible=True
"""The statistics of one connection by themselves, for tests."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcmp, memset

from tcpscope.replay.ranges cimport Ranges
from tcpscope.replay.rows cimport SideRow
from tcpscope.replay.traffic cimport Traffic, traffic_end, traffic_free, traffic_observe, traffic_observe_copy
from tcpscope.replay.traffic_row cimport traffic_row
from tcpscope.wire.batch cimport SegmentBatch
from tcpscope.wire.segment cimport Segment


cdef class TrafficProbe:
    """Both directions of one connection, shown as they are."""
    cdef Traffic side[2]
    cdef Segment first
    cdef bint begun

    def __dealloc__(self):
        traffic_free(&self.side[0])
        traffic_free(&self.side[1])

    def observe(self, SegmentBatch batch, bint copies=False):
        """Count the batch's segments; side 0 is the one that sent the very first.

        `copies`: they are frames that the capture holds already.
        """
        cdef Py_ssize_t i
        cdef Segment *s
        cdef int who, bad = 0
        with nogil:
            for i in range(batch.size):
                s = &batch.items[i]
                if not self.begun:
                    self.first = s[0]
                    self.begun = True
                who = s.sport != self.first.sport or memcmp(s.src, self.first.src, 16) != 0
                if copies:
                    traffic_observe_copy(&self.side[who], s)
                else:
                    bad |= traffic_observe(&self.side[who], &self.side[1 - who], s)
        if bad:
            raise MemoryError()

    def end(self, int64_t now_ns):
        """The capture ends at `now_ns` (since the epoch)."""
        traffic_end(&self.side[0], &self.side[1], now_ns)

    def row(self, int who):
        """The columns of side `who` (0 or 1) as a packed SideRow; those of the engine are 0."""
        cdef SideRow out
        if who not in (0, 1):
            raise IndexError("a connection has sides 0 and 1")
        memset(&out, 0, sizeof(out))
        traffic_row(&self.side[who], &self.side[1 - who], &out)
        return PyBytes_FromStringAndSize(<char *>&out, sizeof(out))

    def ranges(self, int who):
        """What side `who` has sent, as ascending (start, end) of positions."""
        cdef Ranges *seen
        cdef uint32_t i
        if who not in (0, 1):
            raise IndexError("a connection has sides 0 and 1")
        seen = &self.side[who].seen
        found = [(seen.below[i].start, seen.below[i].end) for i in range(seen.count)]
        return found + [(seen.start, seen.end)] if seen.start != seen.end else found


def traffic_size():
    """Bytes of one Traffic."""
    return sizeof(Traffic)
