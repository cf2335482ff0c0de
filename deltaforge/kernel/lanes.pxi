# Splits groups of rows into lanes by the keys in their bytes. The oracle is Router in deltaforge/runtime/router.py.

cdef enum:
    MAX_PARTS = 256   # a lane is a byte


cdef enum Splitting:
    BY_VALUES, BY_TABLE, BY_PYTHON


@cython.final
@cython.no_gc
cdef class LaneFinder:
    """Finds the lane of each row of some groups, by the primary key or by one column."""

    cdef uint32_t _count     # of lanes
    cdef bytes _column       # as JSON, with the colon; None: the primary key
    cdef object _lane_of     # Python's way from an event to its lane
    cdef dict _known         # lanes of tables whose rows go by table
    cdef RowPlan _plan       # of the group before
    cdef Splitting _splitting
    cdef int _place          # of the column
    cdef int32_t* _slots     # by column: its place among the values to go by, or -1
    cdef Output _text        # of the values of a row
    cdef uint8_t* _lanes     # of the rows of a group
    cdef Py_ssize_t* _ends   # MySQL: where they end
    cdef Py_ssize_t _capacity

    def __dealloc__(self):
        free(self._slots)
        free(self._text.data)
        free(self._lanes)
        free(self._ends)

    cdef _begin(self, RowGroup group):
        """Look at the table of a group."""
        cdef Layout* layout = group.facts.layout
        cdef int n
        if self._plan is group._plan:
            return
        free(self._slots)
        self._plan, self._place = None, -1
        self._slots = <int32_t*>malloc(max(layout.count, 1) * sizeof(int32_t))
        if self._slots == NULL:
            raise MemoryError
        for n in range(layout.count):
            self._slots[n] = -1
        if self._column is None:
            self._splitting = BY_VALUES
            if not tells_rows_apart(layout):
                self._splitting = BY_PYTHON if layout.key_count == 0 and group.table.schema.primary_key else BY_TABLE
            for n in range(layout.key_count):
                self._slots[layout.key_columns[n]] = n
        else:
            self._splitting = BY_TABLE
            for n in range(layout.count):
                if (
                    layout.columns[n].name_length == len(self._column)
                    and memcmp(layout.columns[n].name, <const char*>self._column, len(self._column)) == 0
                ):
                    self._splitting, self._place, self._slots[n] = BY_VALUES, n, 0
            if self._place >= 0 and (
                layout.columns[self._place].is_hidden or not group.facts.is_mysql and not layout.columns[self._place].is_key
            ):
                self._splitting = BY_PYTHON   # which says why it cannot be
        self._plan = group._plan

    cdef bint _holds_values(self, Facts* facts) noexcept:
        """MySQL: whether the images of a group hold what its rows go by."""
        cdef int n
        for n in range(facts.layout.count):
            if self._slots[n] >= 0 and not self._is_in_newer(facts, n) and not (
                holds_before(facts.op) and has_bit(facts.before, n)
            ):
                return False
        return True

    cdef inline bint _is_in_newer(self, Facts* facts, int column) noexcept nogil:
        return facts.op != c"d" and has_bit(facts.after, column)

    cdef _reserve(self, Py_ssize_t count):
        if count <= self._capacity:
            return
        free(self._lanes)
        free(self._ends)
        self._capacity = 0
        self._lanes = <uint8_t*>malloc(count)
        self._ends = <Py_ssize_t*>malloc(count * sizeof(Py_ssize_t))
        if self._lanes == NULL or self._ends == NULL:
            raise MemoryError
        self._capacity = count

    cdef int find(self, RowGroup group) except -1:
        """Put the lanes of the rows of a group; how many there are of them, 1 or 2 for more."""
        cdef Facts* facts = &group.facts
        cdef Py_ssize_t row = 0
        cdef const uint8_t* at = facts.data
        cdef const uint8_t* begin
        cdef bint is_left = self._splitting == BY_PYTHON or (facts.is_mysql and not self._holds_values(facts))
        self._reserve(facts.count)
        while row < facts.count:
            begin = at
            if not is_left:
                with nogil:
                    row = self._find_rows(facts, row, &at)
                if self._text.is_exhausted:
                    raise MemoryError
                if row == facts.count:
                    break
                begin = at
            if facts.is_mysql:
                at = after_row(facts, begin)
                self._ends[row] = at - facts.data
            self._lanes[row] = self._lane_of(group.event(row))
            row += 1
        for row in range(1, facts.count):
            if self._lanes[row] != self._lanes[0]:
                return 2
        return 1

    cdef Py_ssize_t _find_rows(self, Facts* facts, Py_ssize_t row, const uint8_t** at) noexcept nogil:
        """The lanes of rows from one on, up to one that is left to Python, which then begins at ``at``."""
        cdef const uint8_t* begin
        while row < facts.count:
            begin = at[0]
            self._text.size = 0
            if not self._put_values(facts, row, at) or self._text.is_exhausted:
                at[0] = begin
                break
            self._lanes[row] = crc32(self._text.data, self._text.size) % self._count
            if facts.is_mysql:
                self._ends[row] = at[0] - facts.data
            row += 1
        return row

    cdef bint _put_values(self, Facts* facts, Py_ssize_t row, const uint8_t** at) noexcept nogil:
        """What a row goes by. False to decline. ``at``: where the row begins, of MySQL; becomes its end."""
        cdef Value old[MAX_KEY_COLUMNS]
        cdef Value new[MAX_KEY_COLUMNS]
        cdef Value* values = new
        cdef int n, count = 1 if self._place >= 0 else facts.layout.key_count
        cdef int column
        cdef bint is_there = False
        cdef const uint8_t* begin
        cdef const uint8_t* end
        cdef const uint8_t* old_at = NULL
        if facts.op == c"d":
            values = old
        memset(old, 0, count * sizeof(Value))
        memset(new, 0, count * sizeof(Value))
        if facts.is_mysql:
            if holds_before(facts.op):
                at[0] = _find_mysql(facts.layout, facts.before, at[0], facts.end, self._slots, old)
            if facts.op != c"d":
                at[0] = _find_mysql(facts.layout, facts.after, at[0], facts.end, self._slots, new)
            for n in range(count):
                column = self._place if self._place >= 0 else facts.layout.key_columns[n]
                if not self._is_in_newer(facts, column):
                    values[n] = old[n]
        else:
            begin, end = facts.data + facts.offsets[row], facts.data + facts.offsets[row + 1] - FRAME_BYTES
            if holds_before(facts.op):
                begin = pg_image_at(facts.op, True, begin, end, &is_there)
                if is_there:
                    old_at = begin
                    begin = _find_pg(facts.layout, NULL, begin, end, self._slots, old)
            if facts.op != c"d":
                begin = pg_image_at(facts.op, False, begin, end, &is_there)
                _find_pg(facts.layout, old_at, begin, end, self._slots, new)
        if self._place < 0:
            return _put_key_values(&self._text, facts, values) == TOUCH_WHOLE
        return self._put_value(facts, values)

    cdef bint _put_value(self, Facts* facts, Value* value) noexcept nogil:
        """The value of the column as JSON. False to decline."""
        cdef Column* column = &facts.layout.columns[self._place]
        cdef Output* out = &self._text
        if not facts.is_mysql:
            return value.holding == HELD and _put_pg_value(out, column, value.at, value.size) and not (
                out.size == 4 and memcmp(out.data, b"null", 4) == 0
            )
        if value.holding == NOTHING:
            put(out, b"null", 4)
            return True
        if not put_value(out, column, value.at, value.size):
            return False
        return not (column.is_key and facts.layout.has_dates and out.size == 4 and out.data[0] == 110)

    cdef RowGroup part_of(self, RowGroup group, uint8_t lane):
        """The rows of a group that belong to a lane; None if there are none."""
        cdef Facts* facts = &group.facts
        cdef RowGroup part
        cdef Py_ssize_t row, count = 0, size = 0, begin, bitmap = (facts.layout.count + 7) // 8
        cdef uint32_t* numbers
        cdef uint32_t* offsets = NULL
        cdef char* data
        cdef CopyData copy
        for row in range(facts.count):
            if self._lanes[row] == lane:
                count += 1
                size += self._end(facts, row) - self._end(facts, row - 1)
        if not count:
            return None
        part = RowGroup.__new__(RowGroup)
        part.facts, part.transaction, part._plan = group.facts, group.transaction, group._plan
        part._file, part._lsn, part._query = group._file, group._lsn, group._query
        if self._lanes[0] != lane:
            part.facts.first_mark = 0
        if self._lanes[facts.count - 1] != lane:
            part.facts.last_mark = 0
        if facts.before != NULL:
            part._before = PyBytes_FromStringAndSize(<const char*>facts.before, bitmap)
            part.facts.before = <const uint8_t*><const char*>part._before
        if facts.after != NULL:
            part._after = PyBytes_FromStringAndSize(<const char*>facts.after, bitmap)
            part.facts.after = <const uint8_t*><const char*>part._after
        part._numbers = PyBytes_FromStringAndSize(NULL, count * sizeof(uint32_t))
        part._data = PyBytes_FromStringAndSize(NULL, size)
        numbers, data = <uint32_t*><char*>part._numbers, <char*>part._data
        if not facts.is_mysql:
            copy = CopyData.__new__(CopyData)   # holds where they begin, not the messages
            copy._offsets = offsets = <uint32_t*>malloc((count + 1) * sizeof(uint32_t))
            if offsets == NULL:
                raise MemoryError
            part._copy = copy
        count = size = 0
        for row in range(facts.count):
            if self._lanes[row] != lane:
                continue
            begin = self._end(facts, row - 1)
            memcpy(data + size, self._first(facts) + begin, self._end(facts, row) - begin)
            numbers[count] = row_number(facts, row)
            if offsets != NULL:
                offsets[count] = size
            size += self._end(facts, row) - begin
            count += 1
        part.facts.count, part.facts.numbers = count, numbers
        part.facts.is_tx_end = facts.is_tx_end and self._lanes[facts.count - 1] == lane
        part.facts.data = <const uint8_t*>data
        part.facts.end = part.facts.data + size
        if offsets != NULL:
            offsets[count] = size
            part.facts.data += FRAME_BYTES
            part.facts.offsets = offsets
        if group.null_date_count:
            facts = &part.facts
            count_rows(
                facts.layout, facts.op, facts.before, facts.after, facts.data, facts.end, &part.null_date_count
            )
        return part

    cdef inline const uint8_t* _first(self, Facts* facts) noexcept:
        """What :meth:`_end` counts from."""
        return facts.data if facts.is_mysql else facts.data - FRAME_BYTES

    cdef inline Py_ssize_t _end(self, Facts* facts, Py_ssize_t row) noexcept:
        """Where a row ends, in MySQL; or its message with the frame, which begins where the one before ends."""
        if facts.is_mysql:
            return self._ends[row] if row >= 0 else 0
        return facts.offsets[row + 1]


