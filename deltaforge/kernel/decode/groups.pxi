# Rows that wait to be decoded: a group is one row event, or a run of pgoutput messages of one table and kind.

_NATIVE = JsonForm("native")
_decode_events = msgspec.json.Decoder(ChangeEvent).decode_lines
_decode_json = msgspec.json.Decoder().decode


cdef class CopyData
cdef class EncodedEvents


cdef const uint8_t* after_row(Facts* facts, const uint8_t* at) noexcept nogil:
    """The end of a row of MySQL, whose lengths were checked with its group."""
    cdef Py_ssize_t null_dates = 0
    if holds_before(facts.op):
        at = skip_image(facts.layout, facts.before, at, facts.end, &null_dates)
    if facts.op != c"d" and at != NULL:
        at = skip_image(facts.layout, facts.after, at, facts.end, &null_dates)
    return at


cdef const uint8_t* row_begin(Facts* facts, Py_ssize_t row, KnownRow* known) noexcept nogil:
    """Where a row of MySQL begins, found from a known one if that is of the group and before it."""
    cdef Py_ssize_t n = 0
    cdef const uint8_t* at = facts.data
    if known.data == facts.data and known.row <= row:
        n, at = known.row, known.begin
    while n < row and at != NULL:
        at = after_row(facts, at)
        n += 1
    return at


