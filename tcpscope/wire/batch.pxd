from tcpscope.wire.segment cimport Segment


cdef class SegmentBatch:
    """A fixed array of segments, filled by a reader and drained by the replay."""
    cdef Segment *items
    cdef readonly Py_ssize_t size
    cdef readonly Py_ssize_t capacity
