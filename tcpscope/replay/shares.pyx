# cython: wraparound=False, freethreading_compatible=True
"""Several engines' records as if one had made them: connections numbered in the order of their first segments."""
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcpy, memset

from tcpscope.replay.brief cimport Brief
from tcpscope.replay.engine cimport Engine
from tcpscope.replay.lifecycle cimport Step
from tcpscope.replay.rows cimport ConnectionRow, EventRow, EvidenceRow
from tcpscope.replay.settle cimport Past
from tcpscope.replay.store cimport Store, drop, more
from tcpscope.wire.batch cimport MOST_SHARES, SegmentBatch

cdef extern from *:
    """
    #include <stdlib.h>
    #if defined(__GLIBC__)
    #include <malloc.h>
    #define keep_one_arena() ((void)mallopt(M_ARENA_MAX, 1))
    #else
    #define keep_one_arena() ((void)0)
    #endif
    """
    void keep_one_arena()


def one_heap():
    """For a process of our own: its threads share glibc's heap.

    With one each, what a thread has freed serves no other, and a large capture takes a tenth more memory.
    """
    keep_one_arena()


cdef struct Place:
    uint32_t number              # the common one
    const char *record


cdef int by_number(const void *a, const void *b) noexcept nogil:
    cdef uint32_t x = (<const Place *>a).number, y = (<const Place *>b).number
    return (x > y) - (x < y)


cdef inline uint32_t common(bytearray numbers, uint32_t own):
    """The common number of a share's connection."""
    return (<uint32_t *>PyByteArray_AS_STRING(numbers))[own] if own < <size_t>len(numbers) // 4 else own


cdef bytearray places_of(bytes records, Py_ssize_t size, Py_ssize_t number_at, bytearray numbers):
    """The records of one share, each of `size` bytes with its own number at `number_at`."""
    cdef Py_ssize_t i, count = len(records) // size
    cdef bytearray places = PyByteArray_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(Place))
    cdef Place *place = <Place *>PyByteArray_AS_STRING(places)
    cdef const char *record = PyBytes_AS_STRING(records)
    for i in range(count):
        place[i].number, place[i].record = common(numbers, (<const uint32_t *>(record + number_at))[0]), record
        record += size
    return places


cdef bytearray in_order(bytearray places, Py_ssize_t size, Py_ssize_t number_at):
    """Copies of the records in these places under their common numbers, sorted by them."""
    cdef Py_ssize_t i, count = len(places) // <Py_ssize_t>sizeof(Place)
    cdef bytearray ordered = PyByteArray_FromStringAndSize(NULL, count * size)
    cdef char *record = PyByteArray_AS_STRING(ordered)
    cdef Place *place = <Place *>PyByteArray_AS_STRING(places)
    with nogil:
        qsort(place, count, sizeof(Place), by_number)
        for i in range(count):
            memcpy(record, place[i].record, size)
            (<uint32_t *>(record + number_at))[0] = place[i].number
            record += size
    return ordered


cdef class Divider:
    """Divides batches among engines that share the flows; keeps the capture's clock."""
    cdef int shares
    cdef int64_t now_ns, last_ns
    cdef uint64_t order

    @property
    def segments(self):
        """How many it has divided so far."""
        return self.order

    def __init__(self, int shares):
        if not 0 < shares <= MOST_SHARES:
            raise ValueError(f"between one and {MOST_SHARES} shares")
        self.shares = shares

    def divide(self, SegmentBatch batch not None):
        """Prepare a batch, the next in time, for `Engine.replay`."""
        with nogil:
            batch.divide(self.shares, self.now_ns, self.last_ns, self.order)
        self.now_ns, self.last_ns = batch.now_ns, batch.last_ns
        self.order += batch.size


