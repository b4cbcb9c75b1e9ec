# cython: wraparound=False, freethreading_compatible=True
"""Link layers and what stands between them and IP: tags, labels, PPP, LLC.

Numbers of link types are those of https://www.tcpdump.org/linktypes.html (and the
BSD values that older writers left in files).  Which EtherTypes, PPP protocols and
so on lead to IP follows Wireshark's tables; all others end the walk as `not_ip`.
"""
from libc.stdint cimport uint8_t, uint32_t

from tcpscope.capture.frame cimport be16, be32, has, le16, le32, u8, u16, u32
from tcpscope.wire.walk cimport (
    K_ARP, K_CUT, K_ENCRYPTED, K_FRAGMENT, K_MALFORMED_LINK, K_NOT_IP, K_UNSUPPORTED,
    L_ETHERNET, L_FRAME_RELAY, L_IP, L_IPV4, L_IPV6, L_LINK, L_LLC, L_MPLS, L_PPP, L_PPPOE,
    L_WLAN, Walk, end_at, ethertype, layer, mix, stop,
)

cdef enum:
    TAG_VLAN = 1
    TAG_MPLS = 2
    TAG_PPPOE = 3
    TAG_BACKBONE = 4
    TAG_VN = 5
    TAG_FABRIC = 6


cdef int link_layer(Walk *w) noexcept nogil:
    """By link type, where the frame's first header ends and what follows it."""
    cdef int t = w.proto
    cdef Py_ssize_t at = w.at
    if t == 1:
        return L_ETHERNET
    if t == 113:
        return cooked(w)
    if t == 276:
        return cooked_v2(w)
    if t == 12 or t == 14 or t == 101:
        return L_IP
    if t == 228:
        return L_IPV4
    if t == 229:
        return L_IPV6
    if t == 0 or t == 108:
        return null_loopback(w)
    if t == 9 or t == 50:
        return L_PPP
    if t == 166 or t == 204:                              # a byte of direction first
        return layer(w, at + 1, L_PPP)
    if t == 51:
        return L_PPPOE
    if t == 104:
        return ethertype(w, at + 4, u16(&w.frame, at + 2))
    if t == 205:
        return ethertype(w, at + 5, u16(&w.frame, at + 3))
    if t == 107:
        return L_FRAME_RELAY
    if t == 206:
        return layer(w, at + 1, L_FRAME_RELAY)
    if t == 105 or t == 119 or t == 127 or t == 163 or t == 192:
        return L_WLAN
    if t == 8:
        return layer(w, at + 16, L_IP)                    # direction and the compressed header of the BSDs
    if t == 10:
        if u8(&w.frame, at) & 0x70 != 0x50:               # frame control: not an LLC frame
            return stop(w, K_NOT_IP)
        return layer(w, at + 13, L_LLC)
    if t == 6:
        return token_ring(w)
    if t == 7 or t == 129:
        return arcnet(w)
    if t == 100:
        return L_LLC
    if t == 106:
        return L_LLC if u32(&w.frame, at) >> 8 == 0xAAAA03 else L_IP
    if t == 123:
        if u8(&w.frame, at) & 0x0F != 2:
            return stop(w, K_NOT_IP)
        return layer(w, at + 4, L_LLC)
    if t == 122:
        return layer(w, at + 16, L_LLC)
    if t == 109:
        return by_family(w, at + 12, family(w, at))
    if t == 117:
        return by_family(w, at + ((u8(&w.frame, at) + 3) & ~3), u8(&w.frame, at + 1))
    if t == 226:
        return by_family(w, at + 24, u8(&w.frame, at + 1))
    if t == 239:
        return netfilter_log(w)
    if t == 242:
        return ethertype(w, at + 44, u16(&w.frame, at + 40))
    if t == 240:
        end_at(w, w.end - 4)
        return layer(w, at + 4, L_ETHERNET)
    if t == 197:
        return endace(w)
    if t == 219:
        return L_MPLS
    if t == 284:
        return ethertype(w, at + 18, u16(&w.frame, at + 16))
    if t == 285:
        return ethertype(w, at + 22, u16(&w.frame, at + 20))
    if t == 258 or t == 149:
        return apple_tap(w)
    if t == 178 or t == 180 or t == 181 or t == 182:
        return juniper(w, t)
    return stop(w, K_UNSUPPORTED)


