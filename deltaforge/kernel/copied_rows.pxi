# Rows that were copied as groups, and what tells rows apart meanwhile. The oracle is deltaforge/core/row_ids.py.

cdef enum TouchState:
    TOUCH_DECLINED, TOUCH_UNKNOWN, TOUCH_WHOLE, TOUCH_INCOMPLETE


cdef struct KeyFinder:
    # Finds the keys of rows of a group. Its outputs belong to who made it.
    const char* id_prefix
    int32_t* slots         # by column: its place in the key, or -1
    bint is_known          # MySQL: whether the images hold the key
    bint is_whole          # MySQL: whether the image after holds all columns
    Output text            # of the key before, up to `cut`, and of the one after
    Py_ssize_t cut
    Output ids


cdef bint begin_finder(KeyFinder* finder, Facts* facts, const char* id_prefix) noexcept:
    """False without memory. To be ended in any case."""
    cdef int n, column
    cdef Layout* layout = facts.layout
    memset(finder, 0, sizeof(KeyFinder))
    finder.id_prefix, finder.is_known, finder.is_whole = id_prefix, True, True
    finder.slots = <int32_t*>malloc(max(layout.count, 1) * sizeof(int32_t))
    if finder.slots == NULL:
        return False
    for n in range(layout.count):
        finder.slots[n] = -1
    for n in range(layout.key_count):
        column = layout.key_columns[n]
        finder.slots[column] = n
        if not facts.is_mysql:
            continue
        if holds_before(facts.op):
            finder.is_known &= has_bit(facts.before, column)
        else:
            finder.is_known &= has_bit(facts.after, column)
    if facts.is_mysql and facts.op != c"d":
        for n in range(layout.count):
            finder.is_whole &= has_bit(facts.after, n) or layout.columns[n].is_hidden
    return True


cdef void end_finder(KeyFinder* finder) noexcept:
    free(finder.slots)
    free(finder.text.data)
    free(finder.ids.data)


cdef TouchState _put_key_values(Output* out, Facts* facts, Value* values) noexcept nogil:
    """A key as :func:`put_key` puts it. DECLINED, UNKNOWN or WHOLE."""
    cdef int n
    cdef Py_ssize_t begin
    cdef Column* column
    cdef Value* value
    for n in range(facts.layout.key_count):
        column, value = &facts.layout.columns[facts.layout.key_columns[n]], &values[n]
        put_byte(out, 44 if n else 123)
        put(out, column.name, column.name_length)
        begin = out.size
        if value.holding == NOT_LOGGED:
            return TOUCH_UNKNOWN
        if value.holding == NOTHING:
            put(out, b"null", 4)
        elif facts.is_mysql:
            if not put_value(out, column, value.at, value.size):
                return TOUCH_DECLINED
            if facts.layout.has_dates and out.size - begin == 4 and out.data[begin] == 110:
                return TOUCH_DECLINED   # a date with a zero part: in the key it is a text
        elif not _put_pg_value(out, column, value.at, value.size):
            return TOUCH_DECLINED
        if out.is_exhausted:
            return TOUCH_DECLINED
        if not facts.is_mysql and (
            out.size - begin == 4 and memcmp(out.data + begin, b"null", 4) == 0
            or out.size - begin == 19 and memcmp(out.data + begin, b'{"_unchanged":true}', 19) == 0
        ):
            return TOUCH_UNKNOWN   # see is_pg_key_known
    put_byte(out, 125)
    return TOUCH_WHOLE


cdef bint _is_whole_pg(Layout* layout, const uint8_t* old, const uint8_t* at) noexcept nogil:
    """Whether all values of a new tuple are known, whose lengths were checked."""
    cdef int n
    at += 2
    if old != NULL:
        old += 2
    for n in range(layout.count):
        if at[0] == 117 and (old == NULL or old[0] != 116 or not takes_old(layout, n)):
            return False
        at = after_pg_value(at)
        if old != NULL:
            old = after_pg_value(old)
    return True


