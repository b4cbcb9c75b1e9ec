"""Which flow a segment belongs to, as a number: told by the decoder, so that nobody has to look twice.

A flow is an unordered pair of (address, port).  The hash is keyed with a secret of the process:
nobody can prepare packets that collide.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tcpscope.wire.segment cimport Segment

cdef uint64_t SECRET             # odd; drawn when the module is imported


cdef inline uint64_t word(const uint8_t *bytes) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, bytes, 8)
    return value


cdef inline uint64_t stir(uint64_t x) noexcept nogil:
    """A bijection that spreads every bit over all (the finalizer of splitmix64)."""
    x ^= x >> 30
    x *= <uint64_t>0xBF58476D1CE4E5B9
    x ^= x >> 27
    x *= <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef inline uint64_t end_of_ipv4(const uint8_t *addr, uint16_t port) noexcept nogil:
    """One end as a number; no two have the same."""
    cdef uint32_t four
    memcpy(&four, addr, 4)
    return <uint64_t>four << 16 | port


cdef inline uint64_t end_of(const uint8_t *addr, uint16_t port, uint8_t version) noexcept nogil:
    """... of either version; among those of IPv6 two may have the same."""
    return end_of_ipv4(addr, port) if version == 4 else stir(stir(word(addr) ^ SECRET) + word(addr + 8)) + port


cdef inline uint64_t pair_hash(uint64_t one, uint64_t two) noexcept nogil:
    """Of an unordered pair of ends, in full."""
    return stir(min(one, two) * SECRET + max(one, two))


cdef inline uint64_t ends_hash(const uint8_t *a, uint16_t a_port, const uint8_t *b, uint16_t b_port,
                               uint8_t version) noexcept nogil:
    return pair_hash(end_of(a, a_port, version), end_of(b, b_port, version))


cdef inline void set_flow(Segment *s) noexcept nogil:
    """Fill in s.flow from its addresses and ports."""
    s.flow = <uint32_t>ends_hash(s.src, s.sport, s.dst, s.dport, s.ip_version)
