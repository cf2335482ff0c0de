# Integers of the wire.

cdef inline uint64_t little(const uint8_t* at, int width) noexcept nogil:
    cdef uint64_t value = 0
    cdef int n
    for n in range(width - 1, -1, -1):
        value = (value << 8) | at[n]
    return value


cdef inline uint64_t big(const uint8_t* at, int width) noexcept nogil:
    cdef uint64_t value = 0
    cdef int n
    for n in range(width):
        value = (value << 8) | at[n]
    return value


cdef inline int64_t extended(uint64_t value, int width) noexcept nogil:
    return <int64_t>(value << (64 - 8 * width)) >> (64 - 8 * width)
