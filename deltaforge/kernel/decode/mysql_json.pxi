# MySQL's binary JSON to JSON text. The oracle is deltaforge/protocol/mysql/jsonb.py.

cdef enum:
    MAX_JSON_DEPTH = 100


cdef inline Py_ssize_t _json_length(const uint8_t** at, const uint8_t* end) noexcept nogil:
    """A length in groups of seven bits; moves ``at`` behind it. -1 if it is broken."""
    cdef Py_ssize_t value = 0
    cdef int n
    cdef uint8_t byte
    for n in range(5):
        if at[0] >= end:
            return -1
        byte = at[0][0]
        at[0] += 1
        value |= <Py_ssize_t>(byte & 0x7F) << (7 * n)
        if byte < 0x80:
            return value
    return -1


cdef bint _put_json_number(Output* out, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    """A decimal as a JSON number: see ``_exact_number`` in jsonb.py."""
    cdef uint8_t text[96]   # 81 digits, a sign, a point, a zero before it
    cdef Py_ssize_t begin = out.size, size
    if length < 2 or put_decimal(out, at + 2, at + length, at[0], at[1]) == NULL or out.is_exhausted:
        return False
    size = out.size - begin
    if at[1] == 0:
        if size == 2 and out.data[begin] == 45 and out.data[begin + 1] == 48:   # -0 is the integer 0
            out.data[begin] = 48
            out.size -= 1
        out.has_decimals |= size > 18
    elif out.data[out.size - 1] == 48 and out.data[out.size - 2] != 46:
        out.has_decimals = True
    elif not is_printed_double(out.data + begin, out.data + out.size):
        memcpy(text, out.data + begin, size)
        out.size = begin
        put_number_text(out, text, text + size)
    return True


cdef bint _put_json_time(Output* out, int kind, int64_t packed) noexcept nogil:
    cdef uint64_t value = <uint64_t>0 - <uint64_t>packed if packed < 0 else <uint64_t>packed
    cdef uint64_t micros = value & 0xFFFFFF
    cdef uint64_t months
    value >>= 24
    put_byte(out, 34)
    if kind == 11:
        if packed < 0:
            put_byte(out, 45)
        put_clock(out, value >> 12 & 0x3FF, value >> 6 & 63, value & 63, micros)
    else:
        months = value >> 22
        put_date(out, months // 13, months % 13, value >> 17 & 31)
        if kind != 10:
            put_byte(out, 32)
            put_clock(out, value >> 12 & 31, value >> 6 & 63, value & 63, micros)
    put_byte(out, 34)
    return True


cdef bint _put_json_opaque(Output* out, int kind, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    if kind == 246:
        return _put_json_number(out, at, length)
    if kind == 10 or kind == 12 or kind == 7 or kind == 11:
        return length >= 8 and _put_json_time(out, kind, <int64_t>little(at, 8))
    put(out, b'"base64:type', 12)
    put_uint(out, kind)
    put_byte(out, 58)
    put_base64_text(out, at, length, 0)
    put_byte(out, 34)
    return True


cdef bint _put_json_scalar(Output* out, int kind, const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef Py_ssize_t length
    cdef int width, code
    cdef double number
    if kind == 12:
        length = _json_length(&at, end)
        return 0 <= length <= end - at and put_text(out, at, length)
    if 5 <= kind <= 10:
        width = 2 << ((kind - 5) // 2)
        if end - at < width:
            return False
        if kind & 1:
            put_int(out, extended(little(at, width), width))
        else:
            put_uint(out, little(at, width))
        return True
    if kind == 4:
        if end - at < 1 or at[0] > 2:
            return False
        if at[0] == 0:
            put(out, b"null", 4)
        elif at[0] == 1:
            put(out, b"true", 4)
        else:
            put(out, b"false", 5)
        return True
    if kind == 11:
        if end - at < 8:
            return False
        memcpy(&number, at, 8)
        put_double(out, number)
        return True
    if kind == 15 and end - at >= 1:
        code = at[0]
        at += 1
        length = _json_length(&at, end)
        return 0 <= length <= end - at and _put_json_opaque(out, code, at, length)
    return False


cdef bint _put_json_key(
    Output* out, const uint8_t* base, const uint8_t* end, const uint8_t* entry, int width, bint is_first
) noexcept nogil:
    """One key. Keys are sorted by length and bytes: others are declined, so that none is written twice."""
    cdef Py_ssize_t place = <Py_ssize_t>little(entry, width), length = <Py_ssize_t>little(entry + width, 2)
    cdef Py_ssize_t other
    cdef const uint8_t* before
    cdef int order
    if place + length > end - base:
        return False
    if not is_first:
        before = entry - width - 2
        other = <Py_ssize_t>little(before + width, 2)
        if other > length:
            return False
        if other == length:
            order = memcmp(base + little(before, width), base + place, length)
            if order >= 0:
                return False
    return put_text(out, base + place, length)


cdef bint _put_json_value(
    Output* out, int kind, const uint8_t* base, const uint8_t* end, int depth, Py_ssize_t* left
) noexcept nogil:
    """The value of type ``kind`` at ``base``; for containers all offsets count from there.

    ``left`` is the number of values that a document of this size can have: damaged ones may hold one value
    many times.
    """
    cdef bint is_large, is_object
    cdef int width, item
    cdef Py_ssize_t count, n, place
    cdef const uint8_t* keys
    cdef const uint8_t* values
    cdef const uint8_t* entry
    if kind > 3:
        return _put_json_scalar(out, kind, base, end)
    if depth > MAX_JSON_DEPTH:
        return False
    is_large, is_object = kind & 1, kind <= 1
    width = 4 if is_large else 2
    if end - base < 2 * width:
        return False
    count = <Py_ssize_t>little(base, width)
    left[0] -= count
    if left[0] < 0:
        return False
    if <Py_ssize_t>little(base + width, width) > end - base:
        return False
    keys = base + 2 * width
    if end - keys < count * ((width + 2 if is_object else 0) + width + 1):
        return False
    values = keys + (count * (width + 2) if is_object else 0)
    put_byte(out, 123 if is_object else 91)
    for n in range(count):
        if n:
            put_byte(out, 44)
        if is_object:
            entry = keys + n * (width + 2)
            if not _put_json_key(out, base, end, entry, width, n == 0):
                return False
            put_byte(out, 58)
        entry = values + n * (width + 1)
        item = entry[0]
        if 4 <= item <= (8 if is_large else 6):
            if not _put_json_value(out, item, entry + 1, end, depth + 1, left):
                return False
            continue
        place = <Py_ssize_t>little(entry + 1, width)
        if place <= 0 or place > end - base:
            return False
        if not _put_json_value(out, item, base + place, end, depth + 1, left):
            return False
    put_byte(out, 125 if is_object else 93)
    return True


cdef bint put_json_binary(Output* out, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    """A binary JSON document; an empty one is null. False if the bytes break the format."""
    cdef Py_ssize_t left
    if length == 0:
        put(out, b"null", 4)
        return True
    left = length
    return _put_json_value(out, at[0], at + 1, at + length, 1, &left)