cdef int by_family(Walk *w, Py_ssize_t at, int af) noexcept nogil:
    """Address families of the BSDs, macOS, Linux and VxWorks."""
    w.at = at
    if af == 2:
        return L_IPV4
    if af == 10 or af == 24 or af == 26 or af == 28 or af == 30:
        return L_IPV6
    return stop(w, K_CUT if w.frame.short else K_NOT_IP)


cdef int family(Walk *w, Py_ssize_t at) noexcept nogil:
    """A 32-bit family in either byte order."""
    cdef uint32_t v = u32(&w.frame, at)
    if v >> 16:
        v = v >> 24 | v >> 8 & 0xFF00 | (v & 0xFF00) << 8 | v << 24
    return <int>(v & 0x7FFFFFFF)


cdef int null_loopback(Walk *w) noexcept nogil:
    """DLT_NULL has its writer's byte order, DLT_LOOP the network's; some writers put an EtherType there."""
    cdef int af
    if u16(&w.frame, w.at) == 0xFF03:
        return L_PPP
    af = family(w, w.at)
    if af > 1500:
        return ethertype(w, w.at + 4, af & 0xFFFF)
    return by_family(w, w.at + 4, af)


cdef int cooked(Walk *w) noexcept nogil:
    """Linux cooked capture, version 1: 16 bytes."""
    cdef int hardware = u16(&w.frame, w.at + 2)
    cdef int proto = u16(&w.frame, w.at + 14)
    return cooked_payload(w, w.at + 16, hardware, proto)


cdef int cooked_v2(Walk *w) noexcept nogil:
    """Linux cooked capture, version 2: 20 bytes."""
    cdef int hardware = u16(&w.frame, w.at + 8)
    cdef int proto = u16(&w.frame, w.at)
    return cooked_payload(w, w.at + 20, hardware, proto)


cdef int cooked_payload(Walk *w, Py_ssize_t at, int hardware, int proto) noexcept nogil:
    w.at = at
    if w.frame.short:
        return stop(w, K_CUT)
    if hardware == 824:                                   # netlink
        return stop(w, K_NOT_IP)
    if hardware == 801 or hardware == 802 or hardware == 803:
        w.proto = 105 if hardware == 801 else 119 if hardware == 802 else 127
        return L_WLAN
    if proto == 4:
        return L_LLC
    if proto == 7:
        return L_PPP
    if proto == 3:
        return L_ETHERNET
    return ethertype(w, at, proto)


cdef int ethernet(Walk *w) noexcept nogil:
    cdef Py_ssize_t at = w.at
    cdef const uint8_t *p
    cdef int kind
    if not has(&w.frame, at, 14):
        return stop(w, K_CUT)
    p = w.frame.data + at
    # Cisco ISL: 26 bytes around the frame, told by its multicast address.
    if (p[0] == 1 or p[0] == 3) and p[1] == 0 and p[2] == 0x0C and p[3] == 0 and p[4] == 0:
        mix(w, TAG_VLAN, u16(&w.frame, at + 20) >> 1)
        return layer(w, at + 26, L_ETHERNET)
    kind = be16(p + 12)
    return ethertype(w, at + 14, kind)


