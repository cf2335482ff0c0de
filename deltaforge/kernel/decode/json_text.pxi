# JSON text of a database to the JSON text that we write: compact, with our escapes and numbers.
# The oracle is parse_json_stored in deltaforge/core/json_parse.py followed by encode_json.

cdef extern from *:
    """
    // The double that a JSON number of `length` characters stands for; false if it is none.
    static inline int df_parse(const uint8_t* text, ptrdiff_t length, double* value) {
        auto end = (const char*)text + length;
        auto got = std::from_chars((const char*)text, end, *value);
        return got.ec == std::errc() && got.ptr == end;
    }
    """
    bint df_parse(const uint8_t* text, Py_ssize_t length, double* value) noexcept nogil


cdef enum:
    MAX_TEXT_DEPTH = 100
    MAX_POWER_DIGITS = 15


cdef inline bint is_digit(uint8_t byte) noexcept nogil:
    return 48 <= byte <= 57


cdef inline const uint8_t* _after_space(const uint8_t* at, const uint8_t* end) noexcept nogil:
    while at < end and (at[0] == 32 or at[0] == 10 or at[0] == 13 or at[0] == 9):
        at += 1
    return at


cdef int _digits_of(const uint8_t* at, const uint8_t* end, char* digits, int* exponent) noexcept nogil:
    """The significant digits of a number, without zeros at either end, and the exponent of the first; their
    number, or -1 if there are more than 17 with the zeros behind them.
    """
    cdef int count = 0, written = 0, point = 0, power = 0
    cdef bint has_point = False, is_negative = False
    if at[0] == 45:
        at += 1
    while at < end and (is_digit(at[0]) or at[0] == 46):
        if at[0] == 46:
            has_point = True
        else:
            if count or at[0] != 48:
                if count == 17:
                    return -1
                digits[count] = at[0]
                count += 1
                if not has_point:
                    point += 1
            elif has_point:
                point -= 1
        at += 1
    if at < end:   # e or E
        at += 1
        if at[0] == 45 or at[0] == 43:
            is_negative = at[0] == 45
            at += 1
        while at < end:
            if power < 100000:
                power = power * 10 + at[0] - 48
            at += 1
    exponent[0] = point - 1 + (-power if is_negative else power)
    while count and digits[count - 1] == 48:
        count -= 1
    return count


