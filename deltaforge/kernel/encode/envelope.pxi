# The envelopes around row images. The oracle is deltaforge/envelopes with deltaforge/encodings/json.py.

cdef enum:
    FRAME_BYTES = 25   # XLogData before a pgoutput message: w, start, end, time


cdef enum Shape:
    NATIVE, DEBEZIUM, CLOUDEVENTS


_SNAPSHOT_MARKS = (None, *get_args(SnapshotMark))


cdef class JsonForm:
    """Which envelope, with its settings. ``type_prefix`` is of CloudEvents, as JSON without quotes. ``marks_deletes``:
    tombstones are put behind deletes; ``splits_key_changes``: an update that changes the key is declined.
    """

    cdef Shape shape
    cdef bint include_nulls
    cdef bint marks_deletes
    cdef bint splits_key_changes
    cdef bytes type_prefix
    cdef Text prefix

    def __cinit__(
        self, str envelope, bytes type_prefix not None=b"", bint include_nulls=False, bint marks_deletes=False,
        bint splits_key_changes=False,
    ):
        self.shape = {"native": NATIVE, "debezium": DEBEZIUM, "cloudevents": CLOUDEVENTS}[envelope]
        self.include_nulls = include_nulls
        self.marks_deletes, self.splits_key_changes = marks_deletes, splits_key_changes
        self.type_prefix = type_prefix
        self.prefix = Text(type_prefix, len(type_prefix))


cdef struct Facts:
    # What is equal in all rows of a group, and where their bytes are.
    bint is_mysql
    char op                  # c, u, d or r
    bint has_row_ids         # r: event ids are those of the rows' keys
    const uint8_t* data
    const uint8_t* end
    const uint8_t* before    # bit sets of the columns in the images; NULL: all
    const uint8_t* after
    Py_ssize_t count
    uint64_t ordinal
    int64_t ts_ms
    uint32_t server_id
    uint64_t pos
    Text file
    Text gtid                # the transaction's id, empty without one
    Text lsn
    uint32_t xid
    const char* id_prefix    # 24 characters
    bint is_tx_end
    Layout* layout
    const uint32_t* numbers  # of the rows of a part, in the whole group; NULL: it is whole
    const uint32_t* offsets  # PostgreSQL: where each message begins, and where the last one ends
    Text source_head, source_table, tail, uri, subject, identity
    # What only records ask for, see ``Origin`` in deltaforge/core/event.py.
    int64_t commit_us        # as far as the log has it
    uint64_t begin_pos       # MySQL: where the row event begins; 0: not known
    uint64_t thread          # MySQL: and one more; 0: not known
    Text query               # the statement; data NULL: not known
    uint64_t last_commit_lsn # PostgreSQL: 0: not known
    uint64_t copy_lsn        # PostgreSQL: of copied rows; those of the log have it in the frames of their messages
    uint64_t total_order     # of the first row of the whole group, from 1; 0: nobody counts
    uint64_t table_order
    uint8_t all_marks        # places in _SNAPSHOT_MARKS, 0 for none: of every row
    uint8_t first_mark       # of the first
    uint8_t last_mark        # of the last


cdef inline uint64_t row_lsn(Facts* facts, Py_ssize_t row) noexcept nogil:
    """PostgreSQL: the LSN of a row's own message; 0: not known."""
    if facts.op == c"r":
        return facts.copy_lsn
    return big(facts.data - FRAME_BYTES + facts.offsets[row] + 1, 8)


cdef inline uint8_t row_mark(Facts* facts, Py_ssize_t row) noexcept nogil:
    """The place in _SNAPSHOT_MARKS of what a row is among those of its copy."""
    if facts.last_mark and row == facts.count - 1:
        return facts.last_mark
    return facts.first_mark if facts.first_mark and row == 0 else facts.all_marks


cdef inline bint holds_before(char op) noexcept nogil:
    return op == c"u" or op == c"d"


cdef inline uint64_t row_number(Facts* facts, uint64_t row) noexcept nogil:
    """The number of a row among those that came together with it."""
    return row if facts.numbers == NULL else facts.numbers[row]