def split_groups(
    list groups not None, Py_ssize_t start, list parts not None, str column, lane_of, dict known not None
):
    """Add the groups from ``start`` on to the parts of their lanes. A group whose rows belong to several of them becomes
    as many groups, each with the numbers that its rows have in the whole one.

    Args:
        groups: Of a batch.
        start: Index of the first.
        parts: A list for each lane.
        column: Name of the one to go by; None: the primary key.
        lane_of: Gives the lane of an event.
        known: Lanes of tables whose rows go by table; they are added to it.

    Returns:
        The index of the first group that is left to Python, or their number.
    """
    cdef Py_ssize_t at = start
    cdef RowGroup group, part
    cdef LaneFinder finder = LaneFinder.__new__(LaneFinder)
    cdef int lane
    if not 0 < len(parts) <= MAX_PARTS or not 0 <= start <= len(groups):
        raise ValueError("lanes or groups that cannot be")
    finder._count, finder._lane_of, finder._known = len(parts), lane_of, known
    finder._column = None if column is None else encode_json(column) + b":"
    while at < len(groups) and type(groups[at]) is RowGroup:
        group = _placed(groups[at])
        at += 1
        finder._begin(group)
        if finder._splitting == BY_TABLE:
            found = known.get(group._plan.table)
            if found is None:
                found = known[group._plan.table] = lane_of(group.head())
            (<list>parts[found]).append(group)
        elif finder.find(group) == 1:
            (<list>parts[finder._lanes[0]]).append(group)
        else:
            for lane in range(len(parts)):
                part = finder.part_of(group, lane)
                if part is not None:
                    (<list>parts[lane]).append(part)
    return at
