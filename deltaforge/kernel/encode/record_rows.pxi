# Rows as records: the steps of a plan, taken for all rows of a group.

cdef struct RowPart:
    # A step that differs from row to row. NULL: the end of the record.
    RecordStep* step
    Py_ssize_t text_end     # in the text of the frame: what stands before it


cdef struct RecordFrame:
    # What is equal in all rows of a group, made once, and room for what is not.
    Output text
    RowPart* parts
    int part_count
    int part_capacity
    Value* before           # by place in the layout
    Value* after
    int value_capacity
    RecordScratch scratch


cdef struct RecordGroup:
    Facts* facts
    Recipe* recipe


cdef void _free_frame(RecordFrame* frame) noexcept nogil:
    free(frame.text.data)
    free(frame.parts)
    free(frame.before)
    free(frame.scratch.json.data)
    free(frame.scratch.plain.data)
    free(frame.scratch.item.data)
    free(frame.scratch.whole.data)


cdef bint _is_frame_exhausted(RecordFrame* frame) noexcept nogil:
    return (
        frame.text.is_exhausted or frame.scratch.json.is_exhausted or frame.scratch.plain.is_exhausted
        or frame.scratch.item.is_exhausted or frame.scratch.whole.is_exhausted
    )


cdef bint _add_part(RecordFrame* frame, RecordStep* step) noexcept nogil:
    cdef int capacity
    cdef RowPart* parts
    if frame.part_count == frame.part_capacity:
        capacity = max(2 * frame.part_capacity, 32)
        parts = <RowPart*>realloc(frame.parts, capacity * sizeof(RowPart))
        if parts == NULL:
            frame.text.is_exhausted = True
            return False
        frame.parts, frame.part_capacity = parts, capacity
    frame.parts[frame.part_count] = RowPart(step, frame.text.size)
    frame.part_count += 1
    return True


cdef bint has_room_for_values(RecordFrame* frame, int count) noexcept nogil:
    cdef Value* values
    if count <= frame.value_capacity:
        frame.after = frame.before + count
        return True
    values = <Value*>realloc(frame.before, 2 * count * sizeof(Value))
    if values == NULL:
        frame.text.is_exhausted = True
        return False
    frame.before, frame.after, frame.value_capacity = values, values + count, count
    return True


cdef bint _fill_record_frame(RecordFrame* frame, Facts* facts, Recipe* recipe, int64_t now_ns) noexcept nogil:
    """False to decline the group."""
    cdef int n = 0
    cdef RecordStep* step
    cdef FactValue value
    frame.text.size, frame.part_count = 0, 0
    if not has_room_for_values(frame, max(facts.layout.count, 1)):
        return False
    while n < recipe.step_count:
        step = &recipe.steps[n]
        n += 1
        if step.kind == STEP_BYTES:
            put_part(&frame.text, &step.prefix)
        elif step.kind == STEP_TRANSACTION:
            if facts.total_order == 0:
                put_part(&frame.text, &step.null)
                n += step.count
        elif step.kind == STEP_FACT and not is_fact_of_row(facts, step.fact):
            find_fact(&value, facts, 0, step.fact, now_ns)
            if not put_fact(&frame.text, step, &value, recipe.is_json):
                return False
        elif step.kind == STEP_IMAGE and not (holds_before(facts.op) if step.is_before else facts.op != c"d"):
            put_part(&frame.text, &step.null)
        elif not _add_part(frame, step):
            return False
    return _add_part(frame, NULL) and not frame.text.is_exhausted


cdef const uint8_t* _locate_mysql(
    Layout* layout, const uint8_t* bits, const uint8_t* at, const uint8_t* end, Value* values
) noexcept nogil:
    """Where the values of an image stand; its end, or NULL if its bytes are not all there."""
    cdef int n, bit = 0
    cdef const uint8_t* nulls = at
    cdef Py_ssize_t size = (present_count(bits, layout.count) + 7) // 8
    if end - at < size:
        return NULL
    at += size
    for n in range(layout.count):
        values[n].holding = NOTHING
        if not has_bit(bits, n):
            continue
        if not nulls[bit >> 3] >> (bit & 7) & 1:
            size = value_size(&layout.columns[n], at, end)
            if size < 0:
                return NULL
            if not (layout.has_dates and is_null_date(&layout.columns[n], at)):
                values[n] = Value(HELD, at, size)
            at += size
        bit += 1
    return at


cdef const uint8_t* _locate_pg(
    Layout* layout, const uint8_t* old, const uint8_t* at, const uint8_t* end, Value* values
) noexcept nogil:
    """The same of a tuple. ``old`` is that of the old row, where this one is the new row and there is an old one."""
    cdef int n
    if skip_pg_image(layout, at, end) == NULL:
        return NULL
    at += 2
    if old != NULL:
        old += 2
    for n in range(layout.count):
        if at[0] == 116:
            values[n] = Value(HELD, at + 5, <Py_ssize_t>big(at + 1, 4))
        elif at[0] == 110:
            values[n].holding = NOTHING
        elif old != NULL and old[0] == 116 and takes_old(layout, n):
            values[n] = Value(HELD, old + 5, <Py_ssize_t>big(old + 1, 4))
        else:
            values[n].holding = NOT_LOGGED
        at = after_pg_value(at)
        if old != NULL:
            old = after_pg_value(old)
    return at


