# Whether the keys of an object differ, wherever they stand in the output.

cdef extern from *:
    """
    #include <algorithm>
    struct df_span { ptrdiff_t begin, size; };
    // By length and bytes, as jsonb and hstore order their keys.
    static inline int df_order(const uint8_t* text, const df_span& a, const df_span& b) {
        if (a.size != b.size) return a.size < b.size ? -1 : 1;
        return memcmp(text + a.begin, text + b.begin, a.size);
    }
    static inline bool df_all_differ(const uint8_t* text, df_span* spans, ptrdiff_t count) {
        std::sort(spans, spans + count, [=](const df_span& a, const df_span& b) { return df_order(text, a, b) < 0; });
        for (ptrdiff_t n = 1; n < count; n++)
            if (df_order(text, spans[n - 1], spans[n]) == 0) return false;
        return true;
    }
    """
    cdef struct df_span:
        Py_ssize_t begin, size
    int df_order(const uint8_t* text, const df_span& a, const df_span& b) noexcept nogil
    bint df_all_differ(const uint8_t* text, df_span* spans, Py_ssize_t count) noexcept nogil


cdef enum:
    NEAR_KEYS = 32


cdef struct Keys:
    # While each key is behind the one before in their order, nothing else has to be compared.
    df_span near[NEAR_KEYS]
    df_span* spans
    Py_ssize_t count
    Py_ssize_t capacity
    bint is_ordered


cdef inline void begin_keys(Keys* keys) noexcept nogil:
    keys.spans, keys.count, keys.capacity, keys.is_ordered = keys.near, 0, NEAR_KEYS, True


cdef bint add_key(Keys* keys, const uint8_t* text, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Note the key that stands between two places. False without memory."""
    cdef df_span* more
    if keys.count == keys.capacity:
        more = <df_span*>malloc(2 * keys.capacity * sizeof(df_span))
        if more == NULL:
            return False
        memcpy(more, keys.spans, keys.count * sizeof(df_span))
        if keys.spans != keys.near:
            free(keys.spans)
        keys.spans, keys.capacity = more, 2 * keys.capacity
    keys.spans[keys.count].begin, keys.spans[keys.count].size = begin, end - begin
    if keys.is_ordered and keys.count:
        keys.is_ordered = df_order(text, keys.spans[keys.count - 1], keys.spans[keys.count]) < 0
    keys.count += 1
    return True


cdef bint end_keys(Keys* keys, const uint8_t* text) noexcept nogil:
    """Whether all of them differ."""
    cdef bint all_differ = keys.is_ordered or df_all_differ(text, keys.spans, keys.count)
    if keys.spans != keys.near:
        free(keys.spans)
    return all_differ
