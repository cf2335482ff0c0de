# Text that is equal in many events, made once.

cdef struct Text:
    const char* data
    Py_ssize_t size


cdef inline void put_part(Output* out, Text* text) noexcept nogil:
    put(out, text.data, text.size)


cdef class TableTexts:
    """What stands in every event of a table, as JSON. See :func:`deltaforge.sources.texts`."""

    cdef Text source_head    # {"version":…,"connector":…,"name":…,"ts_ms":
    cdef Text source_table   # ,"db":…,"schema":…,"table":…
    cdef Text tail           # ,"tenant_id":…,"schema_version":…
    cdef Text uri            # "deltaforge/{name}/{table}"
    cdef Text subject        # "{table}"
    cdef Text identity       # {tenant}|{db}.{table}|, as it stands in a key
    cdef tuple _kept

    def __cinit__(
        self, bytes source_head not None, bytes source_table not None, bytes tail not None, bytes uri not None,
        bytes subject not None, bytes identity not None,
    ):
        self._kept = (source_head, source_table, tail, uri, subject, identity)
        self.source_head = Text(source_head, len(source_head))
        self.source_table = Text(source_table, len(source_table))
        self.tail = Text(tail, len(tail))
        self.uri = Text(uri, len(uri))
        self.subject = Text(subject, len(subject))
        self.identity = Text(identity, len(identity))
