# MySQL column values, wire bytes to JSON. The oracle is deltaforge/protocol/mysql/values.py and the
# modules it uses: each writer gives the JSON form of what the Python decoder gives.
#
# A writer returns the end of the value, or NULL to decline: the bytes break the format, or the case is
# rare. The caller then asks the Python decoder, which decides which of the two it is.

cdef int* _DIGIT_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4]


cdef int decimal_bytes(int precision, int scale) noexcept nogil:
    cdef int whole = precision - scale
    return (whole // 9) * 4 + _DIGIT_BYTES[whole % 9] + (scale // 9) * 4 + _DIGIT_BYTES[scale % 9]


cdef uint64_t _decimal_group(const uint8_t* at, int width, uint8_t invert, bint is_first) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint8_t byte
    cdef int n
    for n in range(width):
        byte = at[n]
        if is_first and n == 0:
            byte ^= 0x80
        value = (value << 8) | (byte ^ invert)
    return value


cdef const uint8_t* put_decimal(
    Output* out, const uint8_t* at, const uint8_t* end, int precision, int scale
) noexcept nogil:
    """A packed decimal as plain digits, without quotes: see ``decimal_text``."""
    cdef int whole = precision - scale, digits, n
    cdef uint8_t invert
    cdef bint is_first = True
    cdef Py_ssize_t begin, first
    cdef int size
    if not 0 < precision <= 81 or scale < 0 or whole < 0:
        return NULL
    size = decimal_bytes(precision, scale)
    if end - at < size:
        return NULL
    invert = 0 if at[0] & 0x80 else 0xFF
    if invert:
        put_byte(out, 45)
    begin = out.size
    for n in range(whole // 9 + 1):
        digits = whole % 9 if n == 0 else 9
        if digits:
            put_padded(out, _decimal_group(at, _DIGIT_BYTES[digits], invert, is_first), digits)
            at += _DIGIT_BYTES[digits]
            is_first = False
    first = begin
    while first < out.size and out.data[first] == 48:
        first += 1
    if first == out.size:
        out.size = begin
        put_byte(out, 48)
    elif first > begin:
        memmove(out.data + begin, out.data + first, out.size - first)
        out.size -= first - begin
    if scale:
        put_byte(out, 46)
        for n in range(scale // 9 + 1):
            digits = 9 if n < scale // 9 else scale % 9
            if digits:
                put_padded(out, _decimal_group(at, _DIGIT_BYTES[digits], invert, is_first), digits)
                at += _DIGIT_BYTES[digits]
                is_first = False
    return at


cdef bint _put_set(Output* out, Column* column, uint64_t bits) noexcept nogil:
    cdef Py_ssize_t n
    cdef bint is_first = True
    if column.label_count < 64 and bits >> column.label_count:
        return False
    put_byte(out, 34)
    for n in range(column.label_count):
        if bits >> n & 1:
            if not is_first:
                put_byte(out, 44)
            put(out, column.labels[n], column.label_lengths[n])
            is_first = False
    put_byte(out, 34)
    return True


cdef bint _put_enum(Output* out, Column* column, uint64_t index) noexcept nogil:
    if index > <uint64_t>column.label_count:
        return False
    put_byte(out, 34)
    if index:
        put(out, column.labels[index - 1], column.label_lengths[index - 1])
    put_byte(out, 34)
    return True


cdef bint _put_vector(Output* out, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t n
    if length % 4:
        return False
    put_byte(out, 91)
    for n in range(0, length, 4):
        if n:
            put_byte(out, 44)
        put_single(out, at + n)
    put_byte(out, 93)
    return True


cdef bint _put_bytes(Output* out, Column* column, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    """A value whose bytes have their length before them."""
    if column.kind == TEXT:
        if not put_text(out, at, length):
            put_base64(out, at, length, 0)   # bytes that are no text in their own character set
    elif column.kind == PAIR_TEXT:
        return put_pair_text(out, at, length, column.table)
    elif column.kind == WIDE_TEXT:
        return put_wide_text(out, at, length, column.precision, column.scale)
    elif column.kind == TABLE_TEXT:
        put_table_text(out, at, length, column.table)
    elif column.kind == BINARY:
        put_base64(out, at, length, max(column.pad - length, 0))
    elif column.kind == JSON_BINARY:
        return put_json_binary(out, at, length)
    elif column.kind == JSON_TEXT:
        return put_mysql_json_text(out, at, length)
    elif column.kind == VECTOR:
        return _put_vector(out, at, length)
    else:
        if length < 4:
            return False
        put(out, b'{"_base64":"', 12)
        put_base64_text(out, at + 4, length - 4, 0)
        put(out, b'","srid":', 9)
        put_uint(out, little(at, 4))
        put_byte(out, 125)
    return True


cdef inline Py_ssize_t value_size(Column* column, const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Bytes of a value on the wire, its length included; -1 if they are not all there."""
    cdef Py_ssize_t size = column.width
    if end - at < size:
        return -1
    if column.kind >= TEXT and column.kind <= VECTOR:
        size += <Py_ssize_t>little(at, column.width)
        if end - at < size:
            return -1
    return size


cdef bint put_value(Output* out, Column* column, const uint8_t* at, Py_ssize_t size) noexcept nogil:
    """The value whose ``size`` bytes, checked by ``value_size``, begin at ``at``. False to decline."""
    cdef Kind kind = column.kind
    cdef uint64_t value
    cdef double number
    if kind == SIGNED:
        put_int(out, extended(little(at, column.width), column.width))
    elif kind == UNSIGNED:
        put_uint(out, little(at, column.width))
    elif kind >= TEXT and kind <= VECTOR:
        return _put_bytes(out, column, at + column.width, size - column.width)
    elif kind == DECIMAL:
        put_byte(out, 34)
        if put_decimal(out, at, at + size, column.precision, column.scale) == NULL:
            return False
        put_byte(out, 34)
    elif kind == TIMESTAMP2:
        _put_timestamp(out, big(at, 4), micros_of(at + 4, column.scale))
    elif kind == DATETIME2:
        return _put_datetime2(out, at, column.scale)
    elif kind == ENUM:
        return _put_enum(out, column, little(at, column.width))
    elif kind == SET:
        return _put_set(out, column, little(at, column.width))
    elif kind == DATE:
        value = little(at, 3)
        if value >> 5 & 15 == 0 or value & 31 == 0:
            put(out, b"null", 4)
        else:
            put_byte(out, 34)
            put_date(out, value >> 9, value >> 5 & 15, value & 31)
            put_byte(out, 34)
    elif kind == TIME2:
        _put_time2(out, at, column.scale)
    elif kind == YEAR:
        put_uint(out, 1900 + at[0] if at[0] else 0)
    elif kind == DOUBLE:
        memcpy(&number, at, 8)
        put_double(out, number)
    elif kind == SINGLE:
        put_single(out, at)
    elif kind == BITS:
        put_uint(out, big(at, column.width))
    elif kind == OLD_TIMESTAMP:
        _put_timestamp(out, little(at, 4), 0)
    elif kind == OLD_DATETIME:
        return _put_old_datetime(out, little(at, 8))
    elif kind == OLD_TIME:
        return _put_old_time(out, extended(little(at, 3), 3))
    elif kind == HIRES_DATETIME:
        return _put_hires_datetime(out, big(at, column.width), column.scale)
    elif kind == HIRES_TIME:
        return _put_hires_time(out, big(at, column.width), column.scale)
    elif kind == HIRES_TIMESTAMP:
        value = big(at + 4, column.width - 4)
        _put_timestamp(out, big(at, 4), value * _TEN_TO[6 - column.scale])
        return value < _TEN_TO[column.scale]
    else:
        return False
    return True


cdef bint is_null_date(Column* column, const uint8_t* at) noexcept nogil:
    """Whether a date of the right size has a zero part and is written as null."""
    cdef uint64_t value
    cdef int64_t months
    if column.kind == DATE:
        value = little(at, 3)
        return value >> 5 & 15 == 0 or value & 31 == 0
    if column.kind == DATETIME2:
        value = big(at, 5) - 0x8000000000ULL
        months = <int64_t>value >> 22
        return months % 13 == 0 or value >> 17 & 31 == 0
    if column.kind == TIMESTAMP2:
        return big(at, 4) == 0 and micros_of(at + 4, column.scale) == 0
    if column.kind == OLD_DATETIME:
        value = little(at, 8) // 1000000
        return value // 100 % 100 == 0 or value % 100 == 0
    if column.kind == HIRES_DATETIME:
        value = big(at, column.width) // _TEN_TO[column.scale] // 86400
        return value // 32 % 13 == 0 or value % 32 == 0
    if column.kind == HIRES_TIMESTAMP:
        return big(at, 4) == 0 and big(at + 4, column.width - 4) == 0
    return column.kind == OLD_TIMESTAMP and little(at, 4) == 0