cdef class Numbering:
    """From each share's own numbers to the common ones; four bytes a connection."""
    cdef list numbers                     # of each share, a bytearray of uint32_t
    cdef uint32_t given

    def __init__(self, int shares):
        if not 0 < shares <= MOST_SHARES:
            raise ValueError(f"between one and {MOST_SHARES} shares")
        self.numbers = [bytearray() for _ in range(shares)]
        self.given = 0

    def merge(self, list begun not None):
        """Number the connections that began in one stretch of the capture.

        begun: of each share, what `Engine.take_begun` gave for that stretch.
        """
        cdef const uint64_t *firsts[MOST_SHARES]
        cdef Py_ssize_t left[MOST_SHARES]
        cdef uint32_t *places[MOST_SHARES]
        cdef int share, earliest
        cdef bytearray numbers
        cdef bytes orders
        for share in range(len(begun)):
            orders, numbers = begun[share], self.numbers[share]
            firsts[share], left[share] = <const uint64_t *>PyBytes_AS_STRING(orders), len(orders) // 8
            at = len(numbers)
            PyByteArray_Resize(numbers, at + 4 * left[share])
            places[share] = <uint32_t *>(PyByteArray_AS_STRING(numbers) + <Py_ssize_t>at)
        while True:
            earliest = -1
            for share in range(len(begun)):
                if left[share] and (earliest < 0 or firsts[share][0] < firsts[earliest][0]):
                    earliest = share
            if earliest < 0:
                return
            places[earliest][0] = self.given
            self.given += 1
            places[earliest] += 1
            firsts[earliest] += 1
            left[earliest] -= 1

    def join(self, dict ended not None):
        """(connections, events, evidence, briefs) of one stretch with common numbers, as bytearrays.

        Connections and briefs stand in their order.  ended: share → what its engine's `take_connections`,
        `take_events`, `take_evidence` and `take_briefs` gave.
        """
        cdef bytearray events = bytearray(), evidence = bytearray(), rows = bytearray(), briefs = bytearray(), numbers
        cdef Py_ssize_t row_number = <Py_ssize_t>&(<ConnectionRow *>NULL).connection
        cdef Py_ssize_t brief_number = <Py_ssize_t>&(<Brief *>NULL).connection
        cdef Py_ssize_t i, at
        cdef EventRow *e
        cdef EvidenceRow *v
        for share, (connections, changes, proofs, counted) in ended.items():
            numbers = self.numbers[share]
            rows += places_of(connections, sizeof(ConnectionRow), row_number, numbers)
            briefs += places_of(counted, sizeof(Brief), brief_number, numbers)
            at = len(events)
            events += changes
            e = <EventRow *>(PyByteArray_AS_STRING(events) + at)
            for i in range(len(changes) // <Py_ssize_t>sizeof(EventRow)):
                e[i].connection = common(numbers, e[i].connection)
            at = len(evidence)
            evidence += proofs
            v = <EvidenceRow *>(PyByteArray_AS_STRING(evidence) + at)
            for i in range(len(proofs) // <Py_ssize_t>sizeof(EvidenceRow)):
                v[i].connection = common(numbers, v[i].connection)
        return (in_order(rows, sizeof(ConnectionRow), row_number), events, evidence,
                in_order(briefs, sizeof(Brief), brief_number))

    def join_pasts(self, list engines not None):
        """Hand what the engines remember for `settle` to the first of them, under the common numbers."""
        cdef Engine first = engines[0], one
        cdef Store pasts, steps, patches
        cdef Past *old
        cdef Past *new
        cdef bytearray numbers
        cdef uint32_t *known
        cdef uint64_t i, base
        cdef int share
        if len(engines) == 1:
            return
        memset(&pasts, 0, sizeof(Store))
        memset(&steps, 0, sizeof(Store))
        memset(&patches, 0, sizeof(Store))
        if self.given:
            if more(&pasts, self.given * sizeof(Past)) == NULL:
                raise MemoryError()
            memset(pasts.data, 0, pasts.size)
        new = <Past *>pasts.data
        for share in range(len(engines)):
            one = engines[share]
            numbers = self.numbers[share]
            known = <uint32_t *>PyByteArray_AS_STRING(numbers)
            old = <Past *>one.r.pasts.data
            base = steps.size // sizeof(Step)
            for i in range(min(<uint64_t>one.r.pasts.size // sizeof(Past), <uint64_t>len(numbers) // 4)):
                new[known[i]] = old[i]
                new[known[i]].first += base
            append(&steps, &one.r.steps)
            append(&patches, &one.r.patches)
            drop(&one.r.pasts)
        first.r.pasts, first.r.steps, first.r.patches = pasts, steps, patches


cdef int append(Store *all, Store *some) except -1:
    """Move the contents of `some` to the end of `all`."""
    cdef char *place
    if some.size:
        place = <char *>more(all, some.size)
        if place == NULL:
            raise MemoryError()
        memcpy(place, some.data, some.size)
    drop(some)
    return 0