cdef inline uint64_t event_number(Facts* facts, uint64_t row) noexcept nogil:
    """The last twelve digits of an event id, other than that of a copied row: see ``EventIds.at``."""
    cdef uint64_t number = row_number(facts, row)
    cdef uint64_t ordinal = facts.ordinal if facts.is_mysql else facts.ordinal + number
    return (ordinal & 0xFFFFFF) << 24 | ordinal >> 24 | (number if facts.is_mysql else 0)


cdef void _put_source(Output* out, Facts* facts) noexcept nogil:
    """The source block, up to the number of the row."""
    put_part(out, &facts.source_head)
    put_int(out, facts.ts_ms)
    put_part(out, &facts.source_table)
    if facts.op == c"r":
        put(out, b',"snapshot":"true"', 18)
    if not facts.is_mysql:
        put(out, b',"lsn":"', 8)
        put_part(out, &facts.lsn)
        put_byte(out, 34)
        if facts.xid:
            put(out, b',"txId":', 8)
            put_uint(out, facts.xid)
        return
    put(out, b',"server_id":', 13)
    put_uint(out, facts.server_id)
    if facts.gtid.size:
        put(out, b',"gtid":"', 9)
        put_part(out, &facts.gtid)
        put_byte(out, 34)
    put(out, b',"file":', 8)
    put_text(out, <const uint8_t*>facts.file.data, facts.file.size)
    put(out, b',"pos":', 7)
    put_uint(out, facts.pos)
    put(out, b',"row":', 7)


cdef void _put_op(Output* out, Facts* facts) noexcept nogil:
    """From the end of the source block up to the changing part of the event id."""
    put(out, b'},"op":"', 8)
    put_byte(out, facts.op)
    put(out, b'","ts_ms":', 10)
    put_int(out, facts.ts_ms)
    if facts.gtid.size:
        put(out, b',"transaction":{"id":"', 22)
        put_part(out, &facts.gtid)
        put(out, b'"}', 2)
    elif facts.xid:
        put(out, b',"transaction":{"id":"', 22)
        put_uint(out, facts.xid)
        put(out, b'"}', 2)
    put(out, b',"event_id":"', 13)
    if facts.op != c"r":
        put(out, facts.id_prefix, 24)


