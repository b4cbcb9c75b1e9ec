"""Values as text at the end of a buffer: each returns where the next goes.

The caller knows that there is room, and for PIECE bytes more.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    static const char TCPSCOPE_DIGITS[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    """
    const char *DIGITS "TCPSCOPE_DIGITS"      # of 00 to 99

cdef enum:
    PIECE = 16                # constant text is copied in pieces of so many bytes
    SECOND = 1000000000       # nanoseconds

cdef struct Piece:            # constant text, with PIECE bytes behind it that may be read
    const char *at
    size_t size


cdef inline char *put(char *to, const Piece *text) noexcept nogil:
    cdef size_t done = 0
    while True:
        memcpy(to + done, text.at + done, PIECE)
        done += PIECE
        if done >= text.size:
            return to + text.size


cdef inline char *put_number(char *to, uint64_t n) noexcept nogil:
    cdef char digits[20]
    cdef int first = 20
    while n >= 100:
        first -= 2
        memcpy(&digits[first], DIGITS + 2 * (n % 100), 2)
        n //= 100
    if n >= 10:
        first -= 2
        memcpy(&digits[first], DIGITS + 2 * n, 2)
    else:
        first -= 1
        digits[first] = <char>(48 + n)
    memcpy(to, &digits[first], 20 - first)
    return to + 20 - first


cdef inline char *put_signed(char *to, int64_t n) noexcept nogil:
    if n >= 0:
        return put_number(to, n)
    to[0] = c"-"
    return put_number(to + 1, 0 - <uint64_t>n)


cdef inline char *put_seconds(char *to, uint64_t ns) noexcept nogil:
    """Whole nanoseconds as seconds, exact: no zeros at the end but one after the point."""
    cdef uint64_t rest = ns % SECOND
    cdef int i
    to = put_number(to, ns // SECOND)
    to[0] = c"."
    if rest == 0:
        to[1] = c"0"
        return to + 2
    for i in range(4):
        memcpy(to + 8 - 2 * i, DIGITS + 2 * (rest % 100), 2)
        rest //= 100
    to[1] = <char>(48 + rest)
    i = 9
    while to[i] == c"0":
        i -= 1
    return to + i + 1


cdef inline char *put_latin(char *to, uint8_t c) noexcept nogil:
    """A character of Latin-1 in UTF-8."""
    if c < 0x80:
        to[0] = <char>c
        return to + 1
    to[0] = <char>(0xC0 | c >> 6)
    to[1] = <char>(0x80 | c & 0x3F)
    return to + 2


cdef inline char *put_json_text(char *to, const char *text, size_t size) noexcept nogil:
    cdef size_t i
    cdef uint8_t c
    for i in range(size):
        c = <uint8_t>text[i]
        if 8 <= c <= 13 and c != 11:
            to[0] = c"\\"
            to[1] = (b"btn?fr")[c - 8]
            to += 2
            continue
        if c < 0x20:
            memcpy(to, b"\\u00", 4)
            to[4] = <char>(48 + (c >> 4))
            to[5] = (b"0123456789abcdef")[c & 15]
            to += 6
            continue
        if c == c'"' or c == c"\\":
            to[0] = c"\\"
            to += 1
        to = put_latin(to, c)
    return to


cdef inline char *put_csv_text(char *to, const char *text, size_t size) noexcept nogil:
    """Quoted where RFC 4180 wants it; nothing that a spreadsheet would compute."""
    cdef size_t i
    cdef bint quoted = False
    cdef char c
    for i in range(size):
        c = text[i]
        quoted = quoted or c == c"," or c == c'"' or c == c"\n" or c == c"\r"
    if quoted:
        to[0] = c'"'
        to += 1
    if size:
        c = text[0]
        if c == c"=" or c == c"+" or c == c"-" or c == c"@" or c == c"\t" or c == c"\r":
            to[0] = c"'"
            to += 1
    for i in range(size):
        if text[i] == c'"':
            to[0] = c'"'
            to += 1
        to = put_latin(to, <uint8_t>text[i])
    if quoted:
        to[0] = c'"'
        to += 1
    return to


cdef inline uint64_t load(const char *record, size_t at, int width) noexcept nogil:
    """An unsigned number of 1, 2, 4 or 8 bytes."""
    cdef uint64_t eight
    cdef uint32_t four
    cdef uint16_t two
    if width == 8:
        memcpy(&eight, record + at, 8)
        return eight
    if width == 4:
        memcpy(&four, record + at, 4)
        return four
    if width == 2:
        memcpy(&two, record + at, 2)
        return two
    return <uint8_t>record[at]
