# cython: wraparound=False
"""Reading captured bytes.

`u8` and the like read past the end as 0 and mark the frame short, so that a capture with a small snaplen is data and
not an error: decoders look at `short` once a header.  Whoever reads bytes himself (`be16`, `p[3]`) has asked `has()`
for the whole header before.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef struct Frame:
    const uint8_t *data
    Py_ssize_t size
    bint short


cdef inline bint has(Frame *f, Py_ssize_t at, Py_ssize_t n) noexcept nogil:
    if 0 <= at and n <= f.size - at:
        return True
    f.short = True
    return False


cdef inline uint8_t u8(Frame *f, Py_ssize_t at) noexcept nogil:
    return f.data[at] if has(f, at, 1) else 0


cdef inline uint16_t u16(Frame *f, Py_ssize_t at) noexcept nogil:
    return <uint16_t>(f.data[at] << 8 | f.data[at + 1]) if has(f, at, 2) else 0


cdef inline uint16_t u16_le(Frame *f, Py_ssize_t at) noexcept nogil:
    return <uint16_t>(f.data[at + 1] << 8 | f.data[at]) if has(f, at, 2) else 0


cdef inline uint32_t u32(Frame *f, Py_ssize_t at) noexcept nogil:
    if not has(f, at, 4):
        return 0
    return (<uint32_t>f.data[at] << 24 | <uint32_t>f.data[at + 1] << 16
            | <uint32_t>f.data[at + 2] << 8 | f.data[at + 3])


# The same once `has` has said yes for a whole header: plain reads at a pointer.

cdef inline uint16_t be16(const uint8_t *p) noexcept nogil:
    return <uint16_t>(p[0] << 8 | p[1])


cdef inline uint32_t be32(const uint8_t *p) noexcept nogil:
    return <uint32_t>p[0] << 24 | <uint32_t>p[1] << 16 | <uint32_t>p[2] << 8 | p[3]


cdef inline uint16_t le16(const uint8_t *p) noexcept nogil:
    return <uint16_t>(p[1] << 8 | p[0])


cdef inline uint32_t le32(const uint8_t *p) noexcept nogil:
    return <uint32_t>p[3] << 24 | <uint32_t>p[2] << 16 | <uint32_t>p[1] << 8 | p[0]
