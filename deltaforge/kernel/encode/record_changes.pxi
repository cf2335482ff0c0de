# What of an updated row is as before, for plans that have no messages of some rows. The oracle is messages_of in
# deltaforge/records/taking.py.

cdef enum Change:
    SAME, OTHER, UNSURE   # the last: only Python knows it


cdef inline bint _is_number(Output* text) noexcept nogil:
    """Whether JSON text is an integer."""
    cdef Py_ssize_t n
    for n in range(text.size):
        if not is_digit(text.data[n]) and (n or text.data[0] != 45):
            return False
    return text.size > 0


cdef bint _render_value(Output* out, Column* column, Value* value, bint is_mysql) noexcept nogil:
    """A value as row images have it, as JSON. False to decline."""
    out.size = 0
    if is_mysql:
        return put_value(out, column, value.at, value.size) and not out.is_exhausted
    return _put_pg_value(out, column, value.at, value.size) and not out.is_exhausted


cdef Change _change_of_held(
    RecordScratch* scratch, Column* column, Value* old, Value* new, bint is_mysql
) noexcept nogil:
    """Two values. The same bytes are the same value, but for numbers that equal nothing and what looks like the mark of
    a value that the log does not hold; others may be, but for texts and integers.
    """
    cdef Output* one = &scratch.json
    cdef Output* two = &scratch.item
    cdef bint is_equal = old.size == new.size and memcmp(old.at, new.at, old.size) == 0
    if column.kind == VECTOR or column.kind == DECLINED:
        return UNSURE
    if is_equal and not _is_document(column) and column.kind != SINGLE and column.kind != DOUBLE:
        return SAME
    if not _render_value(one, column, old, is_mysql) or not _render_value(two, column, new, is_mysql) or one.size == 0:
        return UNSURE
    if is_equal or one.size == two.size and memcmp(one.data, two.data, one.size) == 0:
        if one.size == 4 and memcmp(one.data, b"null", 4) == 0:
            return SAME if _is_document(column) else UNSURE
        if one.data[0] == 123 and one.size < 40:
            return UNSURE   # maybe {"_unchanged":true}
        return SAME
    if one.data[0] == 34 and two.size and two.data[0] == 34 or _is_number(one) and _is_number(two):
        return OTHER
    return UNSURE


cdef Change _change_from_nothing(RecordScratch* scratch, Column* column, Value* held, bint is_mysql) noexcept nogil:
    """A value and none; a value of the log may be none in the image, too."""
    cdef Output* text = &scratch.json
    if not _render_value(text, column, held, is_mysql) or text.size == 4 and memcmp(text.data, b"null", 4) == 0:
        return UNSURE
    return OTHER


cdef Change change_of_row(RecordFrame* frame, Facts* facts, RecordColumns* columns) noexcept nogil:
    """Whether columns of an updated row, whose values are in the frame, are as before."""
    cdef Change found = SAME, change
    cdef int n, place
    cdef Value* old
    cdef Value* new
    cdef Value* held
    for n in range(columns.count):
        place = columns.columns[n].place
        if place < 0 or not has_bit(facts.before, place) or not has_bit(facts.after, place):
            return OTHER
        old, new = &frame.before[place], &frame.after[place]
        if old.holding == NOT_LOGGED or new.holding == NOT_LOGGED:
            return OTHER
        if old.holding == NOTHING and new.holding == NOTHING:
            continue
        if old.holding == HELD and new.holding == HELD:
            change = _change_of_held(&frame.scratch, columns.columns[n].column, old, new, facts.is_mysql)
        else:
            held = old if old.holding == HELD else new
            change = _change_from_nothing(&frame.scratch, columns.columns[n].column, held, facts.is_mysql)
        if change == OTHER:
            return OTHER
        if change == UNSURE:
            found = UNSURE
    return found


cdef bint may_be_another(RecordFrame* frame, Facts* facts, int place) noexcept nogil:
    """Whether a column of an updated row may have another value than before."""
    cdef Value* old
    cdef Value* new
    if place < 0 or not has_bit(facts.before, place) or not has_bit(facts.after, place):
        return True
    old, new = &frame.before[place], &frame.after[place]
    if old.holding != HELD or new.holding != HELD or old.size != new.size:
        return True
    return memcmp(old.at, new.at, old.size) != 0


cdef bint may_change_key(RecordFrame* frame, Facts* facts, RecordColumns* key) noexcept nogil:
    cdef int n
    for n in range(key.count):
        if may_be_another(frame, facts, key.columns[n].place):
            return True
    return False


cdef _keeps_keys(RowGroup group):
    """Whether no row of a group has another primary key than before, as far as its bytes say it."""
    cdef Facts* facts = &group.facts
    cdef RecordFrame frame
    cdef const uint8_t* at = facts.data
    cdef Py_ssize_t row
    cdef bint is_kept = True, has_before
    if facts.op != c"u":
        return True
    if facts.layout.key_count == 0:
        return not group.table.schema.primary_key   # or it has too many columns
    memset(&frame, 0, sizeof(frame))
    try:
        if not has_room_for_values(&frame, facts.layout.count):
            raise MemoryError
        with nogil:
            for row in range(facts.count):
                at = locate(&frame, facts, row, at, &has_before)
                is_kept = at != NULL and not (has_before and _may_change_primary_key(&frame, facts))
                if not is_kept:
                    break
        return is_kept
    finally:
        _free_frame(&frame)


cdef bint _may_change_primary_key(RecordFrame* frame, Facts* facts) noexcept nogil:
    cdef int n
    for n in range(facts.layout.key_count):
        if may_be_another(frame, facts, facts.layout.key_columns[n]):
            return True
    return False


cdef bint is_key_kept(Output* keys, RecordFrame* frame, Facts* facts, Recipe* recipe) noexcept nogil:
    """Whether an updated row has the key that it had, which can be written: see ``_key_change``. False to decline."""
    cdef Py_ssize_t begin = keys.size
    cdef bint is_put
    if may_change_key(frame, facts, &recipe.key):
        return False
    is_put = put_columns(keys, frame, facts, &recipe.key, recipe.is_json, frame.after, facts.after, True)
    keys.size = begin
    return is_put
