# cython: wraparound=False, freethreading_compatible=True
"""The records of a capture file, one after the other, out of a buffer.

pcap (draft-ietf-opsawg-pcap): both byte orders, microseconds and nanoseconds, and
Kuznetzov's variant with its longer record header.  pcapng
(draft-ietf-opsawg-pcapng): sections, interfaces, the three kinds of packet block,
interface statistics; blocks that say nothing about TCP are skipped unread.

Nothing in the file is believed: every length is bounded before it is used, and the
first inconsistency stops the walk with its offset, as it does in Wireshark.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from tcpscope.capture.frame cimport be16, be32, le16, le32

cdef enum:
    PCAP = 0xA1B2C3D4
    PCAP_NS = 0xA1B23C4D
    PCAP_KUZNETZOV = 0xA1B2CD34
    SECTION_BLOCK = 0x0A0D0D0A
    INTERFACE_BLOCK = 1
    OLD_PACKET_BLOCK = 2
    SIMPLE_PACKET_BLOCK = 3
    STATISTICS_BLOCK = 5
    ENHANCED_PACKET_BLOCK = 6
    JOURNAL_BLOCK = 9
    CUSTOM_BLOCK = 0x00000BAD
    CUSTOM_BLOCK_NOT_COPIED = 0x40000BAD
    BYTE_ORDER = 0x1A2B3C4D
    MAX_BLOCK = 64 << 20
    MAX_INTERFACES = 16384

DAMAGE_TEXT = {
    BAD_MAGIC: "not a capture file",
    BAD_BLOCK_LENGTH: "a block with an impossible length",
    BAD_SECTION: "a section header that cannot be read",
    BAD_INTERFACE: "an interface description that cannot be read",
    BAD_PACKET: "a packet block that cannot be read",
    PACKET_TOO_LARGE: "a packet longer than 262144 bytes",
    UNKNOWN_INTERFACE: "a packet of an interface that is not described",
    TOO_MANY_INTERFACES: "more than 16384 interfaces",
    NO_MEMORY: "out of memory for interface descriptions",
}


cdef class Container:
    """The state of one walk; `next` is its only way forward."""

    def __cinit__(self):
        self.interfaces = NULL
        self.damage_code = NO_DAMAGE

    def __dealloc__(self):
        free(self.interfaces)

    @property
    def format(self):
        if not self.opened:
            return "unknown"
        if self.is_pcapng:
            return "pcapng"
        if self.record_header == 24:
            return "pcap (modified)"
        return "pcap (nanoseconds)" if self.nanoseconds else "pcap"

    @property
    def damage(self):
        """What stopped the walk, None if nothing did."""
        return DAMAGE_TEXT.get(self.damage_code)

    @property
    def inside_block(self):
        """The rest of a skipped block, or of the file's header, is still to come."""
        return self.to_skip > 0

    def described_interfaces(self):
        """A dict for each interface, in order of appearance."""
        cdef Py_ssize_t i
        found = []
        for i in range(self.n_interfaces):
            it = self.interfaces[i]
            found.append({
                "name": it.name.decode("utf-8", "replace"),
                "description": it.description.decode("utf-8", "replace"),
                "link_type": it.linktype,
                "snaplen": it.snaplen,
                "fcs": it.fcs,
                "resolution": (9 if self.nanoseconds else 6) if not self.is_pcapng
                else it.exponent | (0x80 if it.binary else 0),
                "offset": it.offset_s,
                "packets": it.packets,
                "received": it.received if it.has_received else None,
                "dropped": it.dropped if it.has_dropped else None,
            })
        return found

    @property
    def packets(self):
        """Packets so far; frame numbers may be further on."""
        return sum(self.interfaces[i].packets for i in range(self.n_interfaces))

    cdef int damaged(self, int code) noexcept nogil:
        self.damage_code = code
        self.simple = False
        return STOPPED

    cdef uint32_t u32(self, const uint8_t *p) noexcept nogil:
        return be32(p) if self.big_endian else le32(p)

    cdef uint32_t u16(self, const uint8_t *p) noexcept nogil:
        return be16(p) if self.big_endian else le16(p)

    cdef int next(self, const uint8_t *data, Py_ssize_t size, Py_ssize_t *used, Record *r) noexcept nogil:
        """The next record at data[used[0]:size]; `used` and `position` move past what was read."""
        cdef int status
        cdef Py_ssize_t step
        if self.damage_code != NO_DAMAGE:
            return STOPPED
        if not self.opened:
            status = self.open_file(data, size, used)
            if status != RECORD:
                return status
        if not self.is_pcapng:
            return self.next_pcap(data, size, used, r)
        while True:
            if self.to_skip:
                step = size - used[0]
                if <uint64_t>step > self.to_skip:
                    step = <Py_ssize_t>self.to_skip
                used[0] += step
                self.position += step
                self.to_skip -= step
                if self.to_skip:
                    return NEED_MORE
            status = self.next_block(data, size, used, r)
            if status != RECORD or r.data != NULL:
                return status

    cdef int open_file(self, const uint8_t *data, Py_ssize_t size, Py_ssize_t *used) noexcept nogil:
        cdef uint32_t magic, field
        cdef Interface *one
        data += used[0]
        size -= used[0]
        if size < 4:
            return NEED_MORE
        if be32(data) == SECTION_BLOCK:
            self.is_pcapng = True
            self.opened = True
            return RECORD
        if size < 24:
            return NEED_MORE
        magic = le32(data)
        self.big_endian = magic != PCAP and magic != PCAP_NS and magic != PCAP_KUZNETZOV
        magic = self.u32(data)
        if magic != PCAP and magic != PCAP_NS and magic != PCAP_KUZNETZOV:
            return self.damaged(BAD_MAGIC)
        self.nanoseconds = magic == PCAP_NS
        self.record_header = 24 if magic == PCAP_KUZNETZOV else 16
        self.major = self.u16(data + 4)
        self.minor = self.u16(data + 6)
        # Before version 2.3 the two lengths stood the other way round, in 2.3 either way; 543.0 is DG/UX.
        self.version_swaps = self.major == 2 and self.minor < 3 or self.major == 543
        self.version_may_swap = self.major == 2 and self.minor == 3
        if self.add_interface() < 0:
            return self.damaged(NO_MEMORY)
        one = &self.interfaces[0]
        one.snaplen = self.u32(data + 16)
        field = self.u32(data + 20)
        one.linktype = field & 0xFFFF
        if field & 0x04000000:
            one.fcs = 2 * (field >> 28)
        used[0] += 24
        self.position += 24
        self.opened = True
        self.tick_ns = 1 if self.nanoseconds else 1000
        self.simple = (one.linktype == 1 and not one.fcs and self.record_header == SIMPLE_HEADER
                       and not (self.big_endian or self.version_swaps or self.version_may_swap))
        return RECORD

    cdef void pass_simple(self, uint64_t frame, Py_ssize_t size) noexcept nogil:
        """Somebody else has read records of a simple file: `size` bytes, up to this frame."""
        self.interfaces[0].packets += frame - self.frames
        self.frames = frame
        self.position += size

    cdef int next_pcap(self, const uint8_t *data, Py_ssize_t size, Py_ssize_t *used, Record *r) noexcept nogil:
        cdef uint32_t seconds, fraction, caplen, wirelen
        cdef Py_ssize_t left = size - used[0]
        cdef const uint8_t *p = data + used[0]
        cdef Interface *one = self.interfaces
        if left < self.record_header:
            return NEED_MORE
        if self.big_endian:
            seconds, fraction, caplen, wirelen = be32(p), be32(p + 4), be32(p + 8), be32(p + 12)
        else:
            seconds, fraction, caplen, wirelen = le32(p), le32(p + 4), le32(p + 8), le32(p + 12)
        if self.version_swaps or (self.version_may_swap and caplen > wirelen):
            caplen, wirelen = wirelen, caplen
        if caplen > MAX_PACKET:
            return self.damaged(PACKET_TOO_LARGE)
        if left < self.record_header + <Py_ssize_t>caplen:
            return NEED_MORE
        r.time_ns = <int64_t>seconds * 1000000000 + <int64_t>fraction * self.tick_ns
        r.data = p + self.record_header
        r.caplen = caplen
        r.wirelen = wirelen
        r.linktype = one.linktype
        r.interface = 0
        r.fcs = one.fcs
        r.offset = self.position + self.record_header
        self.frames += 1
        r.frame = self.frames
        one.packets += 1
        used[0] += self.record_header + caplen
        self.position += self.record_header + caplen
        return RECORD

    cdef int next_block(self, const uint8_t *data, Py_ssize_t size, Py_ssize_t *used, Record *r) noexcept nogil:
        """One block.  RECORD with r.data NULL: a block that is no packet."""
        cdef Py_ssize_t left = size - used[0]
        cdef const uint8_t *p = data + used[0]
        cdef uint32_t kind, total
        cdef int status = RECORD
        r.data = NULL
        if left < 12:
            return NEED_MORE
        if be32(p) == SECTION_BLOCK:              # a palindrome; its third word tells the byte order
            if be32(p + 8) == BYTE_ORDER:
                self.big_endian = True
            elif le32(p + 8) == BYTE_ORDER:
                self.big_endian = False
            else:
                return self.damaged(BAD_SECTION)
        kind = self.u32(p)
        total = self.u32(p + 4)
        if total < 12 or total > MAX_BLOCK:
            return self.damaged(BAD_BLOCK_LENGTH)
        total = (total + 3) & ~<uint32_t>3        # some writers forget the padding in the length
        if not (kind == SECTION_BLOCK or INTERFACE_BLOCK <= kind <= SIMPLE_PACKET_BLOCK
                or kind == STATISTICS_BLOCK or kind == ENHANCED_PACKET_BLOCK):
            if is_numbered(kind):
                self.frames += 1
            self.to_skip = total
            return RECORD
        if left < <Py_ssize_t>total:
            return NEED_MORE
        if self.u32(p + total - 4) != self.u32(p + 4):
            return self.damaged(BAD_BLOCK_LENGTH)
        if kind == SECTION_BLOCK:
            status = self.section(p + 8, total - 12)
        elif kind == INTERFACE_BLOCK:
            status = self.interface_block(p + 8, total - 12)
        elif kind == STATISTICS_BLOCK:
            self.interface_statistics(p + 8, total - 12)
        else:
            r.offset = self.position + 8
            status = self.packet(kind, p + 8, total - 12, r)
        if status == RECORD:
            used[0] += total
            self.position += total
        return status

    cdef int section(self, const uint8_t *body, Py_ssize_t size) noexcept nogil:
        """Section header: its interfaces are numbered from 0 again."""
        if size < 16 or self.u16(body + 4) != 1:
            return self.damaged(BAD_SECTION)
        self.sections += 1
        self.section_start = self.n_interfaces
        self.count_comments(body + 16, size - 16)
        return RECORD

    cdef int add_interface(self) noexcept nogil:
        """Room for one more; its index, or -1 without memory."""
        cdef Interface *grown
        cdef Py_ssize_t room
        if self.n_interfaces == self.room:
            room = self.room * 2 or 4
            grown = <Interface *>realloc(self.interfaces, room * sizeof(Interface))
            if grown == NULL:
                return -1
            self.interfaces = grown
            self.room = room
        memset(&self.interfaces[self.n_interfaces], 0, sizeof(Interface))
        self.interfaces[self.n_interfaces].exponent = 6
        self.n_interfaces += 1
        return <int>(self.n_interfaces - 1)

    cdef int interface_block(self, const uint8_t *body, Py_ssize_t size) noexcept nogil:
        cdef Interface *one
        cdef Py_ssize_t at = 8, length
        cdef uint32_t code
        cdef int index
        if size < 8 or self.sections == 0:
            return self.damaged(BAD_INTERFACE)
        if self.n_interfaces >= MAX_INTERFACES:
            return self.damaged(TOO_MANY_INTERFACES)
        index = self.add_interface()
        if index < 0:
            return self.damaged(NO_MEMORY)
        one = &self.interfaces[index]
        one.linktype = self.u16(body)
        one.snaplen = self.u32(body + 4)
        self.count_comments(body + 8, size - 8)
        while size - at >= 4:
            code = self.u16(body + at)
            length = self.u16(body + at + 2)
            at += 4
            if code == 0 or length > size - at:
                break
            if code == 2:
                memcpy(one.name, body + at, min(length, <Py_ssize_t>sizeof(one.name) - 1))
            elif code == 3:
                memcpy(one.description, body + at, min(length, <Py_ssize_t>sizeof(one.description) - 1))
            elif code == 9 and length >= 1:
                one.binary = body[at] & 0x80 != 0
                one.exponent = body[at] & 0x7F
            elif code == 13 and length >= 1:
                one.fcs = body[at] if body[at] <= 8 else 0
            elif code == 14 and length >= 8:
                one.offset_s = <int64_t>self.u64(body + at)
            at += (length + 3) & ~<Py_ssize_t>3
        return RECORD

    cdef uint64_t u64(self, const uint8_t *p) noexcept nogil:
        if self.big_endian:
            return <uint64_t>be32(p) << 32 | be32(p + 4)
        return <uint64_t>le32(p + 4) << 32 | le32(p)

    cdef int packet(self, int kind, const uint8_t *body, Py_ssize_t size, Record *r) noexcept nogil:
        """Enhanced, simple and old packet blocks."""
        cdef Interface *one
        cdef uint64_t interface = 0
        cdef uint32_t caplen, wirelen
        cdef Py_ssize_t header = 4 if kind == SIMPLE_PACKET_BLOCK else 20
        if size < header:
            return self.damaged(BAD_PACKET)
        if kind == ENHANCED_PACKET_BLOCK:
            interface = self.u32(body)
        elif kind == OLD_PACKET_BLOCK:
            interface = self.u16(body)
        if interface >= <uint64_t>(self.n_interfaces - self.section_start):
            return self.damaged(UNKNOWN_INTERFACE)
        interface += self.section_start
        one = &self.interfaces[interface]
        if kind == SIMPLE_PACKET_BLOCK:
            wirelen = caplen = self.u32(body)
            if one.snaplen and caplen > one.snaplen:
                caplen = one.snaplen
            if <Py_ssize_t>caplen > size - header:
                caplen = <uint32_t>(size - header)
            r.has_ticks = False
        else:
            caplen = self.u32(body + 12)
            wirelen = self.u32(body + 16)
            r.has_ticks = True
            r.ticks = <uint64_t>self.u32(body + 4) << 32 | self.u32(body + 8)
            self.last_time_ns = time_of(one, r.ticks)
        if caplen > MAX_PACKET:
            return self.damaged(PACKET_TOO_LARGE)
        if <Py_ssize_t>caplen > size - header:
            return self.damaged(BAD_PACKET)
        r.options, r.options_size = NULL, 0
        if kind != SIMPLE_PACKET_BLOCK:
            r.options = body + header + caplen + (-caplen & 3)
            r.options_size = size - header - caplen - (-caplen & 3)
            self.count_comments(r.options, r.options_size)
        r.time_ns = self.last_time_ns             # a simple block bears no time: that of its predecessor
        r.data = body + header
        r.offset += header
        r.caplen = caplen
        r.wirelen = wirelen
        r.linktype = one.linktype
        r.interface = <uint32_t>interface
        r.fcs = one.fcs
        self.frames += 1
        r.frame = self.frames
        one.packets += 1
        return RECORD

    cdef void interface_statistics(self, const uint8_t *body, Py_ssize_t size) noexcept nogil:
        """The last block of an interface holds its totals."""
        cdef Interface *one
        cdef Py_ssize_t at = 12, length
        cdef uint32_t code
        if size < 12 or self.u32(body) >= <uint64_t>(self.n_interfaces - self.section_start):
            return
        one = &self.interfaces[self.section_start + <Py_ssize_t>self.u32(body)]
        while size - at >= 4:
            code = self.u16(body + at)
            length = self.u16(body + at + 2)
            at += 4
            if code == 0 or length > size - at:
                break
            if code == 4 and length == 8:
                one.received = self.u64(body + at)
                one.has_received = True
            elif code == 5 and length == 8:
                one.dropped = self.u64(body + at)
                one.has_dropped = True
            at += (length + 3) & ~<Py_ssize_t>3

    cdef void count_comments(self, const uint8_t *options, Py_ssize_t size) noexcept nogil:
        cdef Py_ssize_t at = 0, length
        while size - at >= 4:
            length = self.u16(options + at + 2)
            if self.u16(options + at) == 0:
                return
            if self.u16(options + at) == 1:
                self.comments += 1
            at += 4 + ((length + 3) & ~<Py_ssize_t>3)


