# Values of the log in the forms that records have, as JSON or Avro. The oracles are deltaforge/records/values.py and
# writers.py, which go by the values of row images.

cdef enum Taken:
    LEFT                  # to Python
    TAKEN
    TAKEN_AS_NULL         # nothing was put
    TAKEN_AS_UNCHANGED    # likewise


cdef struct RecordScratch:
    Output json           # a value as row images have it
    Output plain          # a text without quotes and escapes, or bytes
    Output item           # of an array
    Output whole          # a value before it is hashed or cut, as Avro


cdef struct RecordValue:
    # Where a value stands, and what it is to become.
    Column* column
    RecordForm* form
    const uint8_t* at
    Py_ssize_t size
    bint is_mysql
    bint is_json          # the record


cdef inline void put_long(Output* out, int64_t value) noexcept nogil:
    """Avro's integer: zigzag, seven bits a byte."""
    cdef uint64_t rest = <uint64_t>value << 1 ^ <uint64_t>(value >> 63)
    cdef uint8_t* to
    if not reserve(out, 10):
        return
    to = out.data + out.size
    while rest > 127:
        to[0] = <uint8_t>(rest & 127 | 128)
        to += 1
        rest >>= 7
    to[0] = <uint8_t>rest
    out.size = to + 1 - out.data


cdef inline void put_avro_bytes(Output* out, const void* data, Py_ssize_t size) noexcept nogil:
    put_long(out, size)
    put(out, data, size)


cdef bint is_utf8(const uint8_t* at, Py_ssize_t size) noexcept nogil:
    cdef const uint8_t* end = at + size
    cdef Py_ssize_t run
    while at < end:
        if end - at >= 8 and not df_load64(at) & 0x8080808080808080ULL:
            at += 8
        elif at[0] < 0x80:
            at += 1
        else:
            run = _sequence_length(at, end)
            if run == 0:
                return False
            at += run
    return True


cdef bint _render(Output* out, RecordValue* value) noexcept nogil:
    """The value as row images have it, as JSON. False to decline."""
    if value.is_mysql:
        return put_value(out, value.column, value.at, value.size) and not out.is_exhausted
    return _put_pg_value(out, value.column, value.at, value.size) and not out.is_exhausted


cdef inline bint _is_plain(RecordValue* value) noexcept nogil:
    """Whether the bytes of the log are the text of the image."""
    return value.column.kind == TEXT or value.column.kind == PG_TEXT and not value.column.is_array


cdef inline Text _plain_of(RecordValue* value) noexcept nogil:
    cdef int before = value.column.width if value.is_mysql else 0
    return Text(<const char*>value.at + before, value.size - before)


cdef bint find_plain(RecordScratch* scratch, RecordValue* value, Text* to) noexcept nogil:
    """The text of a value that is one in row images, in UTF-8. False to decline: it is none."""
    if _is_plain(value):
        to[0] = _plain_of(value)
        return is_utf8(<const uint8_t*>to.data, to.size)
    scratch.json.size = 0
    if not _render(&scratch.json, value) or scratch.json.size < 2 or scratch.json.data[0] != 34:
        return False
    scratch.plain.size = 0
    _put_unescaped(&scratch.plain, scratch.json.data + 1, scratch.json.data + scratch.json.size - 1)
    to[0] = Text(<const char*>scratch.plain.data, scratch.plain.size)
    return not scratch.plain.is_exhausted


