# cython: wraparound=False, freethreading_compatible=True
"""Services that speak in binary messages, told by magic numbers, and by lengths that agree with what came."""
from libc.stdint cimport uint8_t, uint32_t

from tcpscope.capture.frame cimport Frame, be32, u8, u16, u16_le, u32
from tcpscope.wire.hints cimport (
    CERTAIN, DETAIL_ROOM, S_AMQP, S_BGP, S_BITTORRENT, S_CASSANDRA, S_DCERPC, S_DIAMETER, S_KERBEROS, S_LDAP,
    S_MEMCACHED, S_MQTT, S_NETBIOS, S_RDP, S_SMB, S_SOCKS, S_SUNRPC, S_TDS, S_TELNET, S_TNS, S_X11, V_SOCKS5,
    Hint, Text, put_bytes, put_char, put_decimal, put_word, starts, text,
)
from tcpscope.wire.databases cimport kafka, mongodb, mysql, postgresql
from tcpscope.wire.dns cimport dns

cdef enum:
    KERBEROS_AS_REQ = 0x6A
    KERBEROS_ERROR = 0x7E


cdef bint found(int service, const char *words, int flags, Hint *out) noexcept nogil:
    cdef Text t = text(out.detail, DETAIL_ROOM)
    put_word(&t, words)
    out.service = <uint8_t>service
    out.flags |= <uint8_t>flags
    return True


cdef bint binary(Frame *f, uint8_t first, int peer, Hint *out) noexcept nogil:
    """first: the first byte."""
    if first == 0xFF:
        return bgp(f, out) or telnet(f, out)
    if first == c'A' and f.size >= 8 and starts(f, 0, b"AMQP", 4) and f.data[4] <= 3:
        return amqp(f, out)
    if first == 19 and starts(f, 1, b"BitTorrent protocol", 19):
        return found(S_BITTORRENT, b"", CERTAIN, out)
    if first == 3:
        return rdp(f, out)
    if first == 0x10 or (first == 0x20 and peer == S_MQTT):
        return mqtt(f, out)
    if first == 0x12 or first == 0x04:
        return tds(f, peer, out) or cassandra(f, out)
    if first == 5:
        return dcerpc(f, out) or socks(f, peer, out)
    if first == 0x30:
        return ldap(f, out)
    if first == 0x80 or first == 0x81:
        return memcached(f, out) or (sunrpc(f, out) if first == 0x80 else netbios(f, out))
    if first == 1 and (diameter(f, out) or amqp_start(f, out)):
        return True
    if first == c'l' or first == c'B':
        return x11(f, out)
    if first == 0 and (smb(f, out) or kerberos(f, out) or tns(f, out)):
        return True
    # no magic number: by their lengths
    return postgresql(f, peer, out) or mysql(f, out) or mongodb(f, out) or dns(f, out) or kafka(f, out)


cdef bint bgp(Frame *f, Hint *out) noexcept nogil:
    """A marker of ones, length, type (RFC 4271, 4.1)."""
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef int i
    if f.size < 19 or not 19 <= u16(f, 16) <= 4096 or not 1 <= u8(f, 18) <= 5:
        return False
    for i in range(16):
        if f.data[i] != 0xFF:
            return False
    out.service = S_BGP
    out.flags |= CERTAIN
    if u8(f, 18) == 1 and f.size >= 29:
        put_word(&t, b"OPEN, AS ")
        put_decimal(&t, u16(f, 20))
        put_word(&t, b", hold time ")
        put_decimal(&t, u16(f, 22))
        put_word(&t, b" s")
    return True


cdef bint telnet(Frame *f, Hint *out) noexcept nogil:
    """IAC, WILL to DONT, a known option (RFC 854): twice, or nothing else."""
    if f.size < 3 or not 0xFB <= f.data[1] <= 0xFE or f.data[2] > 49:
        return False
    if f.size == 3 or (f.size >= 6 and f.data[3] == 0xFF and f.data[4] >= 0xFA):
        return found(S_TELNET, b"", 0, out)
    return False


