# What sensing sees of rows that are still log bytes: which rows are sampled, and what is noted of them.
# The specification is deltaforge/sensing/sample.py.

cdef enum:
    MAX_ASKED = 64


cdef struct Run:
    # A part of a MySQL image without nulls: so many bytes that nobody asks for, then a column to look at.
    Py_ssize_t width
    int column             # -1: the image ends


cdef inline Py_ssize_t next_sampled(Py_ssize_t number, Py_ssize_t warmup, Py_ssize_t rate) noexcept nogil:
    """The number of the first row from this one on that is sampled."""
    return number if number < warmup else (number + rate - 1) // rate * rate


cdef inline bint has_null(const uint8_t* nulls, int count) noexcept nogil:
    """Whether one of the first ``count`` bits is set; the server sets those behind them too."""
    cdef int n
    for n in range(count >> 3):
        if nulls[n]:
            return True
    return count & 7 and nulls[count >> 3] & ((1 << (count & 7)) - 1)


@cython.no_gc
cdef class RowSample:
    """Some rows of one table, see ``deltaforge.sensing.sample.Sample``."""

    cdef readonly Py_ssize_t row_count
    cdef readonly Py_ssize_t sampled_count
    cdef Output _images            # the sampled images as JSON
    cdef Py_ssize_t* _ends         # where each ends
    cdef uint64_t* _hashes         # of each, the signature and one hash for each asked column
    cdef Py_ssize_t _capacity
    cdef Facts** _groups
    cdef Sensed* _columns          # of the table
    cdef Run* _runs
    cdef int _run_count
    cdef int _asked[MAX_ASKED]     # the place in the table of each; -1: it has no such column
    cdef Py_ssize_t _totals[MAX_ASKED]
    cdef int _asked_count

    def __dealloc__(self):
        free(self._groups)
        free(self._columns)
        free(self._runs)
        free(self._images.data)
        free(self._ends)
        free(self._hashes)

    @property
    def totals(self):
        return [self._totals[n] for n in range(self._asked_count)]

    @property
    def signatures(self):
        return self._column(0)

    def structures(self, int column):
        if not 0 <= column < self._asked_count:
            raise IndexError(column)
        return self._column(1 + column)

    def signature_counts(self):
        return self._counts(0)

    def structure_counts(self, int column):
        if not 0 <= column < self._asked_count:
            raise IndexError(column)
        return self._counts(1 + column)

    def after(self, Py_ssize_t row):
        """The image of the n-th sampled row."""
        if not 0 <= row < self.sampled_count:
            raise IndexError(row)
        cdef Py_ssize_t begin = self._ends[row - 1] if row else 0
        cdef bytes text = PyBytes_FromStringAndSize(<char*>self._images.data + begin, self._ends[row] - begin)
        return parse_json_exact(text.decode()) if self._images.has_decimals else _decode_json(text)

    cdef list _column(self, int place):
        cdef Py_ssize_t row
        cdef int width = 1 + self._asked_count
        return [self._hashes[row * width + place] for row in range(self.sampled_count)]

    cdef dict _counts(self, int place):
        """Most samples have a few different hashes."""
        cdef uint64_t distinct[MAX_DISTINCT]
        cdef Py_ssize_t counts[MAX_DISTINCT]
        cdef uint64_t found
        cdef Py_ssize_t row
        cdef int count = 0, n, width = 1 + self._asked_count
        for row in range(self.sampled_count):
            found = self._hashes[row * width + place]
            n = 0
            while n < count and distinct[n] != found:
                n += 1
            if n == MAX_DISTINCT:
                return dict(Counter(self._column(place)))
            if n == count:
                distinct[n], counts[n] = found, 0
                count += 1
            counts[n] += 1
        return {distinct[n]: counts[n] for n in range(count)}

    cdef bint _ask(self, RowPlan plan, columns) except -1:
        """False if a name has to be looked at by Python."""
        cdef Layout* layout = &plan.layout
        cdef int n, k
        cdef Column* column
        cdef bytes text
        cdef Py_ssize_t width = 0
        self._columns = <Sensed*>malloc((layout.count + 1) * sizeof(Sensed))
        self._runs = <Run*>malloc((layout.count + 1) * sizeof(Run))
        if self._columns == NULL or self._runs == NULL:
            raise MemoryError
        for n in range(layout.count):
            column = &layout.columns[n]
            if memchr(column.name, 92, column.name_length) != NULL:
                return False
            self._columns[n].name_hash = name_hash(
                <const uint8_t*>column.name + 1, <const uint8_t*>column.name + column.name_length - 2
            )
            self._columns[n].place = -1
        self._asked_count = len(columns)
        for k in range(self._asked_count):
            text = encode_json(columns[k]) + b":"
            self._asked[k] = -1
            for n in range(layout.count):
                column = &layout.columns[n]
                if column.name_length == len(text) and memcmp(column.name, <const char*>text, len(text)) == 0:
                    self._asked[k], self._columns[n].place = n, k
        for n in range(layout.count):
            column = &layout.columns[n]
            if self._columns[n].place < 0 and not TEXT <= column.kind <= VECTOR:
                width += column.width
            else:
                self._runs[self._run_count] = Run(width, n)
                self._run_count += 1
                width = 0
        self._runs[self._run_count] = Run(width, -1)
        self._run_count += 1
        return True

    cdef bint _room(self) noexcept nogil:
        cdef Py_ssize_t capacity = max(self._capacity * 2, 64)
        cdef Py_ssize_t* ends
        cdef uint64_t* hashes
        if self.sampled_count < self._capacity:
            return True
        ends = <Py_ssize_t*>realloc(self._ends, capacity * sizeof(Py_ssize_t))
        if ends == NULL:
            return False
        self._ends = ends
        hashes = <uint64_t*>realloc(self._hashes, capacity * (1 + self._asked_count) * sizeof(uint64_t))
        if hashes == NULL:
            return False
        self._hashes, self._capacity = hashes, capacity
        return True

    cdef int _add(self, Layout* layout, Py_ssize_t begin, int max_depth) noexcept nogil:
        """Take in the image that was written from ``begin`` on: 1, 0 to decline, -1 without memory."""
        cdef uint64_t* hashes
        if self._images.is_exhausted or not self._room():
            return -1
        hashes = self._hashes + self.sampled_count * (1 + self._asked_count)
        self._ends[self.sampled_count] = self._images.size
        if not hash_row(
            self._images.data + begin, self._images.data + self._images.size, layout, self._columns,
            self._asked_count, max_depth, hashes,
        ):
            return 0
        self.sampled_count += 1
        return 1

    cdef int _take(self, Facts* facts, Py_ssize_t seen, Py_ssize_t warmup, Py_ssize_t rate, int max_depth) noexcept nogil:
        """The rows of a group: 1, 0 to decline, -1 without memory."""
        cdef KeySpan key
        cdef Py_ssize_t begin, number = seen + self.row_count
        cdef Py_ssize_t due = next_sampled(number, warmup, rate), behind = number + facts.count
        cdef const uint8_t* at = facts.data
        cdef const uint8_t* end = facts.end
        cdef const uint8_t* old = NULL
        cdef int state
        cdef bint is_written
        self.row_count += facts.count
        if due >= behind and not self._asked_count:
            return 1
        for number in range(number, behind):
            if not facts.is_mysql:
                at = facts.data + facts.offsets[number - behind + facts.count]
                end = facts.data + facts.offsets[number - behind + facts.count + 1] - FRAME_BYTES
                at = after_of_message(facts, at, end, &old)
            elif holds_before(facts.op):
                at = self._past_image(facts.layout, facts.before, at, end, False)
            if at == NULL:
                return 0
            if number == due:
                begin = self._images.size
                if facts.is_mysql:
                    is_written = put_image(&self._images, facts.layout, facts.after, at, end, &key) != NULL
                else:
                    is_written = put_pg_image(&self._images, facts.layout, old, at, end, &key) != NULL
                state = self._add(facts.layout, begin, max_depth) if is_written else 0
                if state <= 0:
                    return state
                due = next_sampled(number + 1, warmup, rate)
            if facts.is_mysql:
                at = self._past_image(facts.layout, facts.after, at, end, True)
                if at == NULL:
                    return 0
            else:
                self._count_pg_values(facts.layout, old, at + 2)
        return 1

    cdef const uint8_t* _past_image(
        self, Layout* layout, const uint8_t* bits, const uint8_t* at, const uint8_t* end, bint counts
    ) noexcept nogil:
        """The end of a MySQL image, or NULL if it is not all there. Asked columns that hold a value may be counted."""
        cdef int n, count = present_count(bits, layout.count), bit = 0
        cdef const uint8_t* nulls = at
        cdef Py_ssize_t size = (count + 7) // 8
        if end - at < size:
            return NULL
        at += size
        if bits == NULL and not has_null(nulls, count):
            for n in range(self._run_count):
                at += self._runs[n].width
                if self._runs[n].column >= 0:
                    at = self._past_value(layout, self._runs[n].column, at, end, counts)
                if at == NULL:
                    return NULL
            return at if at <= end else NULL
        for n in range(layout.count):
            if not has_bit(bits, n):
                continue
            if not nulls[bit >> 3] >> (bit & 7) & 1:
                at = self._past_value(layout, n, at, end, counts)
                if at == NULL:
                    return NULL
            bit += 1
        return at

    cdef inline const uint8_t* _past_value(
        self, Layout* layout, int n, const uint8_t* at, const uint8_t* end, bint counts
    ) noexcept nogil:
        cdef Column* column = &layout.columns[n]
        cdef Py_ssize_t size = value_size(column, at, end)
        if size < 0:
            return NULL
        if counts and self._columns[n].place >= 0:
            self._totals[self._columns[n].place] += is_value(layout, column, at, size)
        return at + size

    cdef void _count_pg_values(self, Layout* layout, const uint8_t* old, const uint8_t* tuple_at) noexcept nogil:
        """Count the asked columns that hold a value in a tuple whose lengths were checked."""
        cdef int n
        for n in range(self._asked_count):
            if self._asked[n] >= 0:
                self._totals[n] += has_pg_value(layout, old, tuple_at, self._asked[n])


