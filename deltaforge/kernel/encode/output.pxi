# The output buffer and the JSON forms of text, numbers and bytes, equal to what msgspec writes.

cdef extern from *:
    """
    #include <charconv>
    // Shortest digits that read back as the same double, as "d.ddde+xx"; no end mark.
    static inline int df_shortest(double value, char* out) {
        return (int)(std::to_chars(out, out + 40, value, std::chars_format::scientific).ptr - out);
    }
    // value with `digits` significant digits, read back: what float(f"{value:.{digits}g}") gives.
    static inline double df_rounded(double value, int digits) {
        char text[64];
        double back = 0.0;
        auto end = std::to_chars(text, text + 64, value, std::chars_format::scientific, digits - 1).ptr;
        std::from_chars(text, end, back);
        return back;
    }
    static inline uint64_t df_load64(const uint8_t* at) { uint64_t word; memcpy(&word, at, 8); return word; }
    """
    int df_shortest(double value, char* out) noexcept nogil
    double df_rounded(double value, int digits) noexcept nogil
    uint64_t df_load64(const uint8_t* at) noexcept nogil


cdef struct Output:
    uint8_t* data
    Py_ssize_t size
    Py_ssize_t capacity
    bint is_exhausted   # no memory: what is in the buffer is not to be used
    bint has_decimals   # a number was written that readers of JSON may not keep exactly
    bint keeps_zeros    # JSON text: zeros at the end of a number say that it is no double


cdef inline Output output_in(uint8_t* data, Py_ssize_t capacity) noexcept nogil:
    """An output in memory that is large enough for all that will be put into it."""
    cdef Output out
    memset(&out, 0, sizeof(out))
    out.data, out.capacity = data, capacity
    return out


cdef bint _grow(Output* out, Py_ssize_t more) noexcept nogil:
    cdef Py_ssize_t capacity = max(out.capacity * 2, out.size + more + 64)
    cdef uint8_t* data = <uint8_t*>realloc(out.data, capacity)
    if data == NULL:
        out.is_exhausted = True
        return False
    out.data, out.capacity = data, capacity
    return True


cdef inline bint reserve(Output* out, Py_ssize_t more) noexcept nogil:
    return out.size + more <= out.capacity or _grow(out, more)


cdef inline void put(Output* out, const void* data, Py_ssize_t length) noexcept nogil:
    if reserve(out, length):
        memcpy(out.data + out.size, data, length)
        out.size += length


cdef inline void put_byte(Output* out, uint8_t byte) noexcept nogil:
    if reserve(out, 1):
        out.data[out.size] = byte
        out.size += 1


cdef void put_padded(Output* out, uint64_t value, int width) noexcept nogil:
    """Decimal digits, with zeros before them up to ``width``."""
    cdef char digits[24]
    cdef int at = 24
    while value or at > 24 - width:
        at -= 1
        digits[at] = <char>(48 + value % 10)
        value //= 10
    put(out, digits + at, 24 - at)


cdef inline void put_uint(Output* out, uint64_t value) noexcept nogil:
    put_padded(out, value, 1)


cdef inline void put_int(Output* out, int64_t value) noexcept nogil:
    if value < 0:
        put_byte(out, 45)
        put_uint(out, <uint64_t>0 - <uint64_t>value)
    else:
        put_uint(out, <uint64_t>value)


cdef void put_double(Output* out, double value) noexcept nogil:
    """The shortest exact form; plain between 1e-5 and 1e16, else with an exponent; null if not finite."""
    cdef char text[40]
    cdef char digits[24]
    cdef int length, at = 0, count = 0, exponent = 0, point
    cdef bint is_small
    if value != value or value - value != 0.0:
        put(out, b"null", 4)
        return
    length = df_shortest(value, text)
    if text[0] == c"-":
        put_byte(out, 45)
        at = 1
    while at < length and text[at] != c"e":
        if text[at] != c".":
            digits[count] = text[at]
            count += 1
        at += 1
    is_small = text[at + 1] == c"-"
    for at in range(at + 2, length):
        exponent = exponent * 10 + text[at] - 48
    if is_small:
        exponent = -exponent
    if count == 1 and digits[0] == c"0":
        put(out, b"0.0", 3)
        return
    point = exponent + 1   # digits before the decimal point
    if count <= point <= 16:
        put(out, digits, count)
        put(out, b"0000000000000000", point - count)
        put(out, b".0", 2)
    elif 0 < point <= 16:
        put(out, digits, point)
        put_byte(out, 46)
        put(out, digits + point, count - point)
    elif -5 < point <= 0:
        put(out, b"0.", 2)
        put(out, b"00000", -point)
        put(out, digits, count)
    else:
        put_byte(out, digits[0])
        if count > 1:
            put_byte(out, 46)
            put(out, digits + 1, count - 1)
        put_byte(out, 101)
        put_int(out, exponent)


cdef void put_single(Output* out, const uint8_t* at) noexcept nogil:
    """A single-precision float by the shortest number that is still the same one."""
    cdef float single
    cdef double value, short
    cdef int digits
    memcpy(&single, at, 4)
    value = single
    if value == value and value - value == 0.0:
        for digits in range(6, 10):
            short = df_rounded(value, digits)
            if <float>short == single:
                value = short
                break
    put_double(out, value)


cdef const char* _HEX = b"0123456789abcdef"
cdef const char* _BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


