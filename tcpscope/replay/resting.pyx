# cython: wraparound=False, freethreading_compatible=True
"""Packing connections that are not heard of, and unpacking them when something comes after all, or time is up.

What is packed is what the connection remembers and what its arrays hold (squeeze.pyx).  The memory itself, which is
near, is the next connection's.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy, memset

from tcpscope.replay.bodies cimport bodies_give, bodies_take
from tcpscope.replay.chunks cimport chunk
from tcpscope.replay.connection cimport MORE, PACKED, Connection, Flow, Packed, Saved
from tcpscope.replay.evidence cimport Proof
from tcpscope.replay.flight cimport Chunk
from tcpscope.replay.marks cimport Mark
from tcpscope.replay.pool cimport Pool, pool_give, pool_take
from tcpscope.replay.rtt cimport RoundTrips
from tcpscope.replay.run cimport Replay
from tcpscope.replay.squeeze cimport SQUEEZED_MOST, Recent, add_zeros, drop_zeros, squeeze, unsqueeze
from tcpscope.replay.unacked cimport Unacked, unacked_at

cdef enum:
    WORD = 4                     # bytes
    LONG = 8
    ARRAYS_MOST = 1 << 15        # bytes; a connection with more is not packed
    ROOM = 1 << 16               # for what is packed

if (sizeof(Connection) % LONG or sizeof(Chunk) % WORD or sizeof(Unacked) % WORD or sizeof(Mark) % WORD
        or sizeof(Proof) % WORD or sizeof(float) % WORD):
    raise ImportError("words do not make up what resting.pyx packs")
if ((sizeof(Connection) + ARRAYS_MOST) // WORD * (SQUEEZED_MOST + 1) > ROOM - PACKED
        or sizeof(Packed) > MORE * sizeof(Saved)):
    raise ImportError("what resting.pyx packs has no room")


cdef bint may_rest(const Connection *c) noexcept nogil:
    """It can be packed."""
    return (c.older == NULL and c.flight[0].many == NULL and c.flight[1].many == NULL
            and c.wireshark.side[0].unacked.disorder == NULL and c.wireshark.side[1].unacked.disorder == NULL
            and size_of_arrays(c) <= ARRAYS_MOST)


cdef inline uint32_t samples(const RoundTrips *r) noexcept nogil:
    """How many are kept as they are."""
    return <uint32_t>r.count if r.histogram == NULL else 0


# ---------------------------------------------------------------- packing

cdef size_t size_of_arrays(const Connection *c) noexcept nogil:
    cdef size_t size = c.marks.count * sizeof(Mark) + c.evidence.count * sizeof(Proof)
    cdef int x
    for x in range(2):
        size += (c.flight[x].old + c.flight[x].live) * sizeof(Chunk)
        size += c.wireshark.side[x].unacked.used * sizeof(Unacked)
        size += samples(&c.traffic[x].rtt) * sizeof(float)
    return size


cdef inline uint8_t *put(Recent *r, uint8_t *at, const void *what, size_t size) noexcept nogil:
    """r NULL: as it is."""
    if r != NULL:
        return squeeze(r, <const uint32_t *>what, <uint32_t>(size // WORD), at)
    if size:
        memcpy(at, what, size)
    return at + size


cdef uint8_t *put_all(const Connection *c, uint8_t *at, bint tight) noexcept nogil:
    cdef Recent words
    cdef Recent *recent = &words if tight else NULL
    cdef uint32_t i
    cdef int x
    memset(&words, 0, sizeof(Recent))
    if tight:
        at = put(recent, at, c, sizeof(Connection))
    else:
        at = drop_zeros(<const uint64_t *>c, sizeof(Connection) // LONG, at)
    at = put(recent, at, c.marks.items, c.marks.count * sizeof(Mark))
    at = put(recent, at, c.evidence.items, c.evidence.count * sizeof(Proof))
    for x in range(2):
        for i in range(c.flight[x].old + c.flight[x].live):
            at = put(recent, at, chunk(&c.flight[x], i), sizeof(Chunk))
        for i in range(c.wireshark.side[x].unacked.used):
            at = put(recent, at, unacked_at(&c.wireshark.side[x].unacked, i), sizeof(Unacked))
        at = put(recent, at, c.traffic[x].rtt.firsts, samples(&c.traffic[x].rtt) * sizeof(float))
    return at


cdef void forget(Pool *pieces, Packed *p) noexcept nogil:
    cdef Packed *next
    while p != NULL:
        next = p.next
        pool_give(pieces, p)
        p = next


cdef Packed *keep(Pool *pieces, const uint8_t *what, size_t size) noexcept nogil:
    """In pieces; NULL when memory runs out."""
    cdef Packed *first = NULL
    cdef Packed **place = &first
    cdef size_t at = 0
    while at < size:
        place[0] = <Packed *>pool_take(pieces)
        if place[0] == NULL:
            forget(pieces, first)
            return NULL
        memcpy(place[0].bytes, what + at, min(size - at, <size_t>PACKED))
        at += PACKED
        place = &place[0].next
        place[0] = NULL
    return first


cdef int rest(Replay *r, Flow *f, bint tight) noexcept nogil:
    """Pack f's connection, which may rest; -1 when memory runs out.  tight: for long, and so as small as can be."""
    cdef Connection *c = f.body
    cdef uint8_t packed[ROOM]
    cdef Packed *p = keep(&r.saved.pieces, packed, put_all(c, packed, tight) - packed)
    cdef int x
    if p == NULL:
        return -1
    p.last_ns, p.tight, p.closing = c.last_ns, tight, c.fin_seen
    for x in range(2):                   # what few have goes with it as it is
        c.traffic[x].rtt.histogram = NULL
        c.traffic[x].seen.below = NULL
        c.traffic[x].candidates.items = NULL
        c.flight[x].gone = NULL
    bodies_give(&r.bodies, c)
    f.body, f.packed = NULL, p
    return 0


