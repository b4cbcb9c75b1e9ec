# cython: wraparound=False
"""A capture's uncompressed bytes by their offset."""
from libc.stdint cimport uint8_t, uint64_t

cdef class Window:
    cdef object stream
    cdef object memory
    cdef const uint8_t *data
    cdef uint64_t base                   # offset of data[0]
    cdef Py_ssize_t filled, capacity
    cdef bint at_end

    cdef const uint8_t *at(self, uint64_t offset, Py_ssize_t size) except? NULL
