# What becomes of waiting rows when a sink asks for JSON: values and keys in two blocks of memory.

cdef enum:
    GROUPS_AT_ONCE = 64


cdef extern from "Python.h":
    object PySeqIter_New(object)


cdef class EncodedEvents:
    """Values and row keys of events, in two blocks of memory. A sequence of the values as ``bytes``.

    Each value in the block is followed by a line end, which does not belong to it.
    """

    cdef Output values
    cdef Output keys
    cdef Py_ssize_t* value_ends    # where each ends, the line end not counted
    cdef Py_ssize_t* key_ends
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity
    cdef KnownRow _known           # the row that was declined last
    cdef bint _stops_at_decimals   # declines rows with numbers that readers of JSON may not keep exactly

    def __dealloc__(self):
        free(self.values.data)
        free(self.keys.data)
        free(self.value_ends)
        free(self.key_ends)

    def __len__(self):
        return self.count

    def __getitem__(self, Py_ssize_t index):
        if index < 0 or index >= self.count:
            raise IndexError(index)
        cdef Py_ssize_t begin = 0 if index == 0 else self.value_ends[index - 1] + 1
        return PyBytes_FromStringAndSize(<char*>self.values.data + begin, self.value_ends[index] - begin)

    def __iter__(self):
        return PySeqIter_New(self)

    def key(self, Py_ssize_t index):
        """The row key of an event, as ``bytes``."""
        if index < 0 or index >= self.count:
            raise IndexError(index)
        cdef Py_ssize_t begin = 0 if index == 0 else self.key_ends[index - 1]
        return PyBytes_FromStringAndSize(<char*>self.keys.data + begin, self.key_ends[index] - begin)

    @property
    def byte_count(self):
        """Bytes of all values."""
        return self.values.size - self.count

    def lines(self):
        """All values, each with its line end, as one block."""
        return PyBytes_FromStringAndSize(<char*>self.values.data, self.values.size)

    cdef bint _room(self) noexcept nogil:
        cdef Py_ssize_t capacity
        cdef Py_ssize_t* ends
        if self.count < self.capacity:
            return True
        capacity = max(self.capacity * 2, 256)
        ends = <Py_ssize_t*>realloc(self.value_ends, capacity * sizeof(Py_ssize_t))
        if ends == NULL:
            return False
        self.value_ends = ends
        ends = <Py_ssize_t*>realloc(self.key_ends, capacity * sizeof(Py_ssize_t))
        if ends == NULL:
            return False
        self.key_ends, self.capacity = ends, capacity
        return True

    cdef bint _close_event(self) noexcept nogil:
        if not self._room():
            return False
        self.value_ends[self.count] = self.values.size
        self.key_ends[self.count] = self.keys.size
        put_byte(&self.values, 10)
        self.count += 1
        return True

    def append(self, bytes value not None, bytes key not None):
        """Add an event that was encoded elsewhere."""
        put(&self.values, <const char*>value, len(value))
        put(&self.keys, <const char*>key, len(key))
        if not self._close_event() or self.values.is_exhausted or self.keys.is_exhausted:
            raise MemoryError

    def extend(self, list groups not None, Py_ssize_t start, Py_ssize_t row, JsonForm form not None):
        """Encode groups from a row of the group at ``start`` on.

        Returns:
            The group and the row in it that are left to Python: all of it if it is no group of the kernel. The number of
            groups and 0 if everything is encoded.
        """
        cdef Facts* todo[GROUPS_AT_ONCE]
        cdef Py_ssize_t stop, done, count = len(groups)
        if not 0 <= start <= count or not 0 <= row <= (groups[start].event_count if start < count else 0):
            raise IndexError(start)
        while True:
            stop = start
            while stop < count and stop - start < GROUPS_AT_ONCE and type(groups[stop]) is RowGroup:
                todo[stop - start] = &_placed(groups[stop]).facts
                stop += 1
            if stop == start:
                return start, row
            with nogil:
                done = self._encode(todo, stop - start, &row, form)
            if done < 0 or self.values.is_exhausted or self.keys.is_exhausted:
                raise MemoryError
            start += done
            if start < stop:
                return start, row

    def extend_records(
        self, list groups not None, Py_ssize_t start, Py_ssize_t row, plan_of not None, int64_t now_ns
    ):
        """Encode groups as records, from a row of the group at ``start`` on.

        Args:
            plan_of: Gives the :class:`RecordProgram` of a captured table; None leaves its groups to Python.
            now_ns: What records have as the time at which they are encoded.

        Returns:
            As :meth:`extend`.
        """
        return _extend_records(self, groups, start, row, plan_of, now_ns)

    cdef Py_ssize_t _encode(self, Facts** todo, Py_ssize_t total, Py_ssize_t* row, JsonForm form) noexcept nogil:
        """The number of groups encoded, -1 without memory. ``row``: where the first begins, and where the last one ends that
        is not encoded whole.
        """
        cdef Frame frame
        cdef Py_ssize_t n
        cdef int state = 1
        memset(&frame, 0, sizeof(frame))
        for n in range(total):
            fill_frame(&frame, todo[n], form.shape, &form.prefix)
            state = self._encode_group(todo[n], row, &frame, form)
            if state <= 0:
                break
            row[0] = 0
        else:
            n = total
        if frame.text.is_exhausted:
            state = -1
        free(frame.text.data)
        return -1 if state < 0 else n

    cdef int _encode_group(self, Facts* facts, Py_ssize_t* row, Frame* frame, JsonForm form) noexcept nogil:
        """1, 0 to decline the row at ``row``, -1 without memory."""
        cdef const uint8_t* at = NULL
        cdef const uint8_t* begin
        cdef Py_ssize_t values_before, keys_before
        cdef int state
        if facts.is_mysql:
            at = row_begin(facts, row[0], &self._known)
        while row[0] < facts.count:
            begin, values_before, keys_before = at, self.values.size, self.keys.size
            state = self._encode_row(facts, row[0], &at, frame, form)
            if state <= 0:
                self._known = KnownRow(facts.data, row[0], begin)
                self.values.size, self.keys.size = values_before, keys_before
                return state
            row[0] += 1
        return 1

    cdef int _encode_row(
        self, Facts* facts, Py_ssize_t row, const uint8_t** at, Frame* frame, JsonForm form
    ) noexcept nogil:
        """As above. ``at``: MySQL's row, and the one behind it."""
        cdef KeySpan key
        cdef const uint8_t* begin = at[0]
        cdef const uint8_t* end = facts.end
        key.found = 0
        if not facts.is_mysql:
            begin, end = facts.data + facts.offsets[row], facts.data + facts.offsets[row + 1] - FRAME_BYTES
        at[0] = put_event(&self.values, facts, frame, form, row, begin, end, &key)
        if at[0] == NULL or at[0] > end or (not facts.is_mysql and at[0] != end):
            return 0
        if self.values.is_exhausted:
            return -1
        if not facts.is_mysql and not is_pg_key_known(&self.values, facts, &key):
            return 0
        if self._stops_at_decimals and self.values.has_decimals:
            self.values.has_decimals = False
            return 0
        put_key(&self.keys, &self.values, facts, row, &key)
        return 1 if self._close_event() else -1
