"""The Segment: the only currency between `wire/` (what the bytes mean) and `replay/`
(what the endpoints did).  Fixed size, options already parsed, no bytes inside."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:                    # Segment.flags: RFC 9293, 3.1, as they stand in the header
    FIN = 0x001
    SYN = 0x002
    RST = 0x004
    PSH = 0x008
    ACK = 0x010
    URG = 0x020
    ECE = 0x040
    CWR = 0x080
    AE = 0x100                # the former NS bit; bits 0x200 to 0x800 are still reserved

cdef enum:                    # Segment.kind
    TCP_SEGMENT = 0
    ICMP_QUOTE = 1            # the TCP header an ICMP error quotes: addresses, ports and seq are the quoted packet's

cdef enum:                    # Segment.options: which options the header carried
    OPT_MSS = 0x0001
    OPT_WSCALE = 0x0002
    OPT_SACK_PERMITTED = 0x0004
    OPT_SACK = 0x0008
    OPT_TIMESTAMPS = 0x0010
    OPT_FAST_OPEN = 0x0020    # RFC 7413 (34) or the experimental form (254 with magic 0xF989)
    OPT_MPTCP = 0x0040
    OPT_MD5 = 0x0080
    OPT_AO = 0x0100
    OPT_UTO = 0x0200
    OPT_ACCECN = 0x0400       # 172, 174, or the experimental form (253, 254 with magic 0xACCE, 0xACC0, 0xACC1)
    OPT_OTHER = 0x0800
    OPT_MALFORMED = 0x4000    # a length of 0 or 1, one that runs past the header, or not the one its RFC gives it
    OPT_CUT = 0x8000          # the capture ends inside the options

cdef enum:                    # Segment.checksum_state
    SUM_UNVERIFIABLE = 0      # cut by the snaplen, or a fragment
    SUM_GOOD = 1
    SUM_BAD = 2
    SUM_PARTIAL = 3           # only the pseudo-header's sum: left to the network card (offload)

cdef enum:                    # Segment.notes
    NOTE_LENGTH_FROM_WIRE = 0x01   # IP total length was 0 (offload, BIG TCP): length is that of the frame
    NOTE_FRAGMENT = 0x02           # first fragment of a datagram; length counts the joined whole where known
    NOTE_BOGUS_OFFSET = 0x04       # data offset below 5: length is segment size minus 4 x offset
    NOTE_TUNNEL = 0x08             # behind a second IP header or another encapsulation
    NOTE_FCS = 0x10                # a link-layer check sequence was cut off
    NOTE_ELSEWHERE = 0x40          # another of a few captures runs at this time: of another place, perhaps
    NOTE_CUT_HEADER = 0x20         # fewer than 20 bytes of TCP header: only the ports (and what follows them) are known

cdef enum:
    FRAME_BITS = 47           # of a spot: its frame; above them its file (wire/layout.py has the same)

cdef struct Segment:          # two lines of the cache, and one that few segments need
    int64_t time_ns           # since the epoch
    uint64_t frame            # 1-based in its file, as Wireshark counts
    uint64_t payload_at       # offset of the payload's first byte in the uncompressed file
    uint32_t flow             # keyed hash of the two ends, the same for both directions (wire/flow.pxd)
    uint32_t outer            # hash of the VLAN, MPLS and tunnel identifiers around the packet; 0 without any
    uint8_t src[16]           # IPv4 in the first four bytes, the rest zero
    uint8_t dst[16]
    uint16_t sport
    uint16_t dport
    uint32_t seq
    uint32_t ack
    uint32_t length           # payload bytes on the wire, by the IP header
    uint32_t captured         # how many of them the capture holds
    uint32_t options          # OPT_ bits
    uint32_t ts_val           # valid with OPT_TIMESTAMPS
    uint32_t ts_ecr
    uint32_t ip_id            # 0x10000 where there is none (IPv6)
    uint16_t flags
    uint16_t window           # as in the header, unscaled
    uint16_t urgent
    uint16_t checksum         # as in the header
    uint16_t file             # index of the input file
    uint16_t interface        # of a pcapng file, 0 else
    uint16_t mss              # valid with OPT_MSS
    uint16_t hint             # which of its batch's hints came with it, from 1; 0: none
    uint8_t ttl
    uint8_t tos               # the DSCP and ECN byte
    uint8_t ip_version        # 4 or 6
    uint8_t header_length     # of the TCP header, bytes
    uint8_t checksum_state
    uint8_t notes             # NOTE_ bits
    uint8_t kind
    uint8_t n_sack
    uint8_t window_scale      # valid with OPT_WSCALE
    uint8_t cookie_length     # of a Fast Open option: bytes of its cookie
    uint8_t icmp_type         # of an ICMP_QUOTE
    uint8_t icmp_code
    uint32_t sack[8]          # n_sack pairs of left and right edge


cdef inline uint64_t spot(const Segment *s) noexcept nogil:
    """Which frame of which file, in one number; of the first file that is the frame's own."""
    return s.frame | <uint64_t>s.file << FRAME_BITS


cdef inline uint64_t frame_at(uint64_t spot) noexcept nogil:
    return spot & ((<uint64_t>1 << FRAME_BITS) - 1)


cdef inline uint16_t file_at(uint64_t spot) noexcept nogil:
    return <uint16_t>(spot >> FRAME_BITS)


cdef inline bint congested(const Segment *s) noexcept nogil:
    """A router has marked it: congestion experienced (RFC 3168, 5)."""
    return s.tos & 3 == 3
