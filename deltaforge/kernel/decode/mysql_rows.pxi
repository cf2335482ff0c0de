# Row images of MySQL: how rows are laid out, skipped and written as JSON objects.
# The oracle is RowDecoder in deltaforge/protocol/mysql/rows.py.


cdef const uint8_t* skip_image(
    Layout* layout, const uint8_t* bits, const uint8_t* at, const uint8_t* end, Py_ssize_t* null_dates
) noexcept nogil:
    """The end of a row image, or NULL if its bytes are not all there."""
    cdef int present = present_count(bits, layout.count), n, bit = 0
    cdef const uint8_t* nulls = at
    cdef Column* column
    cdef Py_ssize_t size = (present + 7) // 8
    if end - at < size:
        return NULL
    at += size
    for n in range(layout.count):
        if not has_bit(bits, n):
            continue
        if not nulls[bit >> 3] >> (bit & 7) & 1:
            column = &layout.columns[n]
            size = value_size(column, at, end)
            if size < 0 or column.kind == DECLINED:
                return NULL
            if layout.has_dates and is_null_date(column, at):
                null_dates[0] += 1
            at += size
        bit += 1
    return at


cdef const uint8_t* put_image(
    Output* out, Layout* layout, const uint8_t* bits, const uint8_t* at, const uint8_t* end, KeySpan* key
) noexcept nogil:
    """A row image as a JSON object; the end of its bytes, or NULL to decline. What ``key`` has of an image before stays
    where this one has nothing.
    """
    cdef int present = present_count(bits, layout.count), n, bit = 0
    cdef const uint8_t* nulls = at
    cdef Column* column
    cdef Py_ssize_t first, start, begin, size = (present + 7) // 8
    if end - at < size:
        return NULL
    at += size
    put_byte(out, 123)
    first = out.size
    for n in range(layout.count):
        if not has_bit(bits, n):
            continue
        column = &layout.columns[n]
        start = out.size
        if start != first:
            put_byte(out, 44)
        put(out, column.name, column.name_length)
        begin = out.size
        if nulls[bit >> 3] >> (bit & 7) & 1:
            put(out, b"null", 4)
        else:
            size = value_size(column, at, end)
            if size < 0 or not put_value(out, column, at, size):
                return NULL
            at += size
        bit += 1
        if column.is_key | column.is_hidden:
            if column.is_hidden:
                out.size = start   # it is taken back
            elif layout.has_dates and out.size - begin == 4 and out.data[begin] == 110:
                return NULL   # a date with a zero part: in the key it is a text
            else:
                note_key(layout, key, n, begin, out.size)
    put_byte(out, 125)
    return at


cdef Py_ssize_t count_rows(
    Layout* layout, char op, const uint8_t* before, const uint8_t* after, const uint8_t* at, const uint8_t* end,
    Py_ssize_t* null_dates,
) noexcept nogil:
    """The number of rows, every length in them checked; -1 to decline."""
    cdef Py_ssize_t rows = 0
    cdef const uint8_t* begin
    while at < end:
        begin = at
        if op == c"u" or op == c"d":
            at = skip_image(layout, before, at, end, null_dates)
            if at == NULL:
                return -1
        if op != c"d":
            at = skip_image(layout, after, at, end, null_dates)
            if at == NULL:
                return -1
        if at == begin:
            return -1
        rows += 1
    return rows if rows else -1


cdef struct KnownRow:
    # Where a row begins that was come to once; ``data`` is that of its group.
    const uint8_t* data
    Py_ssize_t row
    const uint8_t* begin


_KINDS = {
    Code.YEAR: (YEAR, 1), Code.FLOAT: (SINGLE, 4), Code.DOUBLE: (DOUBLE, 8), Code.DATE: (DATE, 3),
    Code.NEWDATE: (DATE, 3), Code.TIME: (OLD_TIME, 3), Code.DATETIME: (OLD_DATETIME, 8),
    Code.TIMESTAMP: (OLD_TIMESTAMP, 4),
}
_HIRES = {   # by fraction digits
    Code.TIME: (HIRES_TIME, TIME_BYTES), Code.DATETIME: (HIRES_DATETIME, DATETIME_BYTES),
    Code.TIMESTAMP: (HIRES_TIMESTAMP, (4, 5, 5, 6, 6, 7, 7)),
}
_INTEGER_BYTES = {Code.TINY: 1, Code.SHORT: 2, Code.INT24: 3, Code.LONG: 4, Code.LONGLONG: 8}
_TIME_BYTES = {Code.TIME2: (TIME2, 3), Code.DATETIME2: (DATETIME2, 5), Code.TIMESTAMP2: (TIMESTAMP2, 4)}
_SHORT_TEXTS = (Code.STRING, Code.VAR_STRING, Code.VARCHAR)
_LONG_TEXTS = (Code.BLOB, Code.TINY_BLOB, Code.MEDIUM_BLOB, Code.LONG_BLOB)
_DOCUMENTS = {Code.JSON: JSON_BINARY, Code.JSON_TEXT: JSON_TEXT, Code.GEOMETRY: GEOMETRY, Code.VECTOR: VECTOR}
_UTF8 = ("utf8", "utf8mb3", "utf8mb4")
_WIDE = {"ucs2": (2, False), "utf16": (2, False), "utf16le": (2, True), "utf32": (4, False)}   # bytes, little endian
_PAIRS = ("big5", "cp932", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "sjis", "ujis")


