# Hashes of texts that not everybody may read, by the names of deltaforge/records/masking.py.

cdef extern from *:
    """
    // FIPS 180-4. The constants of SHA-256 are the upper halves of those of SHA-512; SHA-224 begins with the lower
    // halves of what SHA-384 begins with.
    static const uint64_t df_sha2_k[80] = {
        0x428A2F98D728AE22ULL, 0x7137449123EF65CDULL, 0xB5C0FBCFEC4D3B2FULL, 0xE9B5DBA58189DBBCULL,
        0x3956C25BF348B538ULL, 0x59F111F1B605D019ULL, 0x923F82A4AF194F9BULL, 0xAB1C5ED5DA6D8118ULL,
        0xD807AA98A3030242ULL, 0x12835B0145706FBEULL, 0x243185BE4EE4B28CULL, 0x550C7DC3D5FFB4E2ULL,
        0x72BE5D74F27B896FULL, 0x80DEB1FE3B1696B1ULL, 0x9BDC06A725C71235ULL, 0xC19BF174CF692694ULL,
        0xE49B69C19EF14AD2ULL, 0xEFBE4786384F25E3ULL, 0x0FC19DC68B8CD5B5ULL, 0x240CA1CC77AC9C65ULL,
        0x2DE92C6F592B0275ULL, 0x4A7484AA6EA6E483ULL, 0x5CB0A9DCBD41FBD4ULL, 0x76F988DA831153B5ULL,
        0x983E5152EE66DFABULL, 0xA831C66D2DB43210ULL, 0xB00327C898FB213FULL, 0xBF597FC7BEEF0EE4ULL,
        0xC6E00BF33DA88FC2ULL, 0xD5A79147930AA725ULL, 0x06CA6351E003826FULL, 0x142929670A0E6E70ULL,
        0x27B70A8546D22FFCULL, 0x2E1B21385C26C926ULL, 0x4D2C6DFC5AC42AEDULL, 0x53380D139D95B3DFULL,
        0x650A73548BAF63DEULL, 0x766A0ABB3C77B2A8ULL, 0x81C2C92E47EDAEE6ULL, 0x92722C851482353BULL,
        0xA2BFE8A14CF10364ULL, 0xA81A664BBC423001ULL, 0xC24B8B70D0F89791ULL, 0xC76C51A30654BE30ULL,
        0xD192E819D6EF5218ULL, 0xD69906245565A910ULL, 0xF40E35855771202AULL, 0x106AA07032BBD1B8ULL,
        0x19A4C116B8D2D0C8ULL, 0x1E376C085141AB53ULL, 0x2748774CDF8EEB99ULL, 0x34B0BCB5E19B48A8ULL,
        0x391C0CB3C5C95A63ULL, 0x4ED8AA4AE3418ACBULL, 0x5B9CCA4F7763E373ULL, 0x682E6FF3D6B2B8A3ULL,
        0x748F82EE5DEFB2FCULL, 0x78A5636F43172F60ULL, 0x84C87814A1F0AB72ULL, 0x8CC702081A6439ECULL,
        0x90BEFFFA23631E28ULL, 0xA4506CEBDE82BDE9ULL, 0xBEF9A3F7B2C67915ULL, 0xC67178F2E372532BULL,
        0xCA273ECEEA26619CULL, 0xD186B8C721C0C207ULL, 0xEADA7DD6CDE0EB1EULL, 0xF57D4F7FEE6ED178ULL,
        0x06F067AA72176FBAULL, 0x0A637DC5A2C898A6ULL, 0x113F9804BEF90DAEULL, 0x1B710B35131C471BULL,
        0x28DB77F523047D84ULL, 0x32CAAB7B40C72493ULL, 0x3C9EBE0A15C9BEBCULL, 0x431D67C49C100D4CULL,
        0x4CC5D4BECB3E42B6ULL, 0x597F299CFC657E2AULL, 0x5FCB6FAB3AD6FAECULL, 0x6C44198C4A475817ULL,
    };
    static const uint64_t df_sha2_start[2][8] = {{
        0x6A09E667F3BCC908ULL, 0xBB67AE8584CAA73BULL, 0x3C6EF372FE94F82BULL, 0xA54FF53A5F1D36F1ULL,
        0x510E527FADE682D1ULL, 0x9B05688C2B3E6C1FULL, 0x1F83D9ABFB41BD6BULL, 0x5BE0CD19137E2179ULL,
    }, {
        0xCBBB9D5DC1059ED8ULL, 0x629A292A367CD507ULL, 0x9159015A3070DD17ULL, 0x152FECD8F70E5939ULL,
        0x67332667FFC00B31ULL, 0x8EB44A8768581511ULL, 0xDB0C2E0D64F98FA7ULL, 0x47B5481DBEFA4FA4ULL,
    }};
    // RFC 1321
    static const uint32_t df_md5_k[64] = {
        0xD76AA478, 0xE8C7B756, 0x242070DB, 0xC1BDCEEE, 0xF57C0FAF, 0x4787C62A, 0xA8304613, 0xFD469501,
        0x698098D8, 0x8B44F7AF, 0xFFFF5BB1, 0x895CD7BE, 0x6B901122, 0xFD987193, 0xA679438E, 0x49B40821,
        0xF61E2562, 0xC040B340, 0x265E5A51, 0xE9B6C7AA, 0xD62F105D, 0x02441453, 0xD8A1E681, 0xE7D3FBC8,
        0x21E1CDE6, 0xC33707D6, 0xF4D50D87, 0x455A14ED, 0xA9E3E905, 0xFCEFA3F8, 0x676F02D9, 0x8D2A4C8A,
        0xFFFA3942, 0x8771F681, 0x6D9D6122, 0xFDE5380C, 0xA4BEEA44, 0x4BDECFA9, 0xF6BB4B60, 0xBEBFBC70,
        0x289B7EC6, 0xEAA127FA, 0xD4EF3085, 0x04881D05, 0xD9D4D039, 0xE6DB99E5, 0x1FA27CF8, 0xC4AC5665,
        0xF4292244, 0x432AFF97, 0xAB9423A7, 0xFC93A039, 0x655B59C3, 0x8F0CCC92, 0xFFEFF47D, 0x85845DD1,
        0x6FA87E4F, 0xFE2CE6E0, 0xA3014314, 0x4E0811A1, 0xF7537E82, 0xBD3AF235, 0x2AD7D2BB, 0xEB86D391,
    };
    static const int df_md5_turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    // FIPS 202
    static const uint64_t df_keccak_k[24] = {
        0x0000000000000001ULL, 0x0000000000008082ULL, 0x800000000000808AULL, 0x8000000080008000ULL,
        0x000000000000808BULL, 0x0000000080000001ULL, 0x8000000080008081ULL, 0x8000000000008009ULL,
        0x000000000000008AULL, 0x0000000000000088ULL, 0x0000000080008009ULL, 0x000000008000000AULL,
        0x000000008000808BULL, 0x800000000000008BULL, 0x8000000000008089ULL, 0x8000000000008003ULL,
        0x8000000000008002ULL, 0x8000000000000080ULL, 0x000000000000800AULL, 0x800000008000000AULL,
        0x8000000080008081ULL, 0x8000000000008080ULL, 0x0000000080000001ULL, 0x8000000080008008ULL,
    };
    static const int df_keccak_turns[24] = {
        1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44
    };
    static const int df_keccak_lanes[24] = {
        10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1
    };
    template <typename W> static inline W df_ror(W x, int bits) { return x >> bits | x << (8 * sizeof(W) - bits); }
    static inline uint32_t df_rol(uint32_t x, int bits) { return x << bits | x >> (32 - bits); }
    template <typename W> static inline W df_big(const uint8_t* at) {
        W word = 0;
        for (size_t n = 0; n < sizeof(W); n++) word = word << 8 | at[n];
        return word;
    }
    #define DF_SHA2(a, b, c, d, e, f, g, i, n) \
        i += (wide ? df_ror(e, 14) ^ df_ror(e, 18) ^ df_ror(e, 41) : df_ror(e, 6) ^ df_ror(e, 11) ^ df_ror(e, 25)) \
            + ((e & f) ^ (~e & g)) + (W)(wide ? df_sha2_k[n] : df_sha2_k[n] >> 32) + w[n]; \
        d += i; \
        i += (wide ? df_ror(a, 28) ^ df_ror(a, 34) ^ df_ror(a, 39) : df_ror(a, 2) ^ df_ror(a, 13) ^ df_ror(a, 22)) \
            + ((a & b) ^ (a & c) ^ (b & c));
    template <typename W> static void df_sha2_block(W* h, const uint8_t* block) {
        constexpr bool wide = sizeof(W) == 8;
        constexpr int rounds = wide ? 80 : 64;
        W w[rounds], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], i = h[7];
        for (int n = 0; n < 16; n++) w[n] = df_big<W>(block + n * sizeof(W));
        for (int n = 16; n < rounds; n++) {
            W older = w[n - 15], newer = w[n - 2];
            W low = wide
                ? df_ror(older, 1) ^ df_ror(older, 8) ^ older >> 7 : df_ror(older, 7) ^ df_ror(older, 18) ^ older >> 3;
            W high = wide
                ? df_ror(newer, 19) ^ df_ror(newer, 61) ^ newer >> 6
                : df_ror(newer, 17) ^ df_ror(newer, 19) ^ newer >> 10;
            w[n] = w[n - 16] + low + w[n - 7] + high;
        }
        for (int n = 0; n < rounds; n += 8) {   // eight at once, after which each word is in its place again
            DF_SHA2(a, b, c, d, e, f, g, i, n) DF_SHA2(i, a, b, c, d, e, f, g, n + 1)
            DF_SHA2(g, i, a, b, c, d, e, f, n + 2) DF_SHA2(f, g, i, a, b, c, d, e, n + 3)
            DF_SHA2(e, f, g, i, a, b, c, d, n + 4) DF_SHA2(d, e, f, g, i, a, b, c, n + 5)
            DF_SHA2(c, d, e, f, g, i, a, b, n + 6) DF_SHA2(b, c, d, e, f, g, i, a, n + 7)
        }
        h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e; h[5] += f; h[6] += g; h[7] += i;
    }
    #undef DF_SHA2
    static void df_sha1_block(uint32_t* h, const uint8_t* block) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int n = 0; n < 16; n++) w[n] = df_big<uint32_t>(block + 4 * n);
        for (int n = 16; n < 80; n++) w[n] = df_rol(w[n - 3] ^ w[n - 8] ^ w[n - 14] ^ w[n - 16], 1);
        for (int n = 0; n < 80; n++) {
            uint32_t mixed = n < 20 ? ((b & c) | (~b & d)) + 0x5A827999
                : n < 40 ? (b ^ c ^ d) + 0x6ED9EBA1
                : n < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC : (b ^ c ^ d) + 0xCA62C1D6;
            mixed += df_rol(a, 5) + e + w[n];
            e = d; d = c; c = df_rol(b, 30); b = a; a = mixed;
        }
        h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e;
    }
    static void df_md5_block(uint32_t* h, const uint8_t* block) {
        uint32_t m[16], a = h[0], b = h[1], c = h[2], d = h[3];
        memcpy(m, block, 64);   // little-endian, as all else here
        for (int n = 0; n < 64; n++) {
            uint32_t mixed = n < 16 ? (b & c) | (~b & d)
                : n < 32 ? (d & b) | (~d & c) : n < 48 ? b ^ c ^ d : c ^ (b | ~d);
            int place = n < 16 ? n : n < 32 ? 5 * n + 1 : n < 48 ? 3 * n + 5 : 7 * n;
            mixed += a + df_md5_k[n] + m[place & 15];
            a = d; d = c; c = b;
            b += df_rol(mixed, df_md5_turns[n / 16][n & 3]);
        }
        h[0] += a; h[1] += b; h[2] += c; h[3] += d;
    }
    static void df_keccak(uint64_t* s) {
        uint64_t c[5], held;
        for (int round = 0; round < 24; round++) {
            for (int n = 0; n < 5; n++) c[n] = s[n] ^ s[n + 5] ^ s[n + 10] ^ s[n + 15] ^ s[n + 20];
            for (int n = 0; n < 25; n++) s[n] ^= c[(n + 4) % 5] ^ df_ror(c[(n + 1) % 5], 63);
            held = s[1];
            for (int n = 0; n < 24; n++) {
                uint64_t next = s[df_keccak_lanes[n]];
                s[df_keccak_lanes[n]] = df_ror(held, 64 - df_keccak_turns[n]);
                held = next;
            }
            for (uint64_t* row = s; row < s + 25; row += 5) {
                uint64_t one = row[0], two = row[1];
                row[0] ^= ~row[1] & row[2]; row[1] ^= ~row[2] & row[3]; row[2] ^= ~row[3] & row[4];
                row[3] ^= ~row[4] & one; row[4] ^= ~one & two;
            }
            s[0] ^= df_keccak_k[round];
        }
    }
    // All blocks of the data, and those of its end with its length in bits.
    template <typename W> static void df_hash_blocks(
        W* h, void (*add)(W*, const uint8_t*), const uint8_t* data, size_t size, bool is_little
    ) {
        const size_t block = 16 * sizeof(W), tail = 2 * sizeof(W);
        uint8_t last[256] = {0};
        size_t at = 0;
        for (; size - at >= block; at += block) add(h, data + at);
        size_t rest = size - at, total = rest + 1 + tail > block ? 2 * block : block;
        if (rest) memcpy(last, data + at, rest);
        last[rest] = 0x80;
        uint64_t bits = (uint64_t)size * 8;
        for (int n = 0; n < 8; n++) last[is_little ? total - 8 + n : total - 1 - n] = (uint8_t)(bits >> 8 * n);
        for (at = 0; at < total; at += block) add(h, last + at);
    }
    static void df_sha3(uint64_t* s, const uint8_t* data, size_t size, size_t rate) {
        uint64_t block[18] = {0};   // of 144 bytes at most
        for (bool is_last = false; !is_last;) {
            is_last = size < rate;
            if (is_last) memset(block, 0, sizeof block);
            if (size) memcpy(block, data, is_last ? size : rate);
            if (is_last) {
                ((uint8_t*)block)[size] ^= 0x06;
                ((uint8_t*)block)[rate - 1] ^= 0x80;
            } else { data += rate; size -= rate; }
            for (size_t n = 0; n < rate / 8; n++) s[n] ^= block[n];
            df_keccak(s);
        }
    }
    enum df_hash_kind { DF_MD5, DF_SHA1, DF_SHA224, DF_SHA256, DF_SHA384, DF_SHA512, DF_SHA3 };
    // The hash as bytes, `digest` of them.
    static void df_hash(int kind, int digest, const uint8_t* data, size_t size, uint8_t* to) {
        uint32_t h[8] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
        uint64_t wide[25] = {0};
        if (kind == DF_MD5) {
            df_hash_blocks(h, df_md5_block, data, size, true);
            memcpy(to, h, digest);
            return;
        }
        if (kind == DF_SHA3) {
            df_sha3(wide, data, size, 200 - 2 * digest);
            memcpy(to, wide, digest);
            return;
        }
        for (int n = 0; n < 8 && kind != DF_SHA1; n++) {
            wide[n] = df_sha2_start[kind == DF_SHA224 || kind == DF_SHA384][n];
            h[n] = (uint32_t)(kind == DF_SHA224 ? wide[n] : wide[n] >> 32);
        }
        if (kind == DF_SHA384 || kind == DF_SHA512) {
            df_hash_blocks(wide, df_sha2_block<uint64_t>, data, size, false);
            for (int n = 0; n < digest; n++) to[n] = (uint8_t)(wide[n / 8] >> (56 - 8 * (n & 7)));
            return;
        }
        df_hash_blocks(h, kind == DF_SHA1 ? df_sha1_block : df_sha2_block<uint32_t>, data, size, false);
        for (int n = 0; n < digest; n++) to[n] = (uint8_t)(h[n / 4] >> (24 - 8 * (n & 3)));
    }
    """
    void df_hash(int kind, int digest, const uint8_t* data, Py_ssize_t size, uint8_t* to) noexcept nogil


