# CRC-32 of events, and the BLAKE2b behind event ids.

cdef uint32_t _crc_tables[8][256]


cdef void _fill_crc_tables() noexcept:
    cdef uint32_t n, value
    cdef int k
    for n in range(256):
        value = n
        for k in range(8):
            value = (value >> 1) ^ (0xEDB88320u if value & 1 else 0)
        _crc_tables[0][n] = value
    for n in range(256):
        for k in range(1, 8):
            value = _crc_tables[k - 1][n]
            _crc_tables[k][n] = (value >> 8) ^ _crc_tables[0][value & 255]


_fill_crc_tables()


cdef uint32_t crc32(const uint8_t* data, Py_ssize_t length) noexcept nogil:
    """The checksum of zlib, eight bytes at a time."""
    cdef uint32_t crc = 0xFFFFFFFFu
    cdef uint64_t word
    while length >= 8:
        word = df_load64(data) ^ crc
        crc = (
            _crc_tables[7][word & 255] ^ _crc_tables[6][(word >> 8) & 255]
            ^ _crc_tables[5][(word >> 16) & 255] ^ _crc_tables[4][(word >> 24) & 255]
            ^ _crc_tables[3][(word >> 32) & 255] ^ _crc_tables[2][(word >> 40) & 255]
            ^ _crc_tables[1][(word >> 48) & 255] ^ _crc_tables[0][word >> 56]
        )
        data += 8
        length -= 8
    while length > 0:
        crc = (crc >> 8) ^ _crc_tables[0][(crc ^ data[0]) & 255]
        data += 1
        length -= 1
    return crc ^ 0xFFFFFFFFu


cdef uint64_t[8] _BLAKE_START = [
    0x6A09E667F3BCC908ULL, 0xBB67AE8584CAA73BULL, 0x3C6EF372FE94F82BULL, 0xA54FF53A5F1D36F1ULL,
    0x510E527FADE682D1ULL, 0x9B05688C2B3E6C1FULL, 0x1F83D9ABFB41BD6BULL, 0x5BE0CD19137E2179ULL,
]
cdef uint8_t[160] _BLAKE_ORDER = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3,
    11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4,
    7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8,
    9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13,
    2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9,
    12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11,
    13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10,
    6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5,
    10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0,
]


cdef inline uint64_t _turned(uint64_t value, int bits) noexcept nogil:
    return (value >> bits) | (value << (64 - bits))


cdef inline void _mix(uint64_t* v, int a, int b, int c, int d, uint64_t x, uint64_t y) noexcept nogil:
    v[a] += v[b] + x
    v[d] = _turned(v[d] ^ v[a], 32)
    v[c] += v[d]
    v[b] = _turned(v[b] ^ v[c], 24)
    v[a] += v[b] + y
    v[d] = _turned(v[d] ^ v[a], 16)
    v[c] += v[d]
    v[b] = _turned(v[b] ^ v[c], 63)


cdef void _compress(uint64_t* h, const uint8_t* block, uint64_t counted, bint is_last) noexcept nogil:
    cdef uint64_t v[16]
    cdef uint64_t m[16]
    cdef const uint8_t* order
    cdef int n
    for n in range(8):
        v[n], v[n + 8] = h[n], _BLAKE_START[n]
    for n in range(16):
        m[n] = df_load64(block + 8 * n)
    v[12] ^= counted
    if is_last:
        v[14] = ~v[14]
    for n in range(12):
        order = &_BLAKE_ORDER[16 * (n % 10)]
        _mix(v, 0, 4, 8, 12, m[order[0]], m[order[1]])
        _mix(v, 1, 5, 9, 13, m[order[2]], m[order[3]])
        _mix(v, 2, 6, 10, 14, m[order[4]], m[order[5]])
        _mix(v, 3, 7, 11, 15, m[order[6]], m[order[7]])
        _mix(v, 0, 5, 10, 15, m[order[8]], m[order[9]])
        _mix(v, 1, 6, 11, 12, m[order[10]], m[order[11]])
        _mix(v, 2, 7, 8, 13, m[order[12]], m[order[13]])
        _mix(v, 3, 4, 9, 14, m[order[14]], m[order[15]])
    for n in range(8):
        h[n] ^= v[n] ^ v[n + 8]


cdef struct Digest:
    # The unkeyed BLAKE2b (RFC 7693) of bytes that come in parts.
    uint64_t h[8]
    uint8_t block[128]
    int filled         # bytes of the block
    uint64_t counted   # bytes of the blocks before it


cdef inline void begin_digest(Digest* digest, int size) noexcept nogil:
    memcpy(digest.h, _BLAKE_START, sizeof(digest.h))
    digest.h[0] ^= 0x01010000 ^ size
    digest.filled = 0
    digest.counted = 0


cdef void add_to_digest(Digest* digest, const void* data, Py_ssize_t length) noexcept nogil:
    cdef const uint8_t* at = <const uint8_t*>data
    cdef Py_ssize_t part
    while length:
        if digest.filled == 128:   # and more comes: it is not the last
            digest.counted += 128
            _compress(digest.h, digest.block, digest.counted, False)
            digest.filled = 0
        part = min(length, 128 - digest.filled)
        memcpy(digest.block + digest.filled, at, part)
        digest.filled += <int>part
        at += part
        length -= part


cdef void end_digest(Digest* digest, uint8_t* to, int size) noexcept nogil:
    memset(digest.block + digest.filled, 0, 128 - digest.filled)
    _compress(digest.h, digest.block, digest.counted + digest.filled, True)
    memcpy(to, digest.h, size)
    to[6] = 0x80 | to[6] & 0x0F   # the version and variant of a UUID: see ``EventIds``
    to[8] = 0x80 | to[8] & 0x3F


cdef void put_id_prefix(char* to, const uint8_t* text, Py_ssize_t length) noexcept nogil:
    """The first 24 characters of the event ids of a transaction: see ``EventIds``."""
    cdef Digest digest
    cdef uint8_t found[10]
    begin_digest(&digest, 10)
    add_to_digest(&digest, text, length)
    end_digest(&digest, found, 10)
    _put_hex(to, found, 10)


cdef void _put_hex(char* to, const uint8_t* digest, int size) noexcept nogil:
    """Bytes of a UUID as text."""
    cdef int n, at = 0
    for n in range(size):
        to[at] = _HEX[digest[n] >> 4]
        to[at + 1] = _HEX[digest[n] & 15]
        at += 2
        if n == 3 or n == 5 or n == 7 or n == 9:
            to[at] = c"-"
            at += 1
