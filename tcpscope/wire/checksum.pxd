# cython: wraparound=False
"""The Internet checksum (RFC 1071), eight bytes at a time.

One's complement sums do not care for byte order, so words are added as the machine
reads them, and only whole sums are compared.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef inline uint64_t add_bytes(const uint8_t *p, Py_ssize_t n) noexcept nogil:
    """The sum of n bytes, at most 2^32 of them, not folded yet."""
    cdef uint64_t low = 0, high = 0, word
    cdef uint32_t half
    while n >= 8:
        memcpy(&word, p, 8)
        low += <uint32_t>word
        high += word >> 32
        p += 8
        n -= 8
    if n >= 4:
        memcpy(&half, p, 4)
        low += half
        p += 4
        n -= 4
    if n:
        half = 0
        memcpy(&half, p, n)
        high += half
    return <uint32_t>low + (low >> 32) + <uint32_t>high + (high >> 32)


cdef inline uint16_t fold(uint64_t total) noexcept nogil:
    """Down to 16 bits, carries added back."""
    total = <uint32_t>total + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16 & 0xFFFF) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    return <uint16_t>((total & 0xFFFF) + (total >> 16))


cdef inline uint32_t native(uint32_t value) noexcept nogil:
    """A number below 2^16 as the machine reads its two network-order bytes."""
    cdef uint16_t probe = 1
    if (<uint8_t *>&probe)[0]:
        return (value >> 8 | value << 8) & 0xFFFF
    return value
