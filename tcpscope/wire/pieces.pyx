# cython: wraparound=False, freethreading_compatible=True
"""Which frames a fragmented datagram's pieces came in, and what they held.

The replay needs a datagram's length and headers alone, so `fragments` keeps no payload.  Whoever wants
the bytes or the frames reads the file once more, here, and gets the same datagrams in the same order.
"""
from collections import namedtuple

from libc.stdint cimport uint64_t
from libc.string cimport memset

from tcpscope.capture.container cimport Record
from tcpscope.capture.frames cimport FrameReader
from tcpscope.wire.decode cimport Decoder
from tcpscope.wire.segment cimport NOTE_FRAGMENT, TCP_SEGMENT, Segment

cdef enum:
    DATAGRAMS = 2048          # remembered; the decoder's table holds half of that
    MOST_BYTES = 32 << 20     # of pieces kept; past that a datagram's are given up

Joined = namedtuple("Joined", "frame frames parts")   # parts: (offset in the payload, bytes), in order of arrival


cdef class PieceReader(FrameReader):
    """The segments of one file that came in fragments."""
    cdef Decoder decoder
    cdef dict pending         # datagram → [(frame, offset, bytes)]
    cdef bint keep_bytes, over
    cdef Py_ssize_t held

    def __init__(self, stream, *, bint keep_bytes=False):
        FrameReader.__init__(self, stream)
        self.decoder = Decoder(0, False)
        self.pending = {}
        self.keep_bytes = keep_bytes

    def next(self):
        """The next joined segment, as a Joined; None when there are no more."""
        cdef Record r
        cdef Segment s
        memset(&r, 0, sizeof(Record))
        while not self.over:
            if not self.advance(&r):
                self.over = True
                break
            self.decoder.fragments.last.born = 0
            found = self.decoder.frame(&r, &s)
            if self.decoder.fragments.last.born:
                self.note(r.frame)
                if found and s.notes & NOTE_FRAGMENT and s.kind == TCP_SEGMENT:
                    return self.joined(&s, self.decoder.fragments.complete.born,
                                       self.decoder.fragments.complete.first.payload_at)
        return None

    def payload_of(self, uint64_t frame, Py_ssize_t length):
        """(offset, bytes) of the payload of the joined segment with this frame's number; call in the file's order."""
        while (found := self.next()) is not None:
            if found.frame == frame:
                return [(at, part[:length - at]) for at, part in found.parts if at < length]
        return []

    cdef void note(self, uint64_t frame):
        """Remember the piece that the decoder has just added."""
        part = &self.decoder.fragments.last
        if part.born not in self.pending:
            if len(self.pending) >= DATAGRAMS:
                self.forget(next(iter(self.pending)))
            self.pending[part.born] = []
        data = b""
        if self.keep_bytes and self.held < MOST_BYTES:
            data = part.data[:part.size]
            self.held += part.size
        self.pending[part.born].append((frame, part.start, data))

    cdef list forget(self, uint64_t born):
        found = self.pending.pop(born, [])
        for _, _, data in found:
            self.held -= len(data)
        return found

    cdef object joined(self, Segment *s, uint64_t born, uint64_t origin):
        """s: its payload begins so far behind the datagram's origin."""
        cdef Py_ssize_t begin = <Py_ssize_t>(s.payload_at - origin)
        pieces = self.forget(born)
        parts = []
        for _, at, data in pieces:
            if at + len(data) > begin:
                parts.append((max(at - begin, 0), data[max(begin - at, 0):]))
        return Joined(s.frame, [frame for frame, _, _ in pieces], parts)
