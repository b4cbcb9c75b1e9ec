# cython: wraparound=False, freethreading_compatible=True
"""Services that speak in lines of text: SSH, mail, FTP, Redis, memcached, IRC and others.

Of a line that may hold a secret (a LOGIN, a Redis command) the command alone is shown.
"""
from libc.stdint cimport uint8_t

from tcpscope.capture.frame cimport Frame
from tcpscope.wire.hints cimport (
    CERTAIN, DETAIL_ROOM, N_SERVICES, NAME_ROOM, S_FTP, S_GIT, S_IMAP, S_IRC, S_MEMCACHED, S_NATS, S_NNTP, S_POP3,
    S_REDIS, S_RSYNC, S_SMTP, S_SSH, S_VNC, S_XMPP, SHORT, V_GREETING_220, V_GREETING_OK, V_GREETING_STAR, V_LINE, Hint,
    Text, put_bytes, starts, text,
)

cdef enum:
    LINE = 512

cdef const char **IMAP_COMMANDS = [b"CAPABILITY", b"LOGIN", b"ID", b"STARTTLS", b"AUTHENTICATE"]


cdef inline uint8_t upper(uint8_t c) noexcept nogil:
    return c & 0xDF if c'a' <= c <= c'z' else c


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


cdef bint word_of(Frame *f, Py_ssize_t at, Py_ssize_t n, int service, Hint *out) noexcept nogil:
    """These bytes, a command's name, are the detail."""
    cdef Text t = text(out.detail, DETAIL_ROOM)
    put_bytes(&t, f, at, n)
    out.service = <uint8_t>service
    return True


cdef bint is_text(const Frame *f, Py_ssize_t n) noexcept nogil:
    """No control characters but tabs in the first n bytes."""
    cdef Py_ssize_t i
    for i in range(n):
        if f.data[i] < 0x20 and f.data[i] != c'\t' or f.data[i] == 0x7F:
            return False
    return True


cdef bint holds(const Frame *f, Py_ssize_t n, const char *word) noexcept nogil:
    """The word, in capitals, is among the first n bytes, in any case."""
    cdef Py_ssize_t i, j
    for i in range(n):
        j = 0
        while word[j] and i + j < n and upper(f.data[i + j]) == <uint8_t>word[j]:
            j += 1
        if not word[j]:
            return True
    return False


cdef bint command(const Frame *f, Py_ssize_t at, Py_ssize_t n, const char *word) noexcept nogil:
    """The line of n bytes has this word, in capitals, at `at`, alone or before a blank."""
    cdef Py_ssize_t i = 0
    while word[i]:
        if at + i >= n or upper(f.data[at + i]) != <uint8_t>word[i]:
            return False
        i += 1
    return at + i == n or f.data[at + i] == c' '


cdef bint ssh(Frame *f, Hint *out) noexcept nogil:
    """SSH-2.0-software (RFC 4253, 4.2)."""
    if starts(f, 0, b"SSH-1.", 6) or starts(f, 0, b"SSH-2.", 6):
        return line_of(f, S_SSH, CERTAIN, out)
    return False


cdef bint lines(Frame *f, uint8_t first, int peer, Hint *out) noexcept nogil:
    """Whatever else speaks in lines; first: the first byte."""
    cdef bint whole
    cdef Py_ssize_t n = line_length(f, &whole)
    if first == c'*' and redis_command(f, out):
        return True
    if first == c'0' and git(f, out):
        return True
    if first == c'<' and (starts(f, 0, b"<?xml", 5) or starts(f, 0, b"<stream:", 8)):
        return xmpp(f, out)
    if not whole or n < 3 or not is_text(f, n):
        return False
    if first == c'R' and n == 11 and starts(f, 0, b"RFB 00", 6) and f.data[7] == c'.':        # RFC 6143, 7.1.1
        return line_of(f, S_VNC, CERTAIN, out)
    if first == c'@' and starts(f, 0, b"@RSYNCD: ", 9):
        return line_of(f, S_RSYNC, CERTAIN, out)
    if starts(f, 0, b"INFO {\"", 7) and holds(f, n, b"\"SERVER_ID\""):
        return word_of(f, 0, 4, S_NATS, out)
    if starts(f, 0, b"CONNECT {", 9):
        return word_of(f, 0, 7, S_NATS, out)
    if c'2' <= first <= c'5' or first == c'+' or first == c'*' or first == c'-' or first == c':':
        return greeting(f, n, peer, out)
    return request(f, n, peer, out)


