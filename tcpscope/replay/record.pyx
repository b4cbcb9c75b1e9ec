# cython: wraparound=False, freethreading_compatible=True
"""A packed record whose fields are read by name, each when it is asked for: most never are.

And which of many records have something in some of their fields: a question that is asked of thousands at a time.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef enum:
    MOST_FIELDS = 32


cdef class Record:
    cdef readonly bytes raw
    cdef dict places

    def __init__(self, bytes raw not None, dict places not None):
        self.raw, self.places = raw, places

    def __getitem__(self, str name not None):
        cdef uint64_t place = self.places[name]
        cdef Py_ssize_t offset = <Py_ssize_t>(place >> 16), size = <Py_ssize_t>(place >> 8 & 0xFF)
        cdef uint8_t code = place & 0xFF
        cdef const char *at = PyBytes_AS_STRING(self.raw) + offset
        cdef int64_t number
        cdef uint64_t natural
        cdef uint32_t word
        cdef uint16_t half
        cdef double real
        if offset + size > len(self.raw):
            raise ValueError("the record is too short")
        if code == b"q":
            memcpy(&number, at, sizeof(number))
            return number
        if code == b"Q":
            memcpy(&natural, at, sizeof(natural))
            return natural
        if code == b"I":
            memcpy(&word, at, sizeof(word))
            return word
        if code == b"B":
            return <uint8_t>at[0]
        if code == b"H":
            memcpy(&half, at, sizeof(half))
            return half
        if code == b"d":
            memcpy(&real, at, sizeof(real))
            return real
        if code == b"s":
            return PyBytes_FromStringAndSize(at, size)
        raise TypeError(f"{name}: no such type")


def having(list bearers not None, tuple places not None, int64_t above=0):
    """Those of the bearers (whose `common` is a Record) of which one of these int64 fields is more than `above`.

    places: offsets of the fields, in bytes.
    """
    cdef Py_ssize_t offsets[MOST_FIELDS]
    cdef Py_ssize_t i, count = len(places)
    cdef const char *raw
    cdef Record record
    cdef int64_t number
    cdef list found = []
    if count > MOST_FIELDS:
        raise ValueError(f"at most {MOST_FIELDS} fields")
    for i in range(count):
        offsets[i] = places[i]
    for bearer in bearers:
        record = bearer.common
        raw = PyBytes_AS_STRING(record.raw)
        for i in range(count):
            if not 0 <= offsets[i] <= len(record.raw) - <Py_ssize_t>sizeof(number):
                raise ValueError("the record is too short")
            memcpy(&number, raw + offsets[i], sizeof(number))
            if number > above:
                found.append(bearer)
                break
    return found


def beginning(list bearers not None, Py_ssize_t place, bytes prefix not None):
    """Those of the bearers of which the field of bytes at this offset begins with `prefix`."""
    cdef Record record
    cdef list found = []
    cdef Py_ssize_t size = len(prefix)
    for bearer in bearers:
        record = bearer.common
        if not 0 <= place <= len(record.raw) - size:
            raise ValueError("the record is too short")
        if memcmp(PyBytes_AS_STRING(record.raw) + place, PyBytes_AS_STRING(prefix), size) == 0:
            found.append(bearer)
    return found
