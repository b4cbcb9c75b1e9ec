# cython: wraparound=False, freethreading_compatible=True
"""The first frames of a connection that bear each annotation worth a word: what proves a finding.

ENOUGH (or SCHEDULE) of each annotation and side are kept; connections in which nothing is odd keep none.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport free, realloc

from tcpscope.replay.annotations cimport (
    A_DELAYED_ACK, A_DUPLICATE_ACK, A_KEEP_ALIVE, A_OFFLOADED, A_OFFLOAD_CHECKSUM, A_PIGGYBACKED_ACK,
    A_SYN_ACK_RETRANSMISSION, A_SYN_RETRANSMISSION, A_WINDOW_UPDATE, bit,
)

cdef enum:
    ENOUGH = 4
    SCHEDULE = 8                 # of those whose times tell a timer's schedule

cdef uint64_t BY_SCHEDULE = bit(A_SYN_RETRANSMISSION) | bit(A_SYN_ACK_RETRANSMISSION) | bit(A_KEEP_ALIVE)
NOTEWORTHY = ~(bit(A_PIGGYBACKED_ACK) | bit(A_OFFLOADED) | bit(A_OFFLOAD_CHECKSUM) | bit(A_WINDOW_UPDATE)
               | bit(A_DELAYED_ACK) | bit(A_DUPLICATE_ACK))


cdef int evidence_keep(Evidence *e, int side, uint64_t bits, uint64_t frame, int64_t time_ns) noexcept nogil:
    """One packet's annotations, of those that are not full; -1 when memory runs out."""
    cdef Proof *items
    cdef uint16_t room, i, same
    cdef int annotation
    for annotation in range(64):
        if not bits >> annotation & 1:
            continue
        if e.count == e.room:
            room = 2 * e.room if e.room else 4
            items = <Proof *>realloc(e.items, room * sizeof(Proof))
            if items == NULL:
                return -1
            e.items, e.room = items, room
        e.items[e.count].frame, e.items[e.count].time_ns = frame, time_ns
        e.items[e.count].annotation, e.items[e.count].side = <uint8_t>annotation, <uint8_t>side
        e.count += 1
        same = 0
        for i in range(e.count):
            same += e.items[i].annotation == annotation and e.items[i].side == side
        if same >= (SCHEDULE if BY_SCHEDULE & bit(annotation) else ENOUGH):
            e.full[side] |= bit(annotation)
    return 0


cdef void evidence_free(Evidence *e) noexcept nogil:
    free(e.items)
    e.items = NULL
    e.count = e.room = 0