cdef int ethertype_layer(Walk *w) noexcept nogil:
    """What an EtherType (or an 802.3 length) leads to; tags are taken off here."""
    cdef int t = w.proto
    cdef Py_ssize_t at = w.at
    cdef int length
    if t == 0x0800:
        return L_IPV4
    if t == 0x86DD:
        return L_IPV6
    if w.frame.short:
        return stop(w, K_CUT)
    if t <= 1500:                                         # IEEE 802.3: a length; what follows it is padding
        if u16(&w.frame, at) == 0xFFFF:                   # Novell's raw IPX
            return stop(w, K_NOT_IP)
        if t:
            end_at(w, at + t)
        return L_LLC
    if t == 0x8100 or t == 0x88A8 or t == 0x9100 or t == 0x9200 or t == 0x9300:
        mix(w, TAG_VLAN, u16(&w.frame, at) & 0x0FFF)
        return ethertype(w, at + 4, u16(&w.frame, at + 2))
    if t == 0x8847 or t == 0x8848:
        return L_MPLS
    if t == 0x8864:
        return L_PPPOE
    if t == 0x0806 or t == 0x8035:
        return stop(w, K_ARP)
    if t == 0x6558:
        return L_ETHERNET
    if t == 0x8870:                                       # LLC in jumbo frames
        return L_LLC
    if t == 0x880B:
        return L_PPP
    if t == 0x88E7:                                       # 802.1ah: service tag, then the customer's frame
        mix(w, TAG_BACKBONE, u32(&w.frame, at) & 0xFFFFFF)
        return layer(w, at + 4, L_ETHERNET)
    if t == 0x8926:                                       # Cisco VN-Tag
        mix(w, TAG_VN, u32(&w.frame, at))
        return ethertype(w, at + 6, u16(&w.frame, at + 4))
    if t == 0x893F:                                       # 802.1BR E-Tag
        return ethertype(w, at + 8, u16(&w.frame, at + 6))
    if t == 0x8903:                                       # Cisco FabricPath: forwarding tag, then the frame
        mix(w, TAG_FABRIC, u16(&w.frame, at) >> 6)
        return layer(w, at + 2, L_ETHERNET)
    if t == 0x892F or t == 0x88FB:                        # HSR: path, size, sequence number
        return ethertype(w, at + 6, u16(&w.frame, at + 4)) if t == 0x892F else stop(w, K_NOT_IP)
    if t == 0x22F3:                                       # TRILL: options, then the frame
        length = (u16(&w.frame, at) >> 6 & 0x1F) * 4
        return layer(w, at + 6 + length, L_ETHERNET)
    if t == 0x894F:
        return service_header(w)
    if t == 0x88E5:
        return stop(w, K_ENCRYPTED)
    return stop(w, K_NOT_IP)


cdef int service_header(Walk *w) noexcept nogil:
    """Network Service Header, RFC 8300."""
    cdef uint32_t base = u32(&w.frame, w.at)
    cdef Py_ssize_t at = w.at + <Py_ssize_t>(base >> 16 & 0x3F) * 4
    cdef int following = base & 0xFF
    if following == 1:
        return layer(w, at, L_IPV4)
    if following == 2:
        return layer(w, at, L_IPV6)
    if following == 3:
        return layer(w, at, L_ETHERNET)
    if following == 5:
        return layer(w, at, L_MPLS)
    return stop(w, K_NOT_IP)


cdef int llc(Walk *w) noexcept nogil:
    """IEEE 802.2, with SNAP (RFC 1042) behind AA AA 03."""
    cdef Py_ssize_t at = w.at
    cdef const uint8_t *p
    if not has(&w.frame, at, 3):
        return stop(w, K_CUT)
    p = w.frame.data + at
    if p[0] == 0x06 and p[2] == 0x03:
        return layer(w, at + 3, L_IP)
    if p[0] == 0xFE and p[1] == 0xFE and p[2] == 0x03:
        return nlpid(w, at + 3)
    if p[0] != 0xAA or p[1] != 0xAA or p[2] != 0x03:
        return stop(w, K_NOT_IP)
    return snap(w, at + 3)


cdef int snap(Walk *w, Py_ssize_t at) noexcept nogil:
    cdef uint32_t organisation
    cdef int kind
    if not has(&w.frame, at, 5):
        return stop(w, K_CUT)
    organisation = be32(w.frame.data + at) >> 8
    kind = be16(w.frame.data + at + 3)
    if organisation == 0 or organisation == 0x0000F8:
        return ethertype(w, at + 5, kind) if kind > 1500 else stop(w, K_NOT_IP)
    if organisation == 0x0080C2 and (kind == 1 or kind == 7):
        return layer(w, at + 5 + 2, L_ETHERNET)           # RFC 2684 bridged: two bytes of padding first
    return stop(w, K_NOT_IP)


cdef int nlpid(Walk *w, Py_ssize_t at) noexcept nogil:
    """ISO/IEC TR 9577, the octet frame relay and others use."""
    cdef int code = u8(&w.frame, at)
    if code == 0xCC:
        return layer(w, at + 1, L_IPV4)
    if code == 0x8E:
        return layer(w, at + 1, L_IPV6)
    if code == 0x80:
        return snap(w, at + 1)
    if code == 0xCF:
        return layer(w, at + 1, L_PPP)
    return stop(w, K_CUT if w.frame.short else K_NOT_IP)


