# cython: wraparound=False, freethreading_compatible=True
"""Whole frames of a capture, and sets of them by number: what it takes to copy some into another file."""
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memmove, memset

from tcpscope.capture.container cimport RECORD, STOPPED, Container, Record
from tcpscope.capture.writer import Packet


cdef class FrameReader:
    """The records of one capture stream.  `stream` has `readinto(buffer) -> int`, 0 at its end."""

    def __init__(self, stream, *, Py_ssize_t buffer_size=1 << 20):
        self.stream = stream
        self.container = Container()
        self.capacity = max(buffer_size, 64)
        self.memory = bytearray(self.capacity)
        self.data = <const uint8_t *>PyByteArray_AS_STRING(self.memory)

    cdef bint advance(self, Record *r) except -1:
        """The next record; False when there is none, or the file is damaged from here on."""
        cdef int status
        while True:
            status = self.container.next(self.data, self.filled, &self.start, r)
            if status == RECORD:
                return True
            if status == STOPPED or not self.read_more():
                return False

    cdef bint read_more(self) except -1:
        """One read, in front of which the unread bytes stand; False at the end."""
        cdef object grown
        cdef Py_ssize_t given
        if self.start:
            memmove(<void *>self.data, self.data + self.start, self.filled - self.start)
            self.filled -= self.start
            self.start = 0
        if self.filled == self.capacity:              # bounded: the container refuses larger records
            grown = bytearray(self.capacity * 2)
            grown[:self.filled] = self.memory
            self.memory = grown[:self.capacity * 2]
            self.capacity *= 2
            self.data = <const uint8_t *>PyByteArray_AS_STRING(self.memory)
        try:
            given = self.stream.readinto(memoryview(self.memory)[self.filled:]) or 0
        except OSError:                               # the analysis before has told of it
            given = 0
        self.filled += given
        return given > 0

    def pick(self, FrameSet frames not None, Py_ssize_t file, Py_ssize_t most=256):
        """The next frames that are in the set, `most` at a time, as writer.Packet; none are left when it is empty."""
        cdef Record r
        cdef list found = []
        memset(&r, 0, sizeof(Record))
        while len(found) < most and self.advance(&r):
            if frames.holds(file, r.frame):
                found.append(Packet(
                    r.frame, r.time_ns, r.ticks if r.has_ticks else None, r.interface, r.wirelen,
                    r.data[:r.caplen], options_of(r.options, r.options_size, self.container.big_endian)))
        return found

    def interfaces(self):
        """As Container.described_interfaces: those met so far."""
        return self.container.described_interfaces()


cdef tuple options_of(const uint8_t *at, Py_ssize_t size, bint big_endian):
    """(code, value) of each option of a packet block; values as they stand there."""
    cdef Py_ssize_t code, length
    cdef list found = []
    while size >= 4:
        code = at[0] << 8 | at[1] if big_endian else at[1] << 8 | at[0]
        length = at[2] << 8 | at[3] if big_endian else at[3] << 8 | at[2]
        if code == 0 or length > size - 4:
            break
        value = at[4:4 + length]
        # numbers (flags, drop count, packet id, queue) are turned to this writer's byte order; the rest is bytes
        found.append((code, value[::-1] if big_endian and code in (2, 4, 5, 6) else value))
        length = (length + 3) & ~<Py_ssize_t>3
        at += 4 + length
        size -= 4 + length
    return tuple(found)


cdef class FrameSet:
    """Frames of several files, by number: a bit each."""

    def __cinit__(self, Py_ssize_t n_files):
        self.files = <Bits *>calloc(max(n_files, 1), sizeof(Bits))
        if self.files == NULL:
            raise MemoryError()
        self.n_files = n_files

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.files != NULL:
            for i in range(self.n_files):
                free(self.files[i].data)
        free(self.files)

    cdef bint put(self, Py_ssize_t file, uint64_t frame) noexcept nogil:
        """Add a frame; False when memory runs out."""
        cdef Bits *bits = &self.files[file]
        cdef uint64_t at = frame >> 3, size
        cdef uint8_t *grown
        if at >= bits.size:
            size = max(at + 1, bits.size * 2, <uint64_t>1024)
            grown = <uint8_t *>realloc(bits.data, size)
            if grown == NULL:
                return False
            memset(grown + bits.size, 0, size - bits.size)
            bits.data, bits.size = grown, size
        if not bits.data[at] >> (frame & 7) & 1:
            bits.data[at] |= <uint8_t>(1 << (frame & 7))
            self.count += 1
        return True

    cdef bint holds(self, Py_ssize_t file, uint64_t frame) noexcept nogil:
        cdef Bits *bits = &self.files[file]
        return frame >> 3 < bits.size and bits.data[frame >> 3] >> (frame & 7) & 1

    def add(self, Py_ssize_t file, uint64_t frame):
        """Add a frame; True if it was not in the set."""
        cdef uint64_t before = self.count
        self.check(file)
        if not self.put(file, frame):
            raise MemoryError()
        return self.count > before

    def has(self, Py_ssize_t file, uint64_t frame):
        """Whether the frame is in the set."""
        self.check(file)
        return self.holds(file, frame)

    def any_of(self, Py_ssize_t file):
        """Whether a frame of this file is in the set."""
        self.check(file)
        return self.files[file].size > 0

    def check(self, Py_ssize_t file):
        if not 0 <= file < self.n_files:
            raise IndexError("no such file")
