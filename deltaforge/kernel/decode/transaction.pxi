# The source transaction of rows that wait to be decoded.

@cython.no_gc   # refers to nothing that could refer back
cdef class Transaction:
    """The source transaction of some groups.

    Args:
        connector: ``mysql`` or ``postgresql``.
        origin: Where it began: the server, or the source of the GTID.
        identity: GTID, ``file:pos`` of the start, or the commit LSN: what event ids are made of.
        gtid: The GTID as text; empty without one.
        commit_ms: Commit time where it began; None when the log does not say.
    """

    cdef public uint64_t ordinal   # row events and statements so far, captured or not
    cdef dict _savepoints
    cdef bytes _gtid
    cdef object _ids
    cdef int64_t _commit_ms
    cdef bint _has_commit
    cdef char id_prefix[24]

    def __init__(self, str connector, str origin, str identity, str gtid not None, object commit_ms):
        cdef bytes text = f"{connector}|{origin}|{identity}".encode()
        if self._gtid is not None:   # groups point into it
            raise ValueError("the transaction has its identity")
        self._has_commit = commit_ms is not None
        self._commit_ms = commit_ms if self._has_commit else 0
        self._gtid = gtid.encode()
        put_id_prefix(self.id_prefix, <const uint8_t*><const char*>text, len(text))

    @property
    def gtid(self):
        return self._gtid.decode()

    @property
    def commit_ms(self):
        return self._commit_ms if self._has_commit else None

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
