# Templates over rows that wait to be decoded. The oracle is Template.render in deltaforge/core/template.py.

cdef enum PieceKind:
    LITERAL, COLUMN, MISSING
    EVENT_ID, TIME, TRANSACTION_ID, GTID, BINLOG_FILE, BINLOG_POS, BINLOG_ROW, SERVER_ID, LSN, XID


_PIECE_KINDS = {
    ("event_id",): EVENT_ID, ("ts_ms",): TIME, ("source", "ts_ms"): TIME, ("transaction", "id"): TRANSACTION_ID,
    ("source", "gtid"): GTID, ("source", "file"): BINLOG_FILE, ("source", "pos"): BINLOG_POS,
    ("source", "row"): BINLOG_ROW, ("source", "server_id"): SERVER_ID, ("source", "lsn"): LSN, ("source", "txId"): XID,
}

_NOT_OF_TABLE = (("before",), ("after",), ("source",), ("transaction",), ("tx_end",))   # and no single texts

cdef enum:
    MAX_PIECES = 64     # a bit each
    MAX_TABLES = 10000


cdef struct Piece:
    PieceKind kind
    Column* column
    int slot           # COLUMN: place among the values that the template needs
    Text text          # LITERAL: itself; COLUMN: "member": as JSON, of a path into the value


cdef enum Holding:
    NOTHING, HELD, NOT_LOGGED


cdef struct Value:
    # Where the value of a column stands in the log. NOTHING: the image has no such column, or it is NULL.
    Holding holding
    const uint8_t* at
    Py_ssize_t size


cdef struct Program:
    # A template for the rows of one table with one op.
    bint is_declined
    bint is_alike                  # one text for all of them
    bint is_strict                 # what leads to nothing, and an empty text, is an error of the event
    int count
    Piece pieces[MAX_PIECES]
    int slot_count
    int32_t* before                # by column: the slot of its value, or -1
    int32_t* after


cdef class TableProgram:
    """Owner of a ``Program`` and of what it points into."""

    cdef Program program
    cdef list _kept

    def __dealloc__(self):
        free(self.program.before)
        free(self.program.after)

    cdef Text _keep(self, bytes data):
        self._kept.append(data)
        return Text(data, len(data))

    @staticmethod
    cdef TableProgram of(RowGroup group, tuple parts, bint is_strict):
        """The program of a template for the rows that are like those of a group."""
        cdef TableProgram made = TableProgram.__new__(TableProgram)
        cdef Program* program = &made.program
        cdef Layout* layout = group.facts.layout
        cdef int n
        made._kept = [group._plan]
        program.is_strict = is_strict
        program.before = <int32_t*>malloc(max(layout.count, 1) * sizeof(int32_t))
        program.after = <int32_t*>malloc(max(layout.count, 1) * sizeof(int32_t))
        if program.before == NULL or program.after == NULL:
            raise MemoryError
        for n in range(layout.count):
            program.before[n] = program.after[n] = -1
        program.is_declined = len(parts) > MAX_PIECES
        if not program.is_declined:
            for part in parts:
                if not made._add(group, part):
                    program.is_declined = True
                    break
        program.is_alike = all([program.pieces[n].kind == LITERAL for n in range(program.count)])
        return made

    cdef bint _add(self, RowGroup group, part) except -1:
        """Add a literal text or a path; False if the kernel has no such text."""
        cdef Piece* piece = &self.program.pieces[self.program.count]
        memset(piece, 0, sizeof(Piece))
        self.program.count += 1
        if isinstance(part, str):
            text = part
        elif part in _PIECE_KINDS:
            piece.kind = _PIECE_KINDS[part]
            return True
        elif part[0] in ("before", "after") and len(part) > 1:
            return self._add_column(group.facts.layout, piece, part)
        elif part in _NOT_OF_TABLE or part[0] == "zero_dates":
            return False
        else:
            value = value_at(group.head(), part)   # which is equal in all rows
            if value is None:
                piece.kind = MISSING
                return True
            text = value if isinstance(value, str) else encode_json(value).decode()
        if not is_unicode(text):
            return False
        piece.kind, piece.text = LITERAL, self._keep(text.encode())
        return True

    cdef bint _add_column(self, Layout* layout, Piece* piece, tuple part) except -1:
        cdef int n
        cdef int32_t* slots = self.program.before if part[0] == "before" else self.program.after
        cdef bytes name
        piece.kind = MISSING
        if not all(map(is_unicode, part)):   # no image has it
            return True
        if len(part) > 2:
            piece.text = self._keep(encode_json(part[2]) + b":")
        name = encode_json(part[1]) + b":"
        for n in range(layout.count):
            if layout.columns[n].name_length != len(name):
                continue
            if memcmp(layout.columns[n].name, <const char*>name, len(name)) != 0 or layout.columns[n].is_hidden:
                continue
            if slots[n] < 0:
                slots[n] = self.program.slot_count
                self.program.slot_count += 1
            piece.kind, piece.column, piece.slot = COLUMN, &layout.columns[n], slots[n]
        return True


