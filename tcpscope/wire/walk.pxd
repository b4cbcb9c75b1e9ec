# cython: wraparound=False
"""The walk through a frame's headers, outermost first.

Each layer's function reads one header at `at`, moves on, and returns the layer
that follows.  L_STOP ends the walk; `why` then names the counter of the frame.
Invariants: 0 <= at, frame.size <= caplen, and nothing behind `end` (where the
packet ends on the wire) is ever read as part of it, so padding never counts.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from tcpscope.capture.frame cimport Frame
from tcpscope.wire.segment cimport Segment

cdef enum:                # Layer: what the next header is
    L_STOP
    L_LINK                # proto holds a pcap link type
    L_ETHERNET
    L_ETHERTYPE           # proto holds the EtherType
    L_LLC
    L_PPP
    L_FRAME_RELAY
    L_WLAN
    L_MPLS
    L_PPPOE
    L_IP                  # version by its first nibble
    L_IPV4
    L_IPV6
    L_PAYLOAD             # proto holds the IP protocol or next header
    L_FRAGMENT            # proto as above, the fragment_ fields are set

cdef enum:                # Kind: # what a frame turned out to be: a counter each, names in decode.pyx
    K_TCP
    K_ICMP_QUOTE
    K_UDP
    K_ICMP
    K_ARP
    K_IP_OTHER
    K_NOT_IP
    K_FRAGMENT
    K_ENCRYPTED
    K_UNSUPPORTED
    K_CUT                 # the capture ends before the TCP header begins
    K_SHORT_TCP           # ... or inside its fixed 20 bytes
    K_MALFORMED_LINK
    K_MALFORMED_IP
    K_MALFORMED_TCP
    K_TOO_DEEP
    N_KINDS

cdef struct Walk:
    Frame frame
    Py_ssize_t at
    Py_ssize_t end
    int proto
    int why
    bint quoted               # inside an ICMP error
    bint no_checksum          # the pseudo-header's addresses are not those of the IP header
    uint8_t notes
    uint32_t outer
    uint32_t fragment_id
    uint32_t fragment_at      # offset in the datagram, bytes
    bint fragment_more
    Segment *segment


cdef inline int stop(Walk *w, int why) noexcept nogil:
    w.why = why
    return L_STOP


cdef inline int ethertype(Walk *w, Py_ssize_t at, int proto) noexcept nogil:
    w.at = at
    w.proto = proto
    return L_ETHERTYPE


cdef inline int layer(Walk *w, Py_ssize_t at, int which) noexcept nogil:
    w.at = at
    return which


cdef inline void end_at(Walk *w, Py_ssize_t end) noexcept nogil:
    """The packet ends here at the latest; what follows is padding or a trailer."""
    if end < w.end:
        w.end = end
        if end < w.frame.size:
            w.frame.size = end


cdef inline void mix(Walk *w, uint32_t tag, uint32_t value) noexcept nogil:
    """Add an identifier (VLAN, label, VNI …) to the hash of what is around the packet."""
    cdef uint32_t x = (w.outer ^ tag * <uint32_t>0x9E3779B1) + value
    x = (x ^ x >> 16) * <uint32_t>0x85EBCA6B
    x = (x ^ x >> 13) * <uint32_t>0xC2B2AE35
    w.outer = (x ^ x >> 16) | 1
