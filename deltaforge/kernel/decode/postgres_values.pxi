# Rows of pgoutput messages to JSON. The oracle is deltaforge/protocol/postgres with Mapper.

_PG_KINDS = {
    "bool": PG_BOOLEAN, "float4": PG_FLOAT, "float8": PG_FLOAT, "bytea": PG_BYTES, "json": PG_JSON,
    "jsonb": PG_JSON, "timestamp": PG_TIMESTAMP, "timestamptz": PG_TIMESTAMPTZ, "text": PG_TEXT,
    "hstore": PG_HSTORE,
    **dict.fromkeys(("int2", "int4", "int8", "oid", "xid", "xid8", "cid"), PG_INTEGER),
}


cdef bint _put_pg_integer(Output* out, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t n, first = 1 if length and at[0] == 45 else 0
    if not 1 <= length - first <= 19 or (at[first] == 48 and length > 1):
        return False
    if length - first == 19 and first and memcmp(at + 1, b"9223372036854775808", 19) > 0:
        return False   # beyond 64 bits
    for n in range(first, length):
        if not is_digit(at[n]):
            return False
    put(out, at, length)
    return True


cdef bint _put_pg_float(Output* out, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    cdef double value = 0.0
    cdef Py_ssize_t first = 1 if length and at[0] == 45 else 0
    if length > first and is_digit(at[first]):
        if not df_parse(at, length, &value):
            return False
        put_double(out, value)
        return True
    if (
        length == 3 and memcmp(at, b"NaN", 3) == 0
        or length == 8 and memcmp(at, b"Infinity", 8) == 0
        or length == 9 and memcmp(at, b"-Infinity", 9) == 0
    ):
        return put_text(out, at, length)
    return False


cdef int _nibble(uint8_t byte) noexcept nogil:
    if is_digit(byte):
        return byte - 48
    return byte - 87 if 97 <= byte <= 102 else -1


cdef bint _put_pg_bytes(Output* out, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    cdef uint8_t raw[3]
    cdef Py_ssize_t n = 2
    cdef int have = 0, high, low
    if length < 2 or length % 2 or at[0] != 92 or at[1] != 120:
        return False
    put(out, b'{"_base64":"', 12)
    while n < length:
        high, low = _nibble(at[n]), _nibble(at[n + 1])
        if high < 0 or low < 0:
            return False
        raw[have] = high << 4 | low
        have += 1
        if have == 3:
            put_base64_text(out, raw, 3, 0)
            have = 0
        n += 2
    put_base64_text(out, raw, have, 0)
    put(out, b'"}', 2)
    return True


cdef bint _contains(const uint8_t* at, Py_ssize_t length, const char* word, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t n
    for n in range(length - size + 1):
        if memcmp(at + n, word, size) == 0:
            return True
    return False


cdef bint _put_pg_timestamp(Output* out, const uint8_t* at, Py_ssize_t length, bint has_zone) noexcept nogil:
    cdef Py_ssize_t n, begin
    if length >= 2 and at[length - 2] == 66 and at[length - 1] == 67 or _contains(at, length, b"infinity", 8):
        return put_text(out, at, length)   # BC dates and infinity keep the server's form
    if has_zone:
        if length < 3 or memcmp(at + length - 3, b"+00", 3) != 0:
            return False
        length -= 3
    begin = out.size
    if not put_text(out, at, length):
        return False
    for n in range(begin, out.size):
        if out.data[n] == 32:
            out.data[n] = 84
            break
    if has_zone:
        out.size -= 1
        put(out, b'Z"', 2)
    return True


cdef const uint8_t* _put_quoted(Output* out, const uint8_t* at, const uint8_t* end, Output* scratch) noexcept nogil:
    """A text in quotes with backslashes before odd characters; its end, or NULL to decline."""
    if at >= end or at[0] != 34:
        return NULL
    scratch.size = 0
    at += 1
    while at < end and at[0] != 34:
        if at[0] == 92:
            at += 1
            if at == end:
                return NULL
        put_byte(scratch, at[0])
        at += 1
    if at == end or scratch.is_exhausted or not put_text(out, scratch.data, scratch.size):
        return NULL
    return at + 1


cdef const uint8_t* _put_pairs(
    Output* out, const uint8_t* at, const uint8_t* end, Keys* keys, Output* scratch
) noexcept nogil:
    cdef Py_ssize_t begin
    while True:
        begin = out.size
        at = _put_quoted(out, at, end, scratch)
        if at == NULL or out.is_exhausted or not add_key(keys, out.data, begin, out.size):
            return NULL
        if end - at < 2 or at[0] != 61 or at[1] != 62:
            return NULL
        put_byte(out, 58)
        at += 2
        if end - at >= 4 and memcmp(at, b"NULL", 4) == 0:
            put(out, b"null", 4)
            at += 4
        else:
            at = _put_quoted(out, at, end, scratch)
            if at == NULL:
                return NULL
        if at == end:
            return at
        if end - at < 2 or at[0] != 44 or at[1] != 32:
            return NULL
        put_byte(out, 44)
        at += 2


cdef bint _put_pg_hstore(Output* out, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    cdef Output scratch
    cdef Keys keys
    cdef const uint8_t* end = at + length
    if length == 0:
        put(out, b"{}", 2)
        return True
    memset(&scratch, 0, sizeof(scratch))
    begin_keys(&keys)
    put_byte(out, 123)
    at = _put_pairs(out, at, end, &keys, &scratch)
    put_byte(out, 125)
    free(scratch.data)
    return end_keys(&keys, out.data) and at == end


cdef bint _put_pg_scalar(Output* out, Kind kind, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    if kind == PG_TEXT:
        return put_text(out, at, length)
    if kind == PG_INTEGER:
        return _put_pg_integer(out, at, length)
    if kind == PG_JSON:
        return put_json_text(out, at, length)
    if kind == PG_TIMESTAMPTZ:
        return _put_pg_timestamp(out, at, length, True)
    if kind == PG_TIMESTAMP:
        return _put_pg_timestamp(out, at, length, False)
    if kind == PG_BOOLEAN:
        if length != 1 or at[0] != 116 and at[0] != 102:
            return False
        if at[0] == 116:
            put(out, b"true", 4)
        else:
            put(out, b"false", 5)
        return True
    if kind == PG_FLOAT:
        return _put_pg_float(out, at, length)
    if kind == PG_HSTORE:
        return _put_pg_hstore(out, at, length)
    return kind == PG_BYTES and _put_pg_bytes(out, at, length)


cdef const uint8_t* _put_pg_item(
    Output* out, Column* column, const uint8_t* at, const uint8_t* end, Output* scratch
) noexcept nogil:
    """One element of an array that is not an array itself."""
    cdef const uint8_t* begin = at
    if at[0] != 34:
        while at < end and at[0] != <uint8_t>column.delimiter and at[0] != 125:
            if at[0] == 92 or at[0] == 34 or at[0] == 123:
                return NULL
            at += 1
        if at == begin:
            return NULL
        if at - begin == 4 and (begin[0] | 32) == 110:   # NULL, in any case: Python knows which
            if memcmp(begin, b"NULL", 4) != 0:
                return NULL
            put(out, b"null", 4)
            return at
        return at if _put_pg_scalar(out, column.kind, begin, at - begin) else NULL
    scratch.size = 0
    at += 1
    while at < end and at[0] != 34:
        if at[0] == 92:
            at += 1
            if at == end:
                return NULL
        put_byte(scratch, at[0])
        at += 1
    if at == end or scratch.is_exhausted or not _put_pg_scalar(out, column.kind, scratch.data, scratch.size):
        return NULL
    return at + 1


cdef const uint8_t* _put_pg_list(
    Output* out, Column* column, const uint8_t* at, const uint8_t* end, int depth, Output* scratch
) noexcept nogil:
    if at >= end or at[0] != 123 or depth > 6:
        return NULL
    at += 1
    put_byte(out, 91)
    if at < end and at[0] == 125:
        put_byte(out, 93)
        return at + 1
    while True:
        if at >= end:
            return NULL
        if at[0] == 123:
            at = _put_pg_list(out, column, at, end, depth + 1, scratch)
        else:
            at = _put_pg_item(out, column, at, end, scratch)
        if at == NULL or at >= end:
            return NULL
        if at[0] == 125:
            put_byte(out, 93)
            return at + 1
        if at[0] != <uint8_t>column.delimiter:
            return NULL
        put_byte(out, 44)
        at += 1


cdef bint _put_pg_value(Output* out, Column* column, const uint8_t* at, Py_ssize_t length) noexcept nogil:
    cdef Output scratch
    cdef const uint8_t* end
    if not column.is_array:
        return _put_pg_scalar(out, column.kind, at, length)
    memset(&scratch, 0, sizeof(scratch))
    end = _put_pg_list(out, column, at, at + length, 1, &scratch)   # with lower bounds it does not begin with {
    free(scratch.data)
    return end == at + length


cdef const uint8_t* pg_image_at(
    char op, bint is_before, const uint8_t* at, const uint8_t* end, bint* is_there
) noexcept nogil:
    """Where an image of a row message begins. The old row is asked for first, from the message's beginning."""
    if op == c"u" and not is_before:
        if at >= end or at[0] != 78:
            return NULL
        is_there[0] = True
        return at + 1
    if end - at < 6:
        return NULL
    if is_before:
        is_there[0] = at[5] == 75 or at[5] == 79
        if not is_there[0]:
            return at + 5 if op == c"u" else NULL
        return at + 6
    is_there[0] = True
    return at + 6 if at[5] == 78 else NULL


cdef const uint8_t* skip_pg_image(Layout* layout, const uint8_t* at, const uint8_t* end) noexcept nogil:
    """The end of a tuple, or NULL if its bytes are not all there."""
    cdef int n
    cdef Py_ssize_t length
    if end - at < 2 or <int>big(at, 2) != layout.count:
        return NULL
    at += 2
    for n in range(layout.count):
        if at >= end:
            return NULL
        if at[0] == 116:
            if end - at < 5:
                return NULL
            length = <Py_ssize_t>big(at + 1, 4)
            at += 5
            if end - at < length:
                return NULL
            at += length
        elif at[0] == 110 or at[0] == 117:
            at += 1
        else:
            return NULL
    return at


cdef bint is_whole_row(Layout* layout, char op, const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Whether a row message is all there, every length in it checked."""
    cdef bint is_there = False
    if op == c"u" or op == c"d":
        at = pg_image_at(op, True, at, end, &is_there)
        if at == NULL:
            return False
        if is_there:
            at = skip_pg_image(layout, at, end)
            if at == NULL:
                return False
    if op != c"d":
        at = pg_image_at(op, False, at, end, &is_there)
        if at == NULL:
            return False
        at = skip_pg_image(layout, at, end)
    return at == end


cdef inline const uint8_t* after_pg_value(const uint8_t* at) noexcept nogil:
    return at + 5 + big(at + 1, 4) if at[0] == 116 else at + 1


cdef inline bint takes_old(Layout* layout, int column) noexcept nogil:
    """Whether a value that the new row does not hold is that of the old one, if it is there."""
    return not layout.keeps_marker or layout.columns[column].is_key


cdef const uint8_t* put_pg_image(
    Output* out, Layout* layout, const uint8_t* old, const uint8_t* at, const uint8_t* end, KeySpan* key
) noexcept nogil:
    """A tuple as a JSON object; the end of its bytes, or NULL to decline.

    ``old`` is the tuple of the old row, whose lengths were checked, where this one is the new row; else NULL.
    """
    cdef int n, old_column = 0
    cdef Column* column
    cdef Py_ssize_t begin, length
    key.found = 0
    if skip_pg_image(layout, at, end) == NULL:
        return NULL
    at += 2
    if old != NULL:
        old += 2
    put_byte(out, 123)
    for n in range(layout.count):
        column = &layout.columns[n]
        if n:
            put_byte(out, 44)
        put(out, column.name, column.name_length)
        begin = out.size
        if at[0] == 110:
            put(out, b"null", 4)
            at += 1
        elif at[0] == 117:
            if old != NULL:
                while old_column < n:
                    old = after_pg_value(old)
                    old_column += 1
            if old != NULL and old[0] == 116 and takes_old(layout, n):
                if not _put_pg_value(out, column, old + 5, <Py_ssize_t>big(old + 1, 4)):
                    return NULL
            else:
                put(out, b'{"_unchanged":true}', 19)
            at += 1
        else:
            length = <Py_ssize_t>big(at + 1, 4)
            if not _put_pg_value(out, column, at + 5, length):
                return NULL
            at += 5 + length
        if column.is_key:
            note_key(layout, key, n, begin, out.size)
    put_byte(out, 125)
    return at