cdef bint _put_plain(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """A text as it is in row images."""
    cdef Text text
    cdef Py_ssize_t begin = out.size
    if value.is_json and not _is_plain(value):
        return _render(out, value) and out.data[begin] == 34
    if value.is_json:
        text = _plain_of(value)
        return put_text(out, <const uint8_t*>text.data, text.size)
    if not find_plain(scratch, value, &text):
        return False
    put_avro_bytes(out, text.data, text.size)
    return True


cdef void put_string(Output* out, const void* data, Py_ssize_t size, bint is_json) noexcept nogil:
    """A text that is UTF-8."""
    if is_json:
        put_text(out, <const uint8_t*>data, size)
    else:
        put_avro_bytes(out, data, size)


cdef void put_raw(Output* out, const void* data, Py_ssize_t size, Py_ssize_t zeros, bint is_json) noexcept nogil:
    """Bytes with zeros behind them."""
    if is_json:
        put_byte(out, 34)
        put_base64_text(out, <const uint8_t*>data, size, zeros)
        put_byte(out, 34)
        return
    put_long(out, size + zeros)
    put(out, data, size)
    while zeros > 0:
        put_byte(out, 0)
        zeros -= 1


cdef void put_flag(Output* out, bint flag, bint is_json) noexcept nogil:
    if not is_json:
        put_byte(out, 1 if flag else 0)
    elif flag:
        put(out, b"true", 4)
    else:
        put(out, b"false", 5)


cdef bint find_integer(RecordValue* value, uint64_t* to, bint* is_negative) noexcept nogil:
    """A number that is an integer in row images, its 64 bits. False to decline."""
    cdef Column* column = value.column
    cdef int64_t number
    cdef Py_ssize_t first
    is_negative[0] = False
    if column.kind == SIGNED:
        number = extended(little(value.at, column.width), column.width)
        is_negative[0] = number < 0
        to[0] = <uint64_t>number
    elif column.kind == UNSIGNED:
        to[0] = little(value.at, column.width)
    elif column.kind == YEAR:
        to[0] = 1900 + value.at[0] if value.at[0] else 0
    elif column.kind == BITS:
        to[0] = big(value.at, column.width)
    elif column.kind == PG_INTEGER and not column.is_array:
        first = 1 if value.size and value.at[0] == 45 else 0
        if not 1 <= value.size - first <= 19 or value.at[first] == 48 and value.size > 1:
            return False
        to[0] = 0
        for first in range(first, value.size):
            if not is_digit(value.at[first]):
                return False
            to[0] = to[0] * 10 + value.at[first] - 48
        is_negative[0] = value.at[0] == 45
        if to[0] > 0x7FFFFFFFFFFFFFFFULL + is_negative[0]:
            return False
        if is_negative[0]:
            to[0] = <uint64_t>0 - to[0]
    else:
        return False
    return True


cdef bint _find_double(RecordScratch* scratch, RecordValue* value, double* to) noexcept nogil:
    """A number as row images have it, or the nearest to the digits of a text. False to decline."""
    cdef Kind kind = value.column.kind
    cdef Output* text = &scratch.plain
    cdef const uint8_t* at = value.at
    cdef Py_ssize_t size = value.size
    if kind == DOUBLE:
        memcpy(to, at, 8)
        return to[0] - to[0] == 0.0
    if kind == SINGLE or kind == DECIMAL:
        text.size = 0
        if kind == SINGLE:
            put_single(text, at)
        elif put_decimal(text, at, at + size, value.column.precision, value.column.scale) == NULL:
            return False
        return not text.is_exhausted and df_parse(text.data, text.size, to)
    if value.column.is_array or kind != PG_FLOAT and kind != PG_TEXT:
        return False
    if size == 3 and memcmp(at, b"NaN", 3) == 0 or size == 8 and memcmp(at, b"Infinity", 8) == 0 or (
        size == 9 and memcmp(at, b"-Infinity", 9) == 0
    ):
        return df_parse(at, size, to)
    return size > 0 and (is_digit(at[0]) or at[0] == 45 and size > 1 and is_digit(at[1])) and df_parse(at, size, to)


cdef bint _put_float(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    cdef double number = 0.0
    cdef float single
    if value.form.form == FORM_SINGLE and value.column.kind == SINGLE and not value.is_json:
        memcpy(&single, value.at, 4)
        put(out, value.at, 4)
        return single - single == 0.0
    if not _find_double(scratch, value, &number):
        return False
    if value.form.form == FORM_WIDENED_SINGLE:
        single = <float>number
        if single - single != 0.0:
            return False
        number = single
    if value.is_json:
        if number != number:
            put(out, b'"NaN"', 5)
        elif number - number != 0.0 and number < 0:
            put(out, b'"-Infinity"', 11)
        elif number - number != 0.0:
            put(out, b'"Infinity"', 10)
        else:
            put_double(out, number)
    elif value.form.form != FORM_SINGLE:
        put(out, &number, 8)
    else:
        single = <float>number
        put(out, &single, 4)
        return number - number != 0.0 or single - single == 0.0   # it may be too large
    return True


cdef bint find_micros(RecordScratch* scratch, RecordValue* value, int64_t* to) noexcept nogil:
    """Microseconds of a moment or time. False to decline."""
    cdef Kind kind = value.column.kind
    cdef Text text
    if kind == DATETIME2 or kind == TIMESTAMP2 or kind == TIME2:
        return find_mysql_micros(value.column, value.at, to)
    if value.column.is_array or kind == PG_TIMESTAMPTZ and (
        value.size < 3 or memcmp(value.at + value.size - 3, b"+00", 3) != 0
    ):
        return False
    if kind == PG_TIMESTAMP or kind == PG_TIMESTAMPTZ or kind == PG_TEXT:
        return find_text_micros(value.at, value.size, to)
    if OLD_TIME <= kind <= HIRES_TIMESTAMP:
        return find_plain(scratch, value, &text) and find_text_micros(<const uint8_t*>text.data, text.size, to)
    return False


cdef bint find_count(RecordScratch* scratch, RecordValue* value, int64_t* to) noexcept nogil:
    """A count of days or of parts of a second. False to decline."""
    cdef int form = value.form.form
    cdef uint64_t date
    if form == FORM_INTERVAL_MICROS:
        return (
            value.column.kind == PG_TEXT and not value.column.is_array
            and find_interval_micros(value.at, value.size, to)
        )
    if form == FORM_DAYS:
        if value.column.kind == DATE:
            date = little(value.at, 3)
            return find_days(date >> 9, date >> 5 & 15, date & 31, to)
        return (
            value.column.kind == PG_TEXT and not value.column.is_array and value.size == 10
            and find_text_days(value.at, value.size, to)
        )
    if not find_micros(scratch, value, to):
        return False
    if (form == FORM_DAY_MILLIS or form == FORM_DAY_MICROS) and not 0 <= to[0] < 86400000000LL:
        return False
    if form == FORM_MILLIS or form == FORM_DAY_MILLIS:
        to[0] = floor_of(to[0], 1000)
    elif form == FORM_NANOS:
        if not -9000000000000000LL < to[0] < 9000000000000000LL:
            return False
        to[0] *= 1000
    return True


cdef bint _put_integer(Output* out, RecordValue* value) noexcept nogil:
    cdef uint64_t number = 0
    cdef uint8_t digits[24]
    cdef Output room
    cdef bint is_negative = False
    cdef int form = value.form.form
    if form == FORM_BOOLEAN:
        if value.column.kind != PG_BOOLEAN or value.column.is_array or value.size != 1:
            return False
        put_flag(out, value.at[0] == 116, value.is_json)
        return value.at[0] == 116 or value.at[0] == 102
    if form == FORM_BIT and value.column.kind == PG_TEXT:
        if value.column.is_array or value.size != 1:
            return False
        put_flag(out, value.at[0] == 49, value.is_json)
        return value.at[0] == 49 or value.at[0] == 48
    if not find_integer(value, &number, &is_negative):
        return False
    if form == FORM_BIT:
        put_flag(out, number == 1, value.is_json)
        return value.column.kind == BITS
    if form == FORM_NUMBER_TEXT:
        room = output_in(digits, sizeof(digits))
        if is_negative:
            put_int(&room, <int64_t>number)
        else:
            put_uint(&room, number)
        put_string(out, digits, room.size, value.is_json)
        return True
    if form == FORM_INTEGER and not is_negative and number > 0x7FFFFFFFFFFFFFFFULL:
        return False
    if value.is_json:
        put_int(out, <int64_t>number)
    else:
        put_long(out, <int64_t>number)
    return True
