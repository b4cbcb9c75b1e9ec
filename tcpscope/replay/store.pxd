"""A growing array of records, handed to Python as bytes."""
from libc.stdlib cimport free, realloc

cdef enum:
    FIRST = 1 << 14              # bytes


cdef struct Store:
    char *data
    Py_ssize_t size              # bytes in use
    Py_ssize_t room


cdef inline void *more(Store *s, Py_ssize_t bytes) noexcept nogil:
    """Room for one more record at the end; NULL when memory runs out.  Not zeroed."""
    cdef Py_ssize_t room
    cdef char *data
    cdef void *place
    if s.size + bytes > s.room:
        room = max(s.room + s.room // 2, s.size + bytes, FIRST)
        data = <char *>realloc(s.data, room)
        if data == NULL:
            return NULL
        s.data, s.room = data, room
    place = s.data + s.size
    s.size += bytes
    return place


cdef inline void drop(Store *s) noexcept nogil:
    free(s.data)
    s.data = NULL
    s.size = s.room = 0