cdef int ppp(Walk *w) noexcept nogil:
    """RFC 1661 and 1662: address and control may be left out, the protocol may be one byte."""
    cdef Py_ssize_t at = w.at
    cdef int first = u8(&w.frame, at), proto
    if first == 0x0F or first == 0x8F:                    # Cisco HDLC
        return ethertype(w, at + 4, u16(&w.frame, at + 2))
    if first == 0xFF:
        at += 2
    proto = u8(&w.frame, at)
    if proto & 1:
        at += 1
    else:
        proto = u16(&w.frame, at)
        at += 2
    if w.frame.short:
        return stop(w, K_CUT)
    if proto == 0x0021:
        return layer(w, at, L_IPV4)
    if proto == 0x0057:
        return layer(w, at, L_IPV6)
    if proto == 0x0281 or proto == 0x0283:
        return layer(w, at, L_MPLS)
    if proto == 0x0031:                                   # bridged: flags, MAC type, then the frame
        return layer(w, at + 2, L_ETHERNET)
    if proto == 0x003D:
        return multilink(w, at)
    if proto == 0x0800 or proto == 0x86DD:                # seen in the wild; Wireshark reads it so
        return ethertype(w, at, proto)
    return stop(w, K_NOT_IP)


cdef int multilink(Walk *w, Py_ssize_t at) noexcept nogil:
    """RFC 1990: only a fragment that is a whole packet is read (long sequence numbers)."""
    if u8(&w.frame, at) & 0xC0 != 0xC0:
        return stop(w, K_FRAGMENT)
    return layer(w, at + 4, L_PPP)


cdef int pppoe(Walk *w) noexcept nogil:
    """RFC 2516, session stage: 6 bytes, then PPP."""
    cdef const uint8_t *p
    if not has(&w.frame, w.at, 8):
        return stop(w, K_CUT)
    p = w.frame.data + w.at
    if p[1] != 0:                                         # discovery
        return stop(w, K_NOT_IP)
    mix(w, TAG_PPPOE, be16(p + 2))
    end_at(w, w.at + 6 + be16(p + 4))
    return layer(w, w.at + 6, L_PPP)


cdef int mpls(Walk *w) noexcept nogil:
    """RFC 3032: labels to the bottom of the stack, then what the first nibble says (RFC 4928)."""
    cdef Py_ssize_t at = w.at
    cdef uint32_t entry
    cdef int nibble
    while True:
        if not has(&w.frame, at, 5):
            return stop(w, K_CUT)
        entry = be32(w.frame.data + at)
        mix(w, TAG_MPLS, entry >> 12)
        at += 4
        if entry & 0x100:
            break
    nibble = w.frame.data[at] >> 4
    if nibble == 4:
        return layer(w, at, L_IPV4)
    if nibble == 6:
        return layer(w, at, L_IPV6)
    if nibble == 1:                                       # an associated channel (RFC 4385)
        return stop(w, K_NOT_IP)
    if looks_like_ethernet(w, at + 4) and u16(&w.frame, at) == 0:
        return layer(w, at + 4, L_ETHERNET)               # pseudowire with its control word
    if looks_like_ethernet(w, at):
        return layer(w, at, L_ETHERNET)
    return stop(w, K_NOT_IP)


cdef bint looks_like_ethernet(Walk *w, Py_ssize_t at) noexcept nogil:
    cdef int kind
    if not 0 <= at <= w.frame.size - 14:
        return False
    kind = be16(w.frame.data + at + 12)
    return kind == 0x0800 or kind == 0x86DD or kind == 0x8100 or kind == 0x88A8 or kind == 0x8847


cdef int frame_relay(Walk *w) noexcept nogil:
    """Q.922 address, then RFC 2427 (control 03 and an NLPID) or Cisco's EtherType."""
    cdef Py_ssize_t at = w.at
    cdef int _
    for _ in range(4):
        if not has(&w.frame, at, 1):
            return stop(w, K_CUT)
        at += 1
        if w.frame.data[at - 1] & 1:
            break
    if u8(&w.frame, at) == 0x03:
        if u8(&w.frame, at + 1) == 0:                     # padding
            at += 1
        return nlpid(w, at + 1)
    return ethertype(w, at + 2, u16(&w.frame, at))


cdef int token_ring(Walk *w) noexcept nogil:
    cdef Py_ssize_t at = w.at
    cdef const uint8_t *p
    if not has(&w.frame, at, 15):
        return stop(w, K_CUT)
    p = w.frame.data + at
    if p[1] & 0xC0 != 0x40:
        return stop(w, K_NOT_IP)
    return layer(w, at + 14 + (p[14] & 0x1F if p[8] & 0x80 else 0), L_LLC)


