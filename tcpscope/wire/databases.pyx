# cython: wraparound=False, freethreading_compatible=True
"""The first messages of databases and brokers: PostgreSQL, MySQL, MongoDB, Kafka."""
from libc.stdint cimport uint8_t, uint32_t

from tcpscope.capture.frame cimport Frame, le32, u8, u16, u16_le, u32
from tcpscope.wire.hints cimport (
    CERTAIN, DETAIL_ROOM, S_KAFKA, S_MONGODB, S_MYSQL, S_POSTGRESQL, Hint, Text, put_bytes, put_char, put_decimal,
    put_word, starts, text,
)


cdef Py_ssize_t string_end(const Frame *f, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Of printable characters up to a NUL before `end`, the NUL's place; -1: there is no such string."""
    while at < end and at < f.size:
        if f.data[at] == 0:
            return at
        if f.data[at] < 0x20 or f.data[at] == 0x7F:
            return -1
        at += 1
    return -1


cdef bint say(int service, const char *words, int flags, Hint *out) noexcept nogil:
    cdef Text t = text(out.detail, DETAIL_ROOM)
    put_word(&t, words)
    out.service = <uint8_t>service
    out.flags |= <uint8_t>flags
    return True


# ---------------------------------------------------------------- PostgreSQL: protocol 3.0, 55.7 Message Formats

cdef bint postgresql(Frame *f, int peer, Hint *out) noexcept nogil:
    cdef uint32_t size, code
    if peer == S_POSTGRESQL:
        return postgresql_answer(f, out)
    if f.size < 8 or f.data[0]:
        return False
    size, code = u32(f, 0), u32(f, 4)
    if size == 8 and f.size == 8:
        if code == 80877103:
            return say(S_POSTGRESQL, b"SSLRequest", CERTAIN, out)
        return say(S_POSTGRESQL, b"GSSENCRequest", CERTAIN, out) if code == 80877104 else False
    if size == 16 and code == 80877102:
        return say(S_POSTGRESQL, b"CancelRequest", CERTAIN, out)
    if code >> 16 == 3 and code & 0xFFFF <= 2 and 9 <= size <= 10000:
        return startup(f, size, out)
    return False


cdef bint startup(Frame *f, Py_ssize_t size, Hint *out) noexcept nogil:
    """Pairs of strings: of them user and database."""
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef Py_ssize_t at = 8, key, value
    while at < size and u8(f, at):
        key = string_end(f, at, size)
        value = string_end(f, key + 1, size) if key > 0 else -1
        if value < 0:
            break
        if (key - at == 4 and starts(f, at, b"user", 4)) or (key - at == 8 and starts(f, at, b"database", 8)):
            if t.size:
                put_word(&t, b", ")
            put_bytes(&t, f, at, key - at)
            put_char(&t, c' ')
            put_bytes(&t, f, key + 1, value - key - 1)
        at = value + 1
    if t.size:
        out.service = S_POSTGRESQL
        out.flags |= CERTAIN
    return t.size > 0


cdef bint postgresql_answer(Frame *f, Hint *out) noexcept nogil:
    cdef Text t
    cdef Py_ssize_t at = 5, end
    if f.size == 1:
        if f.data[0] == c'S':
            return say(S_POSTGRESQL, b"SSL accepted", 0, out)
        return say(S_POSTGRESQL, b"SSL refused", 0, out) if f.data[0] == c'N' else False
    if f.size < 9 or u32(f, 1) < 8:
        return False
    if f.data[0] == c'R' and u32(f, 5) <= 12:
        say(S_POSTGRESQL, b"authentication ", 0, out)
        t = text(out.detail, DETAIL_ROOM)
        if u32(f, 5) == 0:
            put_word(&t, b"ok")
        elif u32(f, 5) == 3:
            put_word(&t, b"by password")
        elif u32(f, 5) == 5:
            put_word(&t, b"by MD5")
        elif u32(f, 5) == 10:
            put_word(&t, b"by SASL")
        else:
            put_decimal(&t, u32(f, 5))
        return True
    if f.data[0] != c'E':
        return False
    while at < f.size and f.data[at]:                     # fields: a letter, a string; M is the message
        end = string_end(f, at + 1, f.size)
        if end < 0:
            return False
        if f.data[at] == c'M':
            say(S_POSTGRESQL, b"error: ", 0, out)
            t = text(out.detail, DETAIL_ROOM)
            put_bytes(&t, f, at + 1, end - at - 1)
            return True
        at = end + 1
    return False


# ---------------------------------------------------------------- MySQL: Protocol::HandshakeV10 and its answer

cdef bint mysql(Frame *f, Hint *out) noexcept nogil:
    """A packet of that length: greeting or error with number 0, the client's answer with number 1."""
    cdef Py_ssize_t size, end
    cdef Text t = text(out.detail, DETAIL_ROOM)
    if f.size < 10:
        return False
    size = u16_le(f, 0) | u8(f, 2) << 16
    if size != f.size - 4:
        return False
    if u8(f, 3) == 0 and u8(f, 4) == 10 and c'0' <= u8(f, 5) <= c'9':
        end = string_end(f, 5, 70)
        if end < 0 or end + 14 > f.size or u8(f, end + 13):
            return False
        put_bytes(&t, f, 5, end - 5)
        out.service = S_MYSQL
        return True
    if u8(f, 3) == 0 and u8(f, 4) == 0xFF and 1000 <= u16_le(f, 5) < 4000 and size < 512:
        put_word(&t, b"error ")
        put_decimal(&t, u16_le(f, 5))
        put_word(&t, b": ")
        put_bytes(&t, f, 7, f.size - 7)
        out.service = S_MYSQL
        return True
    if u8(f, 3) != 1 or size < 32 or not u16_le(f, 4) & 0x0200:          # CLIENT_PROTOCOL_41
        return False
    for end in range(13, 36):
        if f.data[end] and end < 32:                                     # the last ones MariaDB uses
            return False
    if size == 32:
        return say(S_MYSQL, b"SSLRequest", 0, out) if u16_le(f, 4) & 0x0800 else False
    end = string_end(f, 36, f.size)
    if end < 0:
        return False
    put_word(&t, b"user ")
    put_bytes(&t, f, 36, end - 36)
    out.service = S_MYSQL
    return True


# ---------------------------------------------------------------- MongoDB: the wire protocol's standard header

cdef bint mongodb(Frame *f, Hint *out) noexcept nogil:
    """OP_QUERY with its collection, OP_MSG with its command, OP_REPLY."""
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef Py_ssize_t end, at
    cdef uint32_t size, code
    if f.size < 26:
        return False
    size, code = le32(f.data), le32(f.data + 12)
    if not 26 <= size <= 48_000_000 or size < <uint32_t>f.size:
        return False
    if code == 2004 and le32(f.data + 8) == 0:
        end = string_end(f, 20, 150)
        if end < 22:
            return False
        put_word(&t, b"OP_QUERY ")
        put_bytes(&t, f, 20, end - 20)
    elif code == 2013 and le32(f.data + 16) & 0xFFFE == 0 and f.data[20] == 0:
        end = string_end(f, 26, 90)
        if end < 27 or le32(f.data + 21) > size:
            return False
        put_word(&t, b"OP_MSG ")
        put_bytes(&t, f, 26, end - 26)                                   # the first key names the command
    elif code == 1 and size >= 36 and f.size >= 36 and le32(f.data + 32) <= 1:
        for at in range(20, 28):                                         # cursor
            if f.data[at]:
                return False
        put_word(&t, b"OP_REPLY")
    else:
        return False
    out.service = S_MONGODB
    return True


# ---------------------------------------------------------------- Kafka: a request's header

cdef bint kafka(Frame *f, Hint *out) noexcept nogil:
    """Length, ApiVersions, Metadata, Produce or Fetch, version, number, and the client's name."""
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef int key = u16(f, 4), version = u16(f, 6), i
    cdef Py_ssize_t size = u16(f, 12)
    if f.size < 16 or u32(f, 0) != <uint32_t>(f.size - 4) or version > 17 or u32(f, 8) >> 24 or not 1 <= size <= 200:
        return False
    if 14 + size > f.size or (key != 18 and key != 3 and key != 0 and key != 1):
        return False
    for i in range(14, 14 + size):
        if not 0x20 < f.data[i] < 0x7F:
            return False
    put_word(&t, b"ApiVersions" if key == 18 else b"Metadata" if key == 3 else b"Produce" if key == 0 else b"Fetch")
    put_word(&t, b" version ")
    put_decimal(&t, version)
    put_word(&t, b", client ")
    put_bytes(&t, f, 14, size)
    out.service = S_KAFKA
    return True
