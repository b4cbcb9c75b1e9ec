# cython: wraparound=False
"""Walking the records of a pcap or pcapng file in a buffer."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    STOPPED = -1          # damage: `Container.damage_code` and `Container.position` tell
    NEED_MORE = 0         # too few bytes in the buffer
    RECORD = 1

cdef enum:
    NO_DAMAGE
    BAD_MAGIC
    BAD_BLOCK_LENGTH
    BAD_SECTION
    BAD_INTERFACE
    BAD_PACKET
    PACKET_TOO_LARGE
    UNKNOWN_INTERFACE
    TOO_MANY_INTERFACES
    NO_MEMORY

cdef enum:
    SIMPLE_HEADER = 16    # bytes of a simple file's record header
    MAX_PACKET = 262144   # Wireshark's limit for all but a few link types

cdef struct Record:
    int64_t time_ns
    const uint8_t *data
    uint32_t caplen
    uint32_t wirelen
    int32_t linktype
    uint32_t interface    # over all sections, in order of appearance
    uint32_t fcs          # bytes of link-layer check sequence at the end on the wire
    uint64_t offset       # of data in the uncompressed file
    uint64_t frame        # 1-based
    # of pcapng blocks only
    bint has_ticks
    uint64_t ticks        # the time as it is written, in units of the interface
    const uint8_t *options
    Py_ssize_t options_size

cdef struct Interface:
    int32_t linktype
    uint32_t snaplen      # 0: no limit
    uint32_t fcs
    bint binary           # ticks are 2^-exponent s, else 10^-exponent s
    uint8_t exponent
    int64_t offset_s
    uint64_t packets
    uint64_t received     # by the last Interface Statistics Block
    uint64_t dropped
    bint has_received
    bint has_dropped
    char name[64]
    char description[128]


cdef class Container:
    cdef readonly bint big_endian
    cdef bint is_pcapng, nanoseconds, opened, version_swaps, version_may_swap
    cdef bint simple                      # an intact pcap file behind its header, as nearly all are (open_file)
    cdef int64_t tick_ns                  # unit of a pcap file's fractions of seconds
    cdef Py_ssize_t record_header
    cdef Interface *interfaces
    cdef Py_ssize_t n_interfaces, room, section_start
    cdef int64_t last_time_ns
    cdef readonly uint64_t position       # file offset of the next unread byte
    cdef readonly uint64_t frames         # numbers given away
    cdef uint64_t to_skip                 # rest of a block nobody reads
    cdef int damage_code
    cdef readonly uint64_t sections, comments
    cdef uint32_t major, minor

    cdef int next(self, const uint8_t *data, Py_ssize_t size, Py_ssize_t *used, Record *r) noexcept nogil
    cdef int open_file(self, const uint8_t *data, Py_ssize_t size, Py_ssize_t *used) noexcept nogil
    cdef int next_pcap(self, const uint8_t *data, Py_ssize_t size, Py_ssize_t *used, Record *r) noexcept nogil
    cdef void pass_simple(self, uint64_t frame, Py_ssize_t size) noexcept nogil
    cdef int next_block(self, const uint8_t *data, Py_ssize_t size, Py_ssize_t *used, Record *r) noexcept nogil
    cdef int section(self, const uint8_t *body, Py_ssize_t size) noexcept nogil
    cdef int interface_block(self, const uint8_t *body, Py_ssize_t size) noexcept nogil
    cdef int packet(self, int kind, const uint8_t *body, Py_ssize_t size, Record *r) noexcept nogil
    cdef void interface_statistics(self, const uint8_t *body, Py_ssize_t size) noexcept nogil
    cdef void count_comments(self, const uint8_t *options, Py_ssize_t size) noexcept nogil
    cdef int add_interface(self) noexcept nogil
    cdef int damaged(self, int code) noexcept nogil
    cdef uint64_t u64(self, const uint8_t *p) noexcept nogil
    cdef uint32_t u32(self, const uint8_t *p) noexcept nogil
    cdef uint32_t u16(self, const uint8_t *p) noexcept nogil
