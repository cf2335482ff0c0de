# Commands of Redis streams out of encoded events: deltaforge/sinks/redis.py is the oracle.

cdef void _put_bulk(Output* out, const void* data, Py_ssize_t length) noexcept nogil:
    put_byte(out, 36)
    put_uint(out, length)
    put(out, b"\r\n", 2)
    put(out, data, length)
    put(out, b"\r\n", 2)


cdef void _put_xadd(
    Output* out, Output* text, EncodedEvents values, Targets targets, Py_ssize_t index, Facts* facts, uint64_t row
) noexcept nogil:
    """One XADD with the fields event_id, idempotency_key, df-event, df-key; without a template the key is the event id.
    """
    cdef uint8_t row_id[16]
    cdef Py_ssize_t begin = values.value_ends[index - 1] + 1 if index else 0
    cdef Target* target = &targets._targets[index]
    cdef Py_ssize_t name_at = targets._name_ends[target.number - 1] if target.number else 0
    cdef bint has_key = target.begin < 0 or target.end > target.begin
    text.size = 0
    if facts.op == c"r":
        _find_written_id(values, facts, index, row, row_id)
    put_identity(text, facts, row, row_id)   # its last 36 bytes are the event id
    put(out, b"*11\r\n$4\r\nXADD\r\n" if has_key else b"*9\r\n$4\r\nXADD\r\n", 15 if has_key else 14)
    _put_bulk(out, targets._names.data + name_at, targets._name_ends[target.number] - name_at)
    put(out, b"$1\r\n*\r\n$8\r\nevent_id\r\n", 21)
    _put_bulk(out, text.data + text.size - 36, 36)
    put(out, b"$15\r\nidempotency_key\r\n", 22)
    _put_bulk(out, text.data, text.size)
    put(out, b"$8\r\ndf-event\r\n", 14)
    _put_bulk(out, values.values.data + begin, values.value_ends[index] - begin)
    if not has_key:
        return
    put(out, b"$6\r\ndf-key\r\n", 12)
    if target.begin < 0:
        _put_bulk(out, text.data + text.size - 36, 36)
    else:
        _put_bulk(out, targets._keys.data + target.begin, target.end - target.begin)


cdef void _find_written_id(
    EncodedEvents values, Facts* facts, Py_ssize_t index, uint64_t row, uint8_t* row_id
) noexcept nogil:
    """The id of a copied row, whose key was encoded."""
    cdef Digest digest
    cdef Py_ssize_t begin = values.key_ends[index - 1] if index else 0
    begin_row_id(&digest, facts.id_prefix)
    if facts.has_row_ids:
        add_to_digest(&digest, values.keys.data + begin, values.key_ends[index] - begin)
        end_digest(&digest, row_id, 16)
    else:
        find_place_id(&digest, facts, row, row_id)


def xadd_commands(group, values, targets, Py_ssize_t index):
    """The commands that add the events of a group to streams, as bytes on the wire; None if it is not a group of the
    kernel with values and targets of the kernel, or if events have other messages than one each.

    Args:
        group: A group of a batch.
        values: What the batch was encoded to; the first event of the group is at ``index``.
        targets: Streams and keys of the batch.
    """
    if type(group) is not RowGroup or type(values) is not EncodedEvents or type(targets) is not Targets:
        return None
    if (<EncodedEvents>values).owners != NULL:
        return None
    return _xadd_commands(_placed(group), <EncodedEvents>values, <Targets>targets, index)


cdef bytes _xadd_commands(RowGroup group, EncodedEvents values, Targets targets, Py_ssize_t index):
    cdef Output out, text
    cdef Facts* facts = &group.facts
    cdef Py_ssize_t row
    memset(&out, 0, sizeof(out))
    memset(&text, 0, sizeof(text))
    try:
        if index < 0 or index > min(values.count, targets._count) - facts.count:
            raise IndexError(index)
        with nogil:
            for row in range(facts.count):
                _put_xadd(&out, &text, values, targets, index + row, facts, row)
        if out.is_exhausted or text.is_exhausted:
            raise MemoryError
        return PyBytes_FromStringAndSize(<char*>out.data, out.size)
    finally:
        free(out.data)
        free(text.data)
