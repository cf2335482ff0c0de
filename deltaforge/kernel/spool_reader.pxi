# Blocks of row groups, as spool.pxi packs them, back into groups.

cdef class BlockReader:
    """Unpacks one block. Every number, size and text in it is checked; rows are counted as when they came."""

    cdef bytes _data
    cdef list _tables
    cdef const uint8_t* _at
    cdef const uint8_t* _end
    cdef Transaction _transaction
    cdef bytes _file
    cdef bytes _lsn
    cdef bytes _query
    cdef RowPlan _plan        # of the group before, whose columns are known to be of its database
    cdef bint _is_mysql

    cdef _broken(self, str what):
        return ProtocolError(f"{what} in a packed row group", offset=self._at - <const uint8_t*><const char*>self._data)

    cdef const uint8_t* _take(self, uint64_t size) except NULL:
        """The next ``size`` bytes."""
        cdef const uint8_t* begin = self._at
        if size > <uint64_t>(self._end - begin):
            raise self._broken(f"{size} bytes where fewer are left")
        self._at += size
        return begin

    cdef uint64_t _number(self, uint64_t most) except? 0:
        cdef uint64_t value = 0
        cdef int shift = 0
        cdef uint8_t byte = 128
        while byte & 128:
            if self._at >= self._end or shift > 63:
                raise self._broken("a number that is cut or too long")
            byte = self._at[0]
            self._at += 1
            value |= <uint64_t>(byte & 127) << shift
            shift += 7
        if value > most:
            raise self._broken("a number that is too large")
        return value

    cdef int64_t _signed(self) except? 0:
        cdef uint64_t value = self._number(0xFFFFFFFFFFFFFFFF)
        return <int64_t>(value >> 1) ^ -<int64_t>(value & 1)

    cdef bytes _text(self, bint is_plain):
        """A text. ``is_plain``: one that stands in JSON as it is."""
        cdef Py_ssize_t size = self._number(0xFFFF)
        cdef const uint8_t* data = self._take(size)
        cdef Py_ssize_t n
        cdef bytes text = PyBytes_FromStringAndSize(<const char*>data, size)
        if is_plain:
            for n in range(size):
                if data[n] < 32 or data[n] > 126 or data[n] == 34 or data[n] == 92:
                    raise self._broken("text that is no identifier")
        else:
            try:
                text.decode()
            except UnicodeDecodeError:
                raise self._broken("text that is not UTF-8") from None
        return text

    cdef _begin(self, bint has_commit, bint has_origin):
        """The transaction of the next groups."""
        cdef Transaction transaction = Transaction.__new__(Transaction)
        cdef const uint8_t* prefix = self._take(24)
        cdef int n
        for n in range(24):
            if not (48 <= prefix[n] <= 57 or 97 <= prefix[n] <= 102 or prefix[n] == 45):
                raise self._broken("an event id with other than hexadecimal digits")
        memcpy(transaction.id_prefix, prefix, 24)
        transaction._has_commit = has_commit
        if has_commit:
            transaction._commit_us = self._signed() * 1000
        transaction._gtid = self._text(True)
        if has_origin:
            if has_commit:
                transaction._commit_us += <int64_t>self._number(999)
            transaction._thread = self._number(<uint64_t>1 << 32)
            transaction.last_commit_lsn = self._number(0xFFFFFFFFFFFFFFFF)
        self._transaction = transaction

    cdef RowGroup _group(self):
        cdef RowGroup group = RowGroup.__new__(RowGroup)
        cdef int flags = self._take(1)[0]
        cdef uint8_t told = self._take(1)[0]
        cdef bint has_origin = told & WITH_ORIGIN != 0
        cdef char op = told & 127
        cdef Py_ssize_t count
        cdef int64_t ts_ms
        cdef uint64_t ordinal
        if op != c"c" and op != c"u" and op != c"d" and op != c"r":
            raise self._broken("an unknown kind of rows")
        if flags & WITH_TRANSACTION:
            self._begin(flags & HAS_COMMIT, has_origin)
        elif self._transaction is None:
            raise self._broken("no transaction")
        self._find_plan(self._number(0xFFFFFFFF), flags & IS_MYSQL)
        count, ts_ms = self._number(MAX_MESSAGES_BYTES), self._signed()
        ordinal = self._number(0xFFFFFFFFFFFFFFFF)
        group.facts.op, group.facts.is_tx_end = op, flags & IS_TX_END != 0
        group._data = self._data   # keeps it
        if flags & IS_MYSQL:
            self._place_rows(group, flags, count, ts_ms, ordinal, has_origin)
        else:
            self._place_messages(group, flags, count, ts_ms, ordinal, has_origin)
        return group

    cdef _find_plan(self, uint64_t place, bint is_mysql):
        cdef RowPlan plan
        cdef int n
        if place >= <uint64_t>len(self._tables):
            raise self._broken("a table that was not given")
        plan = self._tables[place].plan
        if plan is None:
            raise self._broken("a table without a plan")
        if plan is self._plan and is_mysql == self._is_mysql:
            return
        for n in range(plan.layout.count):
            if plan.layout.columns[n].kind != DECLINED and is_mysql != (plan.layout.columns[n].kind < PG_TEXT):
                raise self._broken("rows of another database than their table's")
        self._plan, self._is_mysql = plan, is_mysql

    cdef _find_numbers(self, RowGroup group, int flags, Py_ssize_t count):
        """The numbers of the rows of a part."""
        cdef uint32_t* numbers
        cdef uint64_t number = 0
        cdef Py_ssize_t n
        if not flags & WITH_NUMBERS:
            return
        if count > self._end - self._at:
            raise self._broken("more rows than there are bytes")
        group._numbers = PyBytes_FromStringAndSize(NULL, count * sizeof(uint32_t))
        numbers = <uint32_t*><char*>group._numbers
        for n in range(count):
            number += self._number(0xFFFFFFFF)
            if number > 0xFFFFFFFF:
                raise self._broken("a row of impossible number")
            numbers[n] = <uint32_t>number
        group.facts.numbers = numbers

    cdef int64_t _origin(self, RowGroup group, bint is_mysql) except? 0:
        """Put what only records ask for; the bytes of a MySQL row event."""
        cdef Facts* facts = &group.facts
        cdef int flags = self._take(1)[0]
        cdef int64_t size = self._signed() if is_mysql else 0
        cdef Py_ssize_t length
        cdef const uint8_t* marks
        if flags & WITH_ORDERS:
            facts.total_order = self._number(0xFFFFFFFFFFFFFFFF)
            facts.table_order = self._number(0xFFFFFFFFFFFFFFFF)
        if flags & WITH_MARKS:
            marks = self._take(3)
            if max(marks[0], marks[1], marks[2]) >= len(_SNAPSHOT_MARKS):
                raise self._broken("an unknown mark of copied rows")
            facts.all_marks, facts.first_mark, facts.last_mark = marks[0], marks[1], marks[2]
        if flags & WITH_QUERY:
            length = self._number(MAX_MESSAGES_BYTES)
            self._query = PyBytes_FromStringAndSize(<const char*>self._take(length), length)
            try:
                self._query.decode()
            except UnicodeDecodeError:
                raise self._broken("text that is not UTF-8") from None
        if flags & (WITH_QUERY | SAME_QUERY):
            if self._query is None:
                raise self._broken("no query")
            group._query = self._query
        return size

    cdef _place_rows(
        self, RowGroup group, int flags, Py_ssize_t count, int64_t ts_ms, uint64_t ordinal, bint has_origin
    ):
        """Complete a group of a MySQL row event."""
        cdef Facts* facts = &group.facts
        cdef Py_ssize_t bitmap = (self._plan.layout.count + 7) // 8
        cdef uint32_t server_id = self._number(0xFFFFFFFF)
        cdef uint64_t pos = self._number(0xFFFFFFFFFFFFFFFF), size
        cdef uint64_t begin_pos = pos - <uint64_t>self._origin(group, True) if has_origin else 0
        self._find_numbers(group, flags, count)
        if flags & WITH_TEXT:
            self._file = self._text(False)
        elif self._file is None:
            raise self._broken("no file")
        if flags & WITH_BEFORE:
            facts.before = self._take(bitmap)
        if flags & WITH_AFTER:
            facts.after = self._take(bitmap)
        size = self._number(0xFFFFFFFFFFFFFFFF)
        facts.data = self._take(size)
        facts.end = self._at
        self._transaction.ordinal = ordinal
        if not group._place(
            self._plan, self._transaction, ts_ms, server_id, self._file, pos, begin_pos, group._query
        ) or facts.count != count:
            raise self._broken("rows that do not fit their table")

    cdef _place_messages(
        self, RowGroup group, int flags, Py_ssize_t count, int64_t ts_ms, uint64_t ordinal, bint has_origin
    ):
        """Complete a group of pgoutput messages."""
        cdef CopyData copy = CopyData.__new__(CopyData)   # holds where they begin, not the messages
        cdef uint32_t xid = self._number(0xFFFFFFFF)
        cdef const uint8_t* sizes
        cdef const uint8_t* data
        cdef uint64_t total = 0, size
        cdef Py_ssize_t n
        if has_origin:
            self._origin(group, False)
        self._find_numbers(group, flags, count)
        if flags & WITH_TEXT:
            self._lsn = self._text(True)
        elif self._lsn is None:
            raise self._broken("no LSN")
        if flags & (WITH_BEFORE | WITH_AFTER) or not count:
            raise self._broken("an unknown kind of rows")
        sizes = self._take(4 * <uint64_t>count)
        copy._offsets = <uint32_t*>malloc((count + 1) * sizeof(uint32_t))
        if copy._offsets == NULL:
            raise MemoryError
        copy._offsets[0] = 0
        for n in range(count):
            size = little(sizes + 4 * n, 4)
            total += size
            if size < FRAME_BYTES or total > MAX_MESSAGES_BYTES:
                raise self._broken("a message of impossible size")
            copy._offsets[n + 1] = <uint32_t>total
        data = self._take(total)
        for n in range(count):
            if not is_whole_row(
                &self._plan.layout, group.facts.op, data + copy._offsets[n] + FRAME_BYTES, data + copy._offsets[n + 1]
            ):
                raise self._broken("rows that do not fit their table")
        group._place_messages(copy, 0, count, group.facts.op, self._plan, self._transaction, ts_ms, xid, self._lsn)
        group.facts.data, group.facts.ordinal = data + FRAME_BYTES, ordinal


def unpack_groups(bytes data not None, list tables not None):
    """The groups of a block. They share its bytes, and those of one transaction share that.

    Args:
        data: What :func:`pack_groups` gave.
        tables: The captured tables at the places that it gave them.

    Raises:
        ProtocolError: The bytes are no such block, or not of these tables.
    """
    cdef BlockReader reader = BlockReader.__new__(BlockReader)
    reader._data, reader._tables = data, tables
    reader._at = <const uint8_t*><const char*>data
    reader._end = reader._at + len(data)
    groups = []
    while reader._at < reader._end:
        groups.append(reader._group())
    return groups
