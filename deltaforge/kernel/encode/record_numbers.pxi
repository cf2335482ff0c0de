# Numbers of records: moments as counts of time, decimals as two's complement. The oracles are deltaforge/records/moments.py
# and unscaled_bytes in deltaforge/records/writers.py.

cdef enum:
    MAX_DECIMAL_DIGITS = 1000   # more are left to Python
    MAX_LIMBS = 114             # of nine of them each, and some room


cdef int* _DAYS_BEFORE = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365]


cdef inline int64_t floor_of(int64_t value, int64_t unit) noexcept nogil:
    """The quotient, rounded down."""
    return value // unit - (1 if value % unit < 0 else 0)


cdef bint find_days(int64_t year, int64_t month, int64_t day, int64_t* to) noexcept nogil:
    """Days from 1970 to a date of the proleptic calendar, from the year 0 on. False: there is no such day."""
    cdef bint is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    cdef int64_t before = year - 1, last
    if not 1 <= month <= 12 or day < 1:
        return False
    last = _DAYS_BEFORE[month] - _DAYS_BEFORE[month - 1] + (1 if is_leap and month == 2 else 0)
    if day > last:
        return False
    to[0] = before * 365 + floor_of(before, 4) - floor_of(before, 100) + floor_of(before, 400) - 719162
    to[0] += _DAYS_BEFORE[month - 1] + (1 if is_leap and month > 2 else 0) + day - 1
    return True


cdef inline bint _find_digits(const uint8_t* at, int count, int64_t* to) noexcept nogil:
    cdef int n
    to[0] = 0
    for n in range(count):
        if not is_digit(at[n]):
            return False
        to[0] = to[0] * 10 + at[n] - 48
    return True


cdef bint find_text_days(const uint8_t* at, Py_ssize_t size, int64_t* to) noexcept nogil:
    """Days from 1970 to a date with four digits of a year; False: it is something else."""
    cdef int64_t year = 0, month = 0, day = 0
    if size < 10 or at[4] != 45 or at[7] != 45:
        return False
    if not _find_digits(at, 4, &year) or not _find_digits(at + 5, 2, &month) or not _find_digits(at + 8, 2, &day):
        return False
    return find_days(year, month, day, to)


cdef bint _find_clock(const uint8_t* at, const uint8_t* end, int64_t* micros) noexcept nogil:
    """Microseconds of ``hh:mm:ss.ffffff``, the hours of up to four digits, up to six of the fraction."""
    cdef int64_t hours = 0, minutes = 0, seconds = 0, fraction = 0
    cdef int digits = 0
    while at + digits < end and digits < 4 and is_digit(at[digits]):
        digits += 1
    if digits == 0 or not _find_digits(at, digits, &hours):
        return False
    at += digits
    if end - at < 6 or at[0] != 58 or at[3] != 58:
        return False
    if not _find_digits(at + 1, 2, &minutes) or not _find_digits(at + 4, 2, &seconds):
        return False
    at += 6
    if at < end:
        digits = <int>(end - at - 1) if end - at <= 7 else 7
        if at[0] != 46 or not 1 <= digits <= 6 or not _find_digits(at + 1, digits, &fraction):
            return False
        while digits < 6:
            fraction *= 10
            digits += 1
    micros[0] = (hours * 3600 + minutes * 60 + seconds) * 1000000 + fraction
    return True


cdef bint find_text_micros(const uint8_t* at, Py_ssize_t size, int64_t* to) noexcept nogil:
    """Microseconds from 1970 to a date and time, or of a time; False: it is something else, or far away."""
    cdef const uint8_t* end = at + size
    cdef int64_t days = 0
    cdef bint is_negative
    if size > 10 and at[4] == 45 and (at[10] == 84 or at[10] == 32):
        if (end - 1)[0] == 90:
            end -= 1
        elif size > 13 and memcmp(end - 3, b"+00", 3) == 0:
            end -= 3
        if not find_text_days(at, size, &days) or not _find_clock(at + 11, end, to):
            return False
        to[0] += days * <int64_t>86400000000LL
        return True
    is_negative = size > 0 and at[0] == 45
    if not _find_clock(at + (1 if is_negative else 0), end, to):
        return False
    if is_negative:
        to[0] = -to[0]
    return True


