# Updates whose newer image holds only what has changed, as of MariaDB with binlog_row_image=FULL_NODUP: what the older
# image has besides is in the newer one, too. The oracle is RowDecoder in deltaforge/protocol/mysql/rows.py.


cdef bint lacks_old_columns(Facts* facts) noexcept nogil:
    """Whether the images after hold some columns of those before, and no others."""
    cdef int n, old = present_count(facts.before, facts.layout.count)
    if facts.op != c"u" or facts.after == NULL or present_count(facts.after, facts.layout.count) >= old:
        return False
    for n in range(facts.layout.count):
        if has_bit(facts.after, n) and not has_bit(facts.before, n):
            return False
    return True


cdef complete_rows(RowGroup group):
    """Give the images after of a group, whose lengths were checked, the columns of those before. Its bytes are others
    then: errors name a byte of these.

    Raises:
        MemoryError: There is none.
    """
    cdef Facts* facts = &group.facts
    cdef Output out
    cdef const uint8_t* at = facts.data
    cdef const uint8_t* after
    cdef const uint8_t* end
    cdef Py_ssize_t null_dates = 0, bitmap = (facts.layout.count + 7) // 8
    memset(&out, 0, sizeof(out))
    try:
        with nogil:
            while at < facts.end:
                after = skip_image(facts.layout, facts.before, at, facts.end, &null_dates)
                end = skip_image(facts.layout, facts.after, after, facts.end, &null_dates)
                put(&out, at, after - at)
                _put_completed(&out, facts, at, after, end)
                at = end
        if out.is_exhausted:
            raise MemoryError
        if facts.before != NULL:
            group._before = PyBytes_FromStringAndSize(<const char*>facts.before, bitmap)
            facts.before = <const uint8_t*><const char*>group._before
        group._data = PyBytes_FromStringAndSize(<const char*>out.data, out.size)
    finally:
        free(out.data)
    facts.after = facts.before
    facts.data = <const uint8_t*><const char*>group._data
    facts.end = facts.data + len(group._data)
    group.null_date_count = 0
    count_rows(
        facts.layout, facts.op, facts.before, facts.after, facts.data, facts.end, &group.null_date_count
    )


cdef void _put_completed(
    Output* out, Facts* facts, const uint8_t* old, const uint8_t* new, const uint8_t* end
) noexcept nogil:
    """An image after that holds the columns of the one before."""
    cdef Layout* layout = facts.layout
    cdef const uint8_t* old_nulls = old
    cdef const uint8_t* new_nulls = new
    cdef int n, old_bit = 0, new_bit = 0
    cdef Py_ssize_t nulls_at = out.size, old_size, new_size, width = (present_count(facts.before, layout.count) + 7) // 8
    for n in range(<int>width):
        put_byte(out, 0)
    old += width
    new += (present_count(facts.after, layout.count) + 7) // 8
    for n in range(layout.count):
        if not has_bit(facts.before, n):
            continue
        old_size = 0 if _is_null_at(old_nulls, old_bit) else value_size(&layout.columns[n], old, end)
        if has_bit(facts.after, n):
            if _is_null_at(new_nulls, new_bit):
                _note_null(out, nulls_at, old_bit)
            else:
                new_size = value_size(&layout.columns[n], new, end)
                put(out, new, new_size)
                new += new_size
            new_bit += 1
        elif _is_null_at(old_nulls, old_bit):
            _note_null(out, nulls_at, old_bit)
        else:
            put(out, old, old_size)
        old += old_size
        old_bit += 1


cdef inline bint _is_null_at(const uint8_t* nulls, int bit) noexcept nogil:
    return nulls[bit >> 3] >> (bit & 7) & 1


cdef inline void _note_null(Output* out, Py_ssize_t nulls_at, int bit) noexcept nogil:
    if not out.is_exhausted:
        out.data[nulls_at + (bit >> 3)] |= 1 << (bit & 7)
