# The byte loop of a binary log dump: packets to events, and whole small transactions to groups.
# What is not plain here is left to Python: deltaforge/sources/mysql is the oracle.

def split_packets(bytearray buffer not None, Py_ssize_t at, Py_ssize_t size):
    """Events out of the MySQL packets in ``buffer[at:size]``: a list of them as ``bytes``, and where the first
    packet begins that is not whole, or is not a plain event.
    """
    cdef const uint8_t* data = <const uint8_t*><const char*>buffer
    cdef Py_ssize_t length
    if not 0 <= at <= size <= len(buffer):
        raise IndexError(at)
    events = []
    while size - at >= 5:
        length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        if length < 1 or length == 0xFFFFFF or size - at - 4 < length or data[at + 4] != 0:
            break
        events.append(PyBytes_FromStringAndSize(<const char*>data + at + 5, length - 1))
        at += 4 + length
    return events, at


cdef enum:
    QUERY_EVENT = 2
    XID_EVENT = 16
    TABLE_MAP_EVENT = 19
    ROWS_QUERY_EVENT = 29
    ANNOTATE_ROWS_EVENT = 160
    MAX_QUERY_BYTES = 1048576
    WRITE_V1_EVENT = 23     # what MariaDB writes: without extra data
    DELETE_V1_EVENT = 25
    WRITE_EVENT = 30
    DELETE_EVENT = 32
    GTID_EVENT = 33
    ANONYMOUS_GTID_EVENT = 34
    MARIADB_GTID_EVENT = 162
    HEADER_BYTES = 19
    ARTIFICIAL_FLAG = 0x20
    MARIADB_NOT_PLAIN = 0xC1   # standalone, prepared XA, completed XA


cdef inline char op_of(int event_type) noexcept nogil:
    """``c``, ``u`` or ``d``; 0 for an event without rows, or with rows that are not plain."""
    cdef int kind = event_type - (WRITE_EVENT if event_type >= WRITE_EVENT else WRITE_V1_EVENT)
    return b"cud"[kind] if 0 <= kind <= 2 else 0


cdef inline uint64_t end_of(uint32_t log_pos, uint64_t near) noexcept nogil:
    """Where an event ends: the header has the last 32 bits of it."""
    cdef int64_t step = <int32_t>(log_pos - <uint32_t>near)
    if step < 0 and near < <uint64_t>-step:
        step += <int64_t>1 << 32
    return near + <uint64_t>step


cdef struct Event:
    const uint8_t* data
    Py_ssize_t size      # without the checksum
    Py_ssize_t length    # with it
    int type
    uint32_t timestamp
    uint32_t server_id
    uint64_t begin_pos   # of the last event of the transaction whose place the log says; 0: it says none
    uint64_t end_pos
    bint says_place      # or the event before, where one cannot tell


