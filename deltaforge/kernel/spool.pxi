# Row groups as plain bytes and back: what a batch is while it waits on disk.
#
# A block is its groups one after the other. Numbers are base 128 varints, lowest bits first; signed ones have the sign in
# their lowest bit. A group:
#   byte      flags, see below
#   byte      op: c, u, d or r
#   WITH_TRANSACTION (else that of the group before): 24 bytes prefix of event ids, commit_ms if it HAS_COMMIT, size and
#             bytes of the GTID
#   numbers   place of its table, rows, ts_ms, ordinal; MySQL: server id, end position; PostgreSQL: xid
#   WITH_NUMBERS: the number of each row, less that of the one before
#   WITH_TEXT (else as before): size and bytes of the file's name or the LSN
#   MySQL     bit sets of the columns, those that are there; size and bytes of the rows
#   PostgreSQL   4 bytes per message, little-endian: its size with its frame; the messages with their frames

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

cdef extern from "Python.h":
    PyObject* new_bytes "PyBytes_FromStringAndSize"(const char* data, Py_ssize_t size) except NULL
    int resize_bytes "_PyBytes_Resize"(PyObject** data, Py_ssize_t size) except -1
    char* bytes_data "PyBytes_AS_STRING"(PyObject* data)


cdef enum:
    IS_MYSQL = 1
    IS_TX_END = 2
    WITH_TRANSACTION = 4
    HAS_COMMIT = 8
    WITH_TEXT = 16
    WITH_BEFORE = 32
    WITH_AFTER = 64
    WITH_NUMBERS = 128
    MAX_NUMBERS = 160   # bytes of flags, op, id prefix and eleven numbers of a group at most
    MAX_MESSAGES_BYTES = 0x7FFFFFFF


cdef inline void put_number(Output* out, uint64_t value) noexcept nogil:
    while value > 127:
        put_byte(out, value & 127 | 128)
        value >>= 7
    put_byte(out, value)


cdef inline void put_signed(Output* out, int64_t value) noexcept nogil:
    put_number(out, <uint64_t>value << 1 ^ <uint64_t>(value >> 63))


cdef inline void put_sized(Output* out, const void* data, Py_ssize_t size) noexcept nogil:
    put_number(out, size)
    put(out, data, size)


cdef inline bint _is_equal(Text* left, Text* right) noexcept nogil:
    return left.size == right.size and (left.data == right.data or memcmp(left.data, right.data, left.size) == 0)


cdef inline Text _text_of(Facts* facts) noexcept nogil:
    return facts.file if facts.is_mysql else facts.lsn


