# Plans of records, made ready for the rows of one table definition: see deltaforge/records/plan.py. The oracle is
# deltaforge/records/taking.py.

cdef enum:
    MAX_STEPS = 4096
    MAX_PLAN_DEPTH = 8
    MAX_FORM_SIZE = 16384
    MAX_CUT_SIZE = 0x7FFFFFFF


cdef enum StepKind:
    STEP_BYTES, STEP_FACT, STEP_IMAGE, STEP_TRANSACTION


cdef enum RecordFact:
    # The numbers of ``Fact``.
    FACT_OP, FACT_TS_MS, FACT_TS_US, FACT_TS_NS, FACT_NOW_MS, FACT_NOW_US, FACT_NOW_NS, FACT_SNAPSHOT, FACT_SERVER_ID
    FACT_GTID, FACT_BINLOG_FILE, FACT_BINLOG_POS, FACT_BINLOG_END, FACT_BINLOG_ROW, FACT_THREAD, FACT_QUERY, FACT_TX_ID
    FACT_LSN, FACT_COMMIT_LSN_TEXT, FACT_SEQUENCE, FACT_XMIN, FACT_TRANSACTION_ID, FACT_TOTAL_ORDER, FACT_TABLE_ORDER
    FACT_EVENT_ID, FACT_NATIVE_TRANSACTION_ID, FACT_COUNT


cdef enum RecordFormKind:
    # The numbers of ``Form``.
    FORM_BOOLEAN, FORM_INTEGER, FORM_SINGLE, FORM_DOUBLE, FORM_TEXT, FORM_JSON_TEXT, FORM_BYTES, FORM_DAYS, FORM_MILLIS
    FORM_MICROS, FORM_NANOS, FORM_DECIMAL, FORM_VARIABLE_DECIMAL, FORM_BITS, FORM_INTERVAL_MICROS, FORM_ZONED_TEXT
    FORM_GEOMETRY, FORM_POINT, FORM_ARRAY, FORM_MAP, FORM_WRAPPED_INTEGER, FORM_BASE64, FORM_BASE64_URL, FORM_HEX
    FORM_ISO_DATE, FORM_ISO_TIME, FORM_ISO_STAMP, FORM_ISO_INTERVAL, FORM_ZONED_TIME, FORM_BIT, FORM_MONEY
    FORM_MONEY_TEXT, FORM_MONEY_DOUBLE, FORM_TEXT_BYTES, FORM_LABEL, FORM_DAY_MILLIS, FORM_DAY_MICROS, FORM_NUMBER_TEXT
    FORM_WIDENED_SINGLE, FORM_UUID_TEXT, FORM_MASK, FORM_HASH, FORM_CUT_TEXT, FORM_CUT_BYTES, FORM_COUNT


cdef struct RecordForm:
    int form           # FORM_COUNT: one that is not known
    int scale
    int size
    RecordForm* items
    Text text          # MASK: as it is written; HASH: the salt
    int hash_kind
    int digest_size
    Text* labels       # LABEL
    int label_count


cdef struct RecordColumn:
    int place          # in the layout; -1: images do not have it
    Column* column
    RecordForm form
    Text held          # its name and what stands before a value
    Text null          # its name and what stands for NULL; so the next
    Text missing       # empty, as the two others may be: a row of which that is so is left to Python
    Text unavailable


cdef struct RecordColumns:
    RecordColumn* columns
    int count


cdef struct RecordStep:
    StepKind kind
    int fact
    int form
    bint is_before
    Text prefix        # BYTES: all of it
    Text suffix
    Text null
    RecordColumns own  # IMAGE: its columns, unless they are those of the plan
    bint has_own
    int count          # TRANSACTION: of the steps in it, which stand behind it


cdef struct Recipe:
    # A plan, as the loop over rows takes it.
    RecordStep* steps
    int step_count
    RecordColumns columns
    RecordColumns key
    Text key_prefix
    Text key_suffix
    bint has_key
    bint is_json
    bint marks_deletes
    bint splits_key_changes
    bint skips_unchanged
    bint[4] skipped         # by op, see place_of_op
    bint is_declined        # there is something in it that is left to Python


cdef inline int place_of_op(char op) noexcept nogil:
    return 0 if op == c"c" else 1 if op == c"u" else 2 if op == c"d" else 3


