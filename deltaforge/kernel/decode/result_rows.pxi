# Rows of a result of MySQL in the binary protocol to row images of the log. The oracle is RowImages in
# deltaforge/protocol/mysql/result_rows.py, which is left all that is not plain.

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

cdef enum ResultForm:
    # As Form in result_rows.py
    AS_IT_STANDS, AS_SINGLE, AS_DOUBLE, AS_SHORTER, AS_YEAR, AS_DECIMAL, AS_BITS
    AS_DATE, AS_DATETIME, AS_TIMESTAMP, AS_TIME, AS_BYTES


cdef enum:
    MOST_OF_A_NUMBER = 32   # bytes of an image's value that is not bytes: a decimal of 65 digits has 30
    LONGEST_PACKET = 0xFFFFFF


cdef struct ResultColumn:
    ResultForm form
    int size
    int width
    int precision
    int scale
    bint is_signed


cdef bint _is_possible(ResultColumn* column) noexcept:
    if not 0 <= <int>column.form <= AS_BYTES:
        return False
    if column.form <= AS_DOUBLE:
        return 1 <= column.size == column.width <= 8
    if column.form == AS_SHORTER:
        return 1 <= column.width < column.size <= 8
    if column.form == AS_DECIMAL:
        return 0 <= column.scale <= column.precision <= 65 and column.precision
    if column.form == AS_BITS:
        return 1 <= column.width <= 8
    if column.form == AS_BYTES:
        return 1 <= column.width <= 4
    return column.form <= AS_TIME and 0 <= column.scale <= 6


cdef inline Py_ssize_t _packed_length(const uint8_t** at, const uint8_t* end) noexcept nogil:
    """A length; moves ``at`` behind it. -1 if it is broken, or its bytes are not all there."""
    cdef const uint8_t* begin = at[0]
    cdef Py_ssize_t length
    cdef int width
    if begin >= end or begin[0] == 251 or begin[0] == 255:
        return -1
    if begin[0] < 251:
        at[0] += 1
        length = begin[0]
    else:
        width = 8 if begin[0] == 254 else begin[0] - 250
        if end - begin <= width:
            return -1
        at[0] += 1 + width
        length = <Py_ssize_t>little(begin + 1, width)
    return length if 0 <= length <= end - at[0] else -1


cdef inline void _write_big(uint8_t** to, uint64_t value, int width) noexcept nogil:
    cdef int n
    for n in range(width):
        to[0][n] = <uint8_t>(value >> (8 * (width - 1 - n)))
    to[0] += width


cdef inline void _write_little(uint8_t** to, uint64_t value, int width) noexcept nogil:
    cdef int n
    for n in range(width):
        to[0][n] = <uint8_t>(value >> (8 * n))
    to[0] += width


cdef bint _pack_decimal(uint8_t** to, const uint8_t* at, Py_ssize_t length, int precision, int scale) noexcept nogil:
    """See ``pack_decimal`` in numbers.py."""
    cdef const uint8_t* end = at + length
    cdef uint8_t* first = to[0]
    cdef uint8_t invert = 0
    cdef int whole = precision - scale, count = 0, place, left
    cdef uint64_t value = 0
    if at < end and at[0] == 45:
        invert, at = 0xFF, at + 1
    while at < end and at[0] == 48:
        at += 1
    while at + count < end and at[count] != 46:
        count += 1
    if count > whole or end - at - count != (scale + 1 if scale else 0):
        return False
    left = whole
    at -= whole - count   # its first digits are zeros that do not stand there
    for place in range(whole):
        value *= 10
        if place >= whole - count:
            if not is_digit(at[place]):
                return False
            value += at[place] - 48
        left -= 1
        if left % 9 == 0:
            _write_big(to, value, _DIGIT_BYTES[whole % 9 if whole % 9 and left == whole - whole % 9 else 9])
            value = 0
    at += whole + 1
    for place in range(scale):
        if not is_digit(at[place]):
            return False
        value = value * 10 + at[place] - 48
        if place % 9 == 8 or place == scale - 1:
            _write_big(to, value, _DIGIT_BYTES[place % 9 + 1])
            value = 0
    if invert:
        for place in range(to[0] - first):
            first[place] ^= 0xFF
    first[0] ^= 0x80
    return True