cdef bint amqp(Frame *f, Hint *out) noexcept nogil:
    """AMQP, protocol number, version."""
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef int i
    put_word(&t, b"AMQP")
    for i in range(5, 8):
        put_char(&t, c' ' if i == 5 else c'-')
        put_decimal(&t, f.data[i])
    out.service = S_AMQP
    out.flags |= CERTAIN
    return True


cdef bint amqp_start(Frame *f, Hint *out) noexcept nogil:
    """A method frame on channel 0: connection.start, version 0-9 (AMQP 0-9-1, 1.4.2.1)."""
    if f.size >= 13 and u16(f, 1) == 0 and u32(f, 7) == 0x000A000A and u16(f, 11) == 0x0009:
        return found(S_AMQP, b"connection.start", 0, out)
    return False


cdef bint rdp(Frame *f, Hint *out) noexcept nogil:
    """TPKT and an X.224 connection request or confirm, with what RDP puts behind it (MS-RDPBCGR, 2.2.1)."""
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef Py_ssize_t at = 11
    if f.size < 11 or f.data[1] or u16(f, 2) < 11 or u8(f, 4) + 5 != u16(f, 2):
        return False
    if u8(f, 5) == 0xD0 and u16(f, 2) == 19 and (u8(f, 11) == 2 or u8(f, 11) == 3) and u16_le(f, 13) == 8:
        return found(S_RDP, b"connection confirm", 0, out)
    if u8(f, 5) != 0xE0:
        return False
    if starts(f, 11, b"Cookie: mstshash=", 17):
        while at < f.size and f.data[at] != c'\r':
            at += 1
        put_bytes(&t, f, 11, at - 11)
        out.service = S_RDP
        out.flags |= CERTAIN
        return True
    if u8(f, 11) == 1 and u16_le(f, 13) == 8 and u16(f, 2) == 19:
        return found(S_RDP, b"connection request", 0, out)
    return False


cdef bint mqtt(Frame *f, Hint *out) noexcept nogil:
    """CONNECT with the protocol's name, or the CONNACK that answers it (MQTT 3.1.1, 3.1 and 3.2)."""
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef Py_ssize_t at = 1, size
    while at < f.size and at < 4 and f.data[at] & 0x80:
        at += 1
    at += 1
    if f.data[0] == 0x20:
        if f.size < at + 2 or u8(f, at) > 1:
            return False
        found(S_MQTT, b"CONNACK, code ", 0, out)
        t = text(out.detail, DETAIL_ROOM)
        put_decimal(&t, f.data[at + 1])
        return True
    if starts(f, at, b"\0\4MQTT", 6):
        size = 6
    elif starts(f, at, b"\0\6MQIsdp", 8):
        size = 8
    else:
        return False
    put_word(&t, b"CONNECT, version ")
    put_decimal(&t, u8(f, at + size))
    out.service = S_MQTT
    out.flags |= CERTAIN
    if u8(f, at + size) <= 4 and u16(f, at + size + 4):             # version 5 has properties before
        put_word(&t, b", client ")
        put_bytes(&t, f, at + size + 6, u16(f, at + size + 4))
    return True


cdef bint tds(Frame *f, int peer, Hint *out) noexcept nogil:
    """PRELOGIN and its answer: a header of 8 bytes with the length, then the VERSION option (MS-TDS, 2.2.6.5)."""
    if f.size < 13 or u8(f, 1) != 1 or u16(f, 2) < 26 or u16(f, 2) != f.size or u8(f, 8) or u16(f, 11) != 6:
        return False
    if u8(f, 0) == 0x12:
        return found(S_TDS, b"PRELOGIN", 0, out)
    return found(S_TDS, b"PRELOGIN answer", 0, out) if peer == S_TDS else False


