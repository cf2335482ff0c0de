# The forms of records that are bytes, and those that have parts; and which form is put how.

cdef bint _find_bytes(RecordScratch* scratch, RecordValue* value, Text* to, Py_ssize_t* zeros) noexcept nogil:
    """The bytes of a value that is bytes in row images, and how many zeros stand behind them. False to decline."""
    cdef Column* column = value.column
    cdef Py_ssize_t n = 2
    cdef int high, low
    zeros[0] = 0
    if column.kind == BINARY:
        to[0] = Text(<const char*>value.at + column.width, value.size - column.width)
        zeros[0] = max(column.pad - to.size, 0)
        return True
    if column.kind != PG_BYTES or column.is_array or value.size < 2 or value.size % 2 or value.at[0] != 92:
        return False
    if value.at[1] != 120:
        return False
    scratch.plain.size = 0
    if not reserve(&scratch.plain, value.size // 2):
        return False
    while n < value.size:
        high, low = _nibble(value.at[n]), _nibble(value.at[n + 1])
        if high < 0 or low < 0:
            return False
        scratch.plain.data[scratch.plain.size] = high << 4 | low
        scratch.plain.size += 1
        n += 2
    to[0] = Text(<const char*>scratch.plain.data, scratch.plain.size)
    return True


cdef bint _put_bytes_form(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """BYTES, and texts of them."""
    cdef Text raw
    cdef Output* text = &scratch.json
    cdef Py_ssize_t zeros, n
    cdef int form = value.form.form
    if not _find_bytes(scratch, value, &raw, &zeros):
        return False
    if form == FORM_BYTES:
        put_raw(out, raw.data, raw.size, zeros, value.is_json)
        return True
    text.size = 0
    if form == FORM_UUID_TEXT and raw.size + zeros != 16:
        return False
    if form == FORM_HEX or form == FORM_UUID_TEXT:
        for n in range(raw.size + zeros):
            if form == FORM_UUID_TEXT and 4 <= n <= 10 and n % 2 == 0:
                put_byte(text, 45)
            put_byte(text, _HEX[<uint8_t>raw.data[n] >> 4] if n < raw.size else 48)
            put_byte(text, _HEX[<uint8_t>raw.data[n] & 15] if n < raw.size else 48)
    else:
        put_base64_text(text, <const uint8_t*>raw.data, raw.size, zeros)
        for n in range(text.size if form == FORM_BASE64_URL else 0):
            if text.data[n] == 43:
                text.data[n] = 45
            elif text.data[n] == 47:
                text.data[n] = 95
    put_string(out, text.data, text.size, value.is_json)
    return not text.is_exhausted


cdef bint _find_decimal_text(RecordScratch* scratch, RecordValue* value, Text* to) noexcept nogil:
    """The digits of a decimal or an integer."""
    cdef Output* text = &scratch.plain
    cdef uint64_t number = 0
    cdef bint is_negative = False
    if value.column.kind == PG_TEXT and not value.column.is_array:
        to[0] = Text(<const char*>value.at, value.size)
        return True
    text.size = 0
    if value.column.kind == DECIMAL:
        if put_decimal(
            text, value.at, value.at + value.size, value.column.precision, value.column.scale
        ) == NULL:
            return False
    elif not find_integer(value, &number, &is_negative):
        return False
    elif is_negative:
        put_int(text, <int64_t>number)
    else:
        put_uint(text, number)
    to[0] = Text(<const char*>text.data, text.size)
    return not text.is_exhausted


cdef bint _put_short_decimal(Output* out, RecordValue* value) noexcept nogil:
    """A packed decimal of up to 18 digits, in its own scale."""
    cdef Column* column = value.column
    cdef const uint8_t* at = value.at
    cdef uint8_t raw[9]
    cdef uint8_t invert = 0 if at[0] & 0x80 else 0xFF
    cdef int whole = column.precision - column.scale, n, digits, first = 0
    cdef uint64_t number = 0
    cdef bint is_first = True
    for n in range(whole // 9 + 1):
        digits = whole % 9 if n == 0 else 9
        if digits:
            number = number * _POWERS[digits] + _decimal_group(at, _DIGIT_BYTES[digits], invert, is_first)
            at += _DIGIT_BYTES[digits]
            is_first = False
    for n in range(column.scale // 9 + 1):
        digits = 9 if n < column.scale // 9 else column.scale % 9
        if digits:
            number = number * _POWERS[digits] + _decimal_group(at, _DIGIT_BYTES[digits], invert, is_first)
            at += _DIGIT_BYTES[digits]
            is_first = False
    if number > 9223372036854775807ULL:
        return False   # of no decimal with so many digits
    if invert:
        number = <uint64_t>0 - number
    for n in range(8):
        raw[n] = number >> (56 - 8 * n) & 255
    while first < 7 and (raw[first] == 0 and raw[first + 1] < 128 or raw[first] == 255 and raw[first + 1] > 127):
        first += 1
    put_raw(out, raw + first, 8 - first, 0, value.is_json)
    return True


cdef uint64_t* _POWERS = [1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000]


cdef bint _put_decimal_form(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    cdef uint8_t raw[MAX_DECIMAL_DIGITS]
    cdef bint is_variable = value.form.form == FORM_VARIABLE_DECIMAL
    cdef int own_scale = 0
    cdef Py_ssize_t size
    cdef Text text
    cdef Column* column = value.column
    if not is_variable and value.form.scale < 0:
        return False
    if column.kind == DECIMAL and not is_variable and column.precision <= 18 and column.scale == value.form.scale:
        return _put_short_decimal(out, value)
    if not _find_decimal_text(scratch, value, &text):
        return False
    if is_variable and memchr(text.data, 46, text.size) != NULL:
        while text.data[text.size - 1] == 48:
            text.size -= 1
        if text.data[text.size - 1] == 46:
            text.size -= 1
    size = find_unscaled(
        raw, <const uint8_t*>text.data, text.size, -1 if is_variable else value.form.scale, &own_scale
    )
    if size < 0:
        return False
    if not is_variable:
        put_raw(out, raw, size, 0, value.is_json)
    elif value.is_json:
        put(out, b'{"scale":', 9)
        put_int(out, own_scale)
        put(out, b',"value":', 9)
        put_raw(out, raw, size, 0, True)
        put_byte(out, 125)
    else:
        put_long(out, own_scale)
        put_raw(out, raw, size, 0, False)
    return True


cdef bint _put_bits(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """MySQL's number, or the digits of PostgreSQL."""
    cdef Output* raw = &scratch.plain
    cdef uint8_t byte = 0
    cdef Py_ssize_t n, size = value.form.size
    raw.size = 0
    if value.column.kind == BITS:
        for n in range(value.size - 1, -1, -1):
            put_byte(raw, value.at[n])
    elif value.column.kind == PG_TEXT and not value.column.is_array:
        for n in range(value.size):
            if value.at[value.size - 1 - n] & 0xFE != 48:
                return False
            byte |= (value.at[value.size - 1 - n] & 1) << (n & 7)
            if n & 7 == 7 or n == value.size - 1:
                put_byte(raw, byte)
                byte = 0
    else:
        return False
    while raw.size > size and raw.size > 0 and raw.data[raw.size - 1] == 0:
        raw.size -= 1
    size = size or raw.size
    if raw.is_exhausted or raw.size > size:
        return False
    put_raw(out, raw.data, raw.size, size - raw.size, value.is_json)
    return True


cdef Taken _put_json_form(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """The value of the image as text of JSON."""
    cdef Output* text = &scratch.json
    text.size = 0
    if not _render(text, value):
        return LEFT
    if text.size == 4 and memcmp(text.data, b"null", 4) == 0:
        return TAKEN_AS_NULL if _is_document(value.column) else LEFT
    if text.size == 19 and memcmp(text.data, b'{"_unchanged":true}', 19) == 0:
        return TAKEN_AS_UNCHANGED
    if value.form.form != FORM_JSON_TEXT or text.size > 9 and memcmp(text.data, b'{"_json":', 9) == 0:
        return LEFT
    put_string(out, text.data, text.size, value.is_json)
    return TAKEN


cdef inline bint _is_document(Column* column) noexcept nogil:
    return (column.kind == JSON_BINARY or column.kind == JSON_TEXT or column.kind == PG_JSON) and not column.is_array


cdef bint _put_zoned(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """An instant as Java prints it: see ``zoned_text``. Also a date and time that is said to be in UTC."""
    cdef Output* text = &scratch.plain
    cdef Py_ssize_t n, least
    cdef Kind kind = value.column.kind
    text.size = 0
    if kind == TIMESTAMP2:
        _put_timestamp(text, big(value.at, 4), micros_of(value.at + 4, value.column.scale))
    elif kind == DATETIME2:
        if not _put_datetime2(text, value.at, value.column.scale):
            return False
    elif value.column.is_array or kind != PG_TIMESTAMPTZ and kind != PG_TIMESTAMP:
        return False
    elif not _put_pg_timestamp(text, value.at, value.size, kind == PG_TIMESTAMPTZ):
        return False
    if text.is_exhausted or text.size < 21 or not is_digit(text.data[1]) or text.data[5] != 45 or text.data[11] != 84:
        return False   # far away, or infinite
    text.size -= 1   # the quote
    if text.data[text.size - 1] == 90:
        text.size -= 1
    if text.size > 20:
        if text.data[20] != 46:
            return False
        least = 20 + (1 + value.form.size if value.form.form == FORM_ZONED_TEXT and value.form.size > 0 else 0)
        while text.size > least and (text.data[text.size - 1] == 48 or text.size == 21):
            text.size -= 1
    if value.form.form == FORM_ZONED_TEXT and value.form.size > 0:
        if text.size == 20:
            put_byte(text, 46)
        for n in range(text.size - 21, value.form.size):
            put_byte(text, 48)
    put_byte(text, 90)
    put_string(out, text.data + 1, text.size - 1, value.is_json)
    return not text.is_exhausted


cdef bint _put_iso(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """A date, or a time of hours, minutes and seconds, with Z."""
    cdef Output* text = &scratch.plain
    cdef Text plain
    cdef int64_t micros = 0
    if value.form.form == FORM_ISO_DATE:
        if value.column.kind != DATE and value.column.kind != PG_TEXT or not find_plain(scratch, value, &plain):
            return False
        if plain.size != 10 or not find_text_days(<const uint8_t*>plain.data, 10, &micros):
            return False
        scratch.json.size = 0
        put_part(&scratch.json, &plain)
        text = &scratch.json
    else:
        if not find_micros(scratch, value, &micros) or not 0 <= micros <= 86400000000LL:
            return False
        text.size = 0
        put_clock(text, micros // 3600000000LL, micros // 60000000 % 60, micros // 1000000 % 60, micros % 1000000)
        while not text.is_exhausted and (text.data[text.size - 1] == 48 or text.data[text.size - 1] == 46):
            text.size -= 1
            if text.data[text.size] == 46 or text.size == 8:
                break
    put_byte(text, 90)
    if text.is_exhausted:
        return False
    put_string(out, text.data, text.size, value.is_json)
    return True


cdef bint _put_text_bytes(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """The bytes of a text, or of the value as JSON."""
    cdef Text plain
    if find_plain(scratch, value, &plain):
        put_raw(out, plain.data, plain.size, 0, value.is_json)
        return True
    scratch.json.size = 0
    if _is_plain(value) or not _render(&scratch.json, value):
        return False
    put_raw(out, scratch.json.data, scratch.json.size, 0, value.is_json)
    return True


cdef bint _put_wkb(Output* out, const uint8_t* at, Py_ssize_t size, RecordValue* value) noexcept nogil:
    """The shape of MySQL with its SRID before it."""
    cdef bint is_point = value.form.form == FORM_POINT
    cdef double x = 0.0, y = 0.0
    cdef uint64_t word
    cdef int64_t srid = <int64_t>little(at, 4)
    at += 4
    size -= 4
    if is_point:
        if size != 21:
            return False
        word = little(at + 5, 8) if at[0] else big(at + 5, 8)
        memcpy(&x, &word, 8)
        word = little(at + 13, 8) if at[0] else big(at + 13, 8)
        memcpy(&y, &word, 8)
    if not value.is_json:
        if is_point:
            put(out, &x, 8)
            put(out, &y, 8)
            put_byte(out, 2)
        put_avro_bytes(out, at, size)
        put_byte(out, 2 if srid else 0)
        if srid:
            put_long(out, srid)
        return True
    if x - x != 0.0 or y - y != 0.0:
        return False
    if is_point:
        put(out, b'{"x":', 5)
        put_double(out, x)
        put(out, b',"y":', 5)
        put_double(out, y)
        put(out, b',"wkb":', 7)
    else:
        put(out, b'{"wkb":', 7)
    put_raw(out, at, size, 0, True)
    put(out, b',"srid":', 8)
    if srid:
        put_int(out, srid)
    else:
        put(out, b"null", 4)
    put_byte(out, 125)
    return True


cdef Taken put_record_value(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """A value in its form."""
    cdef int form = value.form.form
    cdef int64_t count = 0
    cdef bint is_put = False
    if form == FORM_HASH or form == FORM_CUT_TEXT or form == FORM_CUT_BYTES:
        return put_treated(out, scratch, value)
    if form == FORM_JSON_TEXT or _is_document(value.column):
        return _put_json_form(out, scratch, value)
    if form == FORM_TEXT:
        is_put = _put_plain(out, scratch, value)
    elif form == FORM_LABEL:
        is_put = put_label(out, scratch, value)
    elif form == FORM_MASK:
        is_put = True
        put_part(out, &value.form.text)
    elif form == FORM_INTEGER or form == FORM_BOOLEAN or form == FORM_BIT or form == FORM_WRAPPED_INTEGER or (
        form == FORM_NUMBER_TEXT
    ):
        is_put = _put_integer(out, value)
    elif form == FORM_DECIMAL or form == FORM_VARIABLE_DECIMAL:
        is_put = _put_decimal_form(out, scratch, value)
    elif FORM_DAYS <= form <= FORM_NANOS or FORM_DAY_MILLIS <= form <= FORM_DAY_MICROS or form == FORM_INTERVAL_MICROS:
        if find_count(scratch, value, &count):
            is_put = True
            if value.is_json:
                put_int(out, count)
            else:
                put_long(out, count)
    elif form == FORM_SINGLE or form == FORM_DOUBLE or form == FORM_WIDENED_SINGLE:
        is_put = _put_float(out, scratch, value)
    elif form == FORM_ZONED_TEXT or form == FORM_ISO_STAMP:
        is_put = _put_zoned(out, scratch, value)
    elif form == FORM_BYTES or form == FORM_BASE64 or form == FORM_BASE64_URL or form == FORM_HEX or (
        form == FORM_UUID_TEXT
    ):
        is_put = _put_bytes_form(out, scratch, value)
    elif form == FORM_BITS:
        is_put = _put_bits(out, scratch, value)
    elif form == FORM_ARRAY:
        is_put = _put_array(out, scratch, value)
    elif form == FORM_MAP:
        is_put = _put_map(out, scratch, value)
    elif form == FORM_ISO_DATE or form == FORM_ISO_TIME:
        is_put = _put_iso(out, scratch, value)
    elif form == FORM_MONEY:
        is_put = put_money(out, value)
    elif form == FORM_ZONED_TIME:
        is_put = put_zoned_time(out, scratch, value)
    elif form == FORM_TEXT_BYTES:
        is_put = _put_text_bytes(out, scratch, value)
    elif form == FORM_POINT and value.column.kind == PG_TEXT:
        is_put = _put_pg_point(out, value)
    elif form == FORM_GEOMETRY or form == FORM_POINT:
        if value.column.kind == GEOMETRY and value.size >= value.column.width + 4:
            is_put = _put_wkb(out, value.at + value.column.width, value.size - value.column.width, value)
    return TAKEN if is_put else LEFT