cdef void _put_time(Output* out, int64_t ts_ms) noexcept nogil:
    cdef int64_t seconds = ts_ms // 1000, clock = seconds % 86400
    put_day(out, seconds // 86400)
    put_byte(out, 84)
    put_padded(out, clock // 3600, 2)
    put_byte(out, 58)
    put_padded(out, clock // 60 % 60, 2)
    put_byte(out, 58)
    put_padded(out, clock % 60, 2)
    put_byte(out, 46)
    put_padded(out, ts_ms % 1000, 3)
    put_byte(out, 90)


cdef void _put_ce_head(Output* out, Facts* facts, Text* prefix) noexcept nogil:
    """The attributes of a CloudEvent behind its id."""
    put(out, b'","source":', 11)
    put_part(out, &facts.uri)
    put(out, b',"type":"', 9)
    put_part(out, prefix)
    if facts.op == c"c":
        put(out, b'.created","time":"', 18)
    elif facts.op == c"u":
        put(out, b'.updated","time":"', 18)
    elif facts.op == c"r":
        put(out, b'.snapshot","time":"', 19)
    else:
        put(out, b'.deleted","time":"', 18)
    _put_time(out, facts.ts_ms)
    put(out, b'","datacontenttype":"application/json","subject":', 49)
    put_part(out, &facts.subject)
    put(out, b',"data":{', 9)


cdef struct Frame:
    # The parts that are equal in all rows of a group, made once: `text` up to `cut`, and behind it.
    Output text
    Py_ssize_t cut


cdef void fill_frame(Frame* frame, Facts* facts, Shape shape, Text* prefix) noexcept nogil:
    frame.text.size = 0
    if shape == CLOUDEVENTS:
        frame.cut = 0
        _put_ce_head(&frame.text, facts, prefix)
        return
    put(&frame.text, b',"source":', 10)
    _put_source(&frame.text, facts)
    frame.cut = frame.text.size
    _put_op(&frame.text, facts)


cdef const uint8_t* _put_one_image(
    Output* out, Facts* facts, bint is_before, const uint8_t* old, const uint8_t* at, const uint8_t* end, KeySpan* key
) noexcept nogil:
    if facts.is_mysql:
        return put_image(out, facts.layout, facts.before if is_before else facts.after, at, end, key)
    return put_pg_image(out, facts.layout, old, at, end, key)


cdef const uint8_t* put_event(
    Output* out, Facts* facts, Frame* frame, JsonForm form, uint64_t row, const uint8_t* at, const uint8_t* end,
    KeySpan* key,
) noexcept nogil:
    """One event with its envelope. ``key`` becomes the spans of the newest values, and of a copied row its id. NULL to
    decline.
    """
    cdef Shape shape = form.shape
    cdef uint64_t number = event_number(facts, row)
    cdef const uint8_t* old = NULL
    cdef Py_ssize_t id_at = 0
    cdef bint is_copy = facts.op == c"r"
    cdef bint has_before = holds_before(facts.op)
    cdef bint has_after = facts.op != c"d"
    cdef bint writes_nulls = shape != CLOUDEVENTS or form.include_nulls
    cdef bint splits = form.splits_key_changes and facts.op == c"u"
    cdef KeySpan old_key
    if shape == CLOUDEVENTS:
        put(out, b'{"specversion":"1.0","id":"', 27)
        put(out, facts.id_prefix, 24)
        id_at = out.size - 24
        put_hex12(out, number)
        put(out, frame.text.data, frame.text.size)
    elif shape == DEBEZIUM:
        put(out, b'{"schema":null,"payload":{', 26)
    else:
        put_byte(out, 123)
    if not facts.is_mysql and has_before:
        # PostgreSQL: an update may come without the old row.
        at = pg_image_at(facts.op, True, at, end, &has_before)
        if at == NULL:
            return NULL
        if has_before:
            old = at
    if has_before or writes_nulls:
        put(out, b'"before":', 9)
        if has_before:
            at = _put_one_image(out, facts, True, NULL, at, end, key)
            if at == NULL:
                return NULL
        else:
            put(out, b"null", 4)
        put_byte(out, 44)
    if splits:
        old_key = key[0]
    if not facts.is_mysql and has_after:
        at = pg_image_at(facts.op, False, at, end, &has_after)
        if at == NULL:
            return NULL
    if has_after or writes_nulls:
        put(out, b'"after":', 8)
        if has_after:
            at = _put_one_image(out, facts, False, old, at, end, key)
            if at == NULL:
                return NULL
        else:
            put(out, b"null", 4)
    if splits and is_other_key(out, facts.layout, &old_key, key):
        return NULL
    if is_copy and not find_row_id(out, facts, row, key):
        return NULL
    if shape == CLOUDEVENTS:
        if is_copy and not out.is_exhausted:
            _put_hex(<char*>out.data + id_at, key.row_id, 16)   # in place of that of a row of the log
        if has_after or writes_nulls:
            put_byte(out, 44)
        put(out, b'"op":"', 6)
        put_byte(out, facts.op)
        put(out, b'"}}', 3)
        return at
    put(out, frame.text.data, frame.cut)
    if facts.is_mysql:
        put_uint(out, row_number(facts, row))
    put(out, frame.text.data + frame.cut, frame.text.size - frame.cut)
    if is_copy:
        put_row_id(out, key.row_id)
    else:
        put_hex12(out, number)
    put_byte(out, 34)
    put_part(out, &facts.tail)
    if facts.is_tx_end and <Py_ssize_t>row == facts.count - 1:
        put(out, b',"tx_end":true', 14)
    put_byte(out, 125)
    if shape == DEBEZIUM:
        put_byte(out, 125)
    return at


cdef inline void put_row_id(Output* out, const uint8_t* row_id) noexcept nogil:
    cdef char text[36]
    _put_hex(text, row_id, 16)
    put(out, text, 36)


cdef void begin_row_id(Digest* digest, const char* id_prefix) noexcept nogil:
    """See ``EventIds.row_id``."""
    begin_digest(digest, 16)
    add_to_digest(digest, id_prefix, 24)


cdef void find_place_id(Digest* digest, Facts* facts, uint64_t row, uint8_t* row_id) noexcept nogil:
    """The id of a row without a key, of its place."""
    cdef uint8_t text[48]
    cdef Output place = output_in(text, sizeof(text))
    put_uint(&place, facts.ordinal)
    put_byte(&place, 46)
    put_uint(&place, row_number(facts, row))
    add_to_digest(digest, text, place.size)
    end_digest(digest, row_id, 16)


cdef void add_key_to_digest(Digest* digest, Output* values, Layout* layout, KeySpan* key) noexcept nogil:
    """The key as :func:`put_key` puts it."""
    cdef int n
    cdef Column* column
    for n in range(layout.key_count):
        column = &layout.columns[layout.key_columns[n]]
        add_to_digest(digest, b"," if n else b"{", 1)
        add_to_digest(digest, column.name, column.name_length)
        add_to_digest(digest, values.data + key.begin[n], key.end[n] - key.begin[n])
    add_to_digest(digest, b"}", 1)


cdef bint find_row_id(Output* values, Facts* facts, uint64_t row, KeySpan* key) noexcept nogil:
    """The id of a copied row whose values were put; False to decline."""
    cdef Digest digest
    begin_row_id(&digest, facts.id_prefix)
    if not facts.has_row_ids:
        find_place_id(&digest, facts, row, key.row_id)
        return True
    if key.found != (<uint64_t>1 << facts.layout.key_count) - 1 or values.is_exhausted:
        return values.is_exhausted
    add_key_to_digest(&digest, values, facts.layout, key)
    end_digest(&digest, key.row_id, 16)
    return True


cdef void put_key(Output* out, Output* values, Facts* facts, uint64_t row, KeySpan* key) noexcept nogil:
    """The key of a row: see ``row_key`` in deltaforge/core/routing.py."""
    cdef int n, count = facts.layout.key_count
    cdef Column* column
    if count and key.found == (<uint64_t>1 << count) - 1:
        put_byte(out, 123)
        for n in range(count):
            if n:
                put_byte(out, 44)
            column = &facts.layout.columns[facts.layout.key_columns[n]]
            put(out, column.name, column.name_length)
            put(out, values.data + key.begin[n], key.end[n] - key.begin[n])
        put_byte(out, 125)
        return
    put_identity(out, facts, row, key.row_id)


cdef bint is_pg_key_known(Output* values, Facts* facts, KeySpan* key) noexcept nogil:
    """Whether the log holds the key of a row: a key column is never null, only not there."""
    cdef int n
    cdef Py_ssize_t size
    for n in range(facts.layout.key_count):
        if not key.found >> n & 1:
            continue
        size = key.end[n] - key.begin[n]
        if (
            size == 4 and memcmp(values.data + key.begin[n], b"null", 4) == 0
            or size == 19 and memcmp(values.data + key.begin[n], b'{"_unchanged":true}', 19) == 0
        ):
            return False
    return True


cdef void put_identity(Output* out, Facts* facts, uint64_t row, const uint8_t* row_id) noexcept nogil:
    """The idempotency key: see ``idempotency_key`` in deltaforge/core/routing.py. ``row_id``: of a copied row."""
    put_part(out, &facts.identity)
    if facts.gtid.size:
        put_part(out, &facts.gtid)
    elif facts.xid:
        put_uint(out, facts.xid)
    put_byte(out, 124)
    if facts.op == c"r":
        put_row_id(out, row_id)
        return
    put(out, facts.id_prefix, 24)
    put_hex12(out, event_number(facts, row))
