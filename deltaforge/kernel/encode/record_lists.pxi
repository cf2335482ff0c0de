# The forms of records that hold any number of values, and intervals, points, money and zoned times of PostgreSQL.

cdef void _put_count_before(Output* out, Py_ssize_t begin, Py_ssize_t count) noexcept nogil:
    """What Avro has around the items of a list, which stand at the end."""
    cdef uint8_t text[10]
    cdef Output room = output_in(text, sizeof(text))
    put_long(&room, count)
    if count and reserve(out, room.size):
        memmove(out.data + begin + room.size, out.data + begin, out.size - begin)
        memcpy(out.data + begin, text, room.size)
        out.size += room.size
    put_byte(out, 0)


cdef const uint8_t* _find_item(
    RecordScratch* scratch, char delimiter, const uint8_t* at, const uint8_t* end, Text* to
) noexcept nogil:
    """The text of an item of an array, its data NULL for NULL; what stands behind it, or NULL to decline."""
    cdef const uint8_t* begin = at
    cdef Output* text = &scratch.item
    if at[0] != 34:
        while at < end and at[0] != <uint8_t>delimiter and at[0] != 125:
            if at[0] == 92 or at[0] == 34 or at[0] == 123:
                return NULL
            at += 1
        to[0] = Text(<const char*>begin, at - begin)
        if to.size == 4 and (begin[0] | 32) == 110:   # NULL, in any case: Python knows which
            if memcmp(begin, b"NULL", 4) != 0:
                return NULL
            to.data = NULL
        return at if to.size else NULL
    text.size = 0
    at += 1
    while at < end and at[0] != 34:
        if at[0] == 92:
            at += 1
            if at == end:
                return NULL
        put_byte(text, at[0])
        at += 1
    if at == end or text.is_exhausted or not reserve(text, 1):
        return NULL
    to[0] = Text(<const char*>text.data, text.size)
    return at + 1


cdef bint _put_item(Output* out, RecordScratch* scratch, RecordValue* item, bint is_null) noexcept nogil:
    cdef Py_ssize_t begin = out.size
    cdef Taken taken = TAKEN_AS_NULL
    if not is_null:
        if not item.is_json:
            put_byte(out, 2)
        taken = put_record_value(out, scratch, item)
    if taken == TAKEN_AS_NULL:
        out.size = begin
        if item.is_json:
            put(out, b"null", 4)
        else:
            put_byte(out, 0)
    return taken == TAKEN or taken == TAKEN_AS_NULL