@cython.no_gc
cdef class RowGroup:
    """The rows of one MySQL row event, or a run of PostgreSQL messages alike; see ``core.batch.EventGroup``."""

    cdef Facts facts
    cdef readonly Transaction transaction
    cdef readonly Py_ssize_t null_date_count
    cdef RowPlan _plan
    cdef bytes _data       # what the pointers in facts point into
    cdef bytes _before
    cdef bytes _after
    cdef bytes _numbers
    cdef bytes _file
    cdef bytes _lsn
    cdef bytes _query
    cdef CopyData _copy
    cdef list _events
    cdef KnownRow _known   # the row that was asked for last
    cdef Py_ssize_t _skipped   # bytes of rows before those of the group, of a part of one

    @property
    def table(self):
        """The captured table; equal for groups whose events are alike but for op, images, ids and place."""
        return _placed(self)._plan.table

    @property
    def file(self):
        return self._file.decode()

    @property
    def event_count(self):
        return self.facts.count

    @property
    def op(self):
        return chr(self.facts.op)

    @property
    def ts_ms(self):
        return self.facts.ts_ms

    @property
    def server_id(self):
        return self.facts.server_id

    @property
    def pos(self):
        return self.facts.pos

    @property
    def ordinal(self):
        return self.facts.ordinal

    @property
    def tx_end(self):
        return self.facts.is_tx_end

    @tx_end.setter
    def tx_end(self, bint value):
        self.facts.is_tx_end = value

    cdef _place_messages(
        self, CopyData copy, Py_ssize_t first, Py_ssize_t count, char op, RowPlan plan, Transaction transaction,
        int64_t ts_ms, uint32_t xid, bytes lsn,
    ):
        """Complete a group of pgoutput messages that were checked."""
        cdef Facts* facts = &self.facts
        facts.op, facts.count, facts.layout = op, count, &plan.layout
        facts.data, facts.offsets = copy._block.data + FRAME_BYTES, copy._offsets + first
        facts.ts_ms, facts.xid, facts.ordinal = ts_ms, xid, transaction.ordinal + 1
        facts.has_row_ids = op == c"r" and tells_rows_apart(&plan.layout)
        facts.lsn = Text(lsn, len(lsn))
        facts.copy_lsn = lsn_of(&facts.lsn) if op == c"r" else 0
        facts.last_commit_lsn = transaction.last_commit_lsn
        facts.commit_us = transaction._commit_us if transaction._has_commit else ts_ms * 1000
        facts.id_prefix = transaction.id_prefix
        _set_texts(facts, plan.texts)
        self._plan, self.transaction, self._lsn, self._copy = plan, transaction, lsn, copy

    @property
    def lsn(self):
        return self._lsn.decode()

    @property
    def xid(self):
        return self.facts.xid

    @property
    def messages(self):
        """The pgoutput messages as the Python decoder wants them."""
        cdef Facts* facts = &_placed(self).facts
        cdef Py_ssize_t n, size
        if facts.is_mysql:
            raise ValueError("a group of a row event has no messages")
        found = []
        for n in range(facts.count):
            size = facts.offsets[n + 1] - facts.offsets[n] - FRAME_BYTES
            found.append(PyBytes_FromStringAndSize(<const char*>facts.data + facts.offsets[n], size))
        return found

    @property
    def message_lsns(self):
        """PostgreSQL: the LSN of each row's own message; 0 where it is not known."""
        cdef Facts* facts = &_placed(self).facts
        cdef Py_ssize_t n
        return [] if facts.is_mysql else [row_lsn(facts, n) for n in range(facts.count)]

    @property
    def commit_us(self):
        return self.facts.commit_us

    @property
    def begin_pos(self):
        return self.facts.begin_pos

    @property
    def query(self):
        return None if self._query is None else self._query.decode()

    @property
    def marks(self):
        """What the rows are among those of their copy: each of them, the first, the last."""
        cdef Facts* facts = &self.facts
        return _SNAPSHOT_MARKS[facts.all_marks], _SNAPSHOT_MARKS[facts.first_mark], _SNAPSHOT_MARKS[facts.last_mark]

    def mark(self, every=None, first=None, last=None):
        """Say what the rows are among those of their copy."""
        cdef Facts* facts = &_placed(self).facts
        facts.all_marks, facts.first_mark = _SNAPSHOT_MARKS.index(every), _SNAPSHOT_MARKS.index(first)
        facts.last_mark = _SNAPSHOT_MARKS.index(last)
        self._events = None

    @property
    def orders(self):
        """The numbers of the first row of the whole group in its transaction and among those of its table, or None."""
        return (self.facts.total_order, self.facts.table_order) if self.facts.total_order else None

    def number(self, uint64_t total, uint64_t table):
        """Give the first row of the whole group its numbers, from 1."""
        self.facts.total_order, self.facts.table_order = total, table
        self._events = None

    @property
    def rows(self):
        """The rows as the Python decoder wants them."""
        cdef Facts* facts = &_placed(self).facts
        if not facts.is_mysql:
            raise ValueError("a group of messages has no row event")
        kind = "update" if facts.op == c"u" else "delete" if facts.op == c"d" else "write"
        data = PyBytes_FromStringAndSize(<const char*>facts.data - self._skipped, facts.end - facts.data + self._skipped)
        return Rows(
            kind, 0, facts.layout.count, self._bits(facts.before), self._bits(facts.after), data, self._skipped
        )

    cdef object _bits(self, const uint8_t* bits):
        cdef int count = self.facts.layout.count
        if bits == NULL:
            return (<object>1 << count) - 1   # a Python integer: a C one ends at 31 columns
        return int.from_bytes(PyBytes_FromStringAndSize(<const char*>bits, (count + 7) // 8), "little")

    cdef bint _place(
        self, RowPlan plan, Transaction transaction, int64_t ts_ms, uint32_t server_id, bytes file, uint64_t pos,
        uint64_t begin_pos, bytes query,
    ) except -1:
        """Complete a group whose op, bytes and bit sets are set. False if its rows are not plain."""
        cdef Facts* facts = &self.facts
        facts.is_mysql = True
        facts.layout = &plan.layout
        if present_count(facts.before, plan.layout.count) == plan.layout.count:
            facts.before = NULL
        if present_count(facts.after, plan.layout.count) == plan.layout.count:
            facts.after = NULL
        facts.count = count_rows(
            facts.layout, facts.op, facts.before, facts.after, facts.data, facts.end, &self.null_date_count
        )
        if facts.count < 0:
            return False
        if lacks_old_columns(facts):
            complete_rows(self)
        facts.has_row_ids = facts.op == c"r" and tells_rows_apart(&plan.layout)
        facts.ts_ms, facts.server_id, facts.pos, facts.ordinal = ts_ms, server_id, pos, transaction.ordinal
        facts.begin_pos, facts.thread = begin_pos, transaction._thread
        facts.commit_us = transaction._commit_us if transaction._has_commit else ts_ms * 1000
        if query is not None:
            facts.query = Text(query, len(query))
            self._query = query
        facts.file = Text(file, len(file))
        facts.gtid = Text(transaction._gtid, len(transaction._gtid))
        facts.id_prefix = transaction.id_prefix
        _set_texts(facts, plan.insert_texts if facts.op == c"c" else plan.texts)
        self._plan, self.transaction, self._file = plan, transaction, file
        return True

    def events(self):
        """The events, decoded once.

        Raises:
            ProtocolError: The bytes break the format.
        """
        if self._events is None:
            self._events = _placed(self)._decoded()
        if self._events:
            self._events[len(self._events) - 1].tx_end = self.facts.is_tx_end
        return self._events

    cdef list _decoded(self):
        """By way of JSON, which is faster than to make each object here, but for rows in which a number could suffer."""
        cdef EncodedEvents encoded
        cdef list events = [], found
        cdef Py_ssize_t row = 0
        schema = self.table.schema
        origin = self._origin(0) if self._is_alike() else None
        while row < self.facts.count:
            encoded = EncodedEvents()
            encoded._stops_at_decimals = True
            at, row = encoded.extend([self], 0, row, _NATIVE)
            found = _decode_events(encoded.lines())
            for event in found:
                event.schema = schema
                event.origin = origin if origin is not None else self._origin(len(events))
                events.append(event)
            if at == 1:
                break
            events.append(self.event(row))
            row += 1
        return events

    def event(self, Py_ssize_t row):
        """One event, by the Python decoders.

        Raises:
            ProtocolError: The bytes break the format.
        """
        cdef Facts* facts = &_placed(self).facts
        if not 0 <= row < facts.count:
            raise IndexError(row)
        mapper = self.table.mapper
        event = mapper.events(self._part(row))[0]
        mapper.count_python_rows("value", 1)
        number = row_number(facts, row)
        if facts.is_mysql:
            event.source.row = number
        if facts.is_mysql or facts.op == c"r":
            event.event_id = event_id(event, self.transaction.ids, facts.ordinal, number)
        event.tx_end = facts.is_tx_end and row == facts.count - 1
        event.origin = self._origin(row)
        return event

    cdef bint _is_alike(self) noexcept:
        """Whether the origins of all rows are equal."""
        cdef Facts* facts = &self.facts
        return facts.is_mysql and not facts.total_order and not facts.first_mark and not facts.last_mark

    cdef _origin(self, Py_ssize_t row):
        """The origin of a row."""
        cdef Facts* facts = &self.facts
        cdef uint64_t number = row_number(facts, row), lsn
        mark = _SNAPSHOT_MARKS[row_mark(facts, row)]
        total = facts.total_order + number if facts.total_order else None
        in_table = facts.table_order + number if facts.total_order else None
        if facts.is_mysql:
            thread = facts.thread - 1 if facts.thread else None
            return Origin(
                ts_us=facts.commit_us, thread=thread, query=self.query, pos_begin=facts.begin_pos or None, snapshot=mark,
                total_order=total, table_order=in_table,
            )
        lsn = row_lsn(facts, row)
        return Origin(
            ts_us=facts.commit_us, lsn=lsn or None, last_commit_lsn=facts.last_commit_lsn or None, snapshot=mark,
            total_order=total, table_order=in_table,
        )

    cdef RowGroup _part(self, Py_ssize_t row):
        """The group of one row."""
        cdef RowGroup part = RowGroup.__new__(RowGroup)
        part.facts, part.transaction, part._plan = self.facts, self.transaction, self._plan
        part._data, part._before, part._after = self._data, self._before, self._after
        part._file, part._lsn, part._copy, part._query = self._file, self._lsn, self._copy, self._query
        part.facts.count = 1
        part.facts.numbers = NULL
        if self.facts.is_mysql:
            self._known = KnownRow(self.facts.data, row, row_begin(&self.facts, row, &self._known))
            part.facts.data = self._known.begin
            part.facts.end = after_row(&self.facts, part.facts.data)
            part._skipped = part.facts.data - self.facts.data
        else:
            part.facts.offsets += row
            part.facts.ordinal += row_number(&self.facts, row)
        return part

    def head(self):
        return self.table.mapper.head(self)

    def keeps_keys(self):
        return _keeps_keys(_placed(self))

    def where(self, wants):
        return self if wants(self.head()) else None

    def touched_rows(self, ids):
        return _touched_rows(_placed(self), ids)

    def without(self, row_ids):
        return _without(_placed(self), row_ids)


cdef inline RowGroup _placed(group):
    """The group, which only the functions of the kernel make.

    Raises:
        ValueError: It was made otherwise and has no rows.
    """
    if (<RowGroup>group).facts.layout == NULL:
        raise ValueError("a row group without rows")
    return <RowGroup>group


cdef RowPlan _plan_of(table, bint is_mysql):
    """The plan of a captured table, for rows of this database.

    Raises:
        ValueError: It has none, or its columns are of another database.
    """
    cdef RowPlan plan = table.plan
    if plan is None or (plan._has_types and plan.is_mysql != is_mysql):
        raise ValueError("a table without a plan for rows of this kind")
    return plan


cdef inline void _set_texts(Facts* facts, TableTexts texts) noexcept:
    facts.source_head, facts.source_table, facts.tail = texts.source_head, texts.source_table, texts.tail
    facts.uri, facts.subject, facts.identity = texts.uri, texts.subject, texts.identity


def mysql_group(
    table, rows, Transaction transaction not None, int64_t ts_ms, uint32_t server_id, str file not None, uint64_t pos,
    uint64_t begin_pos=0, str query=None,
):
    """A lazy group of a row event; None if the Python decoder has to look at it.

    Args:
        table: A captured table with its ``plan``.
        rows: The :class:`Rows`.
        transaction: Its open transaction; ``ordinal`` is that of this event.
        ts_ms, server_id, file, pos: The event's place, ``pos`` being its end.
        begin_pos: Where it begins; 0 if that is not known.
        query: The statement that it is of, if somebody asks for it.
    """
    cdef RowGroup group = RowGroup.__new__(RowGroup)
    cdef Facts* facts = &group.facts
    cdef RowPlan plan = _plan_of(table, True)
    cdef bytes data = rows.data, before, after
    cdef str kind = rows.kind
    cdef Py_ssize_t start = rows.start, size = (plan.layout.count + 7) // 8
    if start < 0 or transaction._gtid is None:
        raise ValueError("rows that begin nowhere, or a transaction without an identity")
    if kind == "partial_update" or rows.column_count != plan.layout.count or start > len(data):
        return None
    facts.op = c"c" if kind == "write" else c"d" if kind == "delete" else c"u"
    facts.data = <const uint8_t*><const char*>data + start
    facts.end = <const uint8_t*><const char*>data + len(data)
    before, after = rows.before.to_bytes(size, "little"), rows.after.to_bytes(size, "little")
    facts.before, facts.after = <const uint8_t*><const char*>before, <const uint8_t*><const char*>after
    group._data, group._before, group._after = data, before, after
    text = None if query is None else query.encode()
    return group if group._place(plan, transaction, ts_ms, server_id, file.encode(), pos, begin_pos, text) else None
