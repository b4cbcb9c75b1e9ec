# cython: wraparound=False
"""TCP over IPv4 without options over Ethernet: what most packets of most captures are.

What is nearly always at the same place is read there; anything else is left to the walk (decode.pyx).
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

from tcpscope.capture.frame cimport be16, be32
from tcpscope.wire.checksum cimport add_bytes, fold, native
from tcpscope.wire.flow cimport end_of_ipv4, pair_hash
from tcpscope.wire.segment cimport SUM_GOOD, SUM_UNVERIFIABLE, TCP_SEGMENT, Segment
from tcpscope.wire.tcp cimport checksum, options

cdef enum:
    IPV4_AND_NO_OPTIONS = 0x080045        # EtherType, version and header length
    PSEUDO = 8                            # bytes of the IP header that the checksum covers: the addresses, at its end
    IP_AT = 14
    TCP_AT = 34
    LEAST = 54                            # bytes up to the end of a TCP header without options


cdef inline uint32_t usual_header(const uint8_t *p, Py_ssize_t caplen, Py_ssize_t wire) noexcept nogil:
    """Length of the TCP header of a usual packet, captured with all its headers; 0: it is not one."""
    cdef Py_ssize_t header, total
    if (caplen < LEAST or be32(p + 12) >> 8 != IPV4_AND_NO_OPTIONS or p[IP_AT + 9] != 6
            or be16(p + IP_AT + 6) & 0x3FFF):
        return 0
    header = p[TCP_AT + 12] >> 4 << 2
    total = be16(p + IP_AT + 2)
    if header < 20 or TCP_AT + header > caplen or not 20 + header <= total <= max(caplen, wire) - IP_AT:
        return 0
    return <uint32_t>header


cdef inline void usual(const uint8_t *p, Py_ssize_t caplen, uint32_t header, bint verify, Segment *s) noexcept nogil:
    """Into s, whatever that was before: all but time, frame, file, interface; `payload_at` counts from p."""
    cdef Py_ssize_t size = be16(p + IP_AT + 2) - 20            # of the TCP segment
    s.outer = 0
    memset(s.src, 0, sizeof(s.src))
    memset(s.dst, 0, sizeof(s.dst))
    memcpy(s.src, p + IP_AT + 12, 4)
    memcpy(s.dst, p + IP_AT + 16, 4)
    s.sport, s.dport = be16(p + TCP_AT), be16(p + TCP_AT + 2)
    s.seq, s.ack = be32(p + TCP_AT + 4), be32(p + TCP_AT + 8)
    s.length = <uint32_t>size - header
    s.captured = <uint32_t>min(caplen - TCP_AT, size) - header
    s.options = s.ts_val = s.ts_ecr = 0
    s.ip_id = be16(p + IP_AT + 4)
    s.flags, s.window = be16(p + TCP_AT + 12) & 0x0FFF, be16(p + TCP_AT + 14)
    s.checksum, s.urgent = be16(p + TCP_AT + 16), be16(p + TCP_AT + 18)
    s.mss = s.hint = 0
    s.ttl, s.tos, s.ip_version, s.header_length = p[IP_AT + 8], p[IP_AT + 1], 4, <uint8_t>header
    if s.n_sack:
        memset(s.sack, 0, sizeof(s.sack))
    s.checksum_state, s.notes, s.kind, s.n_sack = SUM_UNVERIFIABLE, 0, TCP_SEGMENT, 0
    s.window_scale = s.cookie_length = s.icmp_type = s.icmp_code = 0
    s.payload_at = TCP_AT + header
    if header > 20:
        options(s, p + LEAST, header - 20)
    if verify and TCP_AT + size <= caplen:
        if fold(native(6) + native(<uint32_t>size) + add_bytes(p + TCP_AT - PSEUDO, PSEUDO + size)) == 0xFFFF:
            s.checksum_state = SUM_GOOD
        else:
            s.checksum_state = <uint8_t>checksum(s, p + TCP_AT, size)
    s.flow = <uint32_t>pair_hash(end_of_ipv4(p + IP_AT + 12, s.sport), end_of_ipv4(p + IP_AT + 16, s.dport))
