# cython: wraparound=False, freethreading_compatible=True
"""Services that speak in lines of text."""
from libc.stdint cimport uint8_t

from tcpscope.capture.frame cimport Frame
from tcpscope.wire.hints cimport CERTAIN, DETAIL_ROOM, S_SSH, SHORT, Hint, Text, put_bytes, starts, text

cdef enum:
    LINE = 512


cdef Py_ssize_t line_length(const Frame *f, bint *whole) noexcept nogil:
    """Of the first line without its end; `whole`: the end is there."""
    cdef Py_ssize_t i
    whole[0] = True
    for i in range(min(f.size, LINE)):
        if f.data[i] == c'\n':
            return i - 1 if i and f.data[i - 1] == c'\r' else i
    whole[0] = False
    return min(f.size, LINE)


cdef bint line_of(Frame *f, int service, int flags, Hint *out) noexcept nogil:
    """The first line is the detail."""
    cdef bint whole
    cdef Text t = text(out.detail, DETAIL_ROOM)
    put_bytes(&t, f, 0, line_length(f, &whole))
    out.service = <uint8_t>service
    out.flags |= <uint8_t>(flags if whole else flags | SHORT)
    return True


cdef bint ssh(Frame *f, Hint *out) noexcept nogil:
    """SSH-2.0-software (RFC 4253, 4.2)."""
    if starts(f, 0, b"SSH-1.", 6) or starts(f, 0, b"SSH-2.", 6):
        return line_of(f, S_SSH, CERTAIN, out)
    return False
