# cython: wraparound=False, freethreading_compatible=True
"""What is counted over all connections, odd or not: by client and service, in memory that does not grow without end.

A connection more costs a look into a table.  MOST pairs of a client and a service are kept; of more only the
connections are counted.
"""
import os

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from tcpscope.replay import layout
from tcpscope.replay.brief cimport Brief, brief_of
from tcpscope.replay.rows cimport ConnectionRow

cdef enum:
    SHOWN = 4                    # connections kept of a pair
    FIRST_ROOM = 256
    MOST = 1 << 14
    MOST_ENDS = 1 << 16
    OPEN = 0                     # layout.CLOSE_KINDS
    REFUSED = 3
    UNANSWERED = 4
    HALF_OPEN = 7

cdef int64_t IDLE_NS = 60_000_000_000

cdef struct Pair:                # layout.PAIR: first what it is found by
    uint8_t client[16]
    uint8_t server[16]
    uint16_t port
    uint8_t version
    uint8_t used
    uint32_t numbers[SHOWN]      # of the first connections, in their order
    int64_t connections
    int64_t opened               # with a whole handshake
    int64_t packets
    int64_t overhead             # packets that opened and closed
    int64_t bytes                # payload, both ways
    int64_t time_wait            # that left the client in TIME_WAIT
    int64_t half_open
    int64_t unanswered
    int64_t refused
    int64_t idle                 # still open when the capture ended, and silent for a minute or more
    int64_t idle_longest_ns
    int64_t first_ns             # their beginnings
    int64_t last_ns
    uint64_t frames[SHOWN]

cdef struct End:                 # layout.END: connections that were not looked at, of one service, that ended alike
    int64_t connections
    int64_t second               # half-open ones: when they began, seconds since the epoch; 0 for others
    uint8_t server[16]
    uint16_t port
    uint8_t version
    uint8_t close_kind
    uint8_t closed_by
    uint8_t used

assert layout.END.size == sizeof(End), (layout.END.size, sizeof(End))

# addresses come from a capture: whoever made it cannot know which collide
cdef uint64_t SECRET = int.from_bytes(os.urandom(8), "little") | 1


cdef inline uint64_t hash_of(const Brief *b) noexcept nogil:
    cdef uint64_t words[4]
    cdef uint64_t h = SECRET ^ (<uint64_t>b.port << 8) ^ b.version
    cdef int i
    memcpy(&words[0], b.client, 16)
    memcpy(&words[2], b.server, 16)
    for i in range(4):
        h = (h ^ words[i]) * SECRET
        h ^= h >> 32
    return h


cdef inline uint64_t end_hash(const End *key) noexcept nogil:
    cdef uint64_t words[2]
    cdef uint64_t h = SECRET ^ (<uint64_t>key.port << 24) ^ (<uint64_t>key.close_kind << 8) ^ key.closed_by
    memcpy(words, key.server, 16)
    h = (h ^ words[0]) * SECRET
    h = ((h ^ h >> 32) ^ words[1]) * SECRET
    h = ((h ^ h >> 32) ^ <uint64_t>key.second) * SECRET
    return h ^ h >> 32


cdef inline bint end_same(const End *a, const End *b) noexcept nogil:
    return (a.second == b.second and a.port == b.port and a.version == b.version and a.close_kind == b.close_kind
            and a.closed_by == b.closed_by and memcmp(a.server, b.server, 16) == 0)


cdef inline bint same(const Pair *p, const Brief *b) noexcept nogil:
    return (p.port == b.port and p.version == b.version and memcmp(p.client, b.client, 16) == 0
            and memcmp(p.server, b.server, 16) == 0)