cdef inline bint is_value(Layout* layout, Column* column, const uint8_t* at, Py_ssize_t size) noexcept nogil:
    """Whether what is not null on the wire is not null as JSON either."""
    if column.kind == JSON_TEXT:
        return not is_null_text(at + column.width, at + size)
    if column.kind != JSON_BINARY:
        return not (layout.has_dates and is_null_date(column, at))
    at += column.width
    size -= column.width
    return size > 0 and not (size >= 2 and at[0] == 4 and at[1] == 0)   # 4: a literal; 0: null


cdef bint has_pg_value(Layout* layout, const uint8_t* old, const uint8_t* at, int wanted) noexcept nogil:
    """Whether a column of a tuple is neither null nor a document that is null; ``at`` is behind their number, ``old``
    before that of the old row, if there is one.
    """
    cdef int n
    for n in range(wanted):
        at = after_pg_value(at)
    if at[0] == 117 and old != NULL and takes_old(layout, wanted):
        return has_pg_value(layout, NULL, old + 2, wanted) or not is_pg_value_there(old + 2, wanted)
    if at[0] == 116 and layout.columns[wanted].kind == PG_JSON and not layout.columns[wanted].is_array:
        return not is_null_text(at + 5, at + 5 + big(at + 1, 4))
    return at[0] != 110


