# Rows of COPY … TO STDOUT, in its text format, as pgoutput inserts: from there on they are rows of the log.
# deltaforge/protocol/postgres/copy_rows.py is the oracle.

cdef enum:
    INSERT_BYTES = 8           # I, relation, N, number of columns
    NO_ROW = -3                # what CopiedRows.read says of bytes that are none

cdef extern from *:
    """
    // Whether one of eight bytes is a tab, a line feed or a backslash.
    static inline bool df_is_plain(uint64_t word) {
        const uint64_t ones = 0x0101010101010101ULL, tops = 0x8080808080808080ULL;
        uint64_t tab = word ^ ones * 9, feed = word ^ ones * 10, slash = word ^ ones * 92;
        return !((((tab - ones) & ~tab) | ((feed - ones) & ~feed) | ((slash - ones) & ~slash)) & tops);
    }
    """
    bint df_is_plain(uint64_t word) noexcept nogil


cdef inline void put_big_endian(uint8_t* at, uint64_t value, int width) noexcept nogil:
    cdef int n
    for n in range(width):
        at[n] = <uint8_t>(value >> 8 * (width - 1 - n))


cdef inline uint8_t _unescaped(uint8_t letter) noexcept nogil:
    """What a letter behind a backslash stands for; 0 for those that the server does not write."""
    if letter == 92:
        return 92
    if letter == 110:
        return 10
    if letter == 116:
        return 9
    if letter == 114:
        return 13
    if letter == 98:
        return 8
    if letter == 102:
        return 12
    return 11 if letter == 118 else 0


cdef bint _is_null(const uint8_t* at, const uint8_t* end) noexcept nogil:
    return end - at > 2 and at[0] == 92 and at[1] == 78 and (at[2] == 9 or at[2] == 10)


cdef uint8_t* _put_value(uint8_t* out, const uint8_t** line, const uint8_t* end) noexcept nogil:
    """Write the value at ``line``, which is moved to the tab or line feed behind it. NULL if it is none. There is room
    for what is left of the line, and a word.
    """
    cdef const uint8_t* at = line[0]
    cdef uint8_t* begin = out + 5
    cdef uint8_t letter
    if _is_null(at, end):
        out[0], line[0] = 110, at + 2
        return out + 1
    out[0], out = 116, begin
    while at < end:
        while end - at >= 8 and df_is_plain(df_load64(at)):
            memcpy(out, at, 8)
            out, at = out + 8, at + 8
        if at == end:
            return NULL
        letter = at[0]
        if letter == 9 or letter == 10:
            put_big_endian(begin - 4, out - begin, 4)
            line[0] = at
            return out
        if letter == 92:
            at += 1
            letter = _unescaped(at[0]) if at < end else 0
            if letter == 0:
                return NULL
        out[0] = letter
        out, at = out + 1, at + 1
    return NULL


cdef int put_insert(CopyData block, const uint8_t* at, Py_ssize_t length, uint32_t relation, int columns) noexcept nogil:
    """Add a row of COPY as an insert: 0, ``NO_ROW``, or 2 without memory."""
    cdef const uint8_t* end = at + length
    cdef uint8_t* out
    cdef int column
    if not reserve(&block._block, FRAME_BYTES + INSERT_BYTES + 5 * columns + length + 8):
        return 2
    out = block._block.data + block._block.size
    memset(out, 0, FRAME_BYTES)
    out[0] = 119
    out += FRAME_BYTES
    out[0], out[5] = 73, 78
    put_big_endian(out + 1, relation, 4)
    put_big_endian(out + 6, columns, 2)
    out += INSERT_BYTES
    for column in range(columns):
        out = _put_value(out, &at, end)
        if out == NULL or at[0] != (10 if column == columns - 1 else 9):
            return NO_ROW
        at += 1
    if columns == 0 and at < end and at[0] == 10:
        at += 1
    elif columns == 0:
        return NO_ROW
    if at != end:
        return NO_ROW
    block._block.size = out - block._block.data
    return 0 if block._end_message() else 2


cdef class CopiedRows:
    """Takes the rows of a COPY out of a connection.

    Args:
        library: Path of libpq.
        connection: Address of the ``PGconn``, in COPY OUT.
        relation: Whose rows they are, as the log has it.
        column_count: Of each row.

    Raises:
        OSError: The library cannot be used.
    """

    cdef void* _connection
    cdef uint32_t _relation
    cdef int _column_count

    def __cinit__(self, str library not None, size_t connection, uint32_t relation, int column_count):
        if not df_pq_load(library.encode()):
            raise OSError(f"{library} is not a libpq")
        if connection == 0 or not 0 <= column_count <= 0xFFFF:
            raise ValueError("no connection, or no number of columns")
        self._connection, self._relation, self._column_count = <void*>connection, relation, column_count

    def read(self, CopyData block not None, Py_ssize_t max_bytes):
        """Add the rows that have arrived, also at the socket, until the block has about ``max_bytes``; how it ended: 0
        no whole row is left, 1 there may be more, -1 that was the last one, -2 the connection failed.

        Raises:
            ProtocolError: Bytes that are no such row.
        """
        cdef int state
        with nogil:
            state = self._fill(block, max_bytes)
        if state == 2:
            raise MemoryError
        if state == NO_ROW:
            raise ProtocolError(f"a row of COPY that has not {self._column_count} values")
        return state

    cdef int _fill(self, CopyData block, Py_ssize_t max_bytes) noexcept nogil:
        cdef char* data = NULL
        cdef int length, state
        while True:
            length = df_pq_next(self._connection, &data)
            if length == 0:
                if block._block.size >= max_bytes:
                    return 1
                if not df_pq_receive(self._connection):
                    return -2
                length = df_pq_next(self._connection, &data)
            if length <= 0:
                return length
            state = put_insert(block, <const uint8_t*>data, length, self._relation, self._column_count)
            df_pq_release(data)
            if state:
                return state


def insert_messages(lines, uint32_t relation, int column_count):
    """Rows of COPY as a block of inserts, with frames as those of the log.

    Raises:
        ProtocolError: A line that is no such row.
    """
    cdef CopyData block = CopyData.__new__(CopyData)
    cdef bytes line
    cdef int state
    if not 0 <= column_count <= 0xFFFF:
        raise ValueError(column_count)
    for line in lines:
        state = put_insert(block, <const uint8_t*><const char*>line, len(line), relation, column_count)
        if state == 2:
            raise MemoryError
        if state:
            raise ProtocolError(f"a row of COPY that has not {column_count} values")
    return block