cdef bint cassandra(Frame *f, Hint *out) noexcept nogil:
    """OPTIONS or STARTUP of the native protocol, version 4: no flags, stream, opcode, length."""
    if f.size < 9 or u8(f, 0) != 4 or u8(f, 1) > 1 or u32(f, 5) != <uint32_t>(f.size - 9):
        return False
    if u8(f, 4) == 5 and f.size == 9:
        return found(S_CASSANDRA, b"OPTIONS", 0, out)
    return found(S_CASSANDRA, b"STARTUP", 0, out) if u8(f, 4) == 1 and starts(f, 13, b"CQL_VERSION", 11) else False


cdef bint dcerpc(Frame *f, Hint *out) noexcept nogil:
    """Version 5, a bind or its answer, first and last fragment, its length (C706, 12.6)."""
    if (f.size >= 16 and u8(f, 1) <= 1 and (u8(f, 2) == 11 or u8(f, 2) == 12) and u8(f, 3) & 3 == 3
            and be32(f.data + 4) == 0x10000000 and 16 <= u16_le(f, 8) <= 8192):
        return found(S_DCERPC, b"bind" if u8(f, 2) == 11 else b"bind_ack", 0, out)
    return False


cdef bint socks(Frame *f, int peer, Hint *out) noexcept nogil:
    """Methods, then the one chosen (RFC 1928, 3): too few bytes for one side alone to be sure."""
    if peer == V_SOCKS5 and f.size == 2 and (u8(f, 1) <= 2 or u8(f, 1) == 0xFF):
        return found(S_SOCKS, b"version 5", 0, out)
    if f.size >= 3 and 1 <= u8(f, 1) <= 8 and f.size == u8(f, 1) + 2:
        out.service = V_SOCKS5
        return True
    return False


cdef bint ldap(Frame *f, Hint *out) noexcept nogil:
    """A message with a small number: bind with version 3, search, an extended operation, or an answer (RFC 4511)."""
    cdef Py_ssize_t at = 2, size = u8(f, 1)
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef int kind
    if size & 0x80:
        if not 1 <= size & 0x7F <= 4:
            return False
        at += size & 0x7F
    if u8(f, at) != 2 or not 1 <= u8(f, at + 1) <= 4:
        return False
    at += 2 + u8(f, at + 1)
    kind = u8(f, at)
    size = u8(f, at + 1)
    at += 2 + (size & 0x7F if size & 0x80 else 0)
    if f.short:
        return False
    if kind == 0x60 and starts(f, at, b"\2\1\3\4", 4):
        put_word(&t, b"bind ")
        if u8(f, at + 4) < 0x80:
            put_bytes(&t, f, at + 5, u8(f, at + 4))
    elif kind == 0x63 and u8(f, at) == 4:
        put_word(&t, b"search")
    elif kind == 0x77 and starts(f, at, b"\x80\x161.3.6.1.4.1.1466.20037", 24):
        put_word(&t, b"StartTLS")
    elif (kind == 0x61 or kind == 0x65 or kind == 0x78) and starts(f, at, b"\x0a\1", 2):
        put_word(&t, b"result code ")
        put_decimal(&t, u8(f, at + 2))
    elif kind == 0x64 and u8(f, at) == 4:
        put_word(&t, b"search result")
    else:
        return False
    out.service = S_LDAP
    return True


cdef bint memcached(Frame *f, Hint *out) noexcept nogil:
    """The binary protocol: a header of 24 bytes whose lengths agree."""
    cdef uint32_t body
    if f.size < 24 or u8(f, 1) > 0x26 or u8(f, 5):
        return False
    body = u32(f, 8)
    if u16(f, 2) + u8(f, 4) > body or body != <uint32_t>(f.size - 24) or u8(f, 4) > 20:
        return False
    return found(S_MEMCACHED, b"binary", 0, out)