cdef TouchState find_keys(KeyFinder* finder, Facts* facts, Py_ssize_t row, const uint8_t** at) noexcept nogil:
    """Put the ids of the keys of a row. ``at``: where the row begins, of MySQL; becomes its end."""
    cdef Value old[MAX_KEY_COLUMNS]
    cdef Value new[MAX_KEY_COLUMNS]
    cdef int n
    cdef bint is_there = False
    cdef bint is_whole = finder.is_whole
    cdef const uint8_t* begin
    cdef const uint8_t* end
    cdef const uint8_t* old_at = NULL
    cdef TouchState state = TOUCH_WHOLE
    memset(old, 0, facts.layout.key_count * sizeof(Value))
    memset(new, 0, facts.layout.key_count * sizeof(Value))
    if facts.is_mysql:
        is_there = holds_before(facts.op)
        if is_there:
            at[0] = _find_mysql(facts.layout, facts.before, at[0], facts.end, finder.slots, old)
        if facts.op != c"d":
            at[0] = _find_mysql(facts.layout, facts.after, at[0], facts.end, finder.slots, new)
        if not finder.is_known:
            return TOUCH_UNKNOWN
        if is_there and facts.op == c"u":
            for n in range(facts.layout.key_count):
                if not has_bit(facts.after, facts.layout.key_columns[n]):
                    new[n] = old[n]
    else:
        begin, end = facts.data + facts.offsets[row], facts.data + facts.offsets[row + 1] - FRAME_BYTES
        if holds_before(facts.op):
            begin = pg_image_at(facts.op, True, begin, end, &is_there)
            if is_there:
                old_at = begin
                begin = _find_pg(facts.layout, NULL, begin, end, finder.slots, old)
        if facts.op != c"d":
            begin = pg_image_at(facts.op, False, begin, end, &is_whole)
            is_whole = _is_whole_pg(facts.layout, old_at, begin)
            _find_pg(facts.layout, old_at, begin, end, finder.slots, new)
    finder.text.size = finder.cut = 0
    if is_there:
        state = _put_key_values(&finder.text, facts, old)
        finder.cut = finder.text.size
    if state == TOUCH_WHOLE and facts.op != c"d":
        state = _put_key_values(&finder.text, facts, new)
    if state == TOUCH_WHOLE:
        _put_ids(finder)
    return TOUCH_INCOMPLETE if state == TOUCH_WHOLE and not is_whole else state


cdef void _put_ids(KeyFinder* finder) noexcept nogil:
    """The ids of the keys before and after, or of one if they are equal."""
    cdef Py_ssize_t size = finder.text.size - finder.cut
    if finder.cut and not (size == finder.cut and memcmp(finder.text.data, finder.text.data + size, size) == 0):
        _put_id(finder, 0, finder.cut)
    if size:
        _put_id(finder, finder.cut, finder.text.size)