cdef bint is_null_text(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Whether a JSON text is null, white space around it or not."""
    while at < end and at[0] <= 32:
        at += 1
    while at < end and (end - 1)[0] <= 32:
        end -= 1
    return end - at == 4 and memcmp(at, b"null", 4) == 0


cdef bint is_pg_value_there(const uint8_t* at, int wanted) noexcept nogil:
    cdef int n
    for n in range(wanted):
        at = after_pg_value(at)
    return at[0] == 116


cdef const uint8_t* after_of_message(
    Facts* facts, const uint8_t* at, const uint8_t* end, const uint8_t** old
) noexcept nogil:
    """Where the new tuple of a row message begins, and the old one; NULL to decline."""
    cdef bint is_there = False
    old[0] = NULL
    if holds_before(facts.op):
        at = pg_image_at(facts.op, True, at, end, &is_there)
        if at != NULL and is_there:
            old[0] = at
            at = skip_pg_image(facts.layout, at, end)
        if at == NULL:
            return NULL
    is_there = False
    at = pg_image_at(facts.op, False, at, end, &is_there)
    return at if is_there else NULL


def row_sample(list groups not None, columns, Py_ssize_t seen, Py_ssize_t warmup, Py_ssize_t rate, int max_depth):
    """The sample of groups of one captured table; None if Python has to look at the events.

    Args:
        groups: In log order.
        columns: Names of the asked columns.
        seen, warmup, rate, max_depth: See ``deltaforge.sensing.sample.sample_of_events``.
    """
    cdef RowSample sample = RowSample.__new__(RowSample)
    cdef RowGroup group
    cdef RowPlan plan = None
    cdef Py_ssize_t n, count = 0
    cdef int state = 1
    columns = list(columns)
    if seen < 0 or warmup < 0:
        raise ValueError("numbers of rows below 0")
    if len(columns) > MAX_ASKED or "" in columns or rate < 1:
        return None
    sample._groups = <Facts**>malloc((len(groups) + 1) * sizeof(Facts*))
    if sample._groups == NULL:
        raise MemoryError
    for item in groups:
        if type(item) is not RowGroup or plan is not None and (<RowGroup>item)._plan is not plan:
            return None
        group = _placed(item)
        plan = group._plan
        if group.facts.op != c"d":
            sample._groups[count] = &group.facts
            count += 1
    if plan is not None and not sample._ask(plan, columns):
        return None
    with nogil:   # once: each return to Python may have to wait for the threads that encode
        for n in range(count):
            state = sample._take(sample._groups[n], seen, warmup, rate, max_depth)
            if state <= 0:
                break
    if state < 0:
        raise MemoryError
    return sample if state else None