cdef int arcnet(Walk *w) noexcept nogil:
    """ARCNET after RFC 1051 (F0) and RFC 1201 (D4, fragmented); Linux adds two bytes."""
    cdef Py_ssize_t at = w.at + (4 if w.proto == 129 else 2)
    cdef int kind = u8(&w.frame, at)
    if kind == 0xF0:
        return layer(w, at + 1, L_IPV4)
    if kind != 0xD4 and kind != 0xC4:
        return stop(w, K_CUT if w.frame.short else K_ARP if kind == 0xD5 or kind == 0xF1 else K_NOT_IP)
    at += 1
    if u8(&w.frame, at) == 0xFF:                          # the exception packet repeats the header
        at += 4
    if u8(&w.frame, at) != 0:
        return stop(w, K_FRAGMENT)
    return layer(w, at + 3, L_IPV4 if kind == 0xD4 else L_IPV6)


cdef int netfilter_log(Walk *w) noexcept nogil:
    """NFLOG: type-length-values in the writer's byte order; number 9 is the packet."""
    cdef Py_ssize_t at = w.at + 4
    cdef int af = u8(&w.frame, w.at), length, kind, _
    cdef bint little
    if not has(&w.frame, at, 4):
        return stop(w, K_CUT)
    little = le16(w.frame.data + at) < be16(w.frame.data + at)
    for _ in range(64):
        if not has(&w.frame, at, 4):
            return stop(w, K_CUT)
        length = le16(w.frame.data + at) if little else be16(w.frame.data + at)
        kind = le16(w.frame.data + at + 2) if little else be16(w.frame.data + at + 2)
        if length < 4:
            return stop(w, K_MALFORMED_LINK)
        if kind & 0x7FFF == 9:
            end_at(w, at + length)
            return by_family(w, at + 4, af)
        at += (length + 3) & ~3
    return stop(w, K_MALFORMED_LINK)


cdef int endace(Walk *w) noexcept nogil:
    """ERF records of Ethernet: 16 bytes, extension headers of 8, two bytes of padding."""
    cdef Py_ssize_t at = w.at + 16
    cdef int kind = u8(&w.frame, w.at + 8), following = kind, _
    if not has(&w.frame, w.at, 16):
        return stop(w, K_CUT)
    for _ in range(16):
        if not following & 0x80:
            break
        following = u8(&w.frame, at)
        at += 8
    kind &= 0x7F
    if kind != 2 and kind != 11 and kind != 16 and kind != 20:
        return stop(w, K_NOT_IP)
    end_at(w, at + 2 + be16(w.frame.data + w.at + 14))
    return layer(w, at + 2, L_ETHERNET)


cdef int apple_tap(Walk *w) noexcept nogil:
    """PKTAP: a header that names the link type of what follows (also under the number USER2)."""
    cdef const uint8_t *p
    cdef uint32_t length
    if not has(&w.frame, w.at, 12):
        return stop(w, K_CUT)
    p = w.frame.data + w.at
    length = le32(p)
    if length < 108 or length > 4096 or le32(p + 4) != 1:
        return stop(w, K_MALFORMED_LINK if w.proto == 258 else K_UNSUPPORTED)
    w.proto = <int>(le32(p + 8) & 0xFFFF)
    return layer(w, w.at + length, L_LINK)


cdef int juniper(Walk *w, int t) noexcept nogil:
    """Juniper's header: magic MGC, flags, perhaps extensions; then the link's own, or a protocol number."""
    cdef Py_ssize_t at = w.at + 4
    cdef uint32_t head = u32(&w.frame, w.at)
    cdef int proto
    if head >> 8 != 0x4D4743:
        return stop(w, K_CUT if w.frame.short else K_MALFORMED_LINK)
    if head & 0x80:
        at += 2 + u16(&w.frame, at)
    if head & 0x02:                                       # no layer-2 header
        proto = u8(&w.frame, at)
        at += 4
        if proto == 2:
            return layer(w, at, L_IPV4)
        if proto == 6:
            return layer(w, at, L_IPV6)
        return stop(w, K_NOT_IP)
    if t == 178:
        return layer(w, at, L_ETHERNET)
    if t == 180:
        return layer(w, at, L_PPP)
    if t == 181:
        return ethertype(w, at + 4, u16(&w.frame, at + 2))
    return layer(w, at, L_FRAME_RELAY)
