# What becomes of waiting rows when a sink asks for JSON: values and keys in two blocks of memory.

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
        return map(self.__getitem__, range(self.count))

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

    def extend(self, list groups not None, Py_ssize_t start, JsonForm form not None):
        """Encode groups from ``start`` on; the index of the first that is not encoded here, or their number.

        Of a group that is declined nothing is added.
        """
        cdef Py_ssize_t stop = start, count = len(groups), at = 0
        cdef Facts** todo
        if not 0 <= start <= count:
            raise IndexError(start)
        while stop < count and type(groups[stop]) is RowGroup:
            stop += 1
        if stop == start:
            return start
        todo = <Facts**>malloc((stop - start) * sizeof(Facts*))
        if todo == NULL:
            raise MemoryError
        for at in range(stop - start):
            todo[at] = &(<RowGroup>groups[start + at]).facts
            if todo[at].layout == NULL:
                free(todo)
                _placed(groups[start + at])
        with nogil:
            at = self._encode(todo, stop - start, form)
        free(todo)
        if at < 0 or self.values.is_exhausted or self.keys.is_exhausted:
            raise MemoryError
        return start + at

    cdef Py_ssize_t _encode(self, Facts** todo, Py_ssize_t total, JsonForm form) noexcept nogil:
        """The number of groups encoded; -1 without memory."""
        cdef Frame frame
        cdef Py_ssize_t n, values_before, keys_before, count_before, state = 1
        memset(&frame, 0, sizeof(frame))
        for n in range(total):
            values_before, keys_before, count_before = self.values.size, self.keys.size, self.count
            fill_frame(&frame, todo[n], form.shape, &form.prefix)
            state = self._encode_group(todo[n], &frame, form)
            if state <= 0:
                self.values.size, self.keys.size, self.count = values_before, keys_before, count_before
                break
        else:
            n = total
        if frame.text.is_exhausted:
            state = -1
        free(frame.text.data)
        return -1 if state < 0 else n

    cdef int _encode_group(self, Facts* facts, Frame* frame, JsonForm form) noexcept nogil:
        """1, 0 to decline, -1 without memory."""
        cdef KeySpan key
        cdef Py_ssize_t row
        cdef const uint8_t* at = facts.data
        cdef const uint8_t* end = facts.end
        for row in range(facts.count):
            key.found = 0
            if not facts.is_mysql:
                at, end = facts.data + facts.offsets[row], facts.data + facts.offsets[row + 1] - FRAME_BYTES
            at = put_event(&self.values, facts, frame, form, row, at, end, &key)
            if at == NULL or at > end or (not facts.is_mysql and at != end):
                return 0
            if self.values.is_exhausted:
                return -1
            if not facts.is_mysql and not is_pg_key_known(&self.values, facts, &key):
                return 0
            put_key(&self.keys, &self.values, facts, row, &key)
            if not self._close_event():
                return -1
        return 1
