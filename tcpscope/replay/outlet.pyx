# cython: wraparound=False, freethreading_compatible=True
"""In what order the two sides' streams come out.

Each item has the number of the segment that delivered it.  While one side waits for a hole, what it holds
may still come out with the numbers of its own segments: so of the other side only what is older does.
"""
from libc.stdint cimport UINT64_MAX, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from tcpscope.replay.line cimport DATA, Chunk, Item, Line, line_close
from tcpscope.replay.store cimport drop, more


cdef class Outlet:
    """Both sides, and what has come out of them."""

    def __cinit__(self, *_, **__):
        cdef int d
        memset(self.lines, 0, sizeof(self.lines))
        memset(&self.items, 0, sizeof(self.items))
        memset(&self.arena, 0, sizeof(self.arena))
        for d in range(2):
            self.lines[d].fin = self.lines[d].acked = self.lines[d].edge = -1
            self.lines[d].oldest = UINT64_MAX

    def __dealloc__(self):
        line_close(&self.lines[0])
        line_close(&self.lines[1])
        drop(&self.items)
        drop(&self.arena)

    def taken(self):
        """What came out since the last call, in order: a tuple each (see the stub)."""
        cdef Py_ssize_t i
        cdef const Item *it = <const Item *>self.items.data
        cdef const char *data = self.arena.data
        found = [
            (it[i].side, it[i].kind, it[i].offset, it[i].length, it[i].time_ns, it[i].file, it[i].frame,
             it[i].other_file, it[i].other_frame, it[i].note, data[it[i].data_at:it[i].data_at + it[i].data_size])
            for i in range(self.items.size // <Py_ssize_t>sizeof(Item))
        ]
        self.items.size = self.arena.size = 0
        return found

    cdef void emit(self, int d, Item *it, const uint8_t *data, uint64_t order) noexcept nogil:
        """Out at once, or into the queue if the other side may still come out before it."""
        cdef Line *mine = &self.lines[d]
        cdef Chunk *c
        mine.last_order = order
        if mine.ready == NULL and self.lines[1 - d].ready == NULL and self.lines[1 - d].n_held == 0:
            self.out(it, data)
            return
        c = self.chunk(it, data, order)
        if c == NULL:
            self.failed = True
            return
        if mine.ready == NULL:
            mine.ready = c
        else:
            mine.ready_tail.next = c
        mine.ready_tail = c

    cdef uint64_t barrier(self, int d) noexcept nogil:
        """Nothing that side d is still to bring is older than this."""
        cdef Line *mine = &self.lines[d]
        return max(mine.last_order, mine.oldest) if mine.n_held else UINT64_MAX

    cdef void release(self) noexcept nogil:
        """Let out what nothing can come before any more."""
        cdef int d
        cdef Chunk *c
        while self.lines[0].ready != NULL or self.lines[1].ready != NULL:
            d = 0
            if self.lines[0].ready == NULL or (
                    self.lines[1].ready != NULL and self.lines[1].ready.order < self.lines[0].ready.order):
                d = 1
            c = self.lines[d].ready
            if c.order > self.barrier(1 - d):
                return
            self.lines[d].ready = c.next
            self.out(&c.item, c.data)
            self.let_go(c)

    cdef void out(self, Item *it, const uint8_t *data) noexcept nogil:
        cdef Item *last
        cdef void *place
        if it.data_size:
            place = more(&self.arena, it.data_size)
            if place == NULL:
                self.failed = True
                return
            memcpy(place, data, it.data_size)
        it.data_at = self.arena.size - it.data_size
        if self.merge and it.kind == DATA and self.items.size:
            last = <Item *>(self.items.data + self.items.size - sizeof(Item))
            if last.kind == DATA and last.side == it.side and last.offset + last.length == it.offset:
                last.length += it.length
                last.data_size += it.data_size
                last.other_frame, last.other_file = it.frame, it.file
                return
        last = <Item *>more(&self.items, sizeof(Item))
        if last == NULL:
            self.failed = True
            return
        last[0] = it[0]

    cdef Chunk *chunk(self, const Item *it, const uint8_t *data, uint64_t order) noexcept nogil:
        cdef Chunk *c = <Chunk *>malloc(sizeof(Chunk) + it.data_size)
        if c == NULL:
            return NULL
        c.next, c.item, c.order, c.size, c.doubtful = NULL, it[0], order, it.data_size, self.doubtful
        if it.data_size:
            memcpy(c.data, data, it.data_size)
        self.waiting += sizeof(Chunk) + c.size
        return c

    cdef void let_go(self, Chunk *c) noexcept nogil:
        self.waiting -= sizeof(Chunk) + c.size
        free(c)