# ---------------------------------------------------------------- unpacking

cdef inline const uint8_t *get(Recent *r, const uint8_t *at, void *what, size_t size) noexcept nogil:
    """r NULL: as it is."""
    if r != NULL:
        return unsqueeze(r, at, <uint32_t *>what, <uint32_t>(size // WORD))
    if size:
        memcpy(what, at, size)
    return at + size


cdef bint has_room(void **items, size_t room, size_t needed, size_t size) noexcept nogil:
    """There is room, now; False when memory runs out."""
    cdef void *wider
    if room >= needed:
        return True
    wider = realloc(items[0], needed * size)
    if wider == NULL:
        return False
    items[0] = wider
    return True


cdef bint take_arrays(Connection *c, const Connection *spare) noexcept nogil:
    """Give c, which has been unpacked but for its arrays, those of `spare`, widened; False when memory runs out."""
    cdef int x
    cdef bint fits
    cdef void *marks = spare.marks.items
    cdef void *proofs = spare.evidence.items
    cdef void *ring
    cdef void *queue
    cdef void *firsts
    fits = has_room(&marks, spare.marks.room, c.marks.room, sizeof(Mark))
    c.marks.items = <Mark *>marks
    fits &= has_room(&proofs, spare.evidence.room, c.evidence.room, sizeof(Proof))
    c.evidence.items = <Proof *>proofs
    for x in range(2):
        ring, queue = spare.flight[x].ring, spare.wireshark.side[x].unacked.ring
        firsts = spare.traffic[x].rtt.firsts
        fits &= has_room(&ring, spare.flight[x].room, c.flight[x].room, sizeof(Chunk))
        fits &= has_room(&queue, spare.wireshark.side[x].unacked.room, c.wireshark.side[x].unacked.room,
                         sizeof(Unacked))
        fits &= has_room(&firsts, spare.traffic[x].rtt.room, c.traffic[x].rtt.room, sizeof(float))
        c.flight[x].ring, c.wireshark.side[x].unacked.ring = <Chunk *>ring, <Unacked *>queue
        c.traffic[x].rtt.firsts = <float *>firsts
        c.flight[x].head = c.wireshark.side[x].unacked.head = 0
    return fits


cdef void get_arrays(Recent *recent, Connection *c, const uint8_t *at) noexcept nogil:
    cdef uint32_t i
    cdef int x
    at = get(recent, at, c.marks.items, c.marks.count * sizeof(Mark))
    at = get(recent, at, c.evidence.items, c.evidence.count * sizeof(Proof))
    for x in range(2):
        for i in range(c.flight[x].old + c.flight[x].live):
            at = get(recent, at, &c.flight[x].ring[i], sizeof(Chunk))
        for i in range(c.wireshark.side[x].unacked.used):
            at = get(recent, at, &c.wireshark.side[x].unacked.ring[i], sizeof(Unacked))
        at = get(recent, at, c.traffic[x].rtt.firsts, samples(&c.traffic[x].rtt) * sizeof(float))


cdef Connection *wake(Replay *r, Flow *f) noexcept nogil:
    """Unpack f's connection; NULL when memory runs out."""
    cdef uint8_t packed[ROOM]
    cdef const uint8_t *at = packed
    cdef const Packed *p = f.packed
    cdef size_t size = 0
    cdef Connection *c = bodies_take(&r.bodies)
    cdef Connection spare
    cdef Recent words
    cdef Recent *recent = &words if f.packed.tight else NULL
    if c == NULL:
        return NULL
    spare = c[0]
    while p != NULL:
        memcpy(packed + size, p.bytes, PACKED)
        size += PACKED
        p = p.next
    memset(&words, 0, sizeof(Recent))
    if recent != NULL:
        at = get(recent, at, c, sizeof(Connection))
    else:
        at = add_zeros(at, <uint64_t *>c, sizeof(Connection) // LONG)
    if not take_arrays(c, &spare):
        memset(c, 0, sizeof(Connection))         # f stays packed; the room that c had is lost, as memory is out
        bodies_give(&r.bodies, c)
        return NULL
    get_arrays(recent, c, at)
    forget(&r.saved.pieces, f.packed)
    f.body, f.packed = c, NULL
    return c
