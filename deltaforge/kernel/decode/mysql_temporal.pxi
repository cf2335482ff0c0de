# Dates and times of MySQL, wire bytes to JSON. The oracle is deltaforge/protocol/mysql/temporal.py.

cdef inline void put_clock(Output* out, uint64_t hours, uint64_t minutes, uint64_t seconds, uint64_t micros) noexcept nogil:
    put_padded(out, hours, 2)
    put_byte(out, 58)
    put_padded(out, minutes, 2)
    put_byte(out, 58)
    put_padded(out, seconds, 2)
    put_byte(out, 46)
    put_padded(out, micros, 6)


cdef inline void put_date(Output* out, uint64_t year, uint64_t month, uint64_t day) noexcept nogil:
    put_padded(out, year, 4)
    put_byte(out, 45)
    put_padded(out, month, 2)
    put_byte(out, 45)
    put_padded(out, day, 2)


cdef void put_day(Output* out, int64_t days) noexcept nogil:
    """The civil date of a day since 1970, not before it: see ``temporal._day``."""
    cdef int64_t era, of_era, year, of_year, shifted, month
    days += 719468
    era, of_era = days // 146097, days % 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    put_date(out, year + era * 400 + (1 if month <= 2 else 0), month, of_year - (153 * shifted + 2) // 5 + 1)


cdef inline uint64_t micros_of(const uint8_t* at, int decimals) noexcept nogil:
    cdef int width = (decimals + 1) // 2, n
    cdef uint64_t value = big(at, width)
    for n in range(3 - width):
        value *= 100
    return value


cdef void _put_timestamp(Output* out, uint64_t seconds, uint64_t micros) noexcept nogil:
    cdef uint64_t clock = seconds % 86400
    if seconds == 0 and micros == 0:
        put(out, b"null", 4)
        return
    put_byte(out, 34)
    put_day(out, seconds // 86400)
    put_byte(out, 84)
    put_clock(out, clock // 3600, clock // 60 % 60, clock % 60, micros)
    put(out, b'Z"', 2)


cdef bint _put_datetime2(Output* out, const uint8_t* at, int decimals) noexcept nogil:
    cdef uint64_t value = big(at, 5), months
    if value < 0x8000000000ULL:
        return False
    value -= 0x8000000000ULL
    months = value >> 22
    if months % 13 == 0 or value >> 17 & 31 == 0:
        put(out, b"null", 4)
        return True
    put_byte(out, 34)
    put_date(out, months // 13, months % 13, value >> 17 & 31)
    put_byte(out, 84)
    put_clock(out, value >> 12 & 31, value >> 6 & 63, value & 63, micros_of(at + 5, decimals))
    put_byte(out, 34)
    return True


cdef void _put_time2(Output* out, const uint8_t* at, int decimals) noexcept nogil:
    cdef int width = (decimals + 1) // 2, n
    cdef int64_t packed = <int64_t>big(at, 3 + width) - (<int64_t>1 << (23 + 8 * width))
    cdef uint64_t micros
    put_byte(out, 34)
    if packed < 0:
        put_byte(out, 45)
        packed = -packed
    micros = packed & ((<int64_t>1 << (8 * width)) - 1)
    for n in range(3 - width):
        micros *= 100
    packed >>= 8 * width
    put_clock(out, packed >> 12 & 0x3FF, packed >> 6 & 63, packed & 63, micros)
    put_byte(out, 34)


cdef bint _put_checked_datetime(
    Output* out, uint64_t year, uint64_t month, uint64_t day, uint64_t clock, uint64_t micros
) noexcept nogil:
    """``clock``: the second of the day."""
    if year > 9999 or month > 12 or day > 31 or clock >= 86400:
        return False
    if month == 0 or day == 0:
        put(out, b"null", 4)
        return True
    put_byte(out, 34)
    put_date(out, year, month, day)
    put_byte(out, 84)
    put_clock(out, clock // 3600, clock // 60 % 60, clock % 60, micros)
    put_byte(out, 34)
    return True


cdef bint _put_old_datetime(Output* out, uint64_t value) noexcept nogil:
    cdef uint64_t day = value // 1000000, clock = value % 1000000
    if clock // 10000 > 23 or clock // 100 % 100 > 59 or clock % 100 > 59:
        return False
    clock = (clock // 10000 * 60 + clock // 100 % 100) * 60 + clock % 100
    return _put_checked_datetime(out, day // 10000, day // 100 % 100, day % 100, clock, 0)


cdef bint _put_old_time(Output* out, int64_t value) noexcept nogil:
    put_byte(out, 34)
    if value < 0:
        put_byte(out, 45)
        value = -value
    put_clock(out, value // 10000, value // 100 % 100, value % 100, 0)
    put_byte(out, 34)
    return value // 100 % 100 < 60 and value % 100 < 60


cdef uint64_t* _TEN_TO = [1, 10, 100, 1000, 10000, 100000, 1000000]


cdef bint _put_hires_datetime(Output* out, uint64_t value, int decimals) noexcept nogil:
    cdef uint64_t seconds = value // _TEN_TO[decimals]
    cdef uint64_t months = seconds // 86400 // 32
    return _put_checked_datetime(
        out, months // 13, months % 13, seconds // 86400 % 32, seconds % 86400,
        value % _TEN_TO[decimals] * _TEN_TO[6 - decimals],
    )


cdef bint _put_hires_time(Output* out, uint64_t value, int decimals) noexcept nogil:
    cdef int64_t packed = <int64_t>value - 3020400 * <int64_t>_TEN_TO[decimals]   # 839 hours
    cdef uint64_t seconds
    put_byte(out, 34)
    if packed < 0:
        put_byte(out, 45)
        packed = -packed
    seconds = <uint64_t>packed // _TEN_TO[decimals]
    put_clock(
        out, seconds // 3600, seconds // 60 % 60, seconds % 60,
        <uint64_t>packed % _TEN_TO[decimals] * _TEN_TO[6 - decimals],
    )
    put_byte(out, 34)
    return seconds < 3020400
