# The columns of a table definition, ready for the row loop.

cdef enum:
    MAX_KEY_COLUMNS = 32


cdef enum Kind:
    # MySQL
    DECLINED, SIGNED, UNSIGNED, YEAR, SINGLE, DOUBLE, DECIMAL, BITS, DATE, TIME2, DATETIME2, TIMESTAMP2
    OLD_TIME, OLD_DATETIME, OLD_TIMESTAMP, HIRES_TIME, HIRES_DATETIME, HIRES_TIMESTAMP
    TEXT, TABLE_TEXT, PAIR_TEXT, WIDE_TEXT, BINARY, JSON_BINARY, JSON_TEXT, GEOMETRY, VECTOR, ENUM, SET
    # PostgreSQL
    PG_TEXT, PG_BOOLEAN, PG_INTEGER, PG_FLOAT, PG_BYTES, PG_JSON, PG_TIMESTAMP, PG_TIMESTAMPTZ, PG_HSTORE


cdef struct Column:
    Kind kind
    int width              # bytes of the value, or of its length
    int precision          # decimals
    int scale              # decimals and fractions
    Py_ssize_t pad         # BINARY(n): bytes to fill up with zeros
    const char* name       # "name": as JSON, with the colon
    Py_ssize_t name_length
    const uint8_t* table   # TABLE_TEXT, PAIR_TEXT: see _text_table and _pair_table
    const char** labels    # ENUM and SET: JSON texts without quotes
    Py_ssize_t* label_lengths
    Py_ssize_t label_count
    bint is_key
    bint is_hidden         # in the log, and in no image
    bint is_array          # PostgreSQL: kind is that of the elements
    char delimiter


cdef struct KeySpan:
    # Where the values of the key columns stand in the output, by column place in the key.
    Py_ssize_t begin[MAX_KEY_COLUMNS]
    Py_ssize_t end[MAX_KEY_COLUMNS]
    uint64_t found         # bit n: column n of the key was met
    uint8_t row_id[16]     # of a copied row


cdef struct Layout:
    Column* columns
    int count
    int key_count
    int key_columns[MAX_KEY_COLUMNS]
    bint has_dates
    bint keeps_marker      # PostgreSQL: what the log does not hold in a new row is not taken from the old one


cdef inline bint tells_rows_apart(Layout* layout) noexcept nogil:
    """Whether each image that holds all columns has a key."""
    cdef int n
    for n in range(layout.key_count):
        if layout.columns[layout.key_columns[n]].is_hidden:
            return False
    return layout.key_count > 0


cdef void note_key(Layout* layout, KeySpan* key, int column, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Where the value of a key column stands in the output."""
    cdef int place
    for place in range(layout.key_count):
        if layout.key_columns[place] == column:
            key.begin[place], key.end[place] = begin, end
            key.found |= <uint64_t>1 << place


cdef inline bint has_bit(const uint8_t* bits, int n) noexcept nogil:
    return bits == NULL or bits[n >> 3] >> (n & 7) & 1


cdef int present_count(const uint8_t* bits, int count) noexcept nogil:
    cdef int n, present = 0
    if bits == NULL:
        return count
    for n in range(count):
        present += bits[n >> 3] >> (n & 7) & 1
    return present


cdef class RowPlan:
    """The columns of one table definition. What their types are is added by one of the ``set_`` methods.

    Args:
        table: The captured table, with a ``mapper`` of events.
        names: Of its columns, in table order.
        primary_key: Names of the key columns in key order.
        texts: Of its events; ``insert_texts`` of inserts, which differ in an outbox.
    """

    cdef Layout layout
    cdef bint is_mysql       # which database its columns are of, once they have types
    cdef bint _has_types
    cdef readonly object table
    cdef TableTexts texts
    cdef TableTexts insert_texts
    cdef list _kept   # objects whose bytes the columns point into

    def __cinit__(
        self, table, list names not None, primary_key, TableTexts texts not None, TableTexts insert_texts not None
    ):
        cdef Py_ssize_t n
        cdef bytes text
        cdef list key = list(primary_key)
        self._kept = []
        self.table, self.texts, self.insert_texts = table, texts, insert_texts
        self.layout.count = len(names)
        self.layout.columns = <Column*>calloc(max(len(names), 1), sizeof(Column))
        if self.layout.columns == NULL:
            raise MemoryError
        for n, name in enumerate(names):
            text = encode_json(name) + b":"
            self.layout.columns[n].name, self.layout.columns[n].name_length = self._keep(text), len(text)
        if len(key) <= MAX_KEY_COLUMNS and all(name in names for name in key):
            self.layout.key_count = len(key)
            for n, name in enumerate(key):
                self.layout.key_columns[n] = names.index(name)
                self.layout.columns[names.index(name)].is_key = True

    def __dealloc__(self):
        cdef int n
        if self.layout.columns != NULL:
            for n in range(self.layout.count):
                free(self.layout.columns[n].labels)
                free(self.layout.columns[n].label_lengths)
            free(self.layout.columns)

    cdef const char* _keep(self, bytes data):
        self._kept.append(data)
        return <const char*>data

    def set_mysql(self, types):
        """Columns of a MySQL row event: resolved :class:`ColumnType`, in table order."""
        cdef Py_ssize_t n
        cdef list columns = self._begin_types(types, True)
        for n in range(len(columns)):
            _set_mysql_column(self, &self.layout.columns[n], columns[n])

    def set_postgres(self, types, bint keeps_marker=False):
        """Columns of pgoutput messages: name of the base type, whether it is an array of it, and its delimiter.

        With ``keeps_marker`` unchanged TOAST values of other than key columns stay unknown.
        """
        cdef Py_ssize_t n
        self.layout.keeps_marker = keeps_marker
        for n, (name, is_array, delimiter) in enumerate(self._begin_types(types, False)):
            self.layout.columns[n].kind = _PG_KINDS.get(name, DECLINED)
            self.layout.columns[n].is_array, self.layout.columns[n].delimiter = is_array, ord(delimiter)

    cdef list _begin_types(self, types, bint is_mysql):
        """The types as a list, one for each column."""
        cdef list found = list(types)
        if len(found) != self.layout.count:
            raise ValueError(f"{len(found)} types for {self.layout.count} columns")
        if self._has_types:   # row groups may be reading them, without the GIL
            raise ValueError("the columns have their types")
        self._has_types, self.is_mysql = True, is_mysql
        return found
