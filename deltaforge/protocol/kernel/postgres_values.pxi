# Rows of pgoutput messages to JSON. The oracle is deltaforge/protocol/postgres.

cdef const uint8_t* pg_image_at(
    char op, bint is_before, const uint8_t* at, const uint8_t* end, bint* is_there
) noexcept nogil:
    return NULL


cdef const uint8_t* put_pg_image(
    Output* out, Layout* layout, const uint8_t* at, const uint8_t* end, KeySpan* key
) noexcept nogil:
    return NULL
