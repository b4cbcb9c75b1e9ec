# cython: wraparound=False, freethreading_compatible=True
"""The batch in which segments travel from the decoder to the replay."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from tcpscope.wire.flow cimport set_flow
from tcpscope.wire.segment cimport Segment


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

    def __len__(self):
        return self.size

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
        self.size = count


def segment_size():
    """Bytes of one Segment, for the layout's self-check."""
    return sizeof(Segment)
