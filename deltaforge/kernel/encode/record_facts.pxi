# What is known of a row beside its images, for records. The oracle is deltaforge/records/facts.py.

cdef enum FactKind:
    NO_FACT, NUMBER_FACT, TEXT_FACT, UNKNOWN_FACT   # the last: only Python knows it


cdef struct FactValue:
    FactKind kind
    int64_t number
    Text text
    char room[64]      # of a text that is made here


cdef Text[8] _mark_texts   # of _SNAPSHOT_MARKS
_kept_marks = [(mark or "").encode() for mark in _SNAPSHOT_MARKS]


cdef void _fill_mark_texts() except *:
    cdef bytes mark
    cdef int n = 0
    for mark in _kept_marks[:8]:
        _mark_texts[n] = Text(mark, len(mark))
        n += 1


_fill_mark_texts()


cdef inline bint is_fact_of_row(Facts* facts, int fact) noexcept nogil:
    """Whether the rows of a group may differ in it."""
    if fact == FACT_SNAPSHOT:
        return facts.first_mark != 0 or facts.last_mark != 0
    return (
        fact == FACT_BINLOG_ROW or fact == FACT_EVENT_ID or fact == FACT_TOTAL_ORDER or fact == FACT_TABLE_ORDER
        or not facts.is_mysql and (fact == FACT_LSN or fact == FACT_SEQUENCE or fact == FACT_TRANSACTION_ID)
    )


cdef inline void _set_fact_number(FactValue* to, int64_t value) noexcept nogil:
    to.kind, to.number = NUMBER_FACT, value


cdef inline Text _text_at(const char* data, Py_ssize_t size) noexcept nogil:
    return Text(data, size)


cdef inline void _set_fact_text(FactValue* to, Text text) noexcept nogil:
    to.kind, to.text = TEXT_FACT if text.size else NO_FACT, text


cdef void find_fact(FactValue* to, Facts* facts, Py_ssize_t row, int fact, int64_t now_ns) noexcept nogil:
    """A fact of a row, but for the id of a copied one."""
    to.kind = NO_FACT
    if fact == FACT_OP:
        to.room[0] = facts.op
        _set_fact_text(to, _text_at(to.room, 1))
    elif fact == FACT_TS_MS:
        _set_fact_number(to, facts.ts_ms)
    elif fact == FACT_TS_US:
        _set_fact_number(to, facts.commit_us)
    elif fact == FACT_TS_NS:
        if -9000000000000000LL < facts.commit_us < 9000000000000000LL:
            _set_fact_number(to, facts.commit_us * 1000)
        else:
            to.kind = UNKNOWN_FACT
    elif fact == FACT_NOW_MS:
        _set_fact_number(to, floor_of(now_ns, 1000000))
    elif fact == FACT_NOW_US:
        _set_fact_number(to, floor_of(now_ns, 1000))
    elif fact == FACT_NOW_NS:
        _set_fact_number(to, now_ns)
    elif fact == FACT_SNAPSHOT:
        _set_fact_text(to, _mark_texts[row_mark(facts, row) & 7])
        if to.kind == NO_FACT and facts.op == c"r":
            _set_fact_text(to, _text_at(b"true", 4))
    elif fact == FACT_TOTAL_ORDER or fact == FACT_TABLE_ORDER:
        if facts.total_order:
            _set_fact_number(
                to, (facts.total_order if fact == FACT_TOTAL_ORDER else facts.table_order) + row_number(facts, row)
            )
    elif fact == FACT_NATIVE_TRANSACTION_ID:
        _find_transaction(to, facts)
    elif facts.is_mysql:
        _find_mysql_fact(to, facts, row, fact)
    else:
        _find_pg_fact(to, facts, row, fact)


cdef void _find_transaction(FactValue* to, Facts* facts) noexcept nogil:
    cdef Output room
    if facts.gtid.size:
        _set_fact_text(to, facts.gtid)
    elif facts.xid:
        room = output_in(<uint8_t*>to.room, sizeof(to.room))
        put_uint(&room, facts.xid)
        _set_fact_text(to, _text_at(to.room, room.size))


cdef void _find_mysql_fact(FactValue* to, Facts* facts, Py_ssize_t row, int fact) noexcept nogil:
    if fact == FACT_SERVER_ID:
        _set_fact_number(to, facts.server_id)
    elif fact == FACT_GTID:
        _set_fact_text(to, facts.gtid)
    elif fact == FACT_BINLOG_FILE:
        to.kind, to.text = TEXT_FACT, facts.file
    elif fact == FACT_BINLOG_POS:
        _set_fact_number(to, facts.begin_pos if facts.begin_pos else facts.pos)
    elif fact == FACT_BINLOG_END:
        _set_fact_number(to, facts.pos)
    elif fact == FACT_BINLOG_ROW:
        _set_fact_number(to, row_number(facts, row))
    elif fact == FACT_THREAD and facts.thread:
        _set_fact_number(to, facts.thread - 1)
    elif fact == FACT_QUERY and facts.query.data != NULL:
        to.kind, to.text = TEXT_FACT, facts.query
    elif fact == FACT_TRANSACTION_ID:
        _find_transaction(to, facts)


