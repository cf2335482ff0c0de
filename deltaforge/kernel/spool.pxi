# Row groups as plain bytes and back: what a batch is while it waits on disk.
#
# A block is its groups one after the other. Numbers are base 128 varints, lowest bits first; signed ones have the sign in
# their lowest bit. A group:
#   byte      flags, see below
#   byte      op: c, u, d or r; with its highest bit what is marked with * is there, which older versions did not write
#   WITH_TRANSACTION (else that of the group before): 24 bytes prefix of event ids, commit_ms if it HAS_COMMIT, size and
#             bytes of the GTID; * microseconds of the commit if it HAS_COMMIT, thread and one more or 0, end of the last one
#   numbers   place of its table, rows, ts_ms, ordinal; MySQL: server id, end position; PostgreSQL: xid
#   *         byte of what is there, see below; MySQL: bytes of the event (signed); numbers in the transaction; marks, a
#             byte each; size and bytes of the query
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
    WITH_ORIGIN = 128   # of the op
    WITH_ORDERS = 1     # of the origin
    WITH_MARKS = 2
    WITH_QUERY = 4
    SAME_QUERY = 8
    MAX_NUMBERS = 240   # bytes of flags, op, id prefix, marks and eighteen numbers of a group at most
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
    cdef Py_ssize_t size = MAX_NUMBERS + len(group.transaction._gtid) + _text_of(facts).size + facts.query.size
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


cdef void _put_origin(Output* out, Facts* facts, Facts* last) noexcept nogil:
    """What only records ask for; ``last`` are the facts of the group before, or NULL."""
    cdef int flags = WITH_ORDERS if facts.total_order else 0
    if facts.all_marks or facts.first_mark or facts.last_mark:
        flags |= WITH_MARKS
    if facts.query.data != NULL:
        flags |= SAME_QUERY if last != NULL and last.query.data != NULL and _is_equal(&last.query, &facts.query) else WITH_QUERY
    put_byte(out, flags)
    if facts.is_mysql:
        put_signed(out, <int64_t>(facts.pos - facts.begin_pos))
    if flags & WITH_ORDERS:
        put_number(out, facts.total_order)
        put_number(out, facts.table_order)
    if flags & WITH_MARKS:
        put_byte(out, facts.all_marks)
        put_byte(out, facts.first_mark)
        put_byte(out, facts.last_mark)
    if flags & WITH_QUERY:
        put_sized(out, facts.query.data, facts.query.size)


cdef void _put_group(Output* out, RowGroup group, RowGroup last, Py_ssize_t table) noexcept:
    """Pack a group; ``last`` is the one before it, or None."""
    cdef Facts* facts = &group.facts
    cdef Transaction transaction = group.transaction
    cdef Facts* before = NULL
    cdef Text text = _text_of(facts), known
    cdef int flags = IS_MYSQL if facts.is_mysql else 0
    cdef Py_ssize_t n
    if last is None:
        flags |= WITH_TRANSACTION | WITH_TEXT
    else:
        before = &last.facts
        known = _text_of(before)
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
    put_byte(out, facts.op | WITH_ORIGIN)
    if flags & WITH_TRANSACTION:
        put(out, transaction.id_prefix, 24)
        if flags & HAS_COMMIT:
            put_signed(out, milliseconds_of(transaction._commit_us))
        put_sized(out, <const char*>transaction._gtid, len(transaction._gtid))
        if flags & HAS_COMMIT:
            put_number(out, transaction._commit_us - milliseconds_of(transaction._commit_us) * 1000)
        put_number(out, transaction._thread)
        put_number(out, transaction.last_commit_lsn)
    put_number(out, table)
    put_number(out, facts.count)
    put_signed(out, facts.ts_ms)
    put_number(out, facts.ordinal)
    if facts.is_mysql:
        put_number(out, facts.server_id)
        put_number(out, facts.pos)
    else:
        put_number(out, facts.xid)
    _put_origin(out, facts, before)
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
