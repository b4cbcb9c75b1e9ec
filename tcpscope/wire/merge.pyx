# cython: wraparound=False, freethreading_compatible=True
"""Several captures as one timeline.

A k-way merge of the files' segments by time; at equal times the order of the files
decides, and within a file nothing is reordered.  The first packet's time of each
file is looked up beforehand, so that a file is open only while the timeline runs
through it: a thousand files that follow each other need one descriptor at a time.
"""
import os

from libc.stdint cimport INT64_MAX, int64_t, uint16_t
from libc.string cimport memcpy

from tcpscope.capture.sources import STDIN, open_stream
from tcpscope.errors import CaptureError
from tcpscope.wire.batch cimport SegmentBatch
from tcpscope.wire.hints cimport Hint
from tcpscope.wire.reader import SegmentReader
from tcpscope.wire.segment cimport NOTE_ELSEWHERE, Segment

cdef enum:
    FEW = 8                   # files; with more, each gets a smaller share of memory
    LARGE_BUFFER = 1 << 20
    SMALL_BUFFER = 1 << 16
    LARGE_BATCH = 1024
    FEW_PLACES = 4            # files that may be captures of one path; more are a folder
    ABOUT_NOW_NS = 2_000_000_000    # clocks of such may be so far apart
    SMALL_BATCH = 128


cdef class Lane:
    """One open file: its reader and the segments that wait for their turn."""
    cdef object stream
    cdef object reader
    cdef SegmentBatch batch
    cdef Py_ssize_t at
    cdef int index

    cdef bint refill(self) except -1:
        """False at the end of the file."""
        self.at = 0
        while self.reader.fill(self.batch):
            if self.batch.size:
                return True
        return False

    cdef int64_t head(self) noexcept nogil:
        return self.batch.items[self.at].time_ns


