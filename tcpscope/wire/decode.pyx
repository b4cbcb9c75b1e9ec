# cython: wraparound=False, freethreading_compatible=True
"""One frame in, at most one Segment out; what carries no TCP is counted by kind.

The walk goes from header to header, outermost first, and ends at the first TCP
header.  What most packets of most captures are is read without it (usual.pxd).
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from tcpscope.capture.container cimport Record
from tcpscope.wire.flow cimport set_flow
from tcpscope.wire.fragments cimport Datagram, HEAD_BYTES, add, extent, head_size, unfinished
from tcpscope.wire.icmp cimport icmp
from tcpscope.wire.ip cimport (
    P_AUTHENTICATION, P_DESTINATION_OPTIONS, P_ENCRYPTED, P_ETHER_IN_IP, P_ETHERNET, P_FRAGMENT, P_GRE, P_HOP_BY_HOP,
    P_ICMP, P_ICMP_V6, P_IPV4, P_IPV6, P_MPLS, P_ROUTING, P_SHIM6, P_TCP, P_UDP, extension, ip, ipv4, ipv6,
)
from tcpscope.wire.link cimport ethernet, ethertype_layer, frame_relay, link_layer, llc, mpls, ppp, pppoe
from tcpscope.wire.segment cimport (
    ICMP_QUOTE, NOTE_FCS, NOTE_FRAGMENT, NOTE_LENGTH_FROM_WIRE, NOTE_TUNNEL, Segment,
)
from tcpscope.wire.tcp cimport tcp
from tcpscope.wire.tunnel cimport ether_in_ip, gre, udp
from tcpscope.wire.usual cimport usual, usual_header
from tcpscope.wire.walk cimport (
    K_CUT, K_FRAGMENT, K_ICMP, K_ICMP_QUOTE, K_IP_OTHER, K_NOT_IP, K_TCP, K_TOO_DEEP, K_UDP, K_UNSUPPORTED,
    L_ETHERNET, L_ETHERTYPE, L_FRAGMENT, L_FRAME_RELAY, L_IP, L_IPV4, L_IPV6, L_LINK, L_LLC, L_MPLS, L_PAYLOAD,
    L_PPP, L_PPPOE, L_STOP, L_WLAN, N_KINDS, Walk, stop,
)
from tcpscope.wire.wlan cimport wlan

KIND_NAMES = (                            # of walk.pxd's K_, in their order
    "tcp", "icmp_quote", "udp", "icmp", "arp", "ip_other", "not_ip", "fragment", "encrypted",
    "unsupported_link", "cut_before_tcp", "cut_in_tcp", "malformed_link", "malformed_ip", "malformed_tcp",
    "too_deep",
)
if len(KIND_NAMES) != N_KINDS:
    raise ImportError("walk.pxd and decode.pyx disagree on the kinds of frames")

cdef enum:
    MAX_LAYERS = 48

# A variable, for the sake of libc's memset: for a constant of this size gcc writes `rep stos`, 10 ns slower.
cdef size_t segment_bytes = sizeof(Segment)


cdef class Decoder:
    """What is remembered from frame to frame: counters and unfinished datagrams."""

    def __cinit__(self, int file=0, bint verify_checksums=True):
        self.file = <uint16_t>file
        self.verify_checksums = verify_checksums
        memset(self.counts, 0, sizeof(self.counts))
        memset(self.checksums, 0, sizeof(self.checksums))
        memset(self.unsupported, 0, sizeof(self.unsupported))
        memset(&self.fragments, 0, sizeof(self.fragments))

    def __dealloc__(self):
        free(self.fragments.table)

    def kinds(self):
        """Frames by kind, those that occurred."""
        return {name: self.counts[i] for i, name in enumerate(KIND_NAMES) if self.counts[i]}

    def checksum_counts(self):
        """Segments by what their checksum said."""
        return {"unverifiable": self.checksums[0], "good": self.checksums[1],
                "bad": self.checksums[2], "partial": self.checksums[3]}

    def unsupported_links(self):
        """Frames by link type that tcpscope cannot read; past 16 types they share the key -1."""
        return {it.linktype: it.frames for it in self.unsupported if it.frames}

    @property
    def cut(self):
        """Frames captured shorter than they were on the wire."""
        return self.cut_frames

    cdef bint frame(self, Record *r, Segment *s) noexcept nogil:
        """True: s is the segment this frame carries (or completes)."""
        cdef Walk w
        cdef const uint8_t *p = r.data
        cdef Py_ssize_t wire = r.wirelen
        cdef bint found
        cdef uint32_t header
        if r.caplen < wire:
            self.cut_frames += 1
        header = usual_header(p, r.caplen, wire) if r.linktype == ETHERNET and not r.fcs else 0
        if header:
            usual(p, r.caplen, header, self.verify_checksums, s)
            s.time_ns, s.frame, s.file, s.interface = r.time_ns, r.frame, self.file, <uint16_t>r.interface
            s.payload_at += r.offset
            self.counts[K_TCP] += 1
            self.checksums[s.checksum_state] += 1
            return True
        memset(s, 0, segment_bytes)
        w.frame.data = p
        w.frame.size = r.caplen
        w.frame.short = False
        w.at = 0
        w.end = max(wire, <Py_ssize_t>r.caplen)
        w.quoted = False
        w.no_checksum = False
        w.notes = 0
        w.outer = 0
        w.why = K_NOT_IP
        w.segment = s
        s.time_ns = r.time_ns
        s.frame = r.frame
        s.payload_at = r.offset
        s.file = self.file
        s.interface = <uint16_t>r.interface
        if r.fcs:
            w.end -= r.fcs
            if w.end < w.frame.size:
                w.frame.size = w.end
                w.notes = NOTE_FCS
        w.proto = r.linktype
        found = self.walk(&w, L_LINK, True)
        self.count(&w, s, found)
        return found

    cdef bint walk(self, Walk *w, int layer, bint whole) noexcept nogil:
        """From `layer` on to the first TCP header; False with w.why where there is none."""
        cdef int _
        for _ in range(MAX_LAYERS):
            if layer == L_ETHERTYPE:
                layer = ethertype_layer(w)
            elif layer == L_ETHERNET:
                layer = ethernet(w)
            elif layer == L_IPV4 or layer == L_IPV6 or layer == L_IP:
                if layer == L_IP:
                    layer = ip(w)
                    if layer == L_STOP:
                        return False
                if w.segment.ip_version and not w.quoted:
                    w.notes |= NOTE_TUNNEL
                w.notes &= ~<uint8_t>NOTE_LENGTH_FROM_WIRE
                layer = ipv4(w) if layer == L_IPV4 else ipv6(w)
            elif layer == L_PAYLOAD:
                if w.proto == P_TCP:
                    return self.segment_of(w, whole)
                layer = self.inside_ip(w)
            elif layer == L_FRAGMENT:
                if w.quoted:
                    layer = L_PAYLOAD if w.fragment_at == 0 else stop(w, K_ICMP)
                    continue
                w.why = K_FRAGMENT
                if not add(&self.fragments, w):
                    return False
                if self.joined(&self.fragments.complete, w.segment):
                    return True
                w.why = self.why_joined
                return False
            elif layer == L_LINK:
                layer = link_layer(w)
            elif layer == L_LLC:
                layer = llc(w)
            elif layer == L_PPP:
                layer = ppp(w)
            elif layer == L_PPPOE:
                layer = pppoe(w)
            elif layer == L_MPLS:
                layer = mpls(w)
            elif layer == L_WLAN:
                layer = wlan(w)
            elif layer == L_FRAME_RELAY:
                layer = frame_relay(w)
            else:
                return False
        w.why = K_TOO_DEEP
        return False

    cdef bint segment_of(self, Walk *w, bint whole) noexcept nogil:
        """The TCP header at w.at."""
        if not tcp(w, w.end, whole and not w.quoted and self.verify_checksums):
            if w.quoted:
                w.why = K_ICMP
            return False
        if w.quoted:
            w.segment.kind = ICMP_QUOTE
            if w.notes & NOTE_LENGTH_FROM_WIRE:
                w.segment.length = w.segment.captured = 0
        set_flow(w.segment)
        return True

    cdef int inside_ip(self, Walk *w) noexcept nogil:
        """What an IP protocol number leads to; TCP is handled before."""
        cdef int proto = w.proto
        if proto == P_UDP:
            return udp(w)
        if proto == P_ICMP or proto == P_ICMP_V6:
            return icmp(w)
        if (proto == P_HOP_BY_HOP or proto == P_ROUTING or proto == P_FRAGMENT or proto == P_ENCRYPTED
                or proto == P_AUTHENTICATION or proto == P_DESTINATION_OPTIONS or proto == P_SHIM6):
            return extension(w)
        if proto == P_IPV4:
            return L_IPV4
        if proto == P_IPV6:
            return L_IPV6
        if proto == P_GRE:
            return gre(w)
        if proto == P_ETHER_IN_IP:
            return ether_in_ip(w)
        if proto == P_MPLS:
            return L_MPLS
        if proto == P_ETHERNET:
            return L_ETHERNET
        return stop(w, K_IP_OTHER)

    cdef bint joined(self, Datagram *d, Segment *s) noexcept nogil:
        """Read on in a datagram put together from its fragments, as far as its start was captured.

        s bears the time and number of the frame it counts for.
        """
        cdef Walk w
        cdef uint8_t head[HEAD_BYTES]
        cdef uint32_t captured = d.first_captured
        cdef uint64_t start = d.first.payload_at
        cdef bint found
        memcpy(head, d.head, HEAD_BYTES)          # a datagram inside this one may overwrite d
        memset(&w, 0, sizeof(Walk))
        w.frame.data = head
        w.end = extent(d)
        w.frame.size = min(head_size(d), w.end)
        w.proto = d.proto
        w.outer = d.outer
        w.notes = d.notes | NOTE_FRAGMENT
        w.segment = s
        s.payload_at = start
        found = self.walk(&w, L_PAYLOAD, False)
        if found:
            s.captured = min(s.length, captured - min(captured, <uint32_t>(s.payload_at - start)))
        self.why_joined = w.why
        return found

    @property
    def incomplete(self):
        """Datagrams whose rest never came."""
        return unfinished(&self.fragments)

    cdef void add_usual(self, const uint64_t *states, uint64_t cut) noexcept nogil:
        """Somebody else has decoded usual packets, so many by state of their checksum, so many of them cut."""
        cdef int i
        for i in range(4):
            self.counts[K_TCP] += states[i]
            self.checksums[i] += states[i]
        self.cut_frames += cut

    cdef void count(self, Walk *w, Segment *s, bint found) noexcept nogil:
        """Every frame is counted once, under what it turned out to be."""
        cdef int i, why = w.why
        if found:
            if s.kind == ICMP_QUOTE:
                self.counts[K_ICMP_QUOTE] += 1
            else:
                self.counts[K_TCP] += 1
                self.checksums[s.checksum_state] += 1
            return
        if w.quoted:
            why = K_ICMP
        elif w.frame.short and (why == K_NOT_IP or why == K_UDP or why == K_UNSUPPORTED):
            why = K_CUT
        self.counts[why] += 1
        if why != K_UNSUPPORTED:
            return
        for i in range(MAX_LINK_COUNTS - 1):
            if self.unsupported[i].frames == 0 or self.unsupported[i].linktype == w.proto:
                break
        else:
            i = MAX_LINK_COUNTS - 1
        self.unsupported[i].linktype = w.proto if i < MAX_LINK_COUNTS - 1 else -1
        self.unsupported[i].frames += 1