cdef enum:
    MAX_DIGEST = 64


_HASH_KINDS = {
    "md5": (0, 16), "sha1": (1, 20), "sha224": (2, 28), "sha256": (3, 32), "sha384": (4, 48), "sha512": (5, 64),
    "sha3_224": (6, 28), "sha3_256": (6, 32), "sha3_384": (6, 48), "sha3_512": (6, 64),
}
"""Python's names: the kind, and the bytes of the hash."""


def hash_of(str name not None, bytes data not None):
    """The hash of data by Python's name, as ``bytes``."""
    cdef uint8_t digest[MAX_DIGEST]
    kind, size = _HASH_KINDS[name]
    df_hash(kind, size, data, len(data), digest)
    return digest[:size]


cdef void put_serialized(Output* out, const uint8_t* at, Py_ssize_t size) noexcept nogil:
    """A text that is UTF-8, as Java serializes it: see ``_serialized`` in deltaforge/records/masking.py."""
    cdef const uint8_t* end = at + size
    cdef Py_ssize_t length = 0, n
    cdef uint32_t letter
    for n in range(size):
        length += 2 if at[n] == 0 else 1
        length += 2 if at[n] >= 0xF0 else 0   # four bytes become twice three
    put(out, b"\xac\xed\x00\x05", 4)
    put_byte(out, 0x74 if length <= 0xFFFF else 0x7C)
    for n in range(8 if length > 0xFFFF else 2, 0, -1):
        put_byte(out, <uint8_t>(<uint64_t>length >> 8 * (n - 1)))
    while at < end:
        if at[0] == 0:
            put(out, b"\xc0\x80", 2)
        elif at[0] < 0xF0:
            put_byte(out, at[0])
        else:
            letter = (<uint32_t>at[0] & 7) << 18 | (<uint32_t>at[1] & 63) << 12
            letter = (letter | (<uint32_t>at[2] & 63) << 6 | at[3] & 63) - 0x10000
            _put_unit(out, 0xD800 | letter >> 10)
            _put_unit(out, 0xDC00 | letter & 0x3FF)
            at += 3
        at += 1


cdef inline void _put_unit(Output* out, uint32_t unit) noexcept nogil:
    """Half of a letter, in three bytes."""
    put_byte(out, 0xE0 | unit >> 12)
    put_byte(out, 0x80 | unit >> 6 & 63)
    put_byte(out, 0x80 | unit & 63)


cdef Py_ssize_t cut_size(const uint8_t* text, Py_ssize_t size, Py_ssize_t length) noexcept nogil:
    """The bytes of the beginning of a text that is UTF-8, at most so many units of UTF-16 long."""
    cdef Py_ssize_t at = 0, units
    if size <= length:
        return size
    while at < size:
        units = 2 if text[at] >= 0xF0 else 1
        if units > length:
            break
        length -= units
        at += 1
        while at < size and text[at] & 0xC0 == 0x80:
            at += 1
    return at
