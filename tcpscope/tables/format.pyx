# cython: wraparound=False, boundscheck=False, freethreading_compatible=True
"""Packed records as lines of CSV or JSON, without a Python object a value.

A table's columns (`schema.py`) become steps, by their values' kinds (`values.py`); a line is these
steps one after the other, taken by a loop that holds no GIL.  Seconds are exact decimals, as the
nanoseconds are whole; what the replay keeps as doubles is written by orjson: the shortest text that
reads back the same.
"""
import struct

import orjson

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, strcspn, strlen

from tcpscope.tables.put cimport (
    PIECE, Piece, load, put, put_csv_text, put_json_text, put_number, put_seconds, put_signed,
)
from tcpscope.wire.segment cimport frame_at

cdef extern from "<arpa/inet.h>" nogil:
    enum:
        AF_INET6
    const char *inet_ntop(int family, const void *raw, char *text, unsigned int size)

cdef extern from "<string.h>" nogil:
    size_t strnlen(const char *text, size_t most)

cdef extern from *:
    int lowest_bit "__builtin_ctzll"(uint64_t mask) nogil

cdef enum:
    ROOM = 1 << 20            # of the buffer, bytes
    GROUP = 1024              # records whose doubles are written at a time
    LONGEST_NUMBER = 32       # -18446744073.709551615, -1.7976931348623157e308
    LONGEST_IPV6 = 46         # with its NUL
    SEEN = 1024               # IPv6 addresses remembered, a power of two

cdef enum:
    NUMBER, SIGNED, KNOWN, NONZERO, FRAME, TIME, SECONDS, SPAN, WORD
    TRUTH, OPTION, IP, BITS, TEXT, NAME, SLASHED, PAIRS, DOUBLE

KINDS = {"number": NUMBER, "known": KNOWN, "nonzero": NONZERO, "frame": FRAME, "time": TIME, "seconds": SECONDS,
         "span": SPAN, "word": WORD, "truth": TRUTH, "option": OPTION, "ip": IP, "bits": BITS, "text": TEXT,
         "name": NAME, "slashed": SLASHED, "pairs": PAIRS}
DIVISORS = {"known": 1.0, "seconds": 1e9}     # of fields that are doubles
# before the first line, between lines, after each
LINES = {"csv": (b"", b"", b"\n"), "json": (b"\n", b",\n", b"}"), "jsonl": (b"", b"", b"}\n")}

cdef struct Step:             # how a column is written
    int kind
    int width, other_width    # of its fields, bytes
    size_t at, other          # where they are in the record
    uint64_t mask             # bits of the field that count
    Piece before              # what stands before the column, JSON's key included
    Piece after               # closes what `before` opens
    Piece nothing             # the whole column where the value is not known
    Piece inner, joint        # within pairs and between them
    Piece *words              # of a list with one character before, which parts them; else with `before`
    size_t n_words
    const char *doubles       # where the next double's text is

cdef struct Known:            # an IPv6 address and its text
    uint8_t raw[16]
    char text[LONGEST_IPV6]
    uint8_t size              # 0: nothing known


cdef bytes quoted(str text):
    """Text as it stands in CSV."""
    cdef bytes raw = text.encode("ascii")
    cdef bytearray out = bytearray(2 * len(raw) + 4)
    cdef char *begin = PyByteArray_AS_STRING(out)
    return bytes(out[:put_csv_text(begin, raw, len(raw)) - begin])


