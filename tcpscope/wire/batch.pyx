# cython: wraparound=False, freethreading_compatible=True
"""The batch in which segments travel from the decoder to the replay."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from tcpscope.wire.flow cimport set_flow
from tcpscope.wire.hints cimport Hint
from tcpscope.wire.segment cimport Segment

cdef enum:
    MOST_HINTS = 0xFFFF


cdef class SegmentBatch:
    def __cinit__(self, Py_ssize_t capacity=4096):
        if capacity < 1:
            raise ValueError("a batch holds at least one segment")
        self.items = <Segment *>calloc(capacity, sizeof(Segment))
        if self.items == NULL:
            raise MemoryError()
        self.capacity = capacity
        self.size = 0

    def __dealloc__(self):
        free(self.items)
        free(self.hints)
        free(self.clock)
        free(self.lists)

    def __len__(self):
        return self.size

    cdef Hint *new_hint(self) noexcept nogil:
        """Room for one more, number `n_hints` from then on; NULL when there is none."""
        cdef uint32_t room
        cdef Hint *hints
        if self.n_hints == self.hints_room:
            room = max(<uint32_t>16, 2 * self.hints_room)
            if room > MOST_HINTS:
                return NULL
            hints = <Hint *>realloc(self.hints, room * sizeof(Hint))
            if hints == NULL:
                return NULL
            self.hints, self.hints_room = hints, room
        self.n_hints += 1
        return &self.hints[self.n_hints - 1]

    cdef int divide(self, int shares, int64_t now_ns, int64_t last_ns, uint64_t order) except -1 nogil:
        """Sort the segments' places by share, note the capture's clock at each, and count where it was set back.

        A flow's segments all fall into one share, in their order.  now_ns: the clock before this batch; last_ns: the
        time of the segment before it; order: how many segments came before it.
        """
        cdef uint32_t i, share
        cdef uint32_t *next[MOST_SHARES]           # place in each share's list
        cdef const Segment *s = self.items
        if self.shares < shares:
            self.make_lists(shares)
        for i in range(<uint32_t>shares):
            next[i] = self.list_of(i)
        self.steps = 0
        if order == 0 and self.size:
            now_ns = last_ns = s.time_ns
        for i in range(<uint32_t>self.size):
            now_ns = max(now_ns, s.time_ns)
            self.clock[i] = now_ns
            if s.time_ns < last_ns:
                self.steps += s.time_ns < last_ns - STEP_BACK_NS
            last_ns = s.time_ns
            share = <uint32_t>(<uint64_t>s.flow * <uint64_t>shares >> 32)
            next[share][0] = i
            next[share] += 1
            s += 1
        for i in range(<uint32_t>shares):
            self.count[i] = <uint32_t>(next[i] - self.list_of(i))
        self.order, self.now_ns, self.last_ns = order, now_ns, last_ns
        return 0

    cdef int make_lists(self, int shares) except -1 nogil:
        """Room for `divide`."""
        free(self.lists)
        free(self.clock)
        self.lists = <uint32_t *>malloc(shares * self.capacity * sizeof(uint32_t))    # a list has room for all
        self.clock = <int64_t *>malloc(self.capacity * sizeof(int64_t))
        self.shares = 0
        if self.lists == NULL or self.clock == NULL:
            with gil:
                raise MemoryError()
        self.shares = shares
        return 0

    def tobytes(self):
        """The segments as packed C structs; `tcpscope.wire.layout` names the fields."""
        return PyBytes_FromStringAndSize(<char *>self.items, self.size * sizeof(Segment))

    def load(self, const unsigned char[::1] raw):
        """Fill the batch from what `tobytes` gave."""
        cdef Py_ssize_t count = raw.shape[0] // <Py_ssize_t>sizeof(Segment), i
        if count * <Py_ssize_t>sizeof(Segment) != raw.shape[0] or count > self.capacity:
            raise ValueError("not a whole number of segments, or more than the batch holds")
        if count:
            memcpy(self.items, &raw[0], count * sizeof(Segment))
        for i in range(count):
            set_flow(&self.items[i])
            self.items[i].hint = 0
        self.size, self.n_hints = count, 0


def segment_size():
    """Bytes of one Segment, for the layout's self-check."""
    return sizeof(Segment)