cdef bint is_numbered(uint32_t kind) noexcept nogil:
    """Blocks without a packet that Wireshark nevertheless counts in frame.number: custom, journal, sysdig's."""
    return (kind == CUSTOM_BLOCK or kind == CUSTOM_BLOCK_NOT_COPIED or kind == JOURNAL_BLOCK or kind == 0x204
            or kind == 0x208 or kind == 0x216 or kind == 0x217 or kind == 0x221 or kind == 0x222)


cdef int64_t K_EARLIEST_NS = -(<int64_t>1 << 60)       # 1933
cdef int64_t K_LATEST_NS = <int64_t>1 << 62             # 2116; pcap's seconds end in 2106


cdef int64_t time_of(Interface *one, uint64_t ticks) noexcept nogil:
    """Nanoseconds since the epoch.

    Absurd ticks, resolutions and offsets give absurd times, yet within bounds: the difference of any two fits 64 bits.
    """
    cdef uint64_t ns, unit = 1
    cdef int exponent = one.exponent, _
    if one.binary:
        if exponent >= 64:
            ns = 0
        else:
            ns = (ticks >> exponent) * <uint64_t>1000000000
            if exponent:
                ticks = ticks << (64 - exponent)  # the fraction, as a part of 2^64
                ns += (ticks >> 32) * <uint64_t>1000000000 >> 32
    elif exponent <= 9:
        for _ in range(9 - exponent):
            unit *= 10
        ns = ticks * unit
    else:
        for _ in range(min(exponent - 9, 20)):
            if unit > <uint64_t>1000000000000000000:
                break
            unit *= 10
        ns = ticks // unit
    return min(max(<int64_t>(ns + <uint64_t>one.offset_s * <uint64_t>1000000000), K_EARLIEST_NS), K_LATEST_NS)
