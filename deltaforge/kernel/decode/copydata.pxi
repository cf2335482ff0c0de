# Messages of a PostgreSQL replication stream in one block of memory, and runs of row messages in it as groups.

cdef class CopyTransactions


cdef class CopyData:
    """Messages in one block of memory. Its runs of rows keep it alive."""

    cdef Output _block
    cdef uint32_t* _offsets
    cdef readonly Py_ssize_t count
    cdef Py_ssize_t _capacity
    cdef char _op              # of the run that was looked at last
    cdef RowPlan _plan

    def __dealloc__(self):
        free(self._block.data)
        free(self._offsets)

    cdef Py_ssize_t _size(self, Py_ssize_t index) noexcept nogil:
        return self._offsets[index + 1] - self._offsets[index]

    cdef bint _append(self, const char* data, Py_ssize_t length) noexcept nogil:
        """Add a message; False without memory."""
        put(&self._block, data, length)
        return self._end_message()

    cdef bint _end_message(self) noexcept nogil:
        """What was put into the block since the last message is one; False without memory."""
        cdef uint32_t* offsets
        if self.count + 2 > self._capacity:
            self._capacity = max(self._capacity * 2, 256)
            offsets = <uint32_t*>realloc(self._offsets, self._capacity * sizeof(uint32_t))
            if offsets == NULL:
                return False
            self._offsets = offsets
            self._offsets[0] = 0
        if self._block.is_exhausted or self._block.size > <Py_ssize_t>0x7FFFFFFF:
            return False
        self.count += 1
        self._offsets[self.count] = <uint32_t>self._block.size
        return True

    @property
    def byte_count(self):
        """Of all messages, without their frames."""
        return self._block.size - FRAME_BYTES * self.count

    def message(self, Py_ssize_t index):
        """One message, with its frame."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        cdef uint32_t at = self._offsets[index]
        return PyBytes_FromStringAndSize(<char*>self._block.data + at, self._offsets[index + 1] - at)

    cdef Py_ssize_t _run(self, Py_ssize_t index, dict tables) except -1:
        """The index behind the row messages of one table and kind that begin at ``index``, with their op and plan put
        into ``_op`` and ``_plan``; the index itself if Python has to look at the message.
        """
        cdef const uint8_t* at
        cdef const uint8_t* end
        cdef RowPlan plan = None
        cdef uint8_t tag = 0
        cdef uint32_t oid = 0
        cdef Py_ssize_t stop = index
        cdef char op = 0
        cdef object table = None
        while stop < self.count:
            at, end = self._block.data + self._offsets[stop], self._block.data + self._offsets[stop + 1]
            if end - at < FRAME_BYTES + 6 or at[0] != 119:
                break
            if stop == index:
                tag, oid = at[FRAME_BYTES], <uint32_t>big(at + FRAME_BYTES + 1, 4)
                op = c"c" if tag == 73 else c"u" if tag == 85 else c"d"
                if tag != 73 and tag != 85 and tag != 68 or oid not in tables:
                    break
                table = tables[oid]
                plan = None if table is None else _plan_of(table, False)
            elif at[FRAME_BYTES] != tag or <uint32_t>big(at + FRAME_BYTES + 1, 4) != oid:
                break
            if plan is not None and not is_whole_row(&plan.layout, op, at + FRAME_BYTES, end):
                break
            stop += 1
        self._op, self._plan = op, plan
        return stop

    def transactions(self, index, tables, origin, ahead, room, open_room, last_commit=0):
        """Its transactions of nothing but rows: see :class:`CopyTransactions`."""
        return CopyTransactions(self, index, tables, origin, ahead, room, open_room, last_commit)

    def rows(
        self, Py_ssize_t index, dict tables not None, Transaction transaction not None, int64_t ts_ms, uint32_t xid,
        bytes lsn not None,
    ):
        """The row messages of one table and kind that begin at ``index``.

        Args:
            tables: Relations by oid: a captured table with its ``plan``, or None for others.
            transaction: The open one; its ``ordinal`` is moved on.
            ts_ms, xid, lsn: Of its commit.

        Returns:
            The index behind them; a group, None if the table is not captured; their bytes on the wire; the end of
            WAL that they say. The index itself if Python has to look at the message.
        """
        cdef RowGroup group = None
        cdef Py_ssize_t stop
        if not 0 <= index <= self.count:
            raise IndexError(index)
        if transaction._gtid is None:
            raise ValueError("a transaction without an identity")
        stop = self._run(index, tables)
        if stop == index:
            return index, None, 0, 0
        if self._plan is not None:
            group = RowGroup.__new__(RowGroup)
            group._place_messages(self, index, stop - index, self._op, self._plan, transaction, ts_ms, xid, lsn)
        transaction.ordinal += stop - index
        last = big(self._block.data + self._offsets[stop - 1] + 1, 8)
        return stop, group, self._offsets[stop] - self._offsets[index], last


def copy_data(messages):
    """A block of messages with their frames, as :meth:`CopyReader.read` makes them."""
    cdef CopyData found = CopyData.__new__(CopyData)
    cdef bytes data
    for data in messages:
        if not found._append(<const char*>data, len(data)):
            raise MemoryError
    return found
