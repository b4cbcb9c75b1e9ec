# cython: wraparound=False, freethreading_compatible=True
"""A capture's uncompressed bytes by their offset, for a reader that only goes forward.

A stretch of the stream is in memory; what lies before it is gone.  So a compressed capture
serves as well as a plain one, and its size does not matter.
"""
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memmove


cdef class Window:
    """`stream` has `readinto(buffer) -> int`, 0 at its end."""

    def __init__(self, stream, *, Py_ssize_t capacity=2 << 20):
        self.stream = stream
        self.capacity = capacity
        self.memory = bytearray(capacity)
        self.data = <const uint8_t *>PyByteArray_AS_STRING(self.memory)

    cdef const uint8_t *at(self, uint64_t offset, Py_ssize_t size) except? NULL:
        """`size` bytes from `offset` on, valid until the next call; NULL: gone, too many, or past the end."""
        cdef Py_ssize_t keep, given
        if offset < self.base or size > self.capacity:
            return NULL
        while offset + <uint64_t>size > self.base + <uint64_t>self.filled:
            if self.at_end:
                return NULL
            if offset >= self.base + <uint64_t>self.filled:
                keep = 0
            else:
                keep = <Py_ssize_t>(self.base + <uint64_t>self.filled - offset)
            if self.filled == self.capacity or keep == 0:
                memmove(<void *>self.data, self.data + self.filled - keep, keep)
                self.base += <uint64_t>(self.filled - keep)
                self.filled = keep
            try:
                given = self.stream.readinto(memoryview(self.memory)[self.filled:]) or 0
            except OSError:                       # the decoder, which reads the same stream, has told of it
                given = 0
            self.filled += given
            self.at_end = given == 0
        return self.data + <Py_ssize_t>(offset - self.base)

    def read(self, uint64_t offset, Py_ssize_t size):
        """`size` bytes from `offset` on; None where they cannot be had."""
        cdef const uint8_t *found = self.at(offset, size)
        return None if found == NULL else found[:size]