cdef void _find_pg_fact(FactValue* to, Facts* facts, Py_ssize_t row, int fact) noexcept nogil:
    cdef Output room
    cdef uint64_t lsn
    if fact == FACT_TX_ID and facts.xid:
        _set_fact_number(to, facts.xid)
    elif fact == FACT_COMMIT_LSN_TEXT:
        to.kind, to.text = TEXT_FACT, facts.lsn
    elif fact == FACT_LSN or fact == FACT_SEQUENCE or fact == FACT_TRANSACTION_ID:
        lsn = row_lsn(facts, row)
        if lsn == 0:
            if fact == FACT_TRANSACTION_ID:
                _find_transaction(to, facts)
        elif lsn >> 63 or fact == FACT_TRANSACTION_ID and facts.xid == 0:
            to.kind = UNKNOWN_FACT
        elif fact == FACT_LSN:
            _set_fact_number(to, lsn)
        else:
            room = output_in(<uint8_t*>to.room, sizeof(to.room))
            if fact == FACT_TRANSACTION_ID:
                put_uint(&room, facts.xid)
                put_byte(&room, 58)
                put_uint(&room, lsn)
            else:
                _put_sequence(&room, facts.last_commit_lsn, lsn)
            _set_fact_text(to, _text_at(to.room, room.size))


cdef void _put_sequence(Output* out, uint64_t last_commit_lsn, uint64_t lsn) noexcept nogil:
    put_byte(out, 91)
    if last_commit_lsn:
        put_byte(out, 34)
        put_uint(out, last_commit_lsn)
        put_byte(out, 34)
    else:
        put(out, b"null", 4)
    put(out, b',"', 2)
    put_uint(out, lsn)
    put(out, b'"]', 2)


cdef bint put_fact(Output* out, RecordStep* step, FactValue* value, bint is_json) noexcept nogil:
    """A fact with what stands before it, or instead of it. False to decline."""
    cdef uint8_t digits[24]
    cdef Output room
    if value.kind == UNKNOWN_FACT:
        return False
    if value.kind == NO_FACT:
        put_part(out, &step.null)
        return True
    put_part(out, &step.prefix)
    if value.kind == TEXT_FACT:
        if is_json and not put_text(out, <const uint8_t*>value.text.data, value.text.size):
            return False
        if not is_json:
            put_avro_bytes(out, value.text.data, value.text.size)
            if step.form != FORM_TEXT or not is_utf8(<const uint8_t*>value.text.data, value.text.size):
                return False
    elif is_json:
        put_int(out, value.number)
    elif step.form == FORM_TEXT:
        room = output_in(digits, sizeof(digits))
        put_int(&room, value.number)
        put_avro_bytes(out, digits, room.size)
    else:
        put_long(out, value.number)
    put_part(out, &step.suffix)
    return True


cdef bint put_row_fact(
    Output* out, Output* scratch, RecordStep* step, Facts* facts, Py_ssize_t row, Value* values, bint is_json
) noexcept nogil:
    """A fact of one row. ``values``: of the image that it has. False to decline."""
    cdef FactValue value
    cdef Output room
    if step.fact != FACT_EVENT_ID:
        find_fact(&value, facts, row, step.fact, 0)
        return put_fact(out, step, &value, is_json)
    room = output_in(<uint8_t*>value.room, sizeof(value.room))
    if facts.op != c"r":
        put(&room, facts.id_prefix, 24)
        put_hex12(&room, event_number(facts, row))
    elif not _put_copied_id(&room, scratch, facts, row, values):
        return False
    _set_fact_text(&value, _text_at(value.room, room.size))
    return put_fact(out, step, &value, is_json)


cdef bint _put_copied_id(Output* out, Output* scratch, Facts* facts, Py_ssize_t row, Value* values) noexcept nogil:
    """The event id of a copied row: see ``find_row_id``."""
    cdef Digest digest
    cdef Value key[MAX_KEY_COLUMNS]
    cdef uint8_t row_id[16]
    cdef int n
    begin_row_id(&digest, facts.id_prefix)
    if not facts.has_row_ids:
        find_place_id(&digest, facts, row, row_id)
        put_row_id(out, row_id)
        return True
    for n in range(facts.layout.key_count):
        key[n] = values[facts.layout.key_columns[n]]
        if facts.is_mysql and facts.layout.has_dates and key[n].holding != HELD:
            return False   # maybe a date with a zero part: in the key it is a text
    scratch.size = 0
    if _put_key_values(scratch, facts, key) != TOUCH_WHOLE:
        return False
    add_to_digest(&digest, scratch.data, scratch.size)
    end_digest(&digest, row_id, 16)
    put_row_id(out, row_id)
    return True
