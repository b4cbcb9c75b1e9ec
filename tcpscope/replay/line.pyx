# cython: wraparound=False, freethreading_compatible=True
"""One side of a connection as a stream: where it stands, what it waits for, what it has passed over.

Positions are offsets from the stream's first byte and do not wrap.
"""
from libc.stdint cimport INT64_MAX, UINT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memmove

from tcpscope.replay.seq cimport place
from tcpscope.wire.segment cimport OPT_WSCALE, RST, SYN, Segment

cdef enum:
    SLACK = 1 << 16
    LEAP = 8                      # segments in a row that fit nowhere but behind each other


# ---------------------------------------------------------------- where numbers stand

cdef void line_open(Line *line, const Segment *s) noexcept nogil:
    """Where the stream begins: behind the SYN, else at the side's first number, or where the peer waits for it."""
    cdef uint32_t start = s.seq + (1 if s.flags & SYN else 0)
    if s.flags & SYN:
        line.syn_seen = True
        line.scaled = s.options & OPT_WSCALE != 0
        line.scale = min(s.window_scale, <uint8_t>14)         # RFC 7323, 2.3
        if not line.based or (line.base != start and line.highest == 0 and line.n_held == 0
                              and not (line.from_syn and line.acked >= 0)):
            line.base, line.based, line.from_syn = start, True, True
            line.next = line.highest = 0
            line.acked = line.edge = -1
    elif not line.syn_seen and not s.flags & RST and line.highest == 0 and line.n_held == 0:
        if line.based and -BEHIND < place(0, start - line.base) < FORWARD:
            return                                            # by the peer's acknowledgment
        line.base, line.based = start, True
        line.next = line.acked = 0
        line.edge = -1
        line.history_from = 0
        line.n_holes = 0
        line_hole(line, -FORWARD, 0)


cdef bint line_fits(Line *line, int64_t pos, int64_t length) noexcept nogil:
    """Near enough to what the receiver waits for."""
    cdef int64_t limit = max(line.next, line.acked) + FORWARD
    if line.edge >= 0:
        limit = max(line.edge, line.highest) + line.window_max + SLACK
    return pos <= limit and pos + length >= line.next - BEHIND


cdef bint line_leaps(Line *line, int64_t pos, int64_t length) noexcept nogil:
    """Of bytes that do not fit: there have been enough of them in a row to believe them."""
    line.outside += 1
    line.outside_run = line.outside_run + 1 if pos == line.outside_next and length else 1
    line.outside_next = pos + length
    if line.outside_run < LEAP:
        return False
    line.outside_run = 0
    return True


cdef bint line_keep_alive(const Line *line, int64_t pos) noexcept nogil:
    """One byte at pos: before the next one to be sent, and the peer has it.  It may be anything (RFC 9293, 3.8.4)."""
    cdef Py_ssize_t at
    if pos != line.highest - 1 and (pos != line.fin or pos != line.next):
        return False
    if pos < line.next or pos < line.acked or pos == line.fin:
        return True
    at = line_find(line, pos)
    return at < line.n_held and line.held[at].item.offset <= pos


# ---------------------------------------------------------------- what the peer has

cdef void line_sacked(Line *line, int64_t start, int64_t end) noexcept nogil:
    """The peer has these bytes; of too many ranges the first are forgotten."""
    cdef int i = 0, j
    if not line.acked < end < line.next + FORWARD or start >= end:
        return
    while i < line.n_sacked and line.sacked[i].end < start:
        i += 1
    j = i
    while j < line.n_sacked and line.sacked[j].start <= end:
        start, end = min(start, line.sacked[j].start), max(end, line.sacked[j].end)
        j += 1
    if i == j and line.n_sacked == SACKED:
        memmove(&line.sacked[0], &line.sacked[1], (SACKED - 1) * sizeof(Hole))
        line.n_sacked -= 1
        i = j = max(i - 1, 0)
    memmove(&line.sacked[i + 1], &line.sacked[j], (line.n_sacked - j) * sizeof(Hole))
    line.n_sacked += 1 - (j - i)
    line.sacked[i] = Hole(start, end)


cdef int64_t line_had_until(const Line *line, int64_t pos, bint *had) noexcept nogil:
    """Whether the peer has the byte at pos, and how far that holds."""
    cdef int i
    had[0] = pos < line.acked
    if had[0]:
        return line.acked
    for i in range(line.n_sacked):
        if pos < line.sacked[i].end:
            had[0] = line.sacked[i].start <= pos
            return line.sacked[i].end if had[0] else line.sacked[i].start
    return INT64_MAX


# ---------------------------------------------------------------- what was delivered, what was passed over