cdef class Formatter:
    """Writes records of a layout: their columns as "csv", "jsonl", or "json" (an array's elements)."""
    cdef Step *steps
    cdef size_t n_steps
    cdef Known *seen
    cdef list kept                        # what the steps point into
    cdef list doubles                     # (number of the step, divisor)
    cdef list texts                       # of the doubles, those of a column together
    cdef bytearray buffer
    cdef char *begin                      # of the buffer
    cdef size_t room, used                # bytes in the buffer
    cdef size_t longest, size             # bytes of the longest line; of a record
    cdef Piece first, between, end
    cdef bint csv
    cdef readonly uint64_t lines          # written so far

    def __cinit__(self, layout, columns, str form):
        first, between, end = LINES[form]
        self.steps = <Step *>calloc(len(columns) + 1, sizeof(Step))
        self.seen = <Known *>calloc(SEEN, sizeof(Known))
        if self.steps == NULL or self.seen == NULL:
            raise MemoryError()
        self.kept, self.doubles = [], []
        self.csv = form == "csv"
        self.size = layout.size
        self.first, self.between, self.end = self.piece(first), self.piece(between), self.piece(end)
        self.longest = len(first) + len(between) + len(end) + 4 * PIECE
        for column in columns:
            self.add(layout, column.name, column.value)
        self.room = max(<size_t>ROOM, 2 * self.longest)
        self.buffer = bytearray(self.room)
        self.begin = PyByteArray_AS_STRING(self.buffer)

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.n_steps):
            free(self.steps[i].words)
        free(self.steps)
        free(self.seen)

    # ------------------------------------------------------------ columns to steps

    cdef Piece piece(self, bytes text) except *:
        cdef Piece found
        cdef bytes padded = text + bytes(PIECE)
        self.kept.append(padded)
        found.at, found.size = PyBytes_AS_STRING(padded), len(text)
        return found

    cdef int add(self, layout, str name, value) except -1:
        """The step for a column; the longest line becomes longer by its longest text."""
        cdef Step *step = &self.steps[self.n_steps]
        codes = [layout.codes[layout.names.index(field)] for field in value.fields]
        step.kind, step.mask = KINDS[value.kind], value.mask
        step.at, step.width = layout.offset(value.fields[0]), struct.calcsize(codes[0])
        if len(codes) > 1:
            step.other, step.other_width = layout.offset(value.fields[1]), struct.calcsize(codes[1])
        if codes[0] == "d":
            self.doubles.append((self.n_steps, DIVISORS[value.kind]))
            step.kind = DOUBLE
        elif codes[0] == "q" and step.kind == NUMBER:
            step.kind = SIGNED
        elif codes[0] != "q" and step.kind in (KNOWN, TIME, SECONDS, SPAN):
            raise TypeError(f"{name}: {value.kind} is made of signed fields")
        start = b"," if self.n_steps else b"" if self.csv else b"{"
        if not self.csv:
            start += orjson.dumps(name) + b":"
        self.n_steps += 1
        opening, closing = b"", b""
        if not self.csv and step.kind in (BITS, PAIRS):
            opening, closing = b"[", b"]"
        elif not self.csv and step.kind in (IP, TEXT, NAME, SLASHED):
            opening = closing = b'"'
        step.before, step.after = self.piece(start + opening), self.piece(closing)
        step.nothing = self.piece(start if self.csv else start + b"null")
        step.inner, step.joint = self.piece(b"-" if self.csv else b","), self.piece(b"|" if self.csv else b"],[")
        words = [quoted(word) if self.csv else orjson.dumps(word) for word in value.words]
        if step.kind == TRUTH:
            words = [b"False", b"True"] if self.csv else [b"false", b"true"]
        words = [(start if step.kind != BITS else b"|" if self.csv else b",") + word for word in words]
        self.set_words(step, words)
        longest = {
            BITS: sum(map(len, words)), IP: LONGEST_IPV6, TEXT: 6 * step.width + 3, NAME: 6 * step.width + 3,
            PAIRS: 8 * step.width, WORD: max(map(len, words), default=0),
        }.get(step.kind, LONGEST_NUMBER)
        self.longest += len(start) + 8 + longest
        return 0

    cdef int set_words(self, Step *step, list words) except -1:
        cdef size_t i
        if not words:
            return 0
        step.words = <Piece *>calloc(len(words), sizeof(Piece))
        if step.words == NULL:
            raise MemoryError()
        step.n_words = len(words)
        for i in range(step.n_words):
            step.words[i] = self.piece(words[i])
        return 0

    # ------------------------------------------------------------ records to lines

    def write(self, raw, stream):
        """Write the records to a binary stream."""
        cdef const char[::1] records = memoryview(raw).cast("b") if len(raw) else None
        cdef size_t start, done, few, count = len(raw) // self.size
        if count * self.size != <size_t>len(raw):
            raise ValueError("not whole records")
        for start in range(0, count, GROUP):
            few, done = min(<size_t>GROUP, count - start), 0
            self.write_doubles(&records[start * self.size], few)
            while True:
                with nogil:
                    done += self.put_lines(&records[(start + done) * self.size], few - done)
                if done == few:
                    break
                self.flush(stream)
        self.flush(stream)

    cdef int flush(self, stream) except -1:
        view = memoryview(self.buffer)[:self.used]
        while len(view):
            written = stream.write(view)
            if written is None:
                break
            view = view[written:]
        self.used = 0
        return 0

    cdef int write_doubles(self, const char *records, size_t count) except -1:
        """Make the texts of the doubles of `count` records, which the steps then point into."""
        cdef size_t i
        cdef double number
        cdef Step *step
        cdef bytes text
        self.texts = []
        for at, divisor in self.doubles:
            step = &self.steps[<size_t>at]
            numbers = []
            for i in range(count):
                memcpy(&number, records + i * self.size + step.at, 8)
                numbers.append(number / <double>divisor if number >= 0 else None)
            text = orjson.dumps(numbers)
            step.doubles = PyBytes_AS_STRING(text) + 1
            self.texts.append(text)
        return 0

    cdef size_t put_lines(self, const char *records, size_t count) noexcept nogil:
        """As many lines as there is room for."""
        cdef char *to = self.begin + self.used
        cdef size_t i = 0
        while i < count and self.room - (to - self.begin) >= self.longest:
            to = put(to, &self.between if self.lines else &self.first)
            to = self.put_line(to, records + i * self.size)
            self.lines += 1
            i += 1
        self.used = to - self.begin
        return i

    cdef char *put_line(self, char *to, const char *record) noexcept nogil:
        cdef Step *step = self.steps
        cdef Step *behind = step + self.n_steps
        cdef uint64_t n, m
        while step < behind:
            n = load(record, step.at, step.width)
            if step.kind == NUMBER:
                to = put_number(put(to, &step.before), n)
            elif step.kind == SIGNED:
                to = put_signed(put(to, &step.before), n)
            elif step.kind == KNOWN:
                to = put_number(put(to, &step.before), n) if <int64_t>n >= 0 else put(to, &step.nothing)
            elif step.kind == NONZERO:
                to = put_number(put(to, &step.before), n) if n else put(to, &step.nothing)
            elif step.kind == FRAME:
                to = put_number(put(to, &step.before), frame_at(n)) if <int64_t>n > 0 else put(to, &step.nothing)
            elif step.kind == OPTION:
                if load(record, step.other, step.other_width) & step.mask:
                    to = put_number(put(to, &step.before), n)
                else:
                    to = put(to, &step.nothing)
            elif step.kind == SECONDS:
                to = put_seconds(put(to, &step.before), n) if <int64_t>n >= 0 else put(to, &step.nothing)
            elif step.kind == TIME:
                to = put_between(put(to, &step.before), 0, n)
            elif step.kind == SPAN:
                to = put_between(put(to, &step.before), n, load(record, step.other, step.other_width))
            elif step.kind == WORD:
                n &= step.mask
                to = put(to, &step.words[n] if n < step.n_words else &step.nothing)
            elif step.kind == TRUTH:
                to = put(to, &step.words[n != 0])
            elif step.kind == BITS:
                to = put(put_bits(put(to, &step.before), step, n & step.mask), &step.after)
            elif step.kind == IP:
                to = put(to, &step.before)
                m = load(record, step.other, step.other_width)
                to = put_ipv4(to, record + step.at) if m == 4 else self.put_ipv6(to, record + step.at)
                to = put(to, &step.after)
            elif step.kind == PAIRS:
                m = load(record, step.other, step.other_width)
                to = put(put_pairs(put(to, &step.before), step, record, m, self.csv), &step.after)
            elif step.kind == NAME and record[step.at] == 0:
                to = put(to, &step.nothing)
            elif step.kind == DOUBLE:
                to = put_double(to, step)
            elif step.kind == SLASHED:
                to = put_slashed(to, step, n, load(record, step.other, step.other_width))
            else:
                to = put(to, &step.before)
                n = strnlen(record + step.at, step.width)
                to = (put_csv_text if self.csv else put_json_text)(to, record + step.at, n)
                to = put(to, &step.after)
            step += 1
        return put(to, &self.end)

    cdef char *put_ipv6(self, char *to, const char *raw) noexcept nogil:
        """As inet_ntop writes it, which takes long."""
        cdef uint64_t key = (load(raw, 0, 8) ^ load(raw, 8, 8)) * <uint64_t>0x9E3779B97F4A7C15u
        cdef Known *known = &self.seen[key >> 54]
        if known.size == 0 or memcmp(known.raw, raw, 16) != 0:
            memcpy(known.raw, raw, 16)
            inet_ntop(AF_INET6, raw, known.text, LONGEST_IPV6)
            known.size = <uint8_t>strlen(known.text)
        memcpy(to, known.text, known.size)
        return to + known.size


