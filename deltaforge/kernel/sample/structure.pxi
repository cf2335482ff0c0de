# Structure hashes and row signatures, from JSON text. The specification is deltaforge/sensing/structure.py.

cdef enum:
    SHAPE_NULL = 1
    SHAPE_BOOLEAN = 2
    SHAPE_INTEGER = 3
    SHAPE_NUMBER = 4
    SHAPE_STRING = 5
    SHAPE_ARRAY = 7
    SHAPE_OBJECT = 8
    SHAPE_OPAQUE = 9
    NOT_HASHED = 0
    ABSENT = 1
    MAX_NESTING = 512      # deeper values are left to Python, which looks at them
    MAX_DISTINCT = 16


cdef struct Sensed:
    # How a column is sensed.
    uint64_t name_hash
    int place              # among the asked columns; -1: it is not asked for


cdef inline uint64_t mix64(uint64_t x) noexcept nogil:
    x = (x ^ x >> 30) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ x >> 27) * <uint64_t>0x94D049BB133111EB
    return x ^ x >> 31


cdef inline uint64_t name_hash(const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef uint64_t found = <uint64_t>0xCBF29CE484222325
    while at < end:
        found = (found ^ at[0]) * <uint64_t>0x100000001B3
        at += 1
    return found


cdef const uint8_t* string_end(const uint8_t* at, const uint8_t* end, bint* has_escape) noexcept nogil:
    """The closing quote of the string whose text begins at ``at``; NULL if there is none."""
    cdef const uint8_t* quote = <const uint8_t*>memchr(at, 34, end - at)
    if quote == NULL or memchr(at, 92, quote - at) == NULL:
        return quote
    has_escape[0] = True
    while at < end and at[0] != 34:
        at += 2 if at[0] == 92 else 1
    return at if at < end else NULL


cdef const uint8_t* number_end(const uint8_t* at, const uint8_t* end, int* kind) noexcept nogil:
    cdef const uint8_t* begin = at
    kind[0] = SHAPE_INTEGER
    while at < end and (48 <= at[0] <= 57 or at[0] in (43, 45, 46, 69, 101)):
        if at[0] in (46, 69, 101):
            kind[0] = SHAPE_NUMBER
        at += 1
    if at - begin > 18 and kind[0] == SHAPE_INTEGER and not fits_64_bits(begin, at):
        kind[0] = SHAPE_NUMBER   # read as a decimal: see parse_json_exact
    return at if at > begin else NULL


cdef bint fits_64_bits(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Whether an integer is one of int64 or uint64."""
    cdef bint is_negative = at[0] == 45
    cdef uint64_t value = 0, limit = <uint64_t>1 << 63 if is_negative else ~<uint64_t>0
    cdef int digit
    at += is_negative
    while at < end:
        digit = at[0] - 48
        if value > (limit - digit) // 10:
            return False
        value = value * 10 + digit
        at += 1
    return True


cdef const uint8_t* skip_json(const uint8_t* at, const uint8_t* end, int* kind) noexcept nogil:
    """The end of a value and what it is; NULL if it has none."""
    cdef Py_ssize_t depth = 0
    cdef bint has_escape = False
    cdef Py_ssize_t length
    if at >= end:
        return NULL
    if at[0] == 34:
        kind[0] = SHAPE_STRING
        at = string_end(at + 1, end, &has_escape)
        if at == NULL:
            return NULL
        return at + 1
    if at[0] == 110 or at[0] == 116 or at[0] == 102:   # null, true, false
        kind[0] = SHAPE_NULL if at[0] == 110 else SHAPE_BOOLEAN
        length = 5 if at[0] == 102 else 4
        if end - at < length:
            return NULL
        return at + length
    if at[0] != 123 and at[0] != 91:
        return number_end(at, end, kind)
    kind[0] = SHAPE_OBJECT if at[0] == 123 else SHAPE_ARRAY
    while at < end:
        if at[0] == 34:
            at = string_end(at + 1, end, &has_escape)
            if at == NULL:
                return NULL
        elif at[0] == 123 or at[0] == 91:
            depth += 1
        elif at[0] == 125 or at[0] == 93:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return NULL


cdef const uint8_t* structure_of(
    const uint8_t* at, const uint8_t* end, int depth_left, int nesting, uint64_t* found, bint* is_hashed
) noexcept nogil:
    """The end of a value and the hash of its structure; NULL if the text is not as it should be."""
    cdef int kind = SHAPE_OPAQUE
    if at >= end:
        return NULL
    if at[0] != 123 and at[0] != 91:
        at = skip_json(at, end, &kind)
        found[0] = mix64(kind)
        return at
    if depth_left <= 0 or nesting >= MAX_NESTING:
        is_hashed[0] = is_hashed[0] and depth_left <= 0
        found[0] = mix64(SHAPE_OPAQUE)
        return skip_json(at, end, &kind)
    if at[0] == 123:
        return object_structure(at + 1, end, depth_left - 1, nesting + 1, found, is_hashed)
    return array_structure(at + 1, end, depth_left - 1, nesting + 1, found, is_hashed)


cdef const uint8_t* object_structure(
    const uint8_t* at, const uint8_t* end, int depth_left, int nesting, uint64_t* found, bint* is_hashed
) noexcept nogil:
    cdef uint64_t total = SHAPE_OBJECT, inner = 0
    cdef const uint8_t* name
    cdef const uint8_t* name_stop
    cdef bint has_escape = False
    if at < end and at[0] == 125:
        found[0] = mix64(total)
        return at + 1
    while at < end and at[0] == 34:
        name = at + 1
        name_stop = string_end(name, end, &has_escape)
        if name_stop == NULL or end - name_stop < 3 or name_stop[1] != 58:
            return NULL
        at = structure_of(name_stop + 2, end, depth_left, nesting, &inner, is_hashed)
        if at == NULL or at >= end:
            return NULL
        total += mix64(name_hash(name, name_stop) ^ (inner * 3))
        if at[0] == 125:
            is_hashed[0] = is_hashed[0] and not has_escape
            found[0] = mix64(total)
            return at + 1
        if at[0] != 44:
            return NULL
        at += 1
    return NULL


cdef const uint8_t* array_structure(
    const uint8_t* at, const uint8_t* end, int depth_left, int nesting, uint64_t* found, bint* is_hashed
) noexcept nogil:
    cdef uint64_t total = SHAPE_ARRAY, inner = 0, lowest = ~<uint64_t>0, highest = 0
    cdef uint64_t distinct[MAX_DISTINCT]
    cdef int count = 0, n
    cdef bint is_cut = False
    if at < end and at[0] == 93:
        found[0] = mix64(total)
        return at + 1
    while at < end:
        at = structure_of(at, end, depth_left, nesting, &inner, is_hashed)
        if at == NULL or at >= end:
            return NULL
        lowest, highest = min(lowest, inner), max(highest, inner)
        n = 0
        while n < count and distinct[n] != inner:
            n += 1
        if n == count and count < MAX_DISTINCT:
            distinct[count] = inner
            total += mix64(inner)
            count += 1
        elif n == count:
            is_cut = True
        if at[0] == 93:
            if is_cut:
                total += lowest * 5 + highest * 7
            found[0] = mix64(total)
            return at + 1
        if at[0] != 44:
            return NULL
        at += 1
    return NULL


cdef inline uint64_t at_least_2(uint64_t found) noexcept nogil:
    return found if found > ABSENT else 2


cdef bint hash_row(
    const uint8_t* at, const uint8_t* end, Layout* layout, Sensed* columns, int asked_count, int max_depth,
    uint64_t* hashes
) noexcept nogil:
    """Signature and structures of a row image: ``hashes`` has the signature, then one for each asked column."""
    cdef uint64_t total = 0
    cdef const uint8_t* value
    cdef Column* column
    cdef uint64_t* found
    cdef bint is_hashed
    cdef int n, kind = 0
    for n in range(asked_count):
        hashes[1 + n] = ABSENT
    at += 2 if end - at == 2 else 1   # {} has no column
    for n in range(layout.count):
        column = &layout.columns[n]
        if end - at < column.name_length or memcmp(column.name, at, column.name_length) != 0:
            continue   # not in a partial image
        value = at + column.name_length
        at = skip_json(value, end, &kind)
        if at == NULL or at >= end:
            return False
        total += mix64(columns[n].name_hash ^ <uint64_t>(kind * 3))
        if kind != SHAPE_NULL and columns[n].place >= 0:
            found = &hashes[1 + columns[n].place]
            is_hashed = True
            if structure_of(value, end, max_depth, 0, found, &is_hashed) == NULL or not is_hashed:
                found[0] = NOT_HASHED
            else:
                found[0] = at_least_2(found[0])
        at += 1
    hashes[0] = at_least_2(mix64(total))
    return at == end