cdef bint greeting(Frame *f, Py_ssize_t n, int peer, Hint *out) noexcept nogil:
    """What a server says first, or answers in such a protocol."""
    cdef bint after_code = n >= 4 and (f.data[3] == c' ' or f.data[3] == c'-')
    if after_code and (starts(f, 0, b"220", 3) or starts(f, 0, b"554", 3) or starts(f, 0, b"421", 3)):
        if holds(f, n, b"SMTP") or peer == S_SMTP:
            return line_of(f, S_SMTP, 0, out)
        if holds(f, n, b"FTP") or peer == S_FTP:
            return line_of(f, S_FTP, 0, out)
        return line_of(f, V_GREETING_220, 0, out)
    if after_code and (starts(f, 0, b"200", 3) or starts(f, 0, b"201", 3)) and (
            holds(f, n, b"NNTP") or holds(f, n, b"INN ") or holds(f, n, b"NNRP")):
        return line_of(f, S_NNTP, 0, out)
    if peer == S_REDIS and f.data[0] in b"+-:*":
        return line_of(f, S_REDIS, 0, out)
    if command(f, 0, n, b"+OK"):
        if holds(f, n, b"POP") or (holds(f, n, b"<") and holds(f, n, b"@") and holds(f, n, b">")):
            return line_of(f, S_POP3, 0, out)
        return line_of(f, V_GREETING_OK, 0, out)
    if starts(f, 0, b"* OK", 4) or starts(f, 0, b"* PREAUTH", 9):
        if holds(f, n, b"IMAP") or holds(f, n, b"CAPABILITY"):
            return line_of(f, S_IMAP, 0, out)
        return line_of(f, V_GREETING_STAR, 0, out)
    if 0 < peer < N_SERVICES and after_code:
        return line_of(f, V_LINE, 0, out)
    return False


cdef bint request(Frame *f, Py_ssize_t n, int peer, Hint *out) noexcept nogil:
    """What a client says first."""
    cdef Py_ssize_t i = 0
    cdef int word
    if command(f, 0, n, b"EHLO") or command(f, 0, n, b"HELO") or command(f, 0, n, b"LHLO"):
        return line_of(f, S_SMTP, 0, out)
    if peer == V_GREETING_220 or peer == S_FTP or peer == S_SMTP:
        if command(f, 0, n, b"USER") or command(f, 0, n, b"AUTH TLS") or command(f, 0, n, b"AUTH SSL") or (
                peer == S_FTP and (command(f, 0, n, b"FEAT") or command(f, 0, n, b"OPTS"))):
            return line_of(f, S_FTP, 0, out)
        if peer == S_SMTP and (command(f, 0, n, b"NOOP") or command(f, 0, n, b"QUIT")):
            return line_of(f, S_SMTP, 0, out)
    if peer == V_GREETING_OK or peer == S_POP3:
        if command(f, 0, n, b"APOP") or command(f, 0, n, b"AUTH"):
            return word_of(f, 0, 4, S_POP3, out)
        if (command(f, 0, n, b"USER") or command(f, 0, n, b"CAPA") or command(f, 0, n, b"STLS")
                or command(f, 0, n, b"QUIT")):
            return line_of(f, S_POP3, 0, out)
    if peer == V_GREETING_STAR or peer == S_IMAP:
        while i < n and f.data[i] != c' ':                    # the tag
            i += 1
        for word in range(5):
            if command(f, i + 1, n, IMAP_COMMANDS[word]):
                n = i + 1
                while n < f.size and c'A' <= upper(f.data[n]) <= c'Z':
                    n += 1
                return word_of(f, i + 1, n - i - 1, S_IMAP, out)
    if starts(f, 0, b"CAP LS", 6) or (command(f, 0, n, b"NICK") and n > 5):                   # RFC 1459, 4.1.2
        return line_of(f, S_IRC, 0, out)
    if peer == S_IRC and f.data[0] == c':':
        return line_of(f, S_IRC, 0, out)
    if f.data[0] == c'P' and n == 4 and starts(f, 0, b"PING", 4):
        return line_of(f, S_REDIS, 0, out)
    return memcached(f, n, out)


