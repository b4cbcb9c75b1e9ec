"""The loop that replays segments: the only part of the room that Python calls."""
from tcpscope.replay.run cimport Replay
from tcpscope.replay.store cimport Store


cdef class Engine:
    cdef Replay r
    cdef Store open_ones         # Open: what `finish` has still to end
    cdef Py_ssize_t at           # ... from here on
    cdef bint finishing