cdef class TransactionScanner:
    """Recognizes whole transactions among the events of one read.

    Takes GTID, BEGIN (MySQL alone has it), table maps with rows, XID, in this order, with table maps that are known;
    stops at anything else, between two transactions. It keeps nothing from one call to the next but a cache.

    Args:
        has_checksum: Whether events end in a CRC-32.
        is_mariadb: Whose events they are.
        server_uuid: Where transactions without a GTID began, and all of MariaDB.
        tables: Bodies of table maps (behind the table id and flags) to captured tables, or to None for
            tables that are not captured. Maps that are not in it are left to Python.
        takes_queries: Whether rows get the statement that they are of.
    """

    cdef bint _has_checksum
    cdef bint _is_mariadb
    cdef bint _takes_queries
    cdef str _server_uuid
    cdef Output _identity                # mysql|{where it began}|{GTID} of the transaction that began last
    cdef Py_ssize_t _gtid_at, _number_at # in it
    cdef uint64_t _at                    # where the last event ended
    cdef dict _tables
    cdef bytes _map_body
    cdef RowPlan _map_plan
    cdef uint8_t _source_raw[16]         # the UUID; of MariaDB domain and server id
    cdef str _source                     # the text of it
    cdef str _file_name
    cdef bytes _file
    # What the last scan found:
    cdef readonly list groups            # row groups, in order
    cdef readonly list gtids             # [source, first, last], in order
    cdef readonly Py_ssize_t byte_count  # log bytes of the groups
    cdef readonly Py_ssize_t event_count
    cdef readonly Py_ssize_t scanned_bytes
    cdef readonly list counts            # [table, op, number of rows], neighbours put together
    cdef readonly list null_dates        # (table, number of dates with a zero part)
    cdef readonly Py_ssize_t map_count   # table maps of captured tables
    cdef readonly uint64_t end_pos       # behind the last transaction
    cdef readonly bint is_cut            # it stopped where a transaction goes on behind the last event

    def __cinit__(
        self, bint has_checksum, bint is_mariadb, str server_uuid not None, dict tables not None, bint takes_queries=False
    ):
        self._has_checksum, self._is_mariadb, self._server_uuid = has_checksum, is_mariadb, server_uuid
        self._tables, self._map_body, self._takes_queries = tables, b"", takes_queries

    def __dealloc__(self):
        free(self._identity.data)

    def forget_map(self):
        """Ask ``tables`` again for the next table map, also if it is the same as the last one."""
        self._map_body, self._map_plan = b"", None

    cdef bint _event(self, object item, Event* event) except -1:
        """Header and checksum of an event; False if it is not plain."""
        cdef const uint8_t* data
        cdef Py_ssize_t size
        cdef uint32_t log_pos    # newer MariaDB leaves it out
        if type(item) is not bytes:
            return False
        data, size = <const uint8_t*><const char*>(<bytes>item), len(<bytes>item)
        if size < HEADER_BYTES + 4 or little(data + 9, 4) != <uint64_t>size or data[17] & ARTIFICIAL_FLAG:
            return False
        if self._has_checksum:
            size -= 4
            if crc32(data, size) != little(data + size, 4):
                return False
        event.data, event.size, event.length, event.type = data, size, len(<bytes>item), data[4]
        event.timestamp, event.server_id = <uint32_t>little(data, 4), <uint32_t>little(data + 5, 4)
        log_pos = <uint32_t>little(data + 13, 4)
        event.end_pos = end_of(log_pos, self._at) if log_pos else self._at + <uint64_t>event.length
        if <uint32_t>event.end_pos:   # else a place that is said looks like one that is not
            event.says_place = log_pos != 0
        if event.says_place:
            event.begin_pos = event.end_pos - event.length
        self._at = event.end_pos
        return event.timestamp != 0

    def scan(
        self, list events not None, Py_ssize_t index, str file not None, uint64_t end_pos,
        Py_ssize_t room_events, Py_ssize_t room_bytes,
    ):
        """Take transactions from ``index`` on until a limit is reached; the index behind the last one taken.

        Args:
            events: Whole events as ``bytes``.
            index: Of the first one to take.
            file, end_pos: Where the event before it ended.
            room_events, room_bytes: The limits.
        """
        cdef Py_ssize_t stop
        if not 0 <= index <= len(events):
            raise IndexError(index)
        self.groups, self.gtids, self.counts, self.null_dates = [], [], [], []
        if file != self._file_name:
            self._file_name, self._file = file, file.encode()
        self.byte_count = self.event_count = self.scanned_bytes = self.map_count = 0
        self.is_cut, self._at = False, end_pos
        while self.event_count < room_events and self.byte_count < room_bytes:
            stop = self._transaction(events, index)
            if stop == index:
                break
            index = stop
        return index

    cdef Py_ssize_t _transaction(self, list events, Py_ssize_t index) except -1:
        """The index behind the transaction at ``index``; ``index`` if it is not taken."""
        cdef Event event
        cdef Transaction transaction
        cdef RowGroup group
        cdef Py_ssize_t at = index, total = len(events), maps = 0
        cdef Py_ssize_t scanned = 0, group_bytes = 0, rows = 0
        cdef uint64_t number = 0
        cdef bint has_begun, has_map
        cdef list groups
        cdef bytes query = None
        cdef uint64_t table_id = 0
        event.begin_pos, event.says_place = 0, True
        if at == total or not self._event(events[at], &event):
            return index
        transaction = self._begun(&event, &number)
        if transaction is None:
            return index
        scanned += event.length
        at += 1
        has_begun, has_map, groups = self._is_mariadb, False, []
        while True:
            if at == total:
                self.is_cut = True
                return index
            if not self._event(events[at], &event):
                return index
            scanned += event.length
            if not has_begun:
                if not self._is_begin(&event):
                    return index
                has_begun = True
                transaction._thread = little(event.data + HEADER_BYTES, 4) + 1
            elif event.type == XID_EVENT:
                break
            elif event.type == TABLE_MAP_EVENT and event.size >= HEADER_BYTES + 8:
                if not self._find(&event):
                    return index
                has_map, table_id = True, little(event.data + HEADER_BYTES, 6)
                maps += self._map_plan is not None
            elif event.type == ROWS_QUERY_EVENT or event.type == ANNOTATE_ROWS_EVENT:
                query = self._query(&event) if self._takes_queries else None
            elif op_of(event.type):
                if not has_map or event.size < HEADER_BYTES + 6:
                    return index
                if little(event.data + HEADER_BYTES, 6) != table_id:
                    return index
                transaction.ordinal += 1
                if self._map_plan is not None:
                    group = self._group(&event, events[at], transaction, query)
                    if group is None:
                        return index
                    groups.append(group)
                    rows += group.facts.count
                    group_bytes += event.length
            else:
                return index
            at += 1
        if groups:
            group = groups[len(groups) - 1]
            group.facts.is_tx_end = True
            self._count(groups)
        self.event_count += rows
        self.byte_count += group_bytes
        self.scanned_bytes += scanned
        self.map_count += maps
        self.end_pos = event.end_pos
        if transaction._gtid:
            self._note(number)
        return at + 1

    cdef bint _is_begin(self, Event* event) noexcept:
        """A query event whose text is BEGIN."""
        cdef Py_ssize_t at
        if event.type != QUERY_EVENT or event.size < HEADER_BYTES + 13:
            return False
        at = HEADER_BYTES + 13 + little(event.data + HEADER_BYTES + 11, 2) + event.data[HEADER_BYTES + 8] + 1
        return event.size - at == 5 and memcmp(event.data + at, b"BEGIN", 5) == 0

    cdef Transaction _begun(self, Event* event, uint64_t* number):
        """The transaction of a GTID event, and the number in its source; None if it is not plain."""
        if self._is_mariadb:
            return self._begun_mariadb(event, number)
        cdef const uint8_t* body = event.data + HEADER_BYTES
        cdef Py_ssize_t size = event.size - HEADER_BYTES
        cdef uint64_t commit_us = 0
        cdef Transaction transaction
        if event.type != GTID_EVENT and event.type != ANONYMOUS_GTID_EVENT or size < 25:
            return None
        if event.type == ANONYMOUS_GTID_EVENT:
            transaction = Transaction("mysql", self._server_uuid, f"{self._file_name}:{event.end_pos}", "", None)
        else:
            number[0] = little(body + 17, 8)
            if number[0] >> 63:
                return None
            if self._source is None or memcmp(body + 1, self._source_raw, 16) != 0:
                memcpy(self._source_raw, body + 1, 16)
                self._source = _uuid_text(body + 1)
                self._begin_identities(self._source, b":")
            transaction = self._identified(number[0])
        if size >= 49:
            commit_us = little(body + 42, 7)
            if commit_us >> 55:
                commit_us = little(body + 49, 7) if size >= 56 else 0
        transaction._has_commit, transaction._commit_us = commit_us != 0, commit_us
        return transaction

    cdef Transaction _begun_mariadb(self, Event* event, uint64_t* number):
        cdef const uint8_t* body = event.data + HEADER_BYTES
        cdef uint8_t raw[8]      # domain and server id
        if event.type != MARIADB_GTID_EVENT or event.size < HEADER_BYTES + 13 or body[12] & MARIADB_NOT_PLAIN:
            return None
        number[0] = little(body, 8)
        memcpy(raw, body + 8, 4)
        memcpy(raw + 4, event.data + 5, 4)
        if self._source is None or memcmp(raw, self._source_raw, 8) != 0:
            memcpy(self._source_raw, raw, 8)
            self._source = f"{little(raw, 4)}-{event.server_id}"
            self._begin_identities(self._server_uuid, b"-")
        return self._identified(number[0])

    cdef _begin_identities(self, str origin, bytes separator):
        """The source of GTIDs is another one: what its transactions are called but for their number."""
        cdef bytes head = f"mysql|{origin}|".encode()
        self._gtid_at = len(head)
        head += self._source.encode() + separator
        self._identity.size = 0
        put(&self._identity, <const char*>head, len(head))
        self._number_at = len(head)

    cdef Transaction _identified(self, uint64_t number):
        """A transaction of the source."""
        cdef Output* text = &self._identity
        cdef Transaction transaction = Transaction.__new__(Transaction)
        text.size = self._number_at
        put_uint(text, number)
        if text.is_exhausted:
            raise MemoryError
        put_id_prefix(transaction.id_prefix, text.data, text.size)
        transaction._gtid = PyBytes_FromStringAndSize(<char*>text.data + self._gtid_at, text.size - self._gtid_at)
        return transaction

    cdef _count(self, list groups):
        """Note what a transaction has, table by table."""
        cdef RowGroup group
        cdef list last = self.counts[len(self.counts) - 1] if self.counts else None
        for item in groups:
            group = <RowGroup>item
            if last is None or last[0] is not group._plan.table or last[3] != group.facts.op:
                last = [group._plan.table, group.op, 0, group.facts.op]
                self.counts.append(last)
            last[2] += group.facts.count
            if group.null_date_count:
                self.null_dates.append((group._plan.table, group.null_date_count))
            self.groups.append(group)

    cdef bint _find(self, Event* event) except -1:
        """Put the table of a map into ``_map_table``; False if it is not known."""
        cdef const uint8_t* body = event.data + HEADER_BYTES + 8
        cdef Py_ssize_t size = event.size - HEADER_BYTES - 8
        cdef bytes raw
        if size == len(self._map_body) and memcmp(body, <const char*>self._map_body, size) == 0:
            return True
        raw = PyBytes_FromStringAndSize(<const char*>body, size)
        if raw not in self._tables:
            return False
        table = self._tables[raw]
        self._map_body, self._map_plan = raw, None if table is None else _plan_of(table, True)
        return True

    cdef bytes _query(self, Event* event):
        """The statement in a rows query; None if it is too long."""
        cdef const uint8_t* at = event.data + HEADER_BYTES
        cdef Py_ssize_t size = event.size - HEADER_BYTES
        if event.type == ROWS_QUERY_EVENT and size:
            at, size = at + 1, size - 1   # the last byte of its length
        if size > MAX_QUERY_BYTES:
            return None
        return PyBytes_FromStringAndSize(<const char*>at, size).decode("utf-8", "replace").encode()

    cdef RowGroup _group(self, Event* event, bytes item, Transaction transaction, bytes query):
        cdef RowGroup group
        cdef const uint8_t* at = event.data + HEADER_BYTES + 8
        cdef const uint8_t* end = event.data + event.size
        cdef RowPlan plan = self._map_plan
        cdef Py_ssize_t extra, bitmap = (plan.layout.count + 7) // 8
        cdef char op = op_of(event.type)
        cdef bint is_update = op == c"u"
        cdef int64_t ts_ms
        if event.type >= WRITE_EVENT:
            if end - at < 2:
                return None
            extra = max(<Py_ssize_t>little(at, 2), 2)
            if end - at < extra:
                return None
            at += extra
        if end - at < 1:
            return None
        if at[0] >= 251 or at[0] != plan.layout.count or end - at - 1 < bitmap * (2 if is_update else 1):
            return None
        group = RowGroup.__new__(RowGroup)
        group.facts.op = op
        group.facts.before = at + 1
        group.facts.after = at + 1 + bitmap if is_update else at + 1
        group.facts.data = at + 1 + bitmap * (2 if is_update else 1)
        group.facts.end = end
        group._data = item
        ts_ms = <int64_t>event.timestamp * 1000
        if transaction._has_commit:
            ts_ms = milliseconds_of(transaction._commit_us)
        if not group._place(
            plan, transaction, ts_ms, event.server_id, self._file, event.end_pos, event.begin_pos, query
        ):
            return None
        return group

    cdef _note(self, uint64_t number):
        if self.gtids:
            last = self.gtids[len(self.gtids) - 1]
            if last[0] is self._source and last[2] == number - 1:
                last[2] = number
                return
        self.gtids.append([self._source, number, number])