cdef class RowTemplate:
    """A template that is made ready for each table whose rows come.

    Args:
        parts: Literal texts and paths, as :class:`deltaforge.core.template.Template` has them.
        is_strict: Whether a path that leads to nothing, and an empty text, is an error of the event. Otherwise it is
            empty text.
    """

    cdef tuple _parts
    cdef bint _is_strict
    cdef dict _programs           # by row plan and op
    cdef RowPlan _last_table
    cdef char _last_op
    cdef TableProgram _last
    cdef uint64_t _missing     # bit n: part n led to nothing in some event

    def __cinit__(self, tuple parts not None, bint is_strict):
        for part in parts:
            names = (part,) if isinstance(part, str) else part
            if type(names) is not tuple or not names or not all(isinstance(name, str) for name in names):
                raise TypeError("a template is made of texts and of paths")
        self._parts, self._is_strict, self._programs = parts, is_strict, {}

    cdef TableProgram _program_of(self, RowGroup group):
        if group._plan is self._last_table and group.facts.op == self._last_op and self._last is not None:
            return self._last
        kind = (group._plan, group.facts.op)
        known = self._programs.get(kind)
        if known is None:
            if len(self._programs) >= MAX_TABLES:
                self._programs.clear()
            known = self._programs[kind] = TableProgram.of(group, self._parts, self._is_strict)
        self._last_table, self._last_op, self._last = group._plan, group.facts.op, <TableProgram>known
        return self._last

    def missing_paths(self):
        """The paths that led to nothing in an event so far, where that is no error."""
        return [".".join(part) for n, part in enumerate(self._parts[:MAX_PIECES]) if self._missing >> n & 1]


cdef const uint8_t* _find_mysql(
    Layout* layout, const uint8_t* bits, const uint8_t* at, const uint8_t* end, const int32_t* slots, Value* values
) noexcept nogil:
    """Where the values that are wanted stand in a row image; its end, or NULL if its bytes are not all there."""
    cdef int present = present_count(bits, layout.count), n, bit = 0
    cdef const uint8_t* nulls = at
    cdef Py_ssize_t size = (present + 7) // 8
    if end - at < size:
        return NULL
    at += size
    for n in range(layout.count):
        if not has_bit(bits, n):
            continue
        if not nulls[bit >> 3] >> (bit & 7) & 1:
            size = value_size(&layout.columns[n], at, end)
            if size < 0:
                return NULL
            if slots[n] >= 0:
                values[slots[n]] = Value(HELD, at, size)
            at += size
        bit += 1
    return at


