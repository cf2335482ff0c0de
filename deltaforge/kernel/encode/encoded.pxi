# What becomes of waiting rows when a sink asks for messages: values and keys in two blocks of memory.

cdef enum:
    GROUPS_AT_ONCE = 64


cdef extern from "Python.h":
    object PySeqIter_New(object)


cdef struct Owner:
    Py_ssize_t event   # the place of the event that a message is of
    bint has_key
    bint has_headers


cdef class EncodedEvents:
    """The messages of events: values and keys, in two blocks of memory. A sequence of the values as ``bytes``, None for
    tombstones.

    Each value in the block is followed by a line end, which does not belong to it. A tombstone has neither: it ends one
    byte before it begins.
    """

    cdef Output values
    cdef Output keys
    cdef Py_ssize_t* value_ends    # where each ends, the line end not counted
    cdef Py_ssize_t* key_ends
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity
    cdef readonly Py_ssize_t event_count
    cdef Py_ssize_t tombstone_count
    cdef Owner* owners             # NULL: each message is that of the event at its place, with a key and without headers
    cdef dict _headers             # by place; of few messages, or of none
    cdef KnownRow _known           # the row that was declined last
    cdef bint _stops_at_decimals   # declines rows with numbers that readers of JSON may not keep exactly

    def __dealloc__(self):
        free(self.values.data)
        free(self.keys.data)
        free(self.value_ends)
        free(self.key_ends)
        free(self.owners)

    def __len__(self):
        return self.count

    cdef int _check(self, Py_ssize_t index) except -1:
        if index < 0 or index >= self.count:
            raise IndexError(index)
        return 0

    def __getitem__(self, Py_ssize_t index):
        self._check(index)
        cdef Py_ssize_t begin = 0 if index == 0 else self.value_ends[index - 1] + 1
        if self.value_ends[index] < begin:
            return None
        return PyBytes_FromStringAndSize(<char*>self.values.data + begin, self.value_ends[index] - begin)

    def __iter__(self):
        return PySeqIter_New(self)

    def key(self, Py_ssize_t index):
        """The key of a message, as ``bytes``; None: it has none."""
        self._check(index)
        cdef Py_ssize_t begin = 0 if index == 0 else self.key_ends[index - 1]
        if self.owners != NULL and not self.owners[index].has_key:
            return None
        return PyBytes_FromStringAndSize(<char*>self.keys.data + begin, self.key_ends[index] - begin)

    def headers(self, Py_ssize_t index):
        """The headers of a message that are its own."""
        self._check(index)
        return self._headers[index] if self.owners != NULL and self.owners[index].has_headers else {}

    def event_of(self, Py_ssize_t index):
        """The place of the event that a message is of."""
        self._check(index)
        return self.owner(index)

    cdef Py_ssize_t owner(self, Py_ssize_t index) noexcept nogil:
        return index if self.owners == NULL else self.owners[index].event

    @property
    def byte_count(self):
        """Bytes of all values."""
        return self.values.size - (self.count - self.tombstone_count)

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
        self.key_ends = ends
        if self.owners != NULL and not self._own(capacity):
            return False
        self.capacity = capacity
        return True

    cdef bint _own(self, Py_ssize_t capacity) noexcept nogil:
        """Have owners of messages; those before are of the events at their places. False without memory."""
        cdef bint is_new = self.owners == NULL
        cdef Py_ssize_t n
        cdef Owner* owners = <Owner*>realloc(self.owners, max(capacity, 1) * sizeof(Owner))
        if owners == NULL:
            return False
        self.owners = owners
        if is_new:
            for n in range(self.count):
                owners[n] = Owner(n, True, False)
        return True

    cdef bint _close_message(self) noexcept nogil:
        """A message of the event at ``event_count`` whose value and key are put. False without memory."""
        if not self._room():
            return False
        self.value_ends[self.count] = self.values.size
        self.key_ends[self.count] = self.keys.size
        if self.owners != NULL:
            self.owners[self.count] = Owner(self.event_count, True, False)
        put_byte(&self.values, 10)
        self.count += 1
        return True

    cdef bint _close_event(self) noexcept nogil:
        """The only message of an event."""
        if not self._close_message():
            return False
        self.event_count += 1
        return True

    cdef bint _put_tombstone(self) noexcept nogil:
        """A tombstone of the event at ``event_count``, whose key is put. False without memory."""
        if not self._room() or (self.owners == NULL and not self._own(self.capacity)):
            return False
        self.value_ends[self.count] = self.values.size - 1
        self.key_ends[self.count] = self.keys.size
        self.owners[self.count] = Owner(self.event_count, True, False)
        self.count += 1
        self.tombstone_count += 1
        return True

    cdef bint _repeat_key(self) noexcept nogil:
        """Put the key of the last message again. False without memory."""
        cdef Py_ssize_t end = self.key_ends[self.count - 1]
        cdef Py_ssize_t begin = self.key_ends[self.count - 2] if self.count > 1 else 0
        if not reserve(&self.keys, end - begin):
            return False
        put(&self.keys, self.keys.data + begin, end - begin)
        return True

    def append(self, bytes value not None, bytes key not None):
        """Add an event of one message that was encoded elsewhere."""
        put(&self.values, <const char*>value, len(value))
        put(&self.keys, <const char*>key, len(key))
        if not self._close_event() or self.values.is_exhausted or self.keys.is_exhausted:
            raise MemoryError

    def append_messages(self, messages):
        """Add an event that was encoded elsewhere: any number of ``EncodedMessage``."""
        cdef bytes key, value
        if self.owners == NULL and not self._own(self.capacity):
            raise MemoryError
        for key, value, headers in messages:
            if key is not None:
                put(&self.keys, <const char*>key, len(key))
            if value is not None:
                put(&self.values, <const char*>value, len(value))
            if not (self._put_tombstone() if value is None else self._close_message()):
                raise MemoryError
            self.owners[self.count - 1].has_key = key is not None
            if headers:
                if self._headers is None:
                    self._headers = {}
                self._headers[self.count - 1], self.owners[self.count - 1].has_headers = headers, True
        self.event_count += 1
        if self.values.is_exhausted or self.keys.is_exhausted:
            raise MemoryError

    def add_headers(self, Py_ssize_t begin, dict headers not None):
        """Give all messages from ``begin`` on these headers."""
        cdef Py_ssize_t n
        if not 0 <= begin <= self.count:
            raise IndexError(begin)
        if self.owners == NULL and not self._own(self.capacity):
            raise MemoryError
        if self._headers is None:
            self._headers = {}
        for n in range(begin, self.count):
            self._headers[n], self.owners[n].has_headers = headers, True

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
            plan_of: Gives the :class:`RecordProgram` of the table of a group; None leaves the group to Python.
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
        if form.marks_deletes and facts.op == c"d":
            if not self._close_message() or not self._repeat_key() or not self._put_tombstone():
                return -1
            self.event_count += 1
            return 1
        return 1 if self._close_event() else -1


cdef bint is_other_key(Output* out, Layout* layout, KeySpan* old, KeySpan* new) noexcept nogil:
    """Whether a key column that both images hold is another text in the newer one."""
    cdef int n
    cdef Py_ssize_t size
    if out.is_exhausted:
        return False
    for n in range(layout.key_count):
        if not old.found >> n & 1:
            continue
        size = old.end[n] - old.begin[n]
        if new.end[n] - new.begin[n] != size or memcmp(out.data + old.begin[n], out.data + new.begin[n], size):
            return True
    return False