cdef Py_ssize_t _most_bytes(RowGroup group) noexcept:
    """What a packed group takes at most."""
    cdef Facts* facts = &group.facts
    cdef Py_ssize_t size = MAX_NUMBERS + len(group.transaction._gtid) + _text_of(facts).size
    if facts.numbers != NULL:
        size += 5 * facts.count
    if facts.is_mysql:
        return size + 2 * ((facts.layout.count + 7) // 8) + (facts.end - facts.data)
    return size + 4 * facts.count + <Py_ssize_t>(facts.offsets[facts.count] - facts.offsets[0])


cdef void _put_rows(Output* out, Facts* facts) noexcept nogil:
    cdef Py_ssize_t n, bitmap = (facts.layout.count + 7) // 8
    cdef uint32_t size
    if facts.is_mysql:
        if facts.before != NULL:
            put(out, facts.before, bitmap)
        if facts.after != NULL:
            put(out, facts.after, bitmap)
        put_sized(out, facts.data, facts.end - facts.data)
        return
    for n in range(facts.count):
        size = facts.offsets[n + 1] - facts.offsets[n]
        for bitmap in range(4):
            put_byte(out, size >> 8 * bitmap & 255)
    put(out, facts.data - FRAME_BYTES + facts.offsets[0], facts.offsets[facts.count] - facts.offsets[0])


cdef void _put_group(Output* out, RowGroup group, RowGroup last, Py_ssize_t table) noexcept:
    """Pack a group; ``last`` is the one before it, or None."""
    cdef Facts* facts = &group.facts
    cdef Transaction transaction = group.transaction
    cdef Text text = _text_of(facts), known
    cdef int flags = IS_MYSQL if facts.is_mysql else 0
    cdef Py_ssize_t n
    if last is None:
        flags |= WITH_TRANSACTION | WITH_TEXT
    else:
        known = _text_of(&last.facts)
        if last.transaction is not transaction:
            flags |= WITH_TRANSACTION
        if last.facts.is_mysql != facts.is_mysql or not _is_equal(&known, &text):
            flags |= WITH_TEXT
    if facts.is_tx_end:
        flags |= IS_TX_END
    if flags & WITH_TRANSACTION and transaction._has_commit:
        flags |= HAS_COMMIT
    if facts.before != NULL:
        flags |= WITH_BEFORE
    if facts.after != NULL:
        flags |= WITH_AFTER
    if facts.numbers != NULL:
        flags |= WITH_NUMBERS
    put_byte(out, flags)
    put_byte(out, facts.op)
    if flags & WITH_TRANSACTION:
        put(out, transaction.id_prefix, 24)
        if flags & HAS_COMMIT:
            put_signed(out, transaction._commit_ms)
        put_sized(out, <const char*>transaction._gtid, len(transaction._gtid))
    put_number(out, table)
    put_number(out, facts.count)
    put_signed(out, facts.ts_ms)
    put_number(out, facts.ordinal)
    if facts.is_mysql:
        put_number(out, facts.server_id)
        put_number(out, facts.pos)
    else:
        put_number(out, facts.xid)
    if flags & WITH_NUMBERS:
        for n in range(facts.count):
            put_number(out, facts.numbers[n] - (facts.numbers[n - 1] if n else 0))
    if flags & WITH_TEXT:
        put_sized(out, text.data, text.size)
    _put_rows(out, facts)


def pack_groups(list groups not None, Py_ssize_t start):
    """The row groups from ``start`` on, up to the first that is another one's.

    Returns:
        Their block; the captured tables that it gives places of; the index behind the last one.
    """
    cdef Py_ssize_t at, stop = start, most = 0
    cdef RowGroup group, last = None
    cdef dict places = {}
    cdef list tables = []
    cdef object place = None
    cdef PyObject* block
    cdef Output out
    if not 0 <= start <= len(groups):
        raise IndexError(start)
    while stop < len(groups) and type(groups[stop]) is RowGroup:
        most += _most_bytes(_placed(groups[stop]))
        stop += 1
    block = new_bytes(NULL, most)
    out = output_in(<uint8_t*>bytes_data(block), most)
    for at in range(start, stop):
        group = <RowGroup>groups[at]
        if last is None or last._plan is not group._plan:
            place = places.get(group._plan)
            if place is None:
                place = places[group._plan] = len(tables)
                tables.append(group._plan.table)
        _put_group(&out, group, last, place)
        last = group
    resize_bytes(&block, out.size)
    packed = <object>block
    Py_DECREF(packed)
    return packed, tables, stop


cdef class BlockReader:
    """Unpacks one block. Every number, size and text in it is checked; rows are counted as when they came."""

    cdef bytes _data
    cdef list _tables
    cdef const uint8_t* _at
    cdef const uint8_t* _end
    cdef Transaction _transaction
    cdef bytes _file
    cdef bytes _lsn
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

    cdef _begin(self, bint has_commit):
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
            transaction._commit_ms = self._signed()
        transaction._gtid = self._text(True)
        self._transaction = transaction

    cdef RowGroup _group(self):
        cdef RowGroup group = RowGroup.__new__(RowGroup)
        cdef int flags = self._take(1)[0]
        cdef char op = self._take(1)[0]
        cdef Py_ssize_t count
        cdef int64_t ts_ms
        cdef uint64_t ordinal
        if op != c"c" and op != c"u" and op != c"d" and op != c"r":
            raise self._broken("an unknown kind of rows")
        if flags & WITH_TRANSACTION:
            self._begin(flags & HAS_COMMIT)
        elif self._transaction is None:
            raise self._broken("no transaction")
        self._find_plan(self._number(0xFFFFFFFF), flags & IS_MYSQL)
        count, ts_ms = self._number(MAX_MESSAGES_BYTES), self._signed()
        ordinal = self._number(0xFFFFFFFFFFFFFFFF)
        group.facts.op, group.facts.is_tx_end = op, flags & IS_TX_END != 0
        group._data = self._data   # keeps it
        if flags & IS_MYSQL:
            self._place_rows(group, flags, count, ts_ms, ordinal)
        else:
            self._place_messages(group, flags, count, ts_ms, ordinal)
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

    cdef _place_rows(self, RowGroup group, int flags, Py_ssize_t count, int64_t ts_ms, uint64_t ordinal):
        """Complete a group of a MySQL row event."""
        cdef Facts* facts = &group.facts
        cdef Py_ssize_t bitmap = (self._plan.layout.count + 7) // 8
        cdef uint32_t server_id = self._number(0xFFFFFFFF)
        cdef uint64_t pos = self._number(0xFFFFFFFFFFFFFFFF), size
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
        if not group._place(self._plan, self._transaction, ts_ms, server_id, self._file, pos) or facts.count != count:
            raise self._broken("rows that do not fit their table")

    cdef _place_messages(self, RowGroup group, int flags, Py_ssize_t count, int64_t ts_ms, uint64_t ordinal):
        """Complete a group of pgoutput messages."""
        cdef CopyData copy = CopyData.__new__(CopyData)   # holds where they begin, not the messages
        cdef uint32_t xid = self._number(0xFFFFFFFF)
        cdef const uint8_t* sizes
        cdef const uint8_t* data
        cdef uint64_t total = 0, size
        cdef Py_ssize_t n
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