@cython.final
cdef class RecordProgram:
    """A plan of records for the rows of one table definition.

    Args:
        plan: A :class:`deltaforge.records.plan.RecordPlan` of that table.
        rows: The kernel's plan of the table, whose columns have their types.

    Raises:
        TypeError: It is no such plan.
        ValueError: It is nested too deeply, or too long.
    """

    cdef RowPlan _rows
    cdef list _kept
    cdef Recipe _recipe

    def __cinit__(self, plan, RowPlan rows not None):
        cdef list steps = [], columns, key
        if not rows._has_types:
            raise ValueError("a table whose columns have no types")
        self._rows, self._kept = rows, []
        _flatten(plan.value, steps, 0)
        columns = list(plan.columns)
        key = [] if plan.key is None else list(plan.key)
        if len(steps) > MAX_STEPS:
            raise ValueError("a plan that is too long")
        self._recipe.is_json, self._recipe.has_key = {"json": True, "avro": False}[plan.writer], plan.key is not None
        self._recipe.marks_deletes, self._recipe.splits_key_changes = bool(plan.marks_deletes), bool(plan.splits_key_changes)
        self._recipe.key_prefix, self._recipe.key_suffix = self._keep(plan.key_prefix), self._keep(plan.key_suffix)
        self._set_steps(steps)
        self._set_columns(&self._recipe.columns, columns)
        self._set_columns(&self._recipe.key, key)
        self._recipe.skips_unchanged = bool(plan.skips_unchanged)
        for op in plan.skipped_ops & {"c", "u", "d", "r"}:
            self._recipe.skipped[place_of_op(ord(op))] = True

    def __dealloc__(self):
        cdef int n
        for n in range(self._recipe.step_count):
            _free_columns(&self._recipe.steps[n].own)
        free(self._recipe.steps)
        _free_columns(&self._recipe.columns)
        _free_columns(&self._recipe.key)

    cdef Text _keep(self, data) except *:
        cdef bytes kept = data
        if kept is None:
            raise TypeError("a plan is made of bytes")
        self._kept.append(kept)
        return Text(kept, len(kept))

    cdef int _set_steps(self, list steps) except -1:
        cdef RecordStep* to
        self._recipe.steps = <RecordStep*>calloc(max(len(steps), 1), sizeof(RecordStep))
        if self._recipe.steps == NULL:
            raise MemoryError
        for kind, step, count in steps:
            to = &self._recipe.steps[self._recipe.step_count]
            self._recipe.step_count += 1
            to.kind, to.count = kind, count
            if to.kind == STEP_BYTES:
                to.prefix = self._keep(step.data)
                continue
            to.null = self._keep(step.null)
            if to.kind == STEP_FACT:
                to.prefix, to.suffix = self._keep(step.prefix), self._keep(step.suffix)
                to.fact, to.form = step.fact, step.form
                if not 0 <= to.fact < FACT_COUNT or (to.form != FORM_INTEGER and to.form != FORM_TEXT):
                    self._recipe.is_declined = True
            elif to.kind == STEP_IMAGE:
                to.prefix, to.suffix, to.is_before = self._keep(step.prefix), self._keep(step.suffix), step.is_before
                if step.columns is not None:
                    to.has_own = True
                    self._set_columns(&to.own, list(step.columns))
        return 0

    cdef int _set_columns(self, RecordColumns* to, list columns) except -1:
        cdef RecordColumn* column
        cdef bytes named, prefix
        if len(columns) > MAX_STEPS:
            raise ValueError("a plan that is too long")
        to.columns = <RecordColumn*>calloc(max(len(columns), 1), sizeof(RecordColumn))
        if to.columns == NULL:
            raise MemoryError
        for planned in columns:
            column = &to.columns[to.count]
            to.count += 1
            column.place = self._place_of(planned.column)
            if column.place >= 0:
                column.column = &self._rows.layout.columns[column.place]
            self._set_form(&column.form, planned.conversion, 0)
            named, prefix = planned.name, planned.prefix
            if named is None or prefix is None:
                raise TypeError("a plan is made of bytes")
            column.held = self._keep(named + prefix)
            if planned.null:
                column.null = self._keep(named + planned.null)
            if planned.missing:
                column.missing = self._keep(named + planned.missing)
            if planned.unavailable:
                column.unavailable = self._keep(named + planned.unavailable)
        return 0

    cdef int _place_of(self, str name) except -2:
        """Where the images of the table have a column; -1 if they do not."""
        cdef Layout* layout = &self._rows.layout
        cdef bytes text
        cdef int n
        if not is_unicode(name):
            return -1
        text = encode_json(name) + b":"
        for n in range(layout.count):
            if layout.columns[n].name_length != len(text) or layout.columns[n].is_hidden:
                continue
            if memcmp(layout.columns[n].name, <const char*>text, len(text)) == 0:
                return n
        return -1

    cdef int _set_form(self, RecordForm* to, conversion, int depth) except -1:
        cdef int form = conversion.form
        to.form = form if 0 <= form < FORM_COUNT and depth < MAX_PLAN_DEPTH else FORM_COUNT
        to.scale, to.size = conversion.scale, min(conversion.size, MAX_CUT_SIZE)
        if to.form == FORM_LABEL:
            self._set_labels(to, conversion.labels)
        elif FORM_MASK <= to.form <= FORM_CUT_BYTES:
            self._set_mask(to, conversion)
        elif not 0 <= to.size <= MAX_FORM_SIZE or not -MAX_FORM_SIZE <= to.scale <= MAX_FORM_SIZE:
            to.form = FORM_COUNT
        if conversion.items is None or depth >= MAX_PLAN_DEPTH:
            return 0
        to.items = <RecordForm*>calloc(1, sizeof(RecordForm))
        if to.items == NULL:
            raise MemoryError
        return self._set_form(to.items, conversion.items, depth + 1)

    cdef int _set_labels(self, RecordForm* to, labels) except -1:
        cdef bytes memory
        cdef int n
        if not all(is_unicode(label) for label in labels):
            to.form = FORM_COUNT
            return 0
        memory = PyBytes_FromStringAndSize(NULL, len(labels) * sizeof(Text))
        self._kept.append(memory)
        to.labels, to.label_count = <Text*><char*>memory, len(labels)
        for n in range(to.label_count):
            to.labels[n] = self._keep(labels[n].encode())
        return 0

    cdef int _set_mask(self, RecordForm* to, conversion) except -1:
        cdef Output room
        cdef bytes text
        labels = [label.encode() if is_unicode(label) else None for label in conversion.labels]
        count = 1 if to.form == FORM_MASK else 2 if to.form == FORM_HASH else 0
        if to.size < 0 or len(labels) < count or None in labels:
            to.form = FORM_COUNT
        elif to.form == FORM_MASK:
            text = labels[0]
            memset(&room, 0, sizeof(room))
            put_string(&room, <const char*>text, len(text), self._recipe.is_json)
            try:
                if room.is_exhausted:
                    raise MemoryError
                to.text = self._keep(PyBytes_FromStringAndSize(<char*>room.data, room.size))
            finally:
                free(room.data)
        elif to.form == FORM_HASH:
            to.hash_kind, to.digest_size = _HASH_KINDS.get(hash_name(conversion.labels[0]), (0, 0))
            to.text = self._keep(labels[1])
            if to.digest_size == 0:
                to.form = FORM_COUNT
        return 0


cdef void _free_columns(RecordColumns* columns) noexcept:
    cdef int n
    cdef RecordForm* form
    cdef RecordForm* items
    if columns.columns != NULL:
        for n in range(columns.count):
            form = columns.columns[n].form.items
            while form != NULL:
                items = form.items
                free(form)
                form = items
    free(columns.columns)


_STEP_KINDS = {"Bytes": STEP_BYTES, "FactStep": STEP_FACT, "ImageStep": STEP_IMAGE, "IfTransaction": STEP_TRANSACTION}


cdef int _flatten(steps, list to, int depth) except -1:
    """Kind, step and number of the steps in it, which follow it."""
    cdef Py_ssize_t place
    if depth > MAX_PLAN_DEPTH or len(to) > MAX_STEPS:
        raise ValueError("a plan that is nested too deeply or too long")
    for step in steps:
        kind = _STEP_KINDS.get(type(step).__name__)
        if kind is None:
            raise TypeError("a step of another kind")
        place = len(to)
        to.append((kind, step, 0))
        if kind == STEP_TRANSACTION:
            _flatten(step.steps, to, depth + 1)
            to[place] = (kind, step, len(to) - place - 1)
    return 0
