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


cdef extern from *:
    """
    // BLAKE2b (RFC 7693): one block of 128 bytes, rounds written out so that the words stay in registers.
    static const uint64_t df_blake_start[8] = {
        0x6A09E667F3BCC908ULL, 0xBB67AE8584CAA73BULL, 0x3C6EF372FE94F82BULL, 0xA54FF53A5F1D36F1ULL,
        0x510E527FADE682D1ULL, 0x9B05688C2B3E6C1FULL, 0x1F83D9ABFB41BD6BULL, 0x5BE0CD19137E2179ULL,
    };
    static inline uint64_t df_turned(uint64_t value, int bits) { return (value >> bits) | (value << (64 - bits)); }
    #define DF_MIX(a, b, c, d, x, y) \
        a += b + x; d = df_turned(d ^ a, 32); c += d; b = df_turned(b ^ c, 24); \
        a += b + y; d = df_turned(d ^ a, 16); c += d; b = df_turned(b ^ c, 63);
    #define DF_ROUND(i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11, i12, i13, i14, i15) \
        DF_MIX(v0, v4, v8, v12, m[i0], m[i1]) DF_MIX(v1, v5, v9, v13, m[i2], m[i3]) \
        DF_MIX(v2, v6, v10, v14, m[i4], m[i5]) DF_MIX(v3, v7, v11, v15, m[i6], m[i7]) \
        DF_MIX(v0, v5, v10, v15, m[i8], m[i9]) DF_MIX(v1, v6, v11, v12, m[i10], m[i11]) \
        DF_MIX(v2, v7, v8, v13, m[i12], m[i13]) DF_MIX(v3, v4, v9, v14, m[i14], m[i15])
    static void df_blake_compress(uint64_t* h, const uint8_t* block, uint64_t counted, bool is_last) {
        const uint64_t* k = df_blake_start;
        uint64_t m[16];
        uint64_t v0 = h[0], v1 = h[1], v2 = h[2], v3 = h[3], v4 = h[4], v5 = h[5], v6 = h[6], v7 = h[7];
        uint64_t v8 = k[0], v9 = k[1], v10 = k[2], v11 = k[3], v12 = k[4] ^ counted, v13 = k[5], v14 = k[6], v15 = k[7];
        if (is_last) v14 = ~v14;
        for (int n = 0; n < 16; n++) m[n] = df_load64(block + 8 * n);
        DF_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
        DF_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)
        DF_ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4)
        DF_ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8)
        DF_ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13)
        DF_ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9)
        DF_ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11)
        DF_ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10)
        DF_ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5)
        DF_ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0)
        DF_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
        DF_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)
        h[0] ^= v0 ^ v8; h[1] ^= v1 ^ v9; h[2] ^= v2 ^ v10; h[3] ^= v3 ^ v11;
        h[4] ^= v4 ^ v12; h[5] ^= v5 ^ v13; h[6] ^= v6 ^ v14; h[7] ^= v7 ^ v15;
    }
    #undef DF_ROUND
    #undef DF_MIX
    struct df_digest {   // of bytes that come in parts
        uint64_t h[8];
        uint8_t block[128];
        size_t filled;      // bytes of the block
        uint64_t counted;   // bytes of the blocks before it
    };
    // Apart from the loops over rows, which mostly go without.
    #if defined(__GNUC__)
    #define DF_APART __attribute__((noinline))
    #else
    #define DF_APART
    #endif
    static DF_APART void df_begin_digest(df_digest* digest, int size) {
        memcpy(digest->h, df_blake_start, sizeof digest->h);
        digest->h[0] ^= 0x01010000 ^ size;
        digest->filled = 0;
        digest->counted = 0;
    }
    static DF_APART void df_add_to_digest(df_digest* digest, const void* data, size_t length) {
        const uint8_t* at = (const uint8_t*)data;
        while (length) {
            if (digest->filled == 128) {   // and more comes: it is not the last
                df_blake_compress(digest->h, digest->block, digest->counted += 128, false);
                digest->filled = 0;
            }
            size_t part = length < 128 - digest->filled ? length : 128 - digest->filled;
            memcpy(digest->block + digest->filled, at, part);
            digest->filled += part; at += part; length -= part;
        }
    }
    static DF_APART void df_end_digest(df_digest* digest, uint8_t* to, int size) {
        memset(digest->block + digest->filled, 0, 128 - digest->filled);
        df_blake_compress(digest->h, digest->block, digest->counted + digest->filled, true);
        memcpy(to, digest->h, size);
        to[6] = 0x80 | (to[6] & 0x0F);   // the version and variant of a UUID: see EventIds
        to[8] = 0x80 | (to[8] & 0x3F);
    }
    #undef DF_APART
    """
    cdef struct Digest "df_digest":
        pass
    void begin_digest "df_begin_digest"(Digest* digest, int size) noexcept nogil
    void add_to_digest "df_add_to_digest"(Digest* digest, const void* data, Py_ssize_t length) noexcept nogil
    void end_digest "df_end_digest"(Digest* digest, uint8_t* to, int size) noexcept nogil


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