cdef void count(Pair *p, const Brief *b) noexcept nogil:
    cdef int64_t at = min(p.connections, SHOWN)
    while at and p.numbers[at - 1] > b.connection:
        at -= 1
        if at < SHOWN - 1:
            p.numbers[at + 1], p.frames[at + 1] = p.numbers[at], p.frames[at]
    if at < SHOWN:
        p.numbers[at], p.frames[at] = b.connection, b.first_frame
    if p.connections == 0 or b.start_ns < p.first_ns:
        p.first_ns = b.start_ns
    if b.start_ns > p.last_ns:
        p.last_ns = b.start_ns
    p.connections += 1
    p.packets += b.packets
    p.overhead += b.overhead
    p.bytes += b.bytes
    p.opened += b.opened
    p.time_wait += b.time_wait
    p.half_open += b.close_kind == HALF_OPEN
    p.unanswered += b.close_kind == UNANSWERED
    p.refused += b.close_kind == REFUSED
    if b.close_kind == OPEN and b.idle_end_ns >= IDLE_NS and not b.one_direction:
        p.idle += 1
        p.idle_longest_ns = max(p.idle_longest_ns, b.idle_end_ns)


cdef class Census:
    """Counts of connections by client address and service."""
    cdef Pair *pairs
    cdef uint32_t room           # a power of two
    cdef uint32_t used
    cdef End *ends               # NULL: none yet
    cdef uint32_t end_room, end_used
    cdef readonly int64_t beyond

    def __cinit__(self):
        self.room = FIRST_ROOM
        self.pairs = <Pair *>calloc(FIRST_ROOM, sizeof(Pair))
        if self.pairs == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.pairs)
        free(self.ends)

    def copy(self):
        """The same counts, to go on with apart."""
        cdef Census other = Census()
        cdef Pair *pairs = <Pair *>realloc(other.pairs, self.room * sizeof(Pair))
        if pairs == NULL:
            raise MemoryError()
        memcpy(pairs, self.pairs, self.room * sizeof(Pair))
        other.pairs, other.room, other.used, other.beyond = pairs, self.room, self.used, self.beyond
        if self.end_room:
            other.ends = <End *>calloc(self.end_room, sizeof(End))
            if other.ends == NULL:
                raise MemoryError()
            memcpy(other.ends, self.ends, self.end_room * sizeof(End))
            other.end_room, other.end_used = self.end_room, self.end_used
        return other

    cdef End *find_end(self, const End *key) noexcept nogil:
        cdef uint32_t at = <uint32_t>(end_hash(key) & (self.end_room - 1))
        while self.ends[at].used and not end_same(&self.ends[at], key):
            at = (at + 1) & (self.end_room - 1)
        return &self.ends[at]

    cdef int grow_ends(self) noexcept nogil:
        cdef End *old = self.ends
        cdef uint32_t i, room = self.end_room
        cdef End *fresh = <End *>calloc(2 * room if room else FIRST_ROOM, sizeof(End))
        if fresh == NULL:
            return -1
        self.ends, self.end_room = fresh, 2 * room if room else FIRST_ROOM
        for i in range(room):
            if old[i].used:
                self.find_end(&old[i])[0] = old[i]
        free(old)
        return 0

    cdef void enter_end(self, const Brief *b) noexcept nogil:
        cdef End *place
        cdef End key
        memset(&key, 0, sizeof(End))
        key.port, key.version, key.close_kind, key.closed_by = b.port, b.version, b.close_kind, b.closed_by
        key.second = b.start_ns // 1_000_000_000 if key.close_kind == HALF_OPEN else 0
        memcpy(key.server, b.server, 16)
        place = self.find_end(&key) if self.end_room else NULL
        if place == NULL or not place.used:
            if 2 * self.end_used >= self.end_room and (self.end_used >= MOST_ENDS or self.grow_ends() < 0):
                key.second = key.port = key.version = 0     # of one more service than there is room for
                memset(key.server, 0, 16)
            place = self.find_end(&key)
            if not place.used:
                place[0] = key
                place.used, place.connections = True, 0
                self.end_used += 1
        place.connections += 1

    def count_ends(self, const unsigned char[::1] records, int64_t first=0):
        """Of layout.CONNECTION records, how those ended in which something is odd, from the number `first` on."""
        cdef Py_ssize_t i, n = records.shape[0] // <Py_ssize_t>sizeof(ConnectionRow)
        cdef const ConnectionRow *row = <const ConnectionRow *>&records[0] if n else NULL
        cdef Brief b
        with nogil:
            for i in range(n):
                if row[i].odd and row[i].connection >= first:
                    brief_of(&row[i], &b)
                    self.enter_end(&b)

    def ends_of(self):
        """Records (layout.END) of what `count_ends` counted, always in the same order."""
        cdef uint32_t i
        cdef list found = []
        for i in range(self.end_room):
            if self.ends[i].used:
                found.append(PyBytes_FromStringAndSize(<char *>&self.ends[i], sizeof(End)))
        return b"".join(sorted(found))

    cdef Pair *find(self, const Brief *b) noexcept nogil:
        """The pair's place; a free one if it is new."""
        cdef uint32_t at = <uint32_t>(hash_of(b) & (self.room - 1))
        while self.pairs[at].used and not same(&self.pairs[at], b):
            at = (at + 1) & (self.room - 1)
        return &self.pairs[at]

    cdef int grow(self) noexcept nogil:
        cdef Pair *old = self.pairs
        cdef Pair *place
        cdef uint32_t i, room = self.room
        cdef Brief key
        self.pairs = <Pair *>calloc(room * 2, sizeof(Pair))
        if self.pairs == NULL:
            self.pairs = old
            return -1
        self.room = room * 2
        for i in range(room):
            if old[i].used:
                memcpy(key.client, old[i].client, 16)
                memcpy(key.server, old[i].server, 16)
                key.port, key.version = old[i].port, old[i].version
                place = self.find(&key)
                place[0] = old[i]
        free(old)
        return 0

    cdef void enter(self, const Brief *b) noexcept nogil:
        cdef Pair *p
        if self.used == MOST and b.close_kind in (HALF_OPEN, UNANSWERED):
            self.beyond += 1        # of a flood from more addresses than there is room for
            return
        p = self.find(b)
        if not p.used:
            if self.used == MOST or 2 * self.used >= self.room and self.grow() < 0:
                self.beyond += 1
                return
            p = self.find(b)
            p.used = True
            memcpy(p.client, b.client, 16)
            memcpy(p.server, b.server, 16)
            p.port, p.version = b.port, b.version
            self.used += 1
        count(p, b)

    def take(self, const unsigned char[::1] records not None):
        """More connections, as layout.CONNECTION records."""
        cdef Py_ssize_t i, n = records.shape[0] // <Py_ssize_t>sizeof(ConnectionRow)
        cdef const ConnectionRow *row = <const ConnectionRow *>&records[0] if n else NULL
        cdef Brief b
        with nogil:
            for i in range(n):
                brief_of(&row[i], &b)
                self.enter(&b)

    def take_briefs(self, const unsigned char[::1] briefs not None):
        """More connections, as `Engine.take_briefs` gives them; of those that have no record, how they ended."""
        cdef Py_ssize_t i, n = briefs.shape[0] // <Py_ssize_t>sizeof(Brief)
        cdef const Brief *b = <const Brief *>&briefs[0] if n else NULL
        with nogil:
            for i in range(n):
                self.enter(&b[i])
                if b[i].untold:
                    self.enter_end(&b[i])

    def service(self, const unsigned char[::1] server, uint16_t port, uint8_t version):
        """(clients, connections, how many opened) of one service, its address as in the records."""
        cdef uint32_t i
        cdef int64_t clients = 0, connections = 0, opened = 0
        for i in range(self.room):
            if (self.pairs[i].used and self.pairs[i].port == port and self.pairs[i].version == version
                    and memcmp(self.pairs[i].server, &server[0], 16) == 0):
                clients += 1
                connections += self.pairs[i].connections
                opened += self.pairs[i].opened
        return clients, connections, opened

    def pairs_of(self, int64_t least):
        """Records (layout.PAIR) of the pairs with so many connections or more, or with idle ones, as they began."""
        cdef uint32_t i
        cdef list found = []
        for i in range(self.room):
            if self.pairs[i].used and (self.pairs[i].connections >= least or self.pairs[i].idle):
                pair = PyBytes_FromStringAndSize(<char *>&self.pairs[i], sizeof(Pair))
                found.append((self.pairs[i].numbers[0], pair))
        return b"".join([pair for _, pair in sorted(found)])