cdef const uint8_t* _find_pg(
    Layout* layout, const uint8_t* old, const uint8_t* at, const uint8_t* end, const int32_t* slots, Value* values
) noexcept nogil:
    """The same of a tuple. ``old`` is that of the old row, where this one is the new row and there is an old one."""
    cdef int n, old_column = 0
    if skip_pg_image(layout, at, end) == NULL:
        return NULL
    at += 2
    if old != NULL:
        old += 2
    for n in range(layout.count):
        if slots[n] >= 0 and at[0] == 117:
            values[slots[n]].holding = NOT_LOGGED
            if old != NULL:
                while old_column < n:
                    old = after_pg_value(old)
                    old_column += 1
                if old[0] == 116 and takes_old(layout, n):
                    values[slots[n]] = Value(HELD, old + 5, <Py_ssize_t>big(old + 1, 4))
        elif slots[n] >= 0 and at[0] == 116:
            values[slots[n]] = Value(HELD, at + 5, <Py_ssize_t>big(at + 1, 4))
        at = after_pg_value(at)
    return at


cdef const uint8_t* find_values(
    Facts* facts, Program* program, Py_ssize_t row, const uint8_t* at, Value* values
) noexcept nogil:
    """Where the values that a template needs of a row stand. ``at``: where the row begins, of MySQL; gives its end."""
    cdef const uint8_t* end = facts.end
    cdef const uint8_t* old = NULL
    cdef bint is_there = holds_before(facts.op)
    memset(values, 0, program.slot_count * sizeof(Value))
    if facts.is_mysql:
        if is_there:
            at = _find_mysql(facts.layout, facts.before, at, end, program.before, values)
        if facts.op != c"d" and at != NULL:
            at = _find_mysql(facts.layout, facts.after, at, end, program.after, values)
        return at
    at, end = facts.data + facts.offsets[row], facts.data + facts.offsets[row + 1] - FRAME_BYTES
    if is_there:
        at = pg_image_at(facts.op, True, at, end, &is_there)
        if at != NULL and is_there:
            old = at
            at = _find_pg(facts.layout, NULL, at, end, program.before, values)
    if facts.op != c"d" and at != NULL:
        at = pg_image_at(facts.op, False, at, end, &is_there)
        if at != NULL:
            at = _find_pg(facts.layout, old, at, end, program.after, values)
    return at


