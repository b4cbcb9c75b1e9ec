# cython: wraparound=False, freethreading_compatible=True
"""Tunnels: GRE (RFC 2784, 2890), VXLAN (RFC 7348), Geneve (RFC 8926), GTP-U (3GPP TS 29.281),
Teredo (RFC 4380), L2TP (RFC 2661), MPLS and GRE over UDP (RFC 7510, 8086).

Told by their registered port, on either side, as Wireshark does.  The identifiers
that both directions share go into the hash; a GTP tunnel has another for each way.
"""
from libc.stdint cimport uint8_t

from tcpscope.capture.frame cimport be16, be32, has, u8, u16
from tcpscope.wire.segment cimport NOTE_TUNNEL
from tcpscope.wire.walk cimport (
    K_CUT, K_NOT_IP, K_UDP, L_ETHERNET, L_IP, L_IPV4, L_IPV6, L_MPLS, L_PAYLOAD, L_PPP, L_STOP,
    Walk, end_at, ethertype, layer, mix, stop,
)

cdef enum:
    TAG_GRE = 16
    TAG_VXLAN = 17
    TAG_GENEVE = 18
    TAG_GTP = 19
    TAG_TEREDO = 20
    TAG_L2TP = 21


cdef int gre(Walk *w) noexcept nogil:
    cdef Py_ssize_t at = w.at
    cdef int flags, proto, _, length
    if not has(&w.frame, at, 4):
        return stop(w, K_CUT)
    flags = be16(w.frame.data + at)
    proto = be16(w.frame.data + at + 2)
    at += 4
    w.notes |= NOTE_TUNNEL
    if flags & 0xC000:                                    # checksum and offset stand together
        at += 4
    if flags & 0x2000:
        if not has(&w.frame, at, 4):
            return stop(w, K_CUT)
        if flags & 7 == 0:
            mix(w, TAG_GRE, be32(w.frame.data + at))
        elif be16(w.frame.data + at) == 0:                # PPTP (RFC 2637): no payload, an acknowledgment
            return stop(w, K_NOT_IP)
        at += 4
    if flags & 0x1000:
        at += 4
    if flags & 7 == 1 and flags & 0x0080:                 # PPTP's acknowledgment number
        at += 4
    if flags & 0x4000:                                    # source routes, to the empty one
        for _ in range(64):
            if not has(&w.frame, at, 4):
                return stop(w, K_CUT)
            length = w.frame.data[at + 3]
            at += 4 + length
            if length == 0:
                break
    if proto == 0x88BE:                                   # ERSPAN: type I has no header, type II eight bytes
        return layer(w, at + 8 if flags & 0x1000 else at, L_ETHERNET)
    if proto == 0x22EB:
        return erspan3(w, at)
    if proto == 0x880B or proto == 0x8881:                # PPP; the latter for 3GPP2's A10
        return layer(w, at, L_PPP)
    if proto == 0x883E:                                   # WCCP: four bytes where the payload is no IPv4 header
        return layer(w, at if u8(&w.frame, at) >> 4 == 4 else at + 4, L_IPV4)
    return ethertype(w, at, proto) if proto > 1500 else stop(w, K_NOT_IP)


cdef int erspan3(Walk *w, Py_ssize_t at) noexcept nogil:
    """ERSPAN type III: 12 bytes, 8 more with the O bit; Ethernet or IP behind."""
    cdef int tail
    if not has(&w.frame, at, 12):
        return stop(w, K_CUT)
    tail = be16(w.frame.data + at + 10)
    at += 20 if tail & 1 else 12
    return layer(w, at, L_IP if tail >> 10 & 0x1F == 2 else L_ETHERNET)


cdef int ether_in_ip(Walk *w) noexcept nogil:
    """RFC 3378: two bytes, then the frame."""
    w.notes |= NOTE_TUNNEL
    return layer(w, w.at + 2, L_ETHERNET)


cdef int udp(Walk *w) noexcept nogil:
    cdef Py_ssize_t at = w.at
    cdef int sport, dport, length, found
    if not has(&w.frame, at, 8):
        return stop(w, K_CUT)
    sport = be16(w.frame.data + at)
    dport = be16(w.frame.data + at + 2)
    length = be16(w.frame.data + at + 4)
    if length >= 8:
        end_at(w, at + length)
    w.at = at + 8
    found = tunnel_of_port(w, dport)
    if found == L_STOP and sport != dport:
        w.at = at + 8
        found = tunnel_of_port(w, sport)
    if found == L_STOP:
        return stop(w, K_UDP)
    w.notes |= NOTE_TUNNEL
    return found


