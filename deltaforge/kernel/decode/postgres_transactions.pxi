# Whole transactions out of one block of a PostgreSQL replication stream, so that small ones cost no Python of their
# own. What is not plain here is left to Python: deltaforge/sources/postgres/stream.py is the oracle.

cdef enum:
    BEGIN_BYTES = 21           # B, commit LSN, time, xid
    COMMIT_BYTES = 26          # C, flags, commit LSN, end LSN, time
    EPOCH_OFFSET_US = 946684800000000
    CARRIED_MESSAGES = 64      # a transaction that is not whole after so much is decoded message by message
    CARRIED_BYTES = 65536


cdef void _put_lsn_half(Output* out, uint32_t half) noexcept nogil:
    cdef int shift = 28
    while shift and half >> shift == 0:
        shift -= 4
    while shift >= 0:
        put_byte(out, b"0123456789ABCDEF"[half >> shift & 15])
        shift -= 4


cdef class CopyTransactions:
    """Transactions of nothing but rows whose tables are known, from the message at an index on.

    Stops at the first transaction that has anything else in it, that is not whole in the block, that is large enough
    for being cut, or whose commit is not before ``ahead``; and when the batch has no more room.

    Args:
        block: The messages.
        index: Of the first one, which must stand outside of a transaction.
        tables: Relations by oid: a captured table with its ``plan``, or None for others.
        origin: What event ids are made of, up to the commit LSN.
        ahead: Where versions of tables begin that Python has to look for.
        room: Events and bytes until the batch is full.
        open_room: Events and bytes of a transaction that is not cut yet.
        last_commit: Where the transaction before the first one ended; 0 when that is not known.
    """

    cdef readonly Py_ssize_t stop            # index behind the last one taken
    cdef readonly list groups                # row groups, in order
    cdef readonly Py_ssize_t event_count
    cdef readonly Py_ssize_t byte_count      # of the rows, with their frames
    cdef readonly Py_ssize_t scanned_bytes   # of all messages
    cdef readonly list counts                # [table, op, number of rows], neighbours put together
    cdef readonly uint64_t end_lsn           # of the last transaction, where reading goes on
    cdef readonly uint32_t xid
    cdef readonly int64_t commit_ms          # of that transaction
    cdef readonly uint64_t received          # newest place in the WAL
    cdef readonly bint is_cut                # it stopped where a small transaction goes on behind the block
    cdef CopyData _block
    cdef dict _tables
    cdef uint64_t _ahead
    cdef Py_ssize_t _open_events, _open_bytes
    cdef uint64_t _last_commit
    cdef uint8_t _text[96]                   # postgresql|{system identifier}|{commit LSN}
    cdef Py_ssize_t _origin_size

    def __cinit__(
        self, CopyData block not None, Py_ssize_t index, dict tables not None, bytes origin not None, uint64_t ahead,
        tuple room not None, tuple open_room not None, uint64_t last_commit=0,
    ):
        cdef Py_ssize_t stop, room_events, room_bytes
        room_events, room_bytes = room
        if not 0 <= index <= block.count or len(origin) > 64:
            raise IndexError(index)
        self._block, self._tables, self._ahead = block, tables, ahead
        self._open_events, self._open_bytes = open_room
        self._last_commit = last_commit
        self.groups, self.counts, self.stop = [], [], index
        self._origin_size = len(origin)
        memcpy(self._text, <const char*>origin, len(origin))
        while self.event_count < room_events and self.byte_count < room_bytes:
            stop = self._take(self.stop)
            if stop == self.stop:
                break
            self.scanned_bytes += block._offsets[stop] - block._offsets[self.stop]
            self.stop = stop

    cdef const uint8_t* _message(self, Py_ssize_t index, uint8_t tag, Py_ssize_t size) noexcept:
        """The message at ``index`` if it is of this kind and size, else NULL."""
        cdef const uint8_t* at
        if index >= self._block.count:
            return NULL
        at = self._block._block.data + self._block._offsets[index]
        if self._block._size(index) != FRAME_BYTES + size:
            return NULL
        return at + FRAME_BYTES if at[0] == 119 and at[FRAME_BYTES] == tag else NULL

    cdef bint _is_whole(self, Py_ssize_t index) noexcept:
        """Whether a commit follows: rows are not looked at twice when it comes with the next block."""
        cdef Py_ssize_t stop
        for stop in range(index, self._block.count):
            if self._message(stop, 67, COMMIT_BYTES) != NULL:
                return True
            if self._block._size(stop) == 0 or self._block._block.data[self._block._offsets[stop]] != 119:
                return False   # a keepalive may want its answer now
        stop = self._block.count
        self.is_cut = (
            stop - index < CARRIED_MESSAGES and self._block._offsets[stop] - self._block._offsets[index] < CARRIED_BYTES
        )
        return False

    cdef Py_ssize_t _take(self, Py_ssize_t index) except -1:
        """The index behind the transaction at ``index``; ``index`` if it is not taken."""
        cdef const uint8_t* begin = self._message(index, 66, BEGIN_BYTES)
        cdef const uint8_t* commit
        cdef CopyData block = self._block
        cdef Transaction transaction
        cdef RowGroup group = None
        cdef list groups = []
        cdef bytes lsn = None
        cdef Py_ssize_t at = index + 1, stop, events = 0, size = 0
        cdef int64_t micros
        cdef uint32_t xid
        if begin == NULL or big(begin + 1, 8) >= self._ahead or not self._is_whole(at):
            return index
        micros, xid = <int64_t>big(begin + 9, 8), <uint32_t>big(begin + 17, 4)
        if not -<int64_t>EPOCH_OFFSET_US < micros < 1 << 61:
            return index
        transaction = Transaction.__new__(Transaction)
        transaction._gtid = b""
        transaction._has_commit, transaction._commit_us = True, micros + EPOCH_OFFSET_US
        transaction.last_commit_lsn = self._last_commit
        while True:
            stop = block._run(at, self._tables)
            if stop == at:
                break
            if block._plan is not None:
                if groups and (events >= self._open_events or size >= self._open_bytes):
                    return index
                if lsn is None:
                    lsn = self._identify(transaction, big(begin + 1, 8))
                group = RowGroup.__new__(RowGroup)
                group._place_messages(
                    block, at, stop - at, block._op, block._plan, transaction, (micros + EPOCH_OFFSET_US) // 1000, xid, lsn
                )
                groups.append(group)
                events += stop - at
                size += block._offsets[stop] - block._offsets[at]
            transaction.ordinal += stop - at
            at = stop
        commit = self._message(at, 67, COMMIT_BYTES)
        if commit == NULL:
            return index
        if group is not None:
            group.facts.is_tx_end = True
        self._note(groups)
        self.event_count += events
        self.byte_count += size
        self.end_lsn, self.xid = big(commit + 10, 8), xid
        self._last_commit = self.end_lsn
        self.commit_ms = (micros + EPOCH_OFFSET_US) // 1000
        self.received = max(self.received, big(commit - FRAME_BYTES + 1, 8))
        return at + 1

    cdef bytes _identify(self, Transaction transaction, uint64_t lsn):
        """Make the event ids of a transaction; its commit LSN as text."""
        cdef Output out = output_in(self._text, sizeof(self._text))
        out.size = self._origin_size
        _put_lsn_half(&out, lsn >> 32)
        put_byte(&out, 47)
        _put_lsn_half(&out, <uint32_t>lsn)
        put_id_prefix(transaction.id_prefix, self._text, out.size)
        return PyBytes_FromStringAndSize(<char*>self._text + self._origin_size, out.size - self._origin_size)

    cdef _note(self, list groups):
        """Note what a transaction has, table by table."""
        cdef RowGroup group
        cdef list last = self.counts[len(self.counts) - 1] if self.counts else None
        for item in groups:
            group = <RowGroup>item
            if last is None or last[0] is not group._plan.table or last[3] != group.facts.op:
                last = [group._plan.table, group.op, 0, group.facts.op]
                self.counts.append(last)
            last[2] += group.facts.count
            self.groups.append(group)