cdef bint line_remember(Line *line, const Item *it, const uint8_t *data) noexcept nogil:
    """Keep the last HISTORY bytes delivered, and the frames they came in; False when memory runs out."""
    cdef int64_t at = it.offset, left = it.data_size, run
    if line.history == NULL:
        line.history = <uint8_t *>malloc(HISTORY)
        line.origins = <Origin *>calloc(ORIGINS, sizeof(Origin))
        if line.history == NULL or line.origins == NULL:
            return False
    while left > 0:
        run = min(left, HISTORY - at % HISTORY)
        memcpy(line.history + at % HISTORY, data, run)
        at, data, left = at + run, data + run, left - run
    if it.data_size < it.length:
        line.history_from = it.offset + it.length
    line.origins[line.n_origins % ORIGINS] = Origin(it.offset + it.length, it.frame, it.file)
    line.n_origins += 1
    return True


cdef Origin *line_origin(const Line *line, int64_t pos) noexcept nogil:
    """Which frame brought the byte at pos; NULL: long ago."""
    cdef uint64_t at = line.n_origins
    cdef Origin *found = NULL
    while at > 0 and line.n_origins - at < ORIGINS:
        at -= 1
        if line.origins[at % ORIGINS].end <= pos:
            return found
        found = &line.origins[at % ORIGINS]
    return found if at == 0 else NULL


cdef void line_hole(Line *line, int64_t start, int64_t end) noexcept nogil:
    """Remember what was passed over; of too many the oldest is forgotten."""
    if line.n_holes and line.holes[line.n_holes - 1].end == start:
        line.holes[line.n_holes - 1].end = end
        return
    if line.n_holes == HOLES:
        memmove(&line.holes[0], &line.holes[1], (HOLES - 1) * sizeof(Hole))
        line.n_holes -= 1
    line.holes[line.n_holes] = Hole(start, end)
    line.n_holes += 1


cdef void line_fill_hole(Line *line, int i, int64_t start, int64_t end) noexcept nogil:
    """Bytes of hole i have come after all."""
    cdef Hole rest = Hole(end, line.holes[i].end)
    line.holes[i].end = start
    if rest.start < rest.end and line.n_holes < HOLES:
        memmove(&line.holes[i + 2], &line.holes[i + 1], (line.n_holes - i - 1) * sizeof(Hole))
        line.holes[i + 1] = rest
        line.n_holes += 1
    if line.holes[i].start >= line.holes[i].end:
        memmove(&line.holes[i], &line.holes[i + 1], (line.n_holes - i - 1) * sizeof(Hole))
        line.n_holes -= 1


# ---------------------------------------------------------------- what waits for a hole to be filled

cdef Py_ssize_t line_find(const Line *line, int64_t pos) noexcept nogil:
    """Place of the first held piece that ends behind pos."""
    cdef Py_ssize_t low = 0, high = line.n_held, middle
    while low < high:
        middle = (low + high) // 2
        if line.held[middle].item.offset + line.held[middle].item.length <= pos:
            low = middle + 1
        else:
            high = middle
    return low


cdef bint line_put(Line *line, Py_ssize_t at, Chunk *c) noexcept nogil:
    """Hold a piece, as number `at`; False when memory runs out."""
    cdef Chunk **grown
    cdef Py_ssize_t room
    if line.n_held == line.held_room:
        room = max(line.held_room * 2, 64)
        grown = <Chunk **>realloc(line.held, room * sizeof(Chunk *))
        if grown == NULL:
            return False
        line.held, line.held_room = grown, room
    memmove(&line.held[at + 1], &line.held[at], (line.n_held - at) * sizeof(Chunk *))
    line.held[at] = c
    line.n_held += 1
    line.oldest = min(line.oldest, c.order)
    return True


cdef void line_drop(Line *line, Py_ssize_t at, Py_ssize_t count) noexcept nogil:
    """Hold `count` pieces from number `at` on no longer; the caller frees them."""
    cdef Py_ssize_t i
    memmove(&line.held[at], &line.held[at + count], (line.n_held - at - count) * sizeof(Chunk *))
    line.n_held -= count
    line.oldest = UINT64_MAX
    for i in range(line.n_held):
        line.oldest = min(line.oldest, line.held[i].order)


cdef void line_close(Line *line) noexcept nogil:
    """Free what it holds."""
    cdef Py_ssize_t i
    cdef Chunk *c
    for i in range(line.n_held):
        free(line.held[i])
    free(line.held)
    free(line.probe)
    free(line.history)
    free(line.origins)
    while line.ready != NULL:
        c = line.ready
        line.ready = c.next
        free(c)
