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
    WRITE_EVENT = 30
    UPDATE_EVENT = 31
    DELETE_EVENT = 32
    GTID_EVENT = 33
    ANONYMOUS_GTID_EVENT = 34
    HEADER_BYTES = 19
    ARTIFICIAL_FLAG = 0x20


cdef struct Event:
    const uint8_t* data
    Py_ssize_t size      # without the checksum
    int type
    uint32_t timestamp
    uint32_t server_id
    uint32_t end_pos


cdef str _uuid_text(const uint8_t* raw):
    cdef char text[36]
    cdef int n, at = 0
    for n in range(16):
        if n == 4 or n == 6 or n == 8 or n == 10:
            text[at] = c"-"
            at += 1
        text[at], text[at + 1] = _HEX[raw[n] >> 4], _HEX[raw[n] & 15]
        at += 2
    return (<bytes>text[:36]).decode("ascii")


cdef class TransactionScanner:
    """Recognizes whole transactions among the events of one read.

    Takes GTID, BEGIN, table maps with rows, XID, in this order, with table maps that are known; stops
    at anything else, between two transactions. It keeps nothing from one call to the next but a cache.

    Args:
        has_checksum: Whether events end in a CRC-32.
        server_uuid: Where transactions without a GTID began.
        tables: Bodies of table maps (behind the table id and flags) to captured tables, or to None for
            tables that are not captured. Maps that are not in it are left to Python.
    """

    cdef bint _has_checksum
    cdef str _server_uuid
    cdef dict _tables
    cdef bytes _map_body
    cdef object _map_table
    cdef uint8_t _source_raw[16]
    cdef str _source
    # What the last scan found:
    cdef readonly list groups            # row groups, in order
    cdef readonly list gtids             # [source, first, last], in order
    cdef readonly Py_ssize_t byte_count  # log bytes of the groups
    cdef readonly Py_ssize_t event_count
    cdef readonly Py_ssize_t scanned_bytes
    cdef readonly Py_ssize_t map_count   # table maps of captured tables
    cdef readonly uint64_t end_pos       # behind the last transaction

    def __init__(self, bint has_checksum, str server_uuid, dict tables):
        self._has_checksum, self._server_uuid, self._tables = has_checksum, server_uuid, tables
        self._map_body = b""

    cdef bint _event(self, object item, Event* event) except -1:
        """Header and checksum of an event; False if it is not plain."""
        cdef const uint8_t* data
        cdef Py_ssize_t size
        if type(item) is not bytes:
            return False
        data, size = <const uint8_t*><const char*>(<bytes>item), len(<bytes>item)
        if size < HEADER_BYTES + 4 or little(data + 9, 4) != <uint64_t>size or data[17] & ARTIFICIAL_FLAG:
            return False
        if self._has_checksum:
            size -= 4
            if crc32(data, size) != little(data + size, 4):
                return False
        event.data, event.size, event.type = data, size, data[4]
        event.timestamp, event.server_id = <uint32_t>little(data, 4), <uint32_t>little(data + 5, 4)
        event.end_pos = <uint32_t>little(data + 13, 4)
        return event.timestamp != 0 and event.end_pos != 0

    def scan(self, list events, Py_ssize_t index, str file, Py_ssize_t room_events, Py_ssize_t room_bytes):
        """Take transactions from ``index`` on until a limit is reached; the index behind the last one taken."""
        cdef Py_ssize_t stop
        self.groups, self.gtids = [], []
        self.byte_count = self.event_count = self.scanned_bytes = self.map_count = 0
        while self.event_count < room_events and self.byte_count < room_bytes:
            stop = self._transaction(events, index, file)
            if stop == index:
                break
            index = stop
        return index

    cdef Py_ssize_t _transaction(self, list events, Py_ssize_t index, str file) except -1:
        """The index behind the transaction at ``index``; ``index`` if it is not taken."""
        cdef Event event
        cdef Transaction transaction
        cdef RowGroup group
        cdef Py_ssize_t at = index, total = len(events), maps = 0
        cdef Py_ssize_t scanned = 0, group_bytes = 0, rows = 0
        cdef int64_t number = 0
        cdef uint64_t table_id = 0
        if total - at < 3 or not self._event(events[at], &event):
            return index
        if event.type != GTID_EVENT and event.type != ANONYMOUS_GTID_EVENT or event.size < HEADER_BYTES + 25:
            return index
        transaction = self._begun(&event, file, &number)
        scanned += event.size
        at += 1
        if not self._event(events[at], &event) or not self._is_begin(&event):
            return index
        scanned += event.size
        at += 1
        table, has_map = None, False
        groups = []
        while True:
            if at == total or not self._event(events[at], &event):
                return index
            scanned += event.size
            if event.type == XID_EVENT:
                break
            if event.type == TABLE_MAP_EVENT and event.size >= HEADER_BYTES + 8:
                if not self._find(&event):
                    return index
                table, has_map, table_id = self._map_table, True, little(event.data + HEADER_BYTES, 6)
                maps += table is not None
            elif WRITE_EVENT <= event.type <= DELETE_EVENT:
                if not has_map or event.size < HEADER_BYTES + 6:
                    return index
                if little(event.data + HEADER_BYTES, 6) != table_id:
                    return index
                transaction.ordinal += 1
                if table is not None:
                    group = self._group(&event, events[at], table, transaction, file)
                    if group is None:
                        return index
                    groups.append(group)
                    rows += group.facts.count
                    group_bytes += event.size
            else:
                return index
            at += 1
        if groups:
            group = groups[len(groups) - 1]
            group.facts.is_tx_end = True
        self.groups.extend(groups)
        self.event_count += rows
        self.byte_count += group_bytes
        self.scanned_bytes += scanned
        self.map_count += maps
        self.end_pos = event.end_pos
        if transaction.gtid:
            self._note(number)
        return at + 1

    cdef bint _is_begin(self, Event* event) noexcept:
        """A query event whose text is BEGIN."""
        cdef Py_ssize_t at
        if event.type != QUERY_EVENT or event.size < HEADER_BYTES + 13:
            return False
        at = HEADER_BYTES + 13 + little(event.data + HEADER_BYTES + 11, 2) + event.data[HEADER_BYTES + 8] + 1
        return event.size - at == 5 and memcmp(event.data + at, b"BEGIN", 5) == 0

    cdef Transaction _begun(self, Event* event, str file, int64_t* number):
        cdef const uint8_t* body = event.data + HEADER_BYTES
        cdef Py_ssize_t size = event.size - HEADER_BYTES
        cdef uint64_t commit_us = 0
        cdef str gtid = ""
        if self._source is None or memcmp(body + 1, self._source_raw, 16) != 0:
            memcpy(self._source_raw, body + 1, 16)
            self._source = _uuid_text(body + 1)
        number[0] = <int64_t>little(body + 17, 8)
        if event.type == GTID_EVENT:
            gtid = f"{self._source}:{number[0]}"
        if size >= 49:
            commit_us = little(body + 42, 7)
            if commit_us >> 55:
                commit_us = little(body + 49, 7) if size >= 56 else 0
        commit_ms = commit_us // 1000 if commit_us else None
        if gtid:
            return Transaction("mysql", self._source, gtid, gtid, commit_ms)
        return Transaction("mysql", self._server_uuid, f"{file}:{event.end_pos}", "", commit_ms)

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
        self._map_body, self._map_table = raw, self._tables[raw]
        return True

    cdef RowGroup _group(self, Event* event, bytes item, table, Transaction transaction, str file):
        cdef RowGroup group
        cdef const uint8_t* at = event.data + HEADER_BYTES + 8
        cdef const uint8_t* end = event.data + event.size
        cdef RowPlan plan = table.plan
        cdef Py_ssize_t extra, bitmap = (plan.layout.count + 7) // 8
        cdef bint is_update = event.type == UPDATE_EVENT
        if end - at < 2:
            return None
        extra = max(<Py_ssize_t>little(at, 2), 2)
        if end - at < extra + 1:
            return None
        at += extra
        if at[0] >= 251 or at[0] != plan.layout.count or end - at - 1 < bitmap * (2 if is_update else 1):
            return None
        group = RowGroup.__new__(RowGroup)
        group.facts.op = c"c" if event.type == WRITE_EVENT else c"u" if is_update else c"d"
        group.facts.before = at + 1
        group.facts.after = at + 1 + bitmap if is_update else at + 1
        group.facts.data = at + 1 + bitmap * (2 if is_update else 1)
        group.facts.end = end
        group._kept = (item, plan)
        if not group._place(
            table, transaction,
            transaction._commit_ms if transaction._has_commit else <int64_t>event.timestamp * 1000,
            event.server_id, file, event.end_pos,
        ):
            return None
        return group

    cdef _note(self, int64_t number):
        if self.gtids:
            last = self.gtids[len(self.gtids) - 1]
            if last[0] is self._source and last[2] == number - 1:
                last[2] = number
                return
        self.gtids.append([self._source, number, number])