cdef void _put_id(KeyFinder* finder, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Digest digest
    cdef uint8_t row_id[16]
    begin_row_id(&digest, finder.id_prefix)
    add_to_digest(&digest, finder.text.data + begin, end - begin)
    end_digest(&digest, row_id, 16)
    put(&finder.ids, row_id, 16)


cdef object _touched_rows(RowGroup group, ids):
    """See ``touched_rows``. Rows that are left to Python are decoded one by one."""
    cdef Facts* facts = &group.facts
    cdef KeyFinder finder
    cdef bytes prefix = ids.prefix.encode("ascii")
    cdef list incomplete = []
    cdef Py_ssize_t row = 0, unknown_count = 0
    cdef const uint8_t* at = facts.data
    cdef const uint8_t* begin
    cdef TouchState state
    if len(prefix) != 24:
        raise ValueError("ids without their 24 characters")
    if not tells_rows_apart(facts.layout):
        return touched_rows(group.events(), ids) if group.table.schema.primary_key else TouchedRows(b"")
    try:
        if not begin_finder(&finder, facts, <const char*>prefix):
            raise MemoryError
        while row < facts.count:
            with nogil:
                while True:
                    begin = at
                    state = find_keys(&finder, facts, row, &at)
                    if state == TOUCH_DECLINED or state == TOUCH_INCOMPLETE:
                        break
                    unknown_count += state == TOUCH_UNKNOWN
                    row += 1
                    if row == facts.count:
                        break
            if finder.text.is_exhausted or finder.ids.is_exhausted:
                raise MemoryError
            if state == TOUCH_INCOMPLETE:
                begin = finder.text.data + finder.cut
                incomplete.append((<const char*>begin)[: finder.text.size - finder.cut].decode())
                row += 1
            elif state == TOUCH_DECLINED:
                found = touched_rows([group.event(row)], ids)
                put(&finder.ids, <const char*><bytes>found.ids, len(found.ids))
                incomplete += found.incomplete
                unknown_count += found.unknown_count
                row += 1
        return TouchedRows(
            PyBytes_FromStringAndSize(<const char*>finder.ids.data, finder.ids.size), tuple(incomplete), unknown_count
        )
    finally:
        end_finder(&finder)


cdef RowGroup _without(RowGroup group, row_ids):
    """See ``EventGroup.without``. Bytes are copied only if a row is left out."""
    cdef Facts* facts = &group.facts
    cdef KeyFinder finder
    cdef list kept
    cdef Py_ssize_t row
    cdef const uint8_t* at = facts.data
    if facts.op != c"r":
        raise ValueError("rows that were not copied have other ids")
    if not facts.has_row_ids or not row_ids:
        return group
    kept = []
    try:
        if not begin_finder(&finder, facts, facts.id_prefix):
            raise MemoryError
        for row in range(facts.count):
            finder.ids.size = 0
            if find_keys(&finder, facts, row, &at) == TOUCH_DECLINED:
                row_id = bytes.fromhex(group.event(row).event_id.replace("-", ""))
            else:
                row_id = PyBytes_FromStringAndSize(<const char*>finder.ids.data, finder.ids.size)
            if row_id not in row_ids:
                kept.append(row)
        if finder.text.is_exhausted or finder.ids.is_exhausted:
            raise MemoryError
    finally:
        end_finder(&finder)
    if len(kept) == facts.count:
        return group
    if not kept:
        return None
    rest = _images_of(group, kept) if facts.is_mysql else _inserts_of(group, kept)
    rest.facts.ordinal, rest.facts.is_tx_end = facts.ordinal, facts.is_tx_end
    rest.facts.all_marks = facts.all_marks
    if kept[0] == 0:
        rest.facts.first_mark = facts.first_mark
    if kept[len(kept) - 1] == facts.count - 1:
        rest.facts.last_mark = facts.last_mark
    return rest


cdef RowGroup _images_of(RowGroup group, list rows):
    """The group of some copied rows of MySQL."""
    cdef Facts* facts = &group.facts
    cdef Output images
    cdef const uint8_t* at = facts.data
    cdef const uint8_t* begin
    cdef Py_ssize_t row, known = 0
    memset(&images, 0, sizeof(images))
    try:
        for row in rows:
            while known < row:
                at = after_row(facts, at)
                known += 1
            begin = at
            at = after_row(facts, at)
            known += 1
            put(&images, begin, at - begin)
        if images.is_exhausted:
            raise MemoryError
        data = PyBytes_FromStringAndSize(<const char*>images.data, images.size)
    finally:
        free(images.data)
    return _of_images(
        group._plan, data, group.transaction, facts.ts_ms, facts.server_id, group._file, facts.pos
    )


cdef RowGroup _inserts_of(RowGroup group, list rows):
    """The group of some copied rows of PostgreSQL."""
    cdef Facts* facts = &group.facts
    cdef CopyData inserts = CopyData.__new__(CopyData)
    cdef RowGroup rest = RowGroup.__new__(RowGroup)
    cdef Py_ssize_t row
    for row in rows:
        if not inserts._append(
            <const char*>facts.data - FRAME_BYTES + facts.offsets[row], facts.offsets[row + 1] - facts.offsets[row]
        ):
            raise MemoryError
    rest._place_messages(
        inserts, 0, inserts.count, c"r", group._plan, group.transaction, facts.ts_ms, facts.xid, group._lsn
    )
    return rest


cdef RowGroup _of_images(
    RowPlan plan, bytes images, Transaction transaction, int64_t ts_ms, uint32_t server_id, bytes file, uint64_t pos
):
    cdef RowGroup group = RowGroup.__new__(RowGroup)
    cdef Facts* facts = &group.facts
    facts.op = c"r"
    facts.data = <const uint8_t*><const char*>images
    facts.end = facts.data + len(images)
    group._data = images
    return group if group._place(plan, transaction, ts_ms, server_id, file, pos, pos, None) else None


def mysql_copied_rows(
    table, bytes images not None, Transaction transaction not None, int64_t ts_ms, uint32_t server_id,
    str file not None, uint64_t pos,
):
    """A group of copied rows; None if the Python decoder has to look at them.

    Args:
        table: A captured table with its ``plan``.
        images: The rows as in a write event, with all columns.
        transaction: Which they are copied under; ``ordinal`` is that of the chunk.
        ts_ms, server_id, file, pos: When and where they were read.
    """
    if transaction._gtid is None:
        raise ValueError("a transaction without an identity")
    return _of_images(_plan_of(table, True), images, transaction, ts_ms, server_id, file.encode(), pos)


def postgres_copied_rows(
    table, CopyData inserts not None, Transaction transaction not None, int64_t ts_ms, str lsn not None
):
    """A group of copied rows; None if there is none, or the Python decoder has to look at them.

    Args:
        table: A captured table with its ``plan``.
        inserts: Messages with their frames. Their relation is not looked at.
        transaction, ts_ms, lsn: As above.
    """
    cdef RowGroup group
    cdef RowPlan plan = _plan_of(table, False)
    cdef const uint8_t* at
    cdef const uint8_t* end
    cdef Py_ssize_t n
    if transaction._gtid is None:
        raise ValueError("a transaction without an identity")
    if not inserts.count:
        return None
    for n in range(inserts.count):
        at, end = inserts._block.data + inserts._offsets[n], inserts._block.data + inserts._offsets[n + 1]
        if end - at < FRAME_BYTES + 6 or at[FRAME_BYTES] != 73 or not is_whole_row(
            &plan.layout, c"r", at + FRAME_BYTES, end
        ):
            return None
    group = RowGroup.__new__(RowGroup)
    group._place_messages(inserts, 0, inserts.count, c"r", plan, transaction, ts_ms, 0, lsn.encode())
    group.facts.ordinal = transaction.ordinal
    return group
