# Labels of enums, and values that not everybody may read. The oracles are deltaforge/records/values.py and masking.py.

cdef inline bint _is_of_text(int form) noexcept nogil:
    """Whether a form makes texts."""
    return (
        form == FORM_TEXT or form == FORM_JSON_TEXT or form == FORM_NUMBER_TEXT or form == FORM_ZONED_TEXT
        or form == FORM_ZONED_TIME or form == FORM_UUID_TEXT or FORM_BASE64 <= form <= FORM_ISO_INTERVAL
    )


cdef bint _find_whole(RecordScratch* scratch, RecordValue* value, Text* to, Taken* taken) noexcept nogil:
    """The text or bytes before they are hashed or cut. False: nothing was put, and ``taken`` says why."""
    cdef RecordValue before = value[0]
    cdef Output* whole = &scratch.whole
    cdef Py_ssize_t at = 0
    cdef int form
    taken[0] = LEFT
    if value.form.items == NULL:
        return False
    form = value.form.items.form
    if value.form.form == FORM_CUT_BYTES:
        if form != FORM_BYTES and form != FORM_TEXT_BYTES:
            return False
    elif not _is_of_text(form):
        return False
    before.form, before.is_json = value.form.items, False
    whole.size = 0
    taken[0] = put_record_value(whole, scratch, &before)
    if taken[0] != TAKEN or whole.is_exhausted:
        return False
    while whole.data[at] & 128:   # the length
        at += 1
    to[0] = Text(<const char*>whole.data + at + 1, whole.size - at - 1)
    return True


cdef Taken put_treated(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """A text or bytes, hashed or cut."""
    cdef RecordForm* form = value.form
    cdef uint8_t digest[MAX_DIGEST]
    cdef uint8_t digits[2 * MAX_DIGEST]
    cdef Output* salted = &scratch.plain
    cdef Taken taken
    cdef Text text
    cdef int n
    if not _find_whole(scratch, value, &text, &taken):
        return taken
    if form.form == FORM_CUT_BYTES:
        put_raw(out, text.data, min(text.size, <Py_ssize_t>form.size), 0, value.is_json)
        return TAKEN
    if form.form == FORM_CUT_TEXT:
        text.size = cut_size(<const uint8_t*>text.data, text.size, form.size)
        if not is_utf8(<const uint8_t*>text.data, text.size):
            return LEFT
        put_string(out, text.data, text.size, value.is_json)
        return TAKEN
    salted.size = 0
    put_part(salted, &form.text)
    if form.scale:
        put_serialized(salted, <const uint8_t*>text.data, text.size)
    else:
        put_part(salted, &text)
    if salted.is_exhausted:
        return LEFT
    df_hash(form.hash_kind, form.digest_size, salted.data, salted.size, digest)
    for n in range(form.digest_size):
        digits[2 * n], digits[2 * n + 1] = _HEX[digest[n] >> 4], _HEX[digest[n] & 15]
    n = 2 * form.digest_size
    put_string(out, digits, min(n, form.size) if form.size else n, value.is_json)
    return TAKEN


cdef bint put_label(Output* out, RecordScratch* scratch, RecordValue* value) noexcept nogil:
    """The place of a label among those of its type. False to decline: it is none of them."""
    cdef Text label
    cdef int n
    if not find_plain(scratch, value, &label):
        return False
    for n in range(value.form.label_count):
        if value.form.labels[n].size == label.size and memcmp(value.form.labels[n].data, label.data, label.size) == 0:
            if value.is_json:
                put_int(out, n)
            else:
                put_long(out, n)
            return True
    return False