cdef bint _put_array(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """An array of one dimension."""
    cdef Column column = value.column[0]
    cdef RecordValue item = value[0]
    cdef Text text
    cdef const uint8_t* at = value.at
    cdef const uint8_t* end = value.at + value.size
    cdef Py_ssize_t begin = out.size, count = 0
    if value.form.items == NULL or value.form.items.form == FORM_ARRAY:
        return False
    column.is_array = False
    item.column, item.form = &column, value.form.items
    if value.column.kind == VECTOR or value.column.kind == BINARY:   # MariaDB says bytes
        return _put_vector_items(out, &item)
    if not value.column.is_array or value.size < 2 or at[0] != 123:
        return False
    at += 1
    if value.is_json:
        put_byte(out, 91)
    while at < end and at[0] != 125:
        if count and value.is_json:
            put_byte(out, 44)
        if at[0] == 123:
            return False   # of more dimensions
        at = _find_item(scratch, column.delimiter, at, end, &text)
        if at == NULL or at >= end:
            return False
        item.at, item.size = <const uint8_t*>text.data, text.size
        if not _put_item(out, scratch, &item, text.data == NULL):
            return False
        count += 1
        if at[0] == <uint8_t>column.delimiter:
            at += 1
            if at >= end or at[0] == 125:
                return False
        elif at[0] != 125:
            return False
    if at + 1 != end:
        return False
    if value.is_json:
        put_byte(out, 93)
    else:
        _put_count_before(out, begin, count)
    return True


cdef bint _put_vector_items(Output* out, RecordValue* item) noexcept nogil:
    """Numbers that are never null, as the schema says."""
    cdef Py_ssize_t width = item.column.width, n
    cdef Py_ssize_t count = (item.size - width) // 4, begin = out.size
    cdef float single
    if item.form.form != FORM_SINGLE or (item.size - width) % 4:
        return False
    if item.is_json:
        put_byte(out, 91)
    for n in range(count):
        memcpy(&single, item.at + width + 4 * n, 4)
        if single - single != 0.0:
            return False
        if not item.is_json:
            put(out, &single, 4)
            continue
        if n:
            put_byte(out, 44)
        put_single(out, item.at + width + 4 * n)
    if item.is_json:
        put_byte(out, 93)
    else:
        _put_count_before(out, begin, count)
    return True


cdef bint _put_map(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """An hstore."""
    cdef Output* json = &scratch.json
    cdef Py_ssize_t begin = out.size, count = 0
    cdef const uint8_t* at
    cdef const uint8_t* stop
    cdef const uint8_t* key_end
    if value.column.kind != PG_HSTORE or value.column.is_array:
        return False
    if value.is_json:
        return _render(out, value)
    json.size = 0
    if not _render(json, value):
        return False
    at, stop = json.data + 1, json.data + json.size - 1
    while at < stop:
        key_end = at + 1
        while key_end[0] != 34:
            key_end += 2 if key_end[0] == 92 else 1
        _put_unescaped_text(out, scratch, at + 1, key_end)
        at = key_end + 2
        key_end = _json_end(at, stop)
        if at[0] == 34:
            put_byte(out, 2)
            _put_unescaped_text(out, scratch, at + 1, key_end - 1)
        else:
            put_byte(out, 0)
        count += 1
        at = key_end + 1
    _put_count_before(out, begin, count)
    return not scratch.plain.is_exhausted


cdef void _put_unescaped_text(Output* out, RecordScratch* scratch, const uint8_t* at, const uint8_t* end) noexcept nogil:
    scratch.plain.size = 0
    _put_unescaped(&scratch.plain, at, end)
    put_avro_bytes(out, scratch.plain.data, scratch.plain.size)


cdef bint _put_pg_point(Output* out, RecordValue* value) noexcept nogil:
    """``(x,y)``"""
    cdef uint8_t wkb[21]
    cdef double x = 0.0, y = 0.0
    cdef const uint8_t* comma
    cdef const uint8_t* at = value.at + 1
    cdef const uint8_t* end = value.at + value.size - 1
    if value.column.is_array or value.size < 5 or value.at[0] != 40 or end[0] != 41:
        return False
    comma = <const uint8_t*>memchr(at, 44, end - at)
    if comma == NULL or not df_parse(at, comma - at, &x) or not df_parse(comma + 1, end - comma - 1, &y):
        return False
    if x - x != 0.0 or y - y != 0.0:
        return False
    wkb[0], wkb[1], wkb[2], wkb[3], wkb[4] = 1, 1, 0, 0, 0
    memcpy(wkb + 5, &x, 8)
    memcpy(wkb + 13, &y, 8)
    if not value.is_json:
        put(out, wkb + 5, 16)
        put_byte(out, 2)
        put_avro_bytes(out, wkb, 21)
        put_byte(out, 0)
        return True
    put(out, b'{"x":', 5)
    put_double(out, x)
    put(out, b',"y":', 5)
    put_double(out, y)
    put(out, b',"wkb":', 7)
    put_raw(out, wkb, 21, 0, True)
    put(out, b',"srid":null}', 13)
    return True


cdef bint find_interval_micros(const uint8_t* at, Py_ssize_t size, int64_t* to) noexcept nogil:
    """Microseconds of an interval as PostgreSQL prints it: see ``moments.interval_micros``. False to decline."""
    cdef const uint8_t* end = at + size
    cdef const uint8_t* begin
    cdef int64_t months = 0, days = 0, number = 0
    cdef int digits
    cdef bint is_negative
    cdef double rest
    to[0] = 0
    while at < end:
        begin = at
        is_negative = at[0] == 45
        at += 1 if is_negative or at[0] == 43 else 0
        digits = 0
        while at + digits < end and is_digit(at[digits]):
            digits += 1
        if not 1 <= digits <= 9 or at + digits == end:
            return False
        if at[digits] == 58:
            if not _find_clock(at, end, to):
                return False
            if is_negative:
                to[0] = -to[0]
            break
        _find_digits(at, digits, &number)
        number = -number if is_negative else number
        at += digits
        if end - at >= 5 and memcmp(at, b" year", 5) == 0:
            months += 12 * number
            at += 5
        elif end - at >= 4 and memcmp(at, b" mon", 4) == 0:
            months += number
            at += 4
        elif end - at >= 4 and memcmp(at, b" day", 4) == 0:
            days += number
            at += 4
        else:
            return False
        at += 1 if at < end and at[0] == 115 else 0
        if at < end:
            if at[0] != 32 or at + 1 == end:
                return False
            at += 1
        if at == begin:
            return False
    rest = (<double>months * 30.4375 + <double>days) * 86400.0 * 1000000.0
    if not -4e18 < rest < 4e18:
        return False
    to[0] += <int64_t>rest
    return True


cdef bint put_money(Output* out, RecordValue* value) noexcept nogil:
    """The digits of an amount, whatever the currency: see ``_amount`` in deltaforge/records/values.py."""
    cdef uint8_t digits[64]
    cdef uint8_t raw[MAX_DECIMAL_DIGITS]
    cdef Output text = output_in(digits, sizeof(digits))
    cdef Py_ssize_t n, size
    cdef int own_scale = 0
    if value.column.kind != PG_TEXT or value.column.is_array or not 0 < value.size < 60 or value.form.scale < 0:
        return False
    if value.at[0] == 45 or value.at[0] == 40:
        put_byte(&text, 45)
    for n in range(value.size):
        if value.at[n] >= 0x80:
            return False
        if is_digit(value.at[n]) or value.at[n] == 46:
            put_byte(&text, value.at[n])
    size = find_unscaled(raw, text.data, text.size, value.form.scale, &own_scale)
    if size < 0:
        return False
    put_raw(out, raw, size, 0, value.is_json)
    return True


cdef bint put_zoned_time(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """``hh:mm:ss.ffffff+hh:mm:ss`` in UTC: see ``moments.zoned_time``."""
    cdef Output* text = &scratch.plain
    cdef const uint8_t* end = value.at + value.size
    cdef const uint8_t* zone = end
    cdef int64_t micros = 0, part = 0, offset = 0
    cdef int n
    if value.column.kind != PG_TEXT or value.column.is_array:
        return False
    while zone > value.at and (zone - 1)[0] != 43 and (zone - 1)[0] != 45:
        zone -= 1
    if zone == value.at or not _find_clock(value.at, zone - 1, &micros):
        return False
    for n in range(3):
        if n and zone == end:
            break
        if n and zone[0] != 58:
            return False
        zone += 1 if n else 0
        if end - zone < 2 or not _find_digits(zone, 2, &part):
            return False
        offset += part * (3600 if n == 0 else 60 if n == 1 else 1)
        zone += 2
    if zone != end or not 0 <= micros <= 86400000000LL:
        return False
    zone = value.at
    while zone[0] != 43 and zone[0] != 45:
        zone += 1
    micros = micros - (offset if zone[0] == 43 else -offset) * 1000000
    micros -= floor_of(micros, 86400000000LL) * 86400000000LL
    text.size = 0
    put_clock(text, micros // 3600000000LL, micros // 60000000 % 60, micros // 1000000 % 60, micros % 1000000)
    if text.is_exhausted:
        return False
    while text.data[text.size - 1] == 48 and text.size > 8:
        text.size -= 1
    if text.data[text.size - 1] == 46:
        text.size -= 1
    put_byte(text, 90)
    put_string(out, text.data, text.size, value.is_json)
    return not text.is_exhausted
