# cython: wraparound=False
"""One side of a connection as a stream: where it stands, what it waits for, what it has passed over."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.wire.segment cimport Segment

cdef enum:                        # Item.kind; stream.KINDS names them
    DATA
    GAP                           # bytes that no frame of the capture holds
    CUT                           # bytes that a frame held and the capture does not
    CONFLICT                      # a later copy of bytes, and it differs: its bytes, then those delivered
    LATE                          # bytes that came when their gap had been passed, or from before the stream's start

cdef enum:                        # Item.note
    ACKNOWLEDGED = 1              # of a gap: the peer had these bytes
    UNHEARD = 2                   # of a gap: the peer is not in the capture
    JUMP = 4                      # of a gap: the numbers leap; the length is known modulo 2^32 only
    AFTER_RESET = 8               # of data: one of the ends had reset the connection before

cdef struct Item:
    int64_t offset                # in the stream, from 0
    int64_t length
    int64_t time_ns               # of the frame
    uint64_t frame                # that brought the bytes; of a gap: the one behind it, 0 at the end
    uint64_t other_frame          # of a conflict: the first copy's; of data brought together: the last
    int64_t data_at               # in the arena
    int64_t data_size
    uint16_t file
    uint16_t other_file
    uint8_t side
    uint8_t kind
    uint8_t note

cdef struct Chunk:                # bytes that wait, of the store `held` or of the queue `ready`
    Chunk *next
    Item item
    uint64_t order                # number of the segment
    bint doubtful                 # its checksum is wrong: it counts only if the peer acknowledges it
    Py_ssize_t size               # of data
    uint8_t data[1]

cdef struct Origin:               # where delivered bytes came from
    int64_t end
    uint64_t frame
    uint16_t file

cdef struct Hole:                 # bytes passed over
    int64_t start
    int64_t end

cdef enum:
    HOLES = 64                    # remembered of each side
    SACKED = 64
    ORIGINS = 4096
    HISTORY = 1 << 20             # bytes delivered last, kept for comparison
    FORWARD = 1 << 30             # the largest window there is (RFC 7323, 2.3)
    BEHIND = 1 << 27              # older copies than that are no copies

cdef struct Line:                 # what one side sent
    bint wanted
    bint based                    # base is known
    bint from_syn                 # ... from its SYN
    bint good_sum
    bint heard                    # it has acknowledged something
    bint reset                    # it has sent an RST that fits
    bint scaled                   # SYN with a window scale
    bint syn_seen
    uint8_t scale
    uint32_t base                 # sequence number of offset 0
    int64_t next                  # offset behind what was delivered
    int64_t highest               # offset behind all that was sent
    int64_t fin                   # offset of its FIN; -1: none
    int64_t acked                 # by the peer; -1: nothing yet
    int64_t edge                  # of the peer's window; -1: not known
    int64_t window_max            # largest the peer advertised
    bint window_shut              # the peer's window is zero
    Chunk *probe                  # a byte sent into a closed window
    Chunk **held                  # beyond a hole, by offset, disjoint
    Py_ssize_t n_held, held_room
    uint64_t oldest               # least order among held
    uint64_t last_order           # of what went into ready last
    Chunk *ready                  # delivered, waiting for the other side's hole
    Chunk *ready_tail
    Hole holes[HOLES]
    int n_holes
    Hole sacked[SACKED]           # what the peer has beyond `acked` (RFC 2018), by offset, disjoint
    int n_sacked
    uint8_t *history
    int64_t history_from          # no older byte is in history
    Origin *origins
    uint64_t n_origins
    int64_t outside_next          # a run of segments outside every window
    int outside_run
    # counts
    int64_t bytes
    int64_t missing
    int64_t gaps
    int64_t cut
    int64_t duplicate
    int64_t conflicting
    int64_t conflicts
    int64_t late
    int64_t past_fin
    int64_t after_reset
    int64_t bad_sums              # pieces left out
    int64_t doubtful              # bytes delivered nevertheless
    int64_t outside
    int64_t probes
    int64_t in_reset

cdef void line_open(Line *line, const Segment *s) noexcept nogil
cdef bint line_fits(Line *line, int64_t pos, int64_t length) noexcept nogil
cdef bint line_leaps(Line *line, int64_t pos, int64_t length) noexcept nogil
cdef bint line_keep_alive(const Line *line, int64_t pos) noexcept nogil
cdef void line_sacked(Line *line, int64_t start, int64_t end) noexcept nogil
cdef int64_t line_had_until(const Line *line, int64_t pos, bint *had) noexcept nogil
cdef bint line_remember(Line *line, const Item *it, const uint8_t *data) noexcept nogil
cdef Origin *line_origin(const Line *line, int64_t pos) noexcept nogil
cdef void line_hole(Line *line, int64_t start, int64_t end) noexcept nogil
cdef void line_fill_hole(Line *line, int i, int64_t start, int64_t end) noexcept nogil
cdef Py_ssize_t line_find(const Line *line, int64_t pos) noexcept nogil
cdef bint line_put(Line *line, Py_ssize_t at, Chunk *c) noexcept nogil
cdef void line_drop(Line *line, Py_ssize_t at, Py_ssize_t count) noexcept nogil
cdef void line_close(Line *line) noexcept nogil