cdef class MergedReader:
    """The segments of all `sources` in order of time; Segment.file is a source's place in the list."""
    cdef list sources
    cdef list lanes                       # open files, in the order of the list
    cdef list waiting                     # (first time, index) of files not opened yet, latest first
    cdef dict finished                    # index → statistics
    cdef bint verify_checksums, hints
    cdef Py_ssize_t buffer_size, batch_size

    def __init__(self, sources, *, bint verify_checksums=True, bint hints=False):
        self.sources = list(sources)
        if len(self.sources) > 0x10000:
            raise CaptureError(f"{len(self.sources)} files: at most 65536 at a time; split the job")
        few = len(self.sources) <= FEW
        self.buffer_size = LARGE_BUFFER if few else SMALL_BUFFER
        self.batch_size = LARGE_BATCH if few else SMALL_BATCH
        self.verify_checksums, self.hints = verify_checksums, hints
        self.lanes = []
        self.finished = {}
        if len(self.sources) == 1:
            self.waiting = [(0, 0)]
        else:
            self.waiting = sorted(((self.first_time(i), i) for i in range(len(self.sources))), reverse=True)

    def fill(self, SegmentBatch batch not None):
        """As SegmentReader.fill: False when there are no segments and never will be."""
        cdef Lane lane
        batch.size = batch.n_hints = 0
        self.open_due()
        if len(self.lanes) == 1 and not self.waiting:      # the only file: nothing to merge
            lane = self.lanes[0]
            if lane.at == lane.batch.size:
                if lane.reader.fill(batch):
                    return True
                self.close_lane(lane)
                return False
        while batch.size < batch.capacity:
            for lane in list(self.lanes):
                if lane.at == lane.batch.size:
                    if batch.size:                # hand over what there is before waiting for more
                        return True
                    if not lane.refill():
                        self.close_lane(lane)
            self.open_due()
            if not self.lanes:
                return batch.size > 0
            self.copy_run(batch)
        return True

    def statistics(self):
        """For each source in order what SegmentReader.statistics() says, and its `name`; None before it is read."""
        cdef Lane lane
        found = dict(self.finished)
        for lane in self.lanes:
            found[lane.index] = lane.reader.statistics()
        return [{"name": source.name, **found[i]} if i in found else None
                for i, source in enumerate(self.sources)]

    def close(self):
        """Close what is open."""
        for lane in list(self.lanes):
            self.close_lane(lane)
        self.waiting = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    cdef object first_time(self, int index):
        """When the file begins, ns; standard input cannot be read twice, so it begins at once."""
        source = self.sources[index]
        if source.name == STDIN:
            return -INT64_MAX
        stream = open_stream(source)
        try:
            first = SegmentReader(stream, buffer_size=4096).first_time()
        finally:
            stream.close()
        return -INT64_MAX if first is None else first

    cdef int64_t next_start(self) except? -1:
        """When the next file not opened yet begins."""
        return self.waiting[len(self.waiting) - 1][0]

    cdef int open_due(self) except -1:
        """Open each file whose first packet is not later than the next segment."""
        cdef Lane lane
        while self.waiting and (not self.lanes or self.next_start() <= self.earliest()):
            index = self.waiting.pop()[1]
            lane = Lane()
            lane.index = index
            lane.stream = open_stream(self.sources[index])
            lane.reader = SegmentReader(lane.stream, index, buffer_size=self.buffer_size,
                                        verify_checksums=self.verify_checksums, hints=self.hints,
                                        prompt=not os.path.isfile(self.sources[index].name))
            lane.batch = SegmentBatch(self.batch_size)
            lane.at = 0
            self.lanes.append(lane)
            self.lanes.sort(key=lane_index)
            if len(self.sources) > 1 and not lane.refill():
                self.close_lane(lane)
        return 0

    cdef int64_t earliest(self) except? -1:
        cdef Lane lane
        cdef int64_t found = INT64_MAX
        for lane in self.lanes:
            if lane.at < lane.batch.size and lane.head() < found:
                found = lane.head()
        return found

    cdef int copy_run(self, SegmentBatch batch) except -1:
        """From the lane with the earliest segment, all that come before any other lane's or file's next."""
        cdef Lane lane, best = None
        cdef int64_t limit = INT64_MAX        # the run ends at a segment later than this
        cdef Py_ssize_t n = 0, room = batch.capacity - batch.size
        cdef Segment *items
        for lane in self.lanes:
            if best is None or lane.head() < best.head():
                best = lane
        for lane in self.lanes:
            if lane is not best:              # at equal times the earlier file goes first
                limit = min(limit, lane.head() - (lane.index < best.index))
        if self.waiting:
            limit = min(limit, self.next_start() - 1)
        items = &best.batch.items[best.at]
        room = min(room, best.batch.size - best.at)
        while n < room and (n == 0 or items[n].time_ns <= limit):
            n += 1
        memcpy(&batch.items[batch.size], items, n * sizeof(Segment))
        if len(self.sources) <= FEW_PLACES:
            self.note_others(&batch.items[batch.size], n)
        if best.batch.n_hints:
            copy_hints(best.batch, batch, n)
        batch.size += n
        best.at += n
        return 0

    cdef int note_others(self, Segment *items, Py_ssize_t count) except -1:
        """Mark those at whose time another capture runs, or is about to."""
        cdef Py_ssize_t i
        cdef int64_t begins = INT64_MAX if not self.waiting else self.next_start() - ABOUT_NOW_NS
        for i in range(count):
            if len(self.lanes) > 1 or items[i].time_ns >= begins:
                items[i].notes |= NOTE_ELSEWHERE
        return 0

    cdef int close_lane(self, Lane lane) except -1:
        self.finished[lane.index] = lane.reader.statistics()
        lane.stream.close()
        self.lanes.remove(lane)
        return 0


cdef void copy_hints(SegmentBatch some, SegmentBatch all, Py_ssize_t n) noexcept nogil:
    """Of the next n segments in `all`, which came from `some`."""
    cdef Py_ssize_t i
    cdef Segment *s
    cdef Hint *hint
    for i in range(all.size, all.size + n):
        s = &all.items[i]
        if s.hint == 0:
            continue
        hint = all.new_hint()
        if hint != NULL:
            hint[0] = some.hints[s.hint - 1]
        s.hint = <uint16_t>all.n_hints if hint != NULL else 0


def lane_index(Lane lane):
    """Sort key: the file's place in the list."""
    return lane.index