cdef void put_hex12(Output* out, uint64_t value) noexcept nogil:
    cdef int n
    if reserve(out, 12):
        for n in range(12):
            out.data[out.size + n] = _HEX[(value >> (44 - 4 * n)) & 15]
        out.size += 12


cdef void put_base64_text(Output* out, const uint8_t* data, Py_ssize_t length, Py_ssize_t zeros) noexcept nogil:
    """Base64 of ``length`` bytes with ``zeros`` zero bytes behind them, without quotes."""
    cdef Py_ssize_t at = 0, total = length + zeros
    cdef uint32_t group
    cdef uint8_t* to
    if not reserve(out, (total + 2) // 3 * 4):
        return
    to = out.data + out.size
    while at < total:
        group = (<uint32_t>(data[at] if at < length else 0)) << 16
        group |= (<uint32_t>(data[at + 1] if at + 1 < length else 0)) << 8
        group |= <uint32_t>(data[at + 2] if at + 2 < length else 0)
        to[0] = _BASE64[group >> 18]
        to[1] = _BASE64[(group >> 12) & 63]
        to[2] = _BASE64[(group >> 6) & 63] if at + 1 < total else c"="
        to[3] = _BASE64[group & 63] if at + 2 < total else c"="
        to += 4
        at += 3
    out.size = to - out.data


cdef inline void put_base64(Output* out, const uint8_t* data, Py_ssize_t length, Py_ssize_t zeros) noexcept nogil:
    """The wrapper that bytes travel in."""
    put(out, b'{"_base64":"', 12)
    put_base64_text(out, data, length, zeros)
    put(out, b'"}', 2)


cdef void _put_escaped(Output* out, uint8_t byte) noexcept nogil:
    if byte == 34 or byte == 92:
        put_byte(out, 92)
        put_byte(out, byte)
        return
    if byte == 8:
        put(out, b"\\b", 2)
    elif byte == 9:
        put(out, b"\\t", 2)
    elif byte == 10:
        put(out, b"\\n", 2)
    elif byte == 12:
        put(out, b"\\f", 2)
    elif byte == 13:
        put(out, b"\\r", 2)
    else:
        put(out, b"\\u00", 4)
        put_byte(out, _HEX[byte >> 4])
        put_byte(out, _HEX[byte & 15])


cdef Py_ssize_t _sequence_length(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Bytes of the multi-byte UTF-8 sequence at ``at``; 0 if it is not valid."""
    cdef uint8_t first = at[0]
    cdef Py_ssize_t left = end - at
    if 0xC2 <= first <= 0xDF:
        return 2 if left >= 2 and at[1] & 0xC0 == 0x80 else 0
    if first & 0xF0 == 0xE0:
        if left < 3 or at[1] & 0xC0 != 0x80 or at[2] & 0xC0 != 0x80:
            return 0
        if first == 0xE0 and at[1] < 0xA0 or first == 0xED and at[1] > 0x9F:
            return 0
        return 3
    if 0xF0 <= first <= 0xF4:
        if left < 4 or at[1] & 0xC0 != 0x80 or at[2] & 0xC0 != 0x80 or at[3] & 0xC0 != 0x80:
            return 0
        if first == 0xF0 and at[1] < 0x90 or first == 0xF4 and at[1] > 0x8F:
            return 0
        return 4
    return 0


cdef bint put_text(Output* out, const uint8_t* data, Py_ssize_t length) noexcept nogil:
    """A JSON string of UTF-8 bytes. False if they are not UTF-8; nothing has been written then."""
    cdef Py_ssize_t begin = out.size, run
    cdef const uint8_t* at = data
    cdef const uint8_t* done = data
    cdef const uint8_t* end = data + length
    cdef uint64_t word, quotes, slashes
    put_byte(out, 34)
    while at < end:
        if end - at >= 8:   # eight bytes at once that are plain ASCII and need no escape
            word = df_load64(at)
            quotes, slashes = word ^ 0x2222222222222222ULL, word ^ 0x5C5C5C5C5C5C5C5CULL
            if not (
                word
                | (word - 0x2020202020202020ULL)
                | (quotes - 0x0101010101010101ULL)
                | (slashes - 0x0101010101010101ULL)
            ) & 0x8080808080808080ULL:
                at += 8
                continue
        if at[0] >= 0x80:
            run = _sequence_length(at, end)
            if run == 0:
                out.size = begin
                return False
            at += run
        elif at[0] < 0x20 or at[0] == 34 or at[0] == 92:
            put(out, done, at - done)
            _put_escaped(out, at[0])
            at += 1
            done = at
        else:
            at += 1
    put(out, done, end - done)
    put_byte(out, 34)
    return True


cdef void put_table_text(Output* out, const uint8_t* data, Py_ssize_t length, const uint8_t* table) noexcept nogil:
    """A JSON string of text in a single-byte character set. ``table``: 4 bytes per byte, see ``_text_table``."""
    cdef Py_ssize_t n
    cdef const uint8_t* entry
    cdef Py_ssize_t begin = out.size
    put_byte(out, 34)
    for n in range(length):
        entry = table + 4 * data[n]
        if entry[0] == 1:
            if entry[1] < 0x20 or entry[1] == 34 or entry[1] == 92:
                _put_escaped(out, entry[1])
            else:
                put_byte(out, entry[1])
        elif entry[0] == 0:   # no character of this set
            out.size = begin
            put_base64(out, data, length, 0)
            return
        else:
            put(out, entry + 1, entry[0])
    put_byte(out, 34)
