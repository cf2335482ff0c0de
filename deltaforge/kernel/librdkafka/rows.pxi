# The loop that hands rows to librdkafka.

cdef enum:
    COPIED = 2


cdef Py_ssize_t produce_known(
    EncodedEvents values, Targets targets, Py_ssize_t index, Py_ssize_t stop, void** topics, void* rk, void* fixed,
    int* error,
) noexcept nogil:
    """Hand messages without headers of their own over whose topics are known; the index of the first that is not taken.
    ``fixed``: the headers that all of them get; NULL: none.
    """
    cdef Target* target
    cdef Py_ssize_t value_at, value_size, key_at, key_end
    cdef const uint8_t* keys
    cdef const uint8_t* key
    cdef void* value
    cdef void* headers
    cdef Owner* owners = values.owners
    while index < stop:
        target = &targets._targets[index if owners == NULL else owners[index].event]
        if topics[target.number] == NULL or target.has_headers or (owners != NULL and owners[index].has_headers):
            return index
        value_at = values.value_ends[index - 1] + 1 if index else 0
        value_size = values.value_ends[index] - value_at
        if target.begin < 0:
            keys, key_at, key_end = values.keys.data, values.key_ends[index - 1] if index else 0, values.key_ends[index]
        else:
            keys, key_at, key_end = targets._keys.data, target.begin, target.end
        key = keys + key_at if key_end > key_at else <const uint8_t*>b""   # an empty key is a key too
        if owners != NULL and target.begin < 0 and not owners[index].has_key:
            key = NULL
        value = values.values.data + value_at if value_size >= 0 else NULL   # a tombstone has none
        if fixed != NULL:
            headers = df_rk.headers_copy(fixed)
            error[0] = df_rk_with_headers(
                rk, topics[target.number], value, max(value_size, 0), <void*>key, key_end - key_at, headers
            )
            if error[0]:
                df_rk.headers_destroy(headers)   # taken over only with the message
                return index
        elif df_rk.produce(
            topics[target.number], -1, COPIED, value, max(value_size, 0), key, key_end - key_at, NULL
        ):
            error[0] = df_rk.last_error()
            return index
        index += 1
    return index
