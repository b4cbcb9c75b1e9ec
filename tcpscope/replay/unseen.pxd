"""A FIN that the capture does not hold, told from what acknowledges it."""
from tcpscope.replay.lifecycle cimport Surroundings
from tcpscope.replay.marks cimport Marks

cdef bint with_unseen_fin(const Marks *m, const Surroundings *w, Marks *whole) noexcept nogil