cdef bint sunrpc(Frame *f, Hint *out) noexcept nogil:
    """The last fragment of a record: a call, RPC version 2, program and version (RFC 5531, 9 and 11)."""
    cdef uint32_t program
    cdef Text t = text(out.detail, DETAIL_ROOM)
    if f.size < 28 or u32(f, 8) or u32(f, 12) != 2 or not 40 <= (u32(f, 0) & 0x7FFFFFFF) < (1 << 24):
        return False
    program = u32(f, 16)
    if not 100000 <= program < 0x20000000 or u32(f, 20) > 16:
        return False
    out.service = S_SUNRPC
    if program == 100003:
        put_word(&t, b"NFS")
    elif program == 100000:
        put_word(&t, b"portmap")
    elif program == 100005:
        put_word(&t, b"mount")
    else:
        put_word(&t, b"program ")
        put_decimal(&t, program)
    put_word(&t, b" version ")
    put_decimal(&t, u32(f, 20))
    return True


cdef bint netbios(Frame *f, Hint *out) noexcept nogil:
    """A session request: two encoded names of 32 letters (RFC 1002, 4.3.2)."""
    if f.size >= 72 and u32(f, 0) == <uint32_t>0x81000044 and u8(f, 4) == 32 and u8(f, 38) == 32:
        return found(S_NETBIOS, b"session request", CERTAIN, out)
    return False


cdef bint smb(Frame *f, Hint *out) noexcept nogil:
    """A session message of that length, with SMB's mark (MS-SMB2, 2.1)."""
    if f.size < 9 or not starts(f, 5, b"SMB", 3) or u32(f, 0) < 32:
        return False
    if u8(f, 4) == 0xFF:
        return found(S_SMB, b"SMB 1", CERTAIN, out)
    return found(S_SMB, b"SMB 2 or later", CERTAIN, out) if 0xFC <= u8(f, 4) <= 0xFE else False


cdef bint kerberos(Frame *f, Hint *out) noexcept nogil:
    """Length, an application tag, a sequence, version 5 (RFC 4120, 5.4.1, 7.2.2)."""
    cdef Py_ssize_t at
    if f.size < 24 or u32(f, 0) > 1 << 20 or not KERBEROS_AS_REQ <= u8(f, 4) <= KERBEROS_ERROR:
        return False
    for at in range(6, 16):
        if (u8(f, at) == 0xA0 or u8(f, at) == 0xA1) and starts(f, at + 1, b"\3\2\1\5", 4):
            return found(S_KERBEROS, b"", CERTAIN, out)
    return False


cdef bint tns(Frame *f, Hint *out) noexcept nogil:
    """A connect packet of that length: the description, and the service or SID it names."""
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef Py_ssize_t at, end
    if f.size < 34 or u16(f, 0) < 34 or u16(f, 2) or u8(f, 4) != 1 or u8(f, 5):
        return False
    for at in range(26, f.size - 13):
        if starts(f, at, b"SERVICE_NAME=", 13) or starts(f, at, b"(SID=", 5):
            end = at
            while end < f.size and f.data[end] != c')':
                end += 1
            if f.data[at] == c'(':
                at += 1
            put_bytes(&t, f, at, end - at)
            out.service = S_TNS
            return True
        if starts(f, at, b"(DESCRIPTION=", 13):
            out.service = S_TNS
    return out.service == S_TNS


cdef bint diameter(Frame *f, Hint *out) noexcept nogil:
    """Version 1, length, a request or an answer, Capabilities-Exchange, application 0 (RFC 6733, 3)."""
    if f.size >= 20 and u8(f, 4) & 0x7F == 0 and u32(f, 4) & 0xFFFFFF == 257 and u32(f, 8) == 0:
        return found(S_DIAMETER, b"Capabilities-Exchange", CERTAIN, out)
    return False


cdef bint x11(Frame *f, Hint *out) noexcept nogil:
    """Byte order, version 11.0, and lengths of the authorisation that agree."""
    cdef bint big = f.data[0] == c'B'
    if f.size < 12 or u8(f, 1) or (u16(f, 2) if big else u16_le(f, 2)) != 11 or u16(f, 4) or u16(f, 10):
        return False
    if 12 + (((u16(f, 6) if big else u16_le(f, 6)) + 3) & ~3) + (
            ((u16(f, 8) if big else u16_le(f, 8)) + 3) & ~3) != f.size:
        return False
    return found(S_X11, b"", 0, out)