cdef inline char *put_between(char *to, uint64_t start, uint64_t end) noexcept nogil:
    """From one signed time to another."""
    if <int64_t>end >= <int64_t>start:
        return put_seconds(to, end - start)
    to[0] = c"-"
    return put_seconds(to + 1, start - end)


cdef inline char *put_ipv4(char *to, const char *raw) noexcept nogil:
    cdef int i
    for i in range(4):
        to = put_number(to, <uint8_t>raw[i])
        to[0] = c"."
        to += 1
    return to - 1


cdef inline char *put_bits(char *to, Step *step, uint64_t mask) noexcept nogil:
    cdef char *begin = to
    cdef Piece word
    while mask:
        word = step.words[lowest_bit(mask)]
        mask &= mask - 1
        if to == begin:       # nothing to part it from
            word.at += 1
            word.size -= 1
        to = put(to, &word)
    return to


cdef inline char *put_pairs(char *to, Step *step, const char *record, uint64_t count, bint csv) noexcept nogil:
    cdef uint64_t i
    count = min(count, <uint64_t>step.width // 8)
    if count == 0:
        return to
    if not csv:
        to[0] = c"["
        to += 1
    for i in range(count):
        if i:
            to = put(to, &step.joint)
        to = put(put_number(to, load(record, step.at + 8 * i, 4)), &step.inner)
        to = put_number(to, load(record, step.at + 8 * i + 4, 4))
    if not csv:
        to[0] = c"]"
        to += 1
    return to


cdef inline char *put_double(char *to, Step *step) noexcept nogil:
    """The next of the texts that orjson made."""
    cdef const char *text = step.doubles
    cdef size_t size = strcspn(text, b",]")
    step.doubles = text + size + 1
    if text[0] == c"n":       # null
        return put(to, &step.nothing)
    to = put(to, &step.before)
    memcpy(to, text, size)
    return to + size


cdef inline char *put_slashed(char *to, Step *step, uint64_t one, uint64_t other) noexcept nogil:
    if one == 255:
        return put(to, &step.nothing)
    to = put_number(put(to, &step.before), one)
    to[0] = c"/"
    return put(put_number(to + 1, other), &step.after)