cdef const uint8_t* _json_end(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """The end of a value in compact JSON of our own making."""
    cdef int depth = 0
    while at < end:
        if at[0] == 34:
            at += 1
            while at < end and at[0] != 34:
                at += 2 if at[0] == 92 else 1
        elif at[0] == 123 or at[0] == 91:
            depth += 1
        elif at[0] == 125 or at[0] == 93:
            if depth == 0:
                return at
            depth -= 1
        elif at[0] == 44 and depth == 0:
            return at
        at += 1
    return end


cdef const uint8_t* _json_member(const uint8_t* at, const uint8_t** end, Text* name) noexcept nogil:
    """Where the value of a member of a JSON object begins, ``end`` becoming its end; NULL if there is none."""
    cdef const uint8_t* stop = end[0]
    if at >= stop or at[0] != 123:
        return NULL
    at += 1
    while at < stop and at[0] == 34:
        end[0] = _json_end(at, stop)
        if end[0] - at > name.size and memcmp(at, name.data, name.size) == 0:
            return at + name.size
        at = end[0] + 1
    return NULL


cdef void _put_unescaped(Output* out, const uint8_t* at, const uint8_t* end) noexcept nogil:
    """The text of a JSON string of our own making, without its quotes: see ``_put_escaped``."""
    cdef const uint8_t* slash
    while True:
        slash = <const uint8_t*>memchr(at, 92, end - at) if at < end else NULL
        if slash == NULL:
            put(out, at, end - at)
            return
        put(out, at, slash - at)
        at = slash + 2
        if slash[1] == c"b":
            put_byte(out, 8)
        elif slash[1] == c"t":
            put_byte(out, 9)
        elif slash[1] == c"n":
            put_byte(out, 10)
        elif slash[1] == c"f":
            put_byte(out, 12)
        elif slash[1] == c"r":
            put_byte(out, 13)
        elif slash[1] == c"u":
            put_byte(out, _nibble(slash[4]) << 4 | _nibble(slash[5]))
            at = slash + 6
        else:
            put_byte(out, slash[1])


cdef Holding _put_column(Output* out, Output* scratch, Facts* facts, Piece* piece, Value* value) noexcept nogil:
    """The text of a column. NOT_LOGGED, with whatever was put: Python has to look at it."""
    cdef const uint8_t* at
    cdef const uint8_t* end
    if value.holding == NOTHING:
        return NOTHING
    scratch.size = 0
    if value.holding == NOT_LOGGED:
        put(scratch, b'{"_unchanged":true}', 19)
    elif facts.is_mysql:
        if not put_value(scratch, piece.column, value.at, value.size):
            return NOT_LOGGED
    elif not _put_pg_value(scratch, piece.column, value.at, value.size):
        return NOT_LOGGED
    if scratch.is_exhausted:
        return NOT_LOGGED
    at, end = scratch.data, scratch.data + scratch.size
    if piece.text.size:
        at = _json_member(at, &end, &piece.text)
        if at == NULL:
            return NOTHING
    if at[0] == 34:
        _put_unescaped(out, at + 1, end - 1)
        return HELD
    if end - at == 4 and memcmp(at, b"null", 4) == 0:
        # Of a float it is one that JSON does not have, which is not the same as no value.
        return NOT_LOGGED if piece.column.kind == DOUBLE or piece.column.kind == SINGLE else NOTHING
    if end - at > 14 and memcmp(at, b'{"_unchanged":', 14) == 0:
        return NOT_LOGGED
    put(out, at, end - at)
    return HELD


cdef Holding _put_fact(Output* out, Facts* facts, Py_ssize_t row, PieceKind kind) noexcept nogil:
    """What is known of an event beside its images."""
    if kind == TIME:
        put_int(out, facts.ts_ms)
    elif kind == EVENT_ID and facts.op == c"r":
        return NOT_LOGGED   # it is made of values that may not be among those of the template
    elif kind == EVENT_ID:
        put(out, facts.id_prefix, 24)
        put_hex12(out, event_number(facts, row))
    elif (kind == TRANSACTION_ID or kind == GTID) and facts.gtid.size:
        put_part(out, &facts.gtid)
    elif (kind == TRANSACTION_ID or kind == XID) and facts.xid:
        put_uint(out, facts.xid)
    elif kind == LSN and not facts.is_mysql:
        put_part(out, &facts.lsn)
    elif kind == SERVER_ID and facts.is_mysql:
        put_uint(out, facts.server_id)
    elif kind == BINLOG_FILE and facts.is_mysql:
        put_part(out, &facts.file)
    elif kind == BINLOG_POS and facts.is_mysql:
        put_uint(out, facts.pos)
    elif kind == BINLOG_ROW and facts.is_mysql:
        put_uint(out, row_number(facts, row))
    else:
        return NOTHING
    return HELD


cdef bint put_template(
    Output* out, Output* scratch, Facts* facts, Program* program, Py_ssize_t row, Value* values, uint64_t* missing
) noexcept nogil:
    """The text of a template for a row. False to decline: Python has another way to it, or an error."""
    cdef int n
    cdef Holding holding
    cdef Piece* piece
    cdef Py_ssize_t begin = out.size
    for n in range(program.count):
        piece = &program.pieces[n]
        if piece.kind == LITERAL:
            put_part(out, &piece.text)
            continue
        if piece.kind == COLUMN:
            holding = _put_column(out, scratch, facts, piece, &values[piece.slot])
        else:
            holding = _put_fact(out, facts, row, piece.kind)
        if holding == NOTHING and not program.is_strict:
            missing[0] |= <uint64_t>1 << n
        elif holding != HELD:
            return False
    return out.size > begin or not program.is_strict