cdef int tunnel_of_port(Walk *w, int port) noexcept nogil:
    if port == 4789:
        return vxlan(w)
    if port == 4790:
        return vxlan_generic(w)
    if port == 6081:
        return geneve(w)
    if port == 2152:
        return gtp(w)
    if port == 3544:
        return teredo(w)
    if port == 1701:
        return l2tp(w)
    if port == 6635:
        return L_MPLS
    if port == 4754:
        w.proto = 47
        return L_PAYLOAD
    return L_STOP


cdef int vxlan(Walk *w) noexcept nogil:
    if not has(&w.frame, w.at, 8):
        return L_STOP
    mix(w, TAG_VXLAN, be32(w.frame.data + w.at + 4) >> 8)
    return layer(w, w.at + 8, L_ETHERNET)


cdef int vxlan_generic(Walk *w) noexcept nogil:
    cdef int following
    if not has(&w.frame, w.at, 8):
        return L_STOP
    following = w.frame.data[w.at + 3]
    mix(w, TAG_VXLAN, be32(w.frame.data + w.at + 4) >> 8)
    w.at += 8
    if following == 1:
        return L_IPV4
    if following == 2:
        return L_IPV6
    if following == 3:
        return L_ETHERNET
    if following == 4:
        return ethertype(w, w.at, 0x894F)
    return L_MPLS if following == 5 else L_STOP


cdef int geneve(Walk *w) noexcept nogil:
    cdef const uint8_t *p
    if not has(&w.frame, w.at, 8):
        return L_STOP
    p = w.frame.data + w.at
    if p[0] >> 6:
        return L_STOP
    mix(w, TAG_GENEVE, be32(p + 4) >> 8)
    return ethertype(w, w.at + 8 + (p[0] & 0x3F) * 4, be16(p + 2))


cdef int gtp(Walk *w) noexcept nogil:
    """Version 1, message 255: the user's packet; extension headers are units of four bytes."""
    cdef Py_ssize_t at = w.at + 8
    cdef const uint8_t *p
    cdef int following, _, length
    if not has(&w.frame, w.at, 8):
        return L_STOP
    p = w.frame.data + w.at
    if p[0] >> 5 != 1 or not p[0] & 0x10 or p[1] != 255:
        return L_STOP
    mix(w, TAG_GTP, 0)
    if p[0] & 0x07:
        following = u8(&w.frame, at + 3) if p[0] & 0x04 else 0
        at += 4
        for _ in range(16):
            if not following:
                break
            length = u8(&w.frame, at) * 4
            if length == 0:
                return L_STOP
            following = u8(&w.frame, at + length - 1)
            at += length
    if not has(&w.frame, at, 1):
        return L_STOP
    w.at = at
    return L_IPV4 if w.frame.data[at] >> 4 == 4 else L_IPV6 if w.frame.data[at] >> 4 == 6 else L_PPP


cdef int teredo(Walk *w) noexcept nogil:
    """Authentication and origin indications may stand before the IPv6 header."""
    cdef Py_ssize_t at = w.at
    if u16(&w.frame, at) == 1:
        at += 13 + u8(&w.frame, at + 2) + u8(&w.frame, at + 3)
    if u16(&w.frame, at) == 0:
        at += 8
    if u8(&w.frame, at) >> 4 != 6:
        return L_STOP
    mix(w, TAG_TEREDO, 0)
    return layer(w, at, L_IPV6)


cdef int l2tp(Walk *w) noexcept nogil:
    """Version 2, data messages only."""
    cdef int flags = u16(&w.frame, w.at)
    cdef Py_ssize_t at = w.at + 2
    if flags & 0x8000 or flags & 0x0F != 2:
        return L_STOP
    if flags & 0x4000:
        at += 2
    at += 4
    if flags & 0x0800:
        at += 4
    if flags & 0x0200:
        at += 2 + u16(&w.frame, at)
    mix(w, TAG_L2TP, 0)
    return layer(w, at, L_PPP)
