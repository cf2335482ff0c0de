# The source transaction of rows that wait to be decoded.

cdef inline int64_t milliseconds_of(int64_t micros) noexcept nogil:
    """Rounded down, also before 1970."""
    return micros // 1000 - (micros % 1000 < 0)


cdef uint64_t lsn_of(Text* text) noexcept nogil:
    """The LSN whose text this is; 0: it is none."""
    cdef uint64_t lsn = 0, half = 0
    cdef Py_ssize_t n
    cdef uint8_t letter
    for n in range(text.size):
        letter = text.data[n]
        if letter == 47:
            lsn, half = half << 32, 0
        elif 48 <= letter <= 57:
            half = half << 4 | <uint64_t>(letter - 48)
        elif 65 <= letter <= 70:
            half = half << 4 | <uint64_t>(letter - 55)
        else:
            return 0
    return lsn | half


cdef str _uuid_text(const uint8_t* raw):
    cdef uint8_t text[36]
    cdef Output out = output_in(text, sizeof(text))
    cdef int n
    for n in range(16):
        if n == 4 or n == 6 or n == 8 or n == 10:
            put_byte(&out, 45)
        put_byte(&out, _HEX[raw[n] >> 4])
        put_byte(&out, _HEX[raw[n] & 15])
    return PyBytes_FromStringAndSize(<char*>text, 36).decode("ascii")


@cython.no_gc   # refers to nothing that could refer back
cdef class Transaction:
    """The source transaction of some groups.

    Args:
        connector: ``mysql`` or ``postgresql``.
        origin: Where it began: the server, or the source of the GTID.
        identity: GTID, ``file:pos`` of the start, or the commit LSN: what event ids are made of.
        gtid: The GTID as text; empty without one.
        commit_us: Commit time where it began, in microseconds; None when the log does not say.
    """

    cdef public uint64_t ordinal   # row events and statements so far, captured or not
    cdef public uint64_t last_commit_lsn   # PostgreSQL: where the one before it ended; 0 when that is not known
    cdef uint64_t _thread          # MySQL: the connection that began it, and one more; 0 when that is not known
    cdef dict _savepoints
    cdef bytes _gtid
    cdef object _ids
    cdef int64_t _commit_us
    cdef bint _has_commit
    cdef char id_prefix[24]

    def __init__(self, str connector, str origin, str identity, str gtid not None, object commit_us):
        cdef bytes text = f"{connector}|{origin}|{identity}".encode()
        if self._gtid is not None:   # groups point into it
            raise ValueError("the transaction has its identity")
        self._has_commit = commit_us is not None
        self._commit_us = commit_us if self._has_commit else 0
        self._gtid = gtid.encode()
        put_id_prefix(self.id_prefix, <const uint8_t*><const char*>text, len(text))

    @property
    def gtid(self):
        return self._gtid.decode()

    @property
    def commit_us(self):
        return self._commit_us if self._has_commit else None

    @property
    def commit_ms(self):
        return milliseconds_of(self._commit_us) if self._has_commit else None

    @property
    def thread(self):
        return self._thread - 1 if self._thread else None

    @thread.setter
    def thread(self, object value):
        self._thread = 0 if value is None else <uint64_t>(<uint32_t>value) + 1

    @property
    def savepoints(self):
        """Names to the number of groups before them."""
        if self._savepoints is None:
            self._savepoints = {}
        return self._savepoints

    @property
    def ids(self):
        """The :class:`EventIds`."""
        if self._ids is None:
            self._ids = EventIds((<bytes>self.id_prefix[:24]).decode("ascii"))
        return self._ids