cdef const uint8_t* locate(
    RecordFrame* frame, Facts* facts, Py_ssize_t row, const uint8_t* at, bint* has_before
) noexcept nogil:
    """Where the values of a row stand. ``at``: where the row begins, of MySQL; gives its end, or NULL."""
    cdef const uint8_t* end = facts.end
    cdef const uint8_t* old = NULL
    cdef bint is_there = True
    has_before[0] = holds_before(facts.op)
    if facts.is_mysql:
        if has_before[0]:
            at = _locate_mysql(facts.layout, facts.before, at, end, frame.before)
        if facts.op != c"d" and at != NULL:
            at = _locate_mysql(facts.layout, facts.after, at, end, frame.after)
        return at
    at, end = facts.data + facts.offsets[row], facts.data + facts.offsets[row + 1] - FRAME_BYTES
    if has_before[0]:
        at = pg_image_at(facts.op, True, at, end, has_before)
        if at != NULL and has_before[0]:
            old = at
            at = _locate_pg(facts.layout, NULL, at, end, frame.before)
    if facts.op != c"d" and at != NULL:
        at = pg_image_at(facts.op, False, at, end, &is_there)
        if at != NULL:
            at = _locate_pg(facts.layout, old, at, end, frame.after)
    return at if at == end else NULL


cdef bint put_columns(
    Output* out, RecordFrame* frame, Facts* facts, RecordColumns* columns, bint is_json, Value* values,
    const uint8_t* bits, bint is_key,
) noexcept nogil:
    """Columns of an image or a key. False to decline."""
    cdef int n
    cdef RecordColumn* column
    cdef Value* value
    cdef RecordValue held
    cdef Text* instead
    cdef Py_ssize_t begin
    cdef Taken taken
    for n in range(columns.count):
        column = &columns.columns[n]
        if column.place < 0 or not has_bit(bits, column.place):
            if is_key or column.missing.size == 0:
                return False
            put_part(out, &column.missing)
            continue
        value = &values[column.place]
        if value.holding == NOTHING:
            if column.null.size == 0 or is_key and not facts.is_mysql:
                return False   # of a key, the log may not hold it
            put_part(out, &column.null)
            continue
        taken = TAKEN_AS_UNCHANGED
        if value.holding == HELD:
            begin = out.size
            put_part(out, &column.held)
            held = RecordValue(column.column, &column.form, value.at, value.size, facts.is_mysql, is_json)
            taken = put_record_value(out, &frame.scratch, &held)
            if taken == TAKEN:
                continue
            out.size = begin
        instead = &column.null if taken == TAKEN_AS_NULL else &column.unavailable
        if taken == LEFT or is_key or instead.size == 0:
            return False
        put_part(out, instead)
    return True


cdef const uint8_t* put_record(
    Output* values, Output* keys, RecordFrame* frame, Facts* facts, Recipe* recipe, Py_ssize_t row,
    const uint8_t* at, bint* is_skipped,
) noexcept nogil:
    """The value and the key of a row; where the next one of MySQL begins, or NULL to decline. ``is_skipped``: it has no
    message, and nothing was put.
    """
    cdef int n
    cdef RowPart* part
    cdef Py_ssize_t text_at = 0
    cdef bint has_before, splits
    cdef Change change
    cdef Value* newest
    cdef const uint8_t* bits = facts.before if facts.op == c"d" else facts.after
    at = locate(frame, facts, row, at, &has_before)
    if at == NULL:
        return NULL
    is_skipped[0] = False
    splits = recipe.splits_key_changes and recipe.has_key and facts.op == c"u" and has_before
    if recipe.skips_unchanged and facts.op == c"u" and has_before:
        change = change_of_row(frame, facts, &recipe.columns)
        if change == UNSURE:
            return NULL
        if change == SAME:
            is_skipped[0] = True
            return at
    if recipe.skipped[place_of_op(facts.op)]:
        if splits and not is_key_kept(keys, frame, facts, recipe):
            return NULL
        is_skipped[0] = True
        return at
    newest = frame.before if facts.op == c"d" else frame.after
    for n in range(frame.part_count):
        part = &frame.parts[n]
        put(values, frame.text.data + text_at, part.text_end - text_at)
        text_at = part.text_end
        if part.step == NULL:
            break
        if part.step.kind == STEP_FACT:
            if not put_row_fact(values, &frame.scratch.json, part.step, facts, row, newest, recipe.is_json):
                return NULL
            continue
        if part.step.is_before and not has_before:
            put_part(values, &part.step.null)
            continue
        put_part(values, &part.step.prefix)
        if not put_columns(
            values, frame, facts, &part.step.own if part.step.has_own else &recipe.columns, recipe.is_json,
            frame.before if part.step.is_before else frame.after,
            facts.before if part.step.is_before else facts.after, False,
        ):
            return NULL
        put_part(values, &part.step.suffix)
    if not recipe.has_key:
        return at
    if splits and may_change_key(frame, facts, &recipe.key):
        return NULL
    put_part(keys, &recipe.key_prefix)
    if not put_columns(keys, frame, facts, &recipe.key, recipe.is_json, newest, bits, True):
        return NULL
    put_part(keys, &recipe.key_suffix)
    return at