cdef bint _put_fraction(uint8_t** to, uint64_t micros, int scale) noexcept nogil:
    cdef int width = (scale + 1) // 2
    cdef uint64_t unit = 1000000 if width == 0 else 10000 if width == 1 else 100 if width == 2 else 1
    if micros > 999999 or micros % unit:
        return False
    _write_big(to, micros // unit, width)
    return True


cdef bint _put_result_date(uint8_t** to, const uint8_t* at, int length, ResultColumn* column) noexcept nogil:
    """Every date and time of day, of whose parts the last ones may be missing."""
    cdef uint64_t year = 0, month = 0, day = 0, hours = 0, minutes = 0, seconds = 0, micros = 0
    cdef int64_t days
    if length != 0 and length != 4 and (length != 7 and length != 11 or column.form == AS_DATE):
        return False
    if length:
        year, month, day = little(at, 2), at[2], at[3]
    if length > 4:
        hours, minutes, seconds = at[4], at[5], at[6]
    if length > 7:
        micros = little(at + 7, 4)
    if year > 9999 or month > 12 or day > 31 or hours > 23 or minutes > 59 or seconds > 59:
        return False
    if column.form == AS_DATE:
        _write_little(to, year << 9 | month << 5 | day, 3)
        return True
    if column.form == AS_DATETIME:
        _write_big(to, 0x8000000000ULL + (((year * 13 + month) << 5 | day) << 17 | hours << 12 | minutes << 6 | seconds), 5)
        return _put_fraction(to, micros, column.scale)
    days = 0
    if year:
        if year < 1970 or month == 0 or day == 0:
            return False
        if month > 2:
            month -= 3
        else:
            year, month = year - 1, month + 9
        days = year * 365 + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1 - 719468
    elif month or day or hours or minutes or seconds:
        return False
    seconds += days * 86400 + hours * 3600 + minutes * 60
    if seconds >> 32:
        return False
    _write_big(to, seconds, 4)
    return _put_fraction(to, micros, column.scale)


cdef bint _put_result_time(uint8_t** to, const uint8_t* at, int length, int scale) noexcept nogil:
    cdef int width = (scale + 1) // 2
    cdef uint64_t hours = 0, minutes = 0, seconds = 0, micros = 0
    cdef uint8_t* fraction
    cdef int64_t packed
    cdef bint is_negative = False
    if length != 0 and length != 8 and length != 12:
        return False
    if length:
        if at[0] > 1:
            return False
        is_negative, hours, minutes, seconds = at[0], little(at + 1, 4) * 24 + at[5], at[6], at[7]
    if length > 8:
        micros = little(at + 8, 4)
    if hours > 838 or minutes > 59 or seconds > 59:
        return False
    fraction = to[0]
    if not _put_fraction(to, micros, scale):
        return False
    packed = <int64_t>((hours << 12 | minutes << 6 | seconds) << (8 * width) | big(fraction, width))
    to[0] = fraction
    _write_big(to, <uint64_t>((<int64_t>1 << (23 + 8 * width)) + (-packed if is_negative else packed)), 3 + width)
    return True


cdef bint _put_number(uint8_t** to, const uint8_t* at, ResultColumn* column) noexcept nogil:
    """A value of ``size`` bytes that are not as in the image."""
    cdef uint64_t value = little(at, column.size)
    if column.form == AS_YEAR:
        if value and not 1901 <= value <= 2155:
            return False
        to[0][0] = <uint8_t>(value - 1900 if value else 0)
        to[0] += 1
        return True
    if column.is_signed:
        if extended(value, column.width) != extended(value, column.size):
            return False
    elif value >> (8 * column.width):
        return False
    _write_little(to, value, column.width)
    return True


cdef const uint8_t* _put_result_value(
    uint8_t** to, const uint8_t* at, const uint8_t* end, ResultColumn* column
) noexcept nogil:
    """One value; the end of it, or NULL to decline."""
    cdef Py_ssize_t length
    if column.form <= AS_YEAR:
        if end - at < column.size:
            return NULL
        if column.form <= AS_DOUBLE:
            memcpy(to[0], at, column.size)
            to[0] += column.size
        elif not _put_number(to, at, column):
            return NULL
        return at + column.size
    length = _packed_length(&at, end)
    if length < 0:
        return NULL
    if column.form == AS_BYTES:
        if length >> (8 * column.width):
            return NULL
        _write_little(to, length, column.width)
        memcpy(to[0], at, length)
        to[0] += length
    elif column.form == AS_DECIMAL:
        if not _pack_decimal(to, at, length, column.precision, column.scale):
            return NULL
    elif column.form == AS_BITS:
        if length != column.width:
            return NULL
        memcpy(to[0], at, length)
        to[0] += length
    elif length > 12:
        return NULL
    elif column.form == AS_TIME:
        if not _put_result_time(to, at, length, column.scale):
            return NULL
    elif not _put_result_date(to, at, length, column):
        return NULL
    return at + length


@cython.no_gc
cdef class ResultRows:
    """The images of the rows of a result so far: see ``ResultRows`` in deltaforge/kernel/backend.py.

    Args:
        columns: Those of the result, as ``result_columns`` gives them.
    """

    cdef ResultColumn* _columns
    cdef int _count
    cdef Output _images
    cdef readonly Py_ssize_t row_count
    cdef bint _is_busy     # in another thread

    def __cinit__(self, columns):
        cdef list found = list(columns)
        cdef ResultColumn* column
        cdef int n
        self._columns = <ResultColumn*>calloc(max(len(found), 1), sizeof(ResultColumn))
        if self._columns == NULL:
            raise MemoryError
        for n in range(len(found)):
            column, item = &self._columns[n], found[n]
            column.form = <ResultForm><int>item.form
            column.size, column.width = item.size, item.width
            column.precision, column.scale, column.is_signed = item.precision, item.scale, item.is_signed
            if column.form == AS_YEAR:
                column.size = 2
            if not _is_possible(column):
                raise ValueError("a column of a result of impossible size")
        self._count = len(found)

    def __dealloc__(self):
        free(self._columns)
        free(self._images.data)

    @property
    def byte_count(self):
        return self._images.size

    def take(self, buffer, Py_ssize_t at, Py_ssize_t size, Py_ssize_t room):
        """Take the plain row packets in ``buffer[at:size]`` until the images have ``room`` bytes: where the first packet
        begins that was not taken, and where the last one that was; -1 if none was.
        """
        cdef Py_buffer view
        cdef Py_ssize_t last = -1
        PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
        try:
            if not 0 <= at <= size <= view.len:
                raise IndexError(at)
            if self._is_busy:
                raise ValueError("the rows are taken by another thread")
            self._is_busy = True
            with nogil:
                at = self._take(<const uint8_t*>view.buf, at, size, room, &last)
            self._is_busy = False
        finally:
            PyBuffer_Release(&view)
        if self._images.is_exhausted:
            raise MemoryError
        return at, last

    cdef Py_ssize_t _take(
        self, const uint8_t* data, Py_ssize_t at, Py_ssize_t size, Py_ssize_t room, Py_ssize_t* last
    ) noexcept nogil:
        cdef Py_ssize_t length
        if room > 0:
            reserve(&self._images, min(size - at + size // 8, room))
        while size - at >= 5 and self._images.size < room:
            length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            if length == LONGEST_PACKET or size - at - 4 < length or not self._put_row(data + at + 4, length):
                break
            last[0] = at
            at += 4 + length
        return at

    cdef bint _put_row(self, const uint8_t* row, Py_ssize_t length) noexcept nogil:
        """The image of a row packet. False to decline; nothing has been written then."""
        cdef const uint8_t* end = row + length
        cdef const uint8_t* nulls = row + 1
        cdef const uint8_t* at
        cdef uint8_t* to
        cdef Py_ssize_t bitmap = (self._count + 7) // 8
        cdef int n
        if length < 1 + (self._count + 9) // 8 or row[0] != 0:
            return False
        if not reserve(&self._images, length + bitmap + self._count * MOST_OF_A_NUMBER):
            return False
        to = self._images.data + self._images.size
        memset(to, 0, bitmap)
        for n in range(self._count):
            to[n >> 3] |= (nulls[(n + 2) >> 3] >> ((n + 2) & 7) & 1) << (n & 7)
        nulls, to = to, to + bitmap
        at = row + 1 + (self._count + 9) // 8
        for n in range(self._count):
            if not nulls[n >> 3] >> (n & 7) & 1:
                at = _put_result_value(&to, at, end, &self._columns[n])
                if at == NULL:
                    return False
        if at != end:
            return False
        self._images.size = to - self._images.data
        self.row_count += 1
        return True

    def put(self, bytes image not None):
        """Add the image of a row that was not taken."""
        if self._is_busy:
            raise ValueError("the rows are taken by another thread")
        put(&self._images, <const char*>image, len(image))
        if self._images.is_exhausted:
            raise MemoryError
        self.row_count += 1

    def images(self):
        """The images, one behind the other; none are left here."""
        if self._is_busy:
            raise ValueError("the rows are taken by another thread")
        found = PyBytes_FromStringAndSize(<const char*>self._images.data, self._images.size)
        self._images.size = self.row_count = 0
        return found