cdef bint memcached(Frame *f, Py_ssize_t n, Hint *out) noexcept nogil:
    """get KEY, set KEY flags time bytes, stats, version: in small letters, and with as many words as they take."""
    cdef int blanks = 0
    cdef Py_ssize_t i
    for i in range(n):
        blanks += f.data[i] == c' '
    if ((n == 5 and starts(f, 0, b"stats", 5)) or (n == 7 and starts(f, 0, b"version", 7))
            or (blanks == 1 and n > 4 and starts(f, 0, b"get ", 4)) or (blanks >= 1 and starts(f, 0, b"gets ", 5))):
        return line_of(f, S_MEMCACHED, 0, out)
    if (blanks == 4 or blanks == 5) and (starts(f, 0, b"set ", 4) or starts(f, 0, b"add ", 4)):
        for i in range(n - 1, 0, -1):
            if f.data[i] == c' ':
                break
            if not c'0' <= f.data[i] <= c'9':
                return False
        return line_of(f, S_MEMCACHED, 0, out)
    return False


cdef bint redis_command(Frame *f, Hint *out) noexcept nogil:
    """*N CRLF $M CRLF COMMAND CRLF: the command's name; what follows may be a password."""
    cdef Py_ssize_t at = 1, size = 0, start
    if f.size < 8 or not c'1' <= f.data[1] <= c'9':
        return False
    while at < f.size and c'0' <= f.data[at] <= c'9' and at < 8:
        at += 1
    if not starts(f, at, b"\r\n$", 3):
        return False
    at += 3
    start = at
    while at < f.size and c'0' <= f.data[at] <= c'9' and at < start + 3:
        size = 10 * size + f.data[at] - c'0'
        at += 1
    if not starts(f, at, b"\r\n", 2) or not 2 <= size <= 32:
        return False
    at += 2
    for start in range(at, min(at + size, f.size)):
        if not (c'A' <= upper(f.data[start]) <= c'Z' or f.data[start] in b".-_0123456789"):
            return False
    if f.size < at + size:
        out.flags |= SHORT
    return word_of(f, at, min(size, f.size - at), S_REDIS, out)


cdef bint git(Frame *f, Hint *out) noexcept nogil:
    """A pkt-line: four hexadecimal digits, git-upload-pack /path NUL host=name NUL."""
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef Text name = text(out.name, NAME_ROOM)
    cdef Py_ssize_t end = 4
    if not (starts(f, 4, b"git-upload-", 11) or starts(f, 4, b"git-receive-pack ", 17)):
        return False
    while end < f.size and f.data[end]:
        end += 1
    put_bytes(&t, f, 4, end - 4)
    if starts(f, end, b"\0host=", 6):
        end += 6
        while end < f.size and f.data[end] and f.data[end] != c':':
            put_bytes(&name, f, end, 1)
            end += 1
    out.service = S_GIT
    out.flags |= CERTAIN
    return True


cdef bint xmpp(Frame *f, Hint *out) noexcept nogil:
    """<stream:stream … to='host' (RFC 6120, 4.2)."""
    cdef Text name = text(out.name, NAME_ROOM)
    cdef Py_ssize_t at = 0
    while not starts(f, at, b"<stream:stream", 14):
        at += 1
        if at >= f.size:
            return False
    out.service = S_XMPP
    while at < f.size and f.data[at] != c'>':
        if f.data[at] == c' ' and starts(f, at + 1, b"to=", 3):
            at += 5
            while at < f.size and f.data[at] != c"'" and f.data[at] != c'"':
                put_bytes(&name, f, at, 1)
                at += 1
            break
        at += 1
    return True