cdef bint is_printed_double(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Whether a number with a point and without an exponent is surely what its double is printed as: not more digits than
    every double has, none of them a zero that would be left out, and not so small that it had an exponent.
    """
    cdef int zeros = 0
    if at[0] == 45:
        at += 1
    if end - at > 16 or (end - 1)[0] == 48 and (end - 2)[0] != 46:
        return False
    if at[0] == 48:
        at += 2
        while at < end and at[0] == 48:
            zeros += 1
            at += 1
    return zeros <= 4


cdef bint _is_double(const uint8_t* at, const uint8_t* end, double* value) noexcept nogil:
    """Whether a number with a point or an exponent is exactly a double, of not more digits than one has."""
    cdef char own[24]
    cdef char back[24]
    cdef char text[40]
    cdef int own_exponent = 0, back_exponent = 0, count, length
    count = _digits_of(at, end, own, &own_exponent)
    if count < 0 or not df_parse(at, end - at, value) or value[0] - value[0] != 0.0:
        return False
    length = df_shortest(value[0], text)
    if _digits_of(<const uint8_t*>text, <const uint8_t*>text + length, back, &back_exponent) != count:
        return False
    return count == 0 or own_exponent == back_exponent and memcmp(own, back, count) == 0


cdef void put_number_text(Output* out, const uint8_t* at, const uint8_t* end) noexcept nogil:
    """A number with a point or an exponent: as a double if that is exact, else as it stands."""
    cdef double value = 0.0
    if _is_double(at, end, &value):
        put_double(out, value)
    else:
        out.has_decimals = True
        put(out, at, end - at)


cdef const uint8_t* _put_number_text(Output* out, const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef const uint8_t* begin = at
    cdef const uint8_t* power = NULL
    cdef bint is_whole = True
    if at < end and at[0] == 45:
        at += 1
    if at >= end or not is_digit(at[0]):
        return NULL
    if at[0] == 48:
        at += 1
    else:
        while at < end and is_digit(at[0]):
            at += 1
    if end - at >= 2 and at[0] == 46 and is_digit(at[1]):
        is_whole = False
        at += 2
        while at < end and is_digit(at[0]):
            at += 1
    if at < end and (at[0] == 101 or at[0] == 69):
        is_whole = False
        at += 1
        if at < end and (at[0] == 43 or at[0] == 45):
            at += 1
        if at >= end or not is_digit(at[0]):
            return NULL
        power = at
        while at < end and is_digit(at[0]):
            at += 1
    if power != NULL and at - power > MAX_POWER_DIGITS:   # maybe beyond the exponent of a decimal
        return NULL
    if not is_whole:
        if power == NULL and is_printed_double(begin, at):
            put(out, begin, at - begin)
        elif power == NULL and out.keeps_zeros and (at - 1)[0] == 48 and (at - 2)[0] != 46:
            out.has_decimals = True
            put(out, begin, at - begin)
        else:
            put_number_text(out, begin, at)
        return at
    if at - begin == 2 and begin[0] == 45 and begin[1] == 48:
        begin += 1   # -0 is the integer 0
    if at - begin > 18:
        out.has_decimals = True
    put(out, begin, at - begin)
    return at


cdef int _hex4(const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef int value = 0, n
    cdef uint8_t byte
    if end - at < 4:
        return -1
    for n in range(4):
        byte = at[n]
        if is_digit(byte):
            value = value * 16 + byte - 48
        elif 97 <= byte <= 102 or 65 <= byte <= 70:
            value = value * 16 + (byte | 32) - 87
        else:
            return -1
    return value


cdef void _put_character(Output* out, uint32_t code) noexcept nogil:
    """One character inside of a JSON string."""
    if code < 0x80:
        if code < 0x20 or code == 34 or code == 92:
            _put_escaped(out, code)
        else:
            put_byte(out, code)
    elif code < 0x800:
        put_byte(out, 0xC0 | code >> 6)
        put_byte(out, 0x80 | code & 63)
    elif code < 0x10000:
        put_byte(out, 0xE0 | code >> 12)
        put_byte(out, 0x80 | code >> 6 & 63)
        put_byte(out, 0x80 | code & 63)
    else:
        put_byte(out, 0xF0 | code >> 18)
        put_byte(out, 0x80 | code >> 12 & 63)
        put_byte(out, 0x80 | code >> 6 & 63)
        put_byte(out, 0x80 | code & 63)


cdef const uint8_t* _put_string_text(Output* out, const uint8_t* at, const uint8_t* end) noexcept nogil:
    """A JSON string that begins behind its quote; the end behind the other quote, or NULL."""
    cdef const uint8_t* begin = at
    cdef const uint8_t* close
    cdef int code, low
    cdef Py_ssize_t run
    close = <const uint8_t*>memchr(at, 34, end - at)
    if close == NULL:
        return NULL
    if memchr(at, 92, close - at) == NULL:   # no escapes: the usual case
        while at < close:
            if at[0] < 0x20:
                return NULL
            at += 1
        return close + 1 if put_text(out, begin, close - begin) else NULL
    put_byte(out, 34)
    while at < end:
        if at[0] == 34:
            put_byte(out, 34)
            return at + 1
        if at[0] < 0x20:
            return NULL
        if at[0] >= 0x80:
            run = _sequence_length(at, end)
            if run == 0:
                return NULL
            put(out, at, run)
            at += run
            continue
        if at[0] != 92:
            put_byte(out, at[0])
            at += 1
            continue
        if end - at < 2:
            return NULL
        if at[1] == 117:
            code = _hex4(at + 2, end)
            at += 6
            if 0xD800 <= code < 0xDC00 and end - at >= 6 and at[0] == 92 and at[1] == 117:
                low = _hex4(at + 2, end)
                if not 0xDC00 <= low < 0xE000:
                    return NULL
                code = 0x10000 + ((code - 0xD800) << 10) + low - 0xDC00
                at += 6
            if code < 0 or 0xD800 <= code < 0xE000:
                return NULL
            _put_character(out, code)
            continue
        if at[1] == 34 or at[1] == 92 or at[1] == 47:
            _put_character(out, at[1])
        elif at[1] == 98:
            put(out, b"\\b", 2)
        elif at[1] == 102:
            put(out, b"\\f", 2)
        elif at[1] == 110:
            put(out, b"\\n", 2)
        elif at[1] == 114:
            put(out, b"\\r", 2)
        elif at[1] == 116:
            put(out, b"\\t", 2)
        else:
            return NULL
        at += 2
    return NULL


cdef const uint8_t* _put_members(
    Output* out, const uint8_t* at, const uint8_t* end, int depth, Keys* keys
) noexcept nogil:
    """What stands behind the bracket of an object that is not empty."""
    cdef Py_ssize_t begin
    while True:
        at = _after_space(at, end)
        if at >= end or at[0] != 34:
            return NULL
        begin = out.size
        at = _put_string_text(out, at + 1, end)
        if at == NULL or out.is_exhausted or not add_key(keys, out.data, begin, out.size):
            return NULL
        at = _after_space(at, end)
        if at >= end or at[0] != 58:
            return NULL
        put_byte(out, 58)
        at = put_json_value_text(out, at + 1, end, depth)
        if at == NULL:
            return NULL
        at = _after_space(at, end)
        if at >= end:
            return NULL
        put_byte(out, at[0])
        if at[0] == 125:
            return at + 1
        if at[0] != 44:
            return NULL
        at += 1


cdef const uint8_t* _put_object_text(Output* out, const uint8_t* at, const uint8_t* end, int depth) noexcept nogil:
    """Declines an object with a key twice."""
    cdef Keys keys
    put_byte(out, 123)
    at = _after_space(at, end)
    if at < end and at[0] == 125:
        put_byte(out, 125)
        return at + 1
    begin_keys(&keys)
    at = _put_members(out, at, end, depth, &keys)
    if not end_keys(&keys, out.data):
        return NULL
    return at


cdef const uint8_t* _put_array_text(Output* out, const uint8_t* at, const uint8_t* end, int depth) noexcept nogil:
    put_byte(out, 91)
    at = _after_space(at, end)
    if at < end and at[0] == 93:
        put_byte(out, 93)
        return at + 1
    while True:
        at = put_json_value_text(out, at, end, depth)
        if at == NULL:
            return NULL
        at = _after_space(at, end)
        if at >= end:
            return NULL
        put_byte(out, at[0])
        if at[0] == 93:
            return at + 1
        if at[0] != 44:
            return NULL
        at += 1


cdef const uint8_t* put_json_value_text(Output* out, const uint8_t* at, const uint8_t* end, int depth) noexcept nogil:
    """One value; the end of its text, or NULL to decline."""
    at = _after_space(at, end)
    if at >= end or depth > MAX_TEXT_DEPTH:
        return NULL
    if at[0] == 34:
        return _put_string_text(out, at + 1, end)
    if at[0] == 123:
        return _put_object_text(out, at + 1, end, depth + 1)
    if at[0] == 91:
        return _put_array_text(out, at + 1, end, depth + 1)
    if end - at >= 4 and memcmp(at, b"true", 4) == 0 or end - at >= 4 and memcmp(at, b"null", 4) == 0:
        put(out, at, 4)
        return at + 4
    if end - at >= 5 and memcmp(at, b"false", 5) == 0:
        put(out, at, 5)
        return at + 5
    return _put_number_text(out, at, end)


cdef bint put_json_text(Output* out, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    """A whole JSON document. False to decline."""
    cdef const uint8_t* end = at + length
    at = put_json_value_text(out, at, end, 1)
    return at != NULL and _after_space(at, end) == end


cdef bint put_mysql_json_text(Output* out, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    """A JSON document as MySQL prints it: see ``json_from_text`` in jsonb.py. False to decline."""
    cdef bint is_written
    out.keeps_zeros = True
    is_written = put_json_text(out, at, length)
    out.keeps_zeros = False
    return is_written
