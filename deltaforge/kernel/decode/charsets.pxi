# Text of MySQL in character sets other than UTF-8, to JSON strings. The oracle is text_decoder in
# deltaforge/protocol/mysql/charsets.py, which the tables are made of.

cdef enum:
    SINGLES_BYTES = 1024   # 256 entries of 4 bytes


def _text_table(charset):
    """UTF-8 of each byte of a single-byte character set; None for others.

    Shape: 256 entries of 4 bytes, the number of bytes (0: not a character) and the bytes.
    """
    table = _singles(charset)
    if table is None or not table[4 * 97]:
        return None   # a letter is more than one byte
    decode = text_decoder(charset, "")
    # In a multi-byte set some pair of bytes is not what its two bytes are alone, or is not alone at all.
    for pair in (bytes((high, low)) for high in range(128, 256) for low in (0x40, 0xA1, 0xFE)):
        if _decoded_text(decode, pair) != _alone(table, pair):
            return None
    return table


@lru_cache(maxsize=None)
def _pair_table(charset):
    """UTF-8 of each byte and of each pair of bytes of a set with characters of one and two bytes.

    Shape: what ``_text_table`` gives, and 65,536 such entries by the two bytes: 0 where they are no character, or two.
    """
    decode = text_decoder(charset, "")
    singles = _singles(charset)
    pairs = bytearray(4 << 16)
    for high in range(128, 256):
        for low in range(256):
            pair = bytes((high, low))
            text = _decoded_text(decode, pair)
            if text is not None and text != _alone(singles, pair):
                raw = text.encode()
                if len(raw) > 3:
                    return None
                at = 4 * (high << 8 | low)
                pairs[at : at + 1 + len(raw)] = bytes((len(raw),)) + raw
    return singles + bytes(pairs)


def _singles(charset):
    decode = text_decoder(charset, "")
    table = bytearray(SINGLES_BYTES)
    for byte in range(256):
        raw = (_decoded_text(decode, bytes((byte,))) or "").encode()
        if len(raw) > 3:
            return None
        table[4 * byte : 4 * byte + 1 + len(raw)] = bytes((len(raw),)) + raw
    return bytes(table)


def _decoded_text(decode, raw):
    try:
        return decode(raw)
    except UnicodeDecodeError:
        return None


def _alone(table, pair):
    """The text of two bytes that are two characters; None if one of them is none."""
    parts = [table[4 * byte + 1 : 4 * byte + 1 + table[4 * byte]].decode() for byte in pair]
    return "".join(parts) if all(parts) else None


cdef inline void _put_entry(Output* out, const uint8_t* entry) noexcept nogil:
    if entry[0] == 1 and (entry[1] < 0x20 or entry[1] == 34 or entry[1] == 92):
        _put_escaped(out, entry[1])
    else:
        put(out, entry + 1, entry[0])


cdef bint put_pair_text(Output* out, const uint8_t* at, Py_ssize_t length, const uint8_t* table) noexcept nogil:
    """Text in a set of ``_pair_table``. False to decline: there is a character of more bytes, or none."""
    cdef const uint8_t* end = at + length
    cdef const uint8_t* entry
    put_byte(out, 34)
    while at < end:
        if at[0] >= 0x80 and end - at >= 2:
            entry = table + SINGLES_BYTES + 4 * (<Py_ssize_t>at[0] << 8 | at[1])
            if entry[0]:
                _put_entry(out, entry)
                at += 2
                continue
        entry = table + 4 * at[0]
        if entry[0] == 0:
            return False
        _put_entry(out, entry)
        at += 1
    put_byte(out, 34)
    return True


cdef bint put_wide_text(Output* out, const uint8_t* at, Py_ssize_t length, int width, bint is_little) noexcept nogil:
    """Text in UTF-16 (``width`` 2) or UTF-32 in big endian. False to decline: it is no text."""
    cdef const uint8_t* end = at + length
    cdef uint32_t code, low
    if length % width:
        return False
    put_byte(out, 34)
    while at < end:
        code = <uint32_t>(little(at, width) if is_little else big(at, width))
        at += width
        if width == 2 and 0xD800 <= code < 0xDC00 and at < end:
            low = <uint32_t>(little(at, 2) if is_little else big(at, 2))
            if not 0xDC00 <= low < 0xE000:
                return False
            code = 0x10000 + ((code - 0xD800) << 10) + low - 0xDC00
            at += 2
        if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
            return False
        _put_character(out, code)
    put_byte(out, 34)
    return True