cdef bint find_mysql_micros(Column* column, const uint8_t* at, int64_t* to) noexcept nogil:
    """The same of the bytes of the newer formats."""
    cdef uint64_t value, months
    cdef int width = (column.scale + 1) // 2, n
    cdef int64_t days = 0, packed
    if column.kind != TIME2 and micros_of(at + (4 if column.kind == TIMESTAMP2 else 5), column.scale) > 999999:
        return False
    if column.kind == TIMESTAMP2:
        to[0] = <int64_t>(big(at, 4) * 1000000 + micros_of(at + 4, column.scale))
        return True
    if column.kind == DATETIME2:
        value = big(at, 5)
        if value < 0x8000000000ULL:
            return False
        value -= 0x8000000000ULL
        months = value >> 22
        if not find_days(months // 13, months % 13, value >> 17 & 31, &days):
            return False
        to[0] = ((days * 24 + (value >> 12 & 31)) * 60 + (value >> 6 & 63)) * 60 + (value & 63)
        to[0] = to[0] * 1000000 + <int64_t>micros_of(at + 5, column.scale)
        return True
    packed = <int64_t>big(at, 3 + width) - (<int64_t>1 << (23 + 8 * width))
    value = <uint64_t>-packed if packed < 0 else <uint64_t>packed
    to[0] = <int64_t>(value & ((<uint64_t>1 << (8 * width)) - 1))
    for n in range(3 - width):
        to[0] *= 100
    if to[0] > 999999:
        return False
    value >>= 8 * width
    to[0] += <int64_t>(((value >> 12 & 0x3FF) * 60 + (value >> 6 & 63)) * 60 + (value & 63)) * 1000000
    if packed < 0:
        to[0] = -to[0]
    return True


cdef Py_ssize_t _put_magnitude(
    uint8_t* to, const uint8_t* digits, Py_ssize_t count, bint is_negative
) noexcept nogil:
    """Digits (as ASCII) as two's complement of as few bytes as hold it, big-endian; their number. ``to`` has room for half
    as many bytes as there are digits, and eight more.
    """
    cdef uint32_t limbs[MAX_LIMBS]
    cdef int limb_count = 0, n
    cdef uint64_t carry, part, unit
    cdef Py_ssize_t at = 0, size = 0, step, first = 0
    while at < count:
        step, part, unit = 0, 0, 1
        while step < 9 and at < count:
            part = part * 10 + digits[at] - 48
            unit *= 10
            at += 1
            step += 1
        carry = part
        for n in range(limb_count):
            carry += <uint64_t>limbs[n] * unit
            limbs[n] = <uint32_t>carry
            carry >>= 32
        if carry:
            limbs[limb_count] = <uint32_t>carry
            limb_count += 1
    to[0] = 0
    size = 1
    for n in range(limb_count - 1, -1, -1):
        to[size], to[size + 1] = limbs[n] >> 24, limbs[n] >> 16 & 255
        to[size + 2], to[size + 3] = limbs[n] >> 8 & 255, limbs[n] & 255
        size += 4
    if is_negative:
        carry = 1
        for at in range(size - 1, -1, -1):
            carry += <uint8_t>~to[at]
            to[at] = <uint8_t>carry
            carry >>= 8
    while first < size - 1 and (to[first] == 0 and to[first + 1] < 128 or to[first] == 255 and to[first + 1] > 127):
        first += 1
    memmove(to, to + first, size - first)
    return size - first


cdef Py_ssize_t find_unscaled(
    uint8_t* to, const uint8_t* at, Py_ssize_t size, int scale, int* own_scale
) noexcept nogil:
    """The bytes of plain digits times 10^``scale``; -1 to decline. ``own_scale``: the digits behind the point, which are the
    scale if ``scale`` is below 0. ``to`` has room for ``MAX_DECIMAL_DIGITS`` bytes.
    """
    cdef uint8_t digits[MAX_DECIMAL_DIGITS]
    cdef bint is_negative = size > 0 and at[0] == 45
    cdef bint has_point = False
    cdef Py_ssize_t n, count = 0
    cdef int behind = 0
    for n in range(1 if is_negative else 0, size):
        if at[n] == 46 and not has_point and n + 1 < size:
            has_point = True
            continue
        if not is_digit(at[n]) or count == MAX_DECIMAL_DIGITS:
            return -1
        if has_point and scale >= 0 and behind == scale:
            if at[n] != 48:
                return -1   # it does not fit
            continue
        behind += has_point
        digits[count] = at[n]
        count += 1
    if count == 0 and not has_point:
        return -1
    own_scale[0] = behind
    while behind < scale:
        if count == MAX_DECIMAL_DIGITS:
            return -1
        digits[count] = 48
        count += 1
        behind += 1
    return _put_magnitude(to, digits, count, is_negative)
