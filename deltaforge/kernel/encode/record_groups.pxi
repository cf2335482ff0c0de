# Groups of rows as records: ``EncodedEvents.extend_records``.

cdef tuple _extend_records(
    EncodedEvents values, list groups, Py_ssize_t start, Py_ssize_t row, plan_of, int64_t now_ns
):
    """See the method."""
    cdef RecordGroup todo[GROUPS_AT_ONCE]
    cdef RecordFrame frame
    cdef RecordProgram program = None
    cdef RowGroup group
    cdef list kept
    cdef Py_ssize_t count, done
    if not 0 <= start <= len(groups):
        raise IndexError(start)
    if not 0 <= row <= (groups[start].event_count if start < len(groups) else 0):
        raise IndexError(row)
    memset(&frame, 0, sizeof(frame))
    try:
        while True:
            count, kept = 0, []
            while start + count < len(groups) and count < GROUPS_AT_ONCE and type(groups[start + count]) is RowGroup:
                group = _placed(groups[start + count])
                if count == 0 and row > group.facts.count:
                    raise IndexError(row)
                if program is None or program._rows is not group._plan:
                    found = plan_of(group)
                    if found is None:
                        break
                    program = found
                    if program._rows is not group._plan:
                        raise ValueError("a plan of another table")
                todo[count] = RecordGroup(&group.facts, &program._recipe)
                kept.append((group, program))   # whatever becomes of the list
                count += 1
            if count == 0:
                return start, row
            with nogil:
                done = _encode_records(values, todo, count, &row, &frame, now_ns)
            if done < 0:
                raise MemoryError
            start += done
            if done < count:
                return start, row
    finally:
        _free_frame(&frame)


cdef Py_ssize_t _encode_records(
    EncodedEvents values, RecordGroup* todo, Py_ssize_t count, Py_ssize_t* row, RecordFrame* frame, int64_t now_ns
) noexcept nogil:
    """The number of groups encoded, -1 without memory. ``row``: where the first begins, and where the last one ends that is
    not encoded whole.
    """
    cdef Py_ssize_t n
    cdef int state = 1
    for n in range(count):
        state = _encode_record_group(values, &todo[n], row, frame, now_ns)
        if state <= 0:
            break
        row[0] = 0
    else:
        n = count
    if state < 0 or values.values.is_exhausted or values.keys.is_exhausted or _is_frame_exhausted(frame):
        return -1
    return n


cdef int _encode_record_group(
    EncodedEvents values, RecordGroup* todo, Py_ssize_t* row, RecordFrame* frame, int64_t now_ns
) noexcept nogil:
    """1, 0 to decline the row at ``row``, -1 without memory."""
    cdef Facts* facts = todo.facts
    cdef const uint8_t* at = NULL
    cdef const uint8_t* begin
    cdef Py_ssize_t values_before, keys_before
    cdef bint is_skipped = False
    if facts.is_mysql:
        at = row_begin(facts, row[0], &values._known)
    if row[0] < facts.count and (todo.recipe.is_declined or not _fill_record_frame(frame, facts, todo.recipe, now_ns)):
        return 0
    if todo.recipe.skipped[place_of_op(facts.op)] and facts.op != c"u":
        values.event_count += facts.count - row[0]
        row[0] = facts.count
        return 1 if values.owners != NULL or values._own(values.capacity) else -1
    while row[0] < facts.count:
        begin, values_before, keys_before = at, values.values.size, values.keys.size
        at = put_record(&values.values, &values.keys, frame, facts, todo.recipe, row[0], begin, &is_skipped)
        if values.values.is_exhausted or values.keys.is_exhausted:
            return -1
        if at == NULL:
            values._known = KnownRow(facts.data, row[0], begin)
            values.values.size, values.keys.size = values_before, keys_before
            return 0
        if is_skipped:
            if values.owners == NULL and not values._own(values.capacity):
                return -1
            values.event_count += 1
        elif not _close_record(values, todo.recipe, facts.op):
            return -1
        row[0] += 1
    return 1


cdef bint _close_record(EncodedEvents values, Recipe* recipe, char op) noexcept nogil:
    """Complete the messages of a row whose value and key are put. False without memory."""
    if not recipe.has_key and values.owners == NULL and not values._own(values.capacity):
        return False
    if not values._close_message():
        return False
    if not recipe.has_key:
        values.owners[values.count - 1].has_key = False
    if recipe.marks_deletes and op == c"d":
        if not values._repeat_key() or not values._put_tombstone():
            return False
        values.owners[values.count - 1].has_key = recipe.has_key
    values.event_count += 1
    return True
