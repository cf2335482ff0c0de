# What is known of a row beside its images, for records. The oracle is deltaforge/records/facts.py.

cdef enum FactKind:
    NO_FACT, NUMBER_FACT, TEXT_FACT, UNKNOWN_FACT   # the last: only Python knows it


cdef struct FactValue:
    FactKind kind
    int64_t number
    Text text
    char room[40]      # of a text that is made here


cdef inline bint is_fact_of_row(int fact) noexcept nogil:
    """Whether the rows of a group may differ in it."""
    return fact == FACT_BINLOG_ROW or fact == FACT_EVENT_ID


cdef inline void _set_fact_number(FactValue* to, int64_t value) noexcept nogil:
    to.kind, to.number = NUMBER_FACT, value


cdef inline Text _text_at(const char* data, Py_ssize_t size) noexcept nogil:
    return Text(data, size)


cdef inline void _set_fact_text(FactValue* to, Text text) noexcept nogil:
    to.kind, to.text = TEXT_FACT if text.size else NO_FACT, text


cdef void find_fact(FactValue* to, Facts* facts, int fact, int64_t now_ns) noexcept nogil:
    """A fact that is equal in all rows of a group."""
    cdef Output room
    to.kind = NO_FACT
    if fact == FACT_OP:
        to.room[0] = facts.op
        _set_fact_text(to, _text_at(to.room, 1))
    elif fact == FACT_TS_MS:
        _set_fact_number(to, facts.ts_ms)
    elif fact == FACT_NOW_MS:
        _set_fact_number(to, now_ns // 1000000)
    elif fact == FACT_NOW_US:
        _set_fact_number(to, now_ns // 1000)
    elif fact == FACT_NOW_NS:
        _set_fact_number(to, now_ns)
    elif fact == FACT_SNAPSHOT:
        if facts.op == c"r":
            _set_fact_text(to, _text_at(b"true", 4))
    elif fact == FACT_SERVER_ID:
        if facts.is_mysql:
            _set_fact_number(to, facts.server_id)
    elif fact == FACT_GTID:
        if facts.is_mysql:
            _set_fact_text(to, facts.gtid)
    elif fact == FACT_BINLOG_FILE:
        if facts.is_mysql:
            _set_fact_text(to, facts.file)
            to.kind = TEXT_FACT
    elif fact == FACT_BINLOG_END:
        if facts.is_mysql:
            _set_fact_number(to, facts.pos)
    elif fact == FACT_TX_ID:
        if not facts.is_mysql and facts.xid:
            _set_fact_number(to, facts.xid)
    elif fact == FACT_COMMIT_LSN_TEXT:
        if not facts.is_mysql:
            _set_fact_text(to, facts.lsn)
            to.kind = TEXT_FACT
    elif fact == FACT_NATIVE_TRANSACTION_ID:
        if facts.gtid.size:
            _set_fact_text(to, facts.gtid)
        elif facts.xid:
            room = output_in(<uint8_t*>to.room, sizeof(to.room))
            put_uint(&room, facts.xid)
            _set_fact_text(to, _text_at(to.room, room.size))
    else:
        to.kind = UNKNOWN_FACT


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
            if step.form != FORM_TEXT:
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
    value.kind = NO_FACT
    if step.fact == FACT_BINLOG_ROW:
        if facts.is_mysql:
            _set_fact_number(&value, row_number(facts, row))
    else:
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
    scratch.size = 0
    if _put_key_values(scratch, facts, key) != TOUCH_WHOLE:
        return False
    add_to_digest(&digest, scratch.data, scratch.size)
    end_digest(&digest, row_id, 16)
    put_row_id(out, row_id)
    return True