cdef void _set_kind(Column* column, Kind kind, int width) noexcept:
    column.kind, column.width = kind, width


cdef _set_mysql_column(RowPlan plan, Column* to, column):
    code = column.code
    if not (0 <= column.scale <= 255 and 0 <= column.precision <= 255 and 0 <= column.length <= 0xFFFFFFFF):
        raise ValueError("a column type of impossible size")
    to.scale, to.precision, to.is_hidden = column.scale, column.precision, column.is_hidden
    if code in _INTEGER_BYTES:
        _set_kind(to, UNSIGNED if column.unsigned else SIGNED, _INTEGER_BYTES[code])
    elif code in _HIRES and 0 < column.scale <= 6:
        kind, widths = _HIRES[code]
        _set_kind(to, kind, widths[column.scale])
    elif code in _KINDS:
        kind, width = _KINDS[code]
        _set_kind(to, kind, width)
    elif code in _TIME_BYTES and column.scale <= 6:
        kind, width = _TIME_BYTES[code]
        _set_kind(to, kind, width + (column.scale + 1) // 2)
    elif code == Code.NEWDECIMAL and 0 < column.precision <= 81 and 0 <= column.scale <= column.precision:
        _set_kind(to, DECIMAL, decimal_bytes(column.precision, column.scale))
    elif code == Code.BIT and column.length <= 64:
        _set_kind(to, BITS, (column.length + 7) // 8)
    elif code in _SHORT_TEXTS:
        _set_text(plan, to, column, 2 if column.length > 255 else 1)
    elif code in _LONG_TEXTS:
        _set_text(plan, to, column, column.length)
    elif code in _DOCUMENTS:
        _set_kind(to, _DOCUMENTS[code], column.length)
    elif code in (Code.ENUM, Code.SET):
        _set_labels(plan, to, column)
    if to.kind in (DATE, DATETIME2, TIMESTAMP2, OLD_DATETIME, OLD_TIMESTAMP, HIRES_DATETIME, HIRES_TIMESTAMP):
        plan.layout.has_dates = True


cdef _set_text(RowPlan plan, Column* to, column, int width):
    if column.charset == "binary":
        _set_kind(to, BINARY, width)
        to.pad = column.length if column.code == Code.STRING else 0
    elif column.charset in _UTF8:
        _set_kind(to, TEXT, width)
    elif column.charset in _WIDE:
        _set_kind(to, WIDE_TEXT, width)
        to.precision, to.scale = _WIDE[column.charset]
    elif column.charset in _PAIRS and (table := _pair_table(column.charset)) is not None:
        _set_kind(to, PAIR_TEXT, width)
        to.table = <const uint8_t*>plan._keep(table)
    elif column.charset is not None and (table := _text_table(column.charset)) is not None:
        _set_kind(to, TABLE_TEXT, width)
        to.table = <const uint8_t*>plan._keep(table)


cdef _set_labels(RowPlan plan, Column* to, column):
    cdef Py_ssize_t n
    cdef bytes text
    cdef list labels = None if column.labels is None else list(column.labels)
    if labels is None or (column.code == Code.SET and len(labels) > 64):
        return
    to.labels = <const char**>calloc(max(len(labels), 1), sizeof(char*))
    to.label_lengths = <Py_ssize_t*>calloc(max(len(labels), 1), sizeof(Py_ssize_t))
    if to.labels == NULL or to.label_lengths == NULL:
        raise MemoryError
    for n, label in enumerate(labels):
        text = encode_json(label)
        text = text[1 : len(text) - 1]   # without its quotes
        to.labels[n], to.label_lengths[n] = plan._keep(text), len(text)
    to.label_count = len(labels)
    _set_kind(to, ENUM if column.code == Code.ENUM else SET, column.length)
