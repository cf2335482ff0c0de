# Whether the library is what ``functions.pxi`` says.

cdef enum:
    EVENT_DELIVERY = 0x1
    ERROR_PURGED = -152
    SUPPORTED_MAJOR = 2
    CHECK_MS = 5000


cdef bint _is_checked = False


cdef _check_library():
    """Try out that the library is what ``functions.pxi`` says: nothing else would tell before a value is read wrongly.
    A message that is thrown away at once comes back as it was handed over; no broker is asked.

    Raises:
        OSError: It is not.
    """
    global _is_checked
    cdef void* rk
    cdef void* queue
    cdef void* rkt
    cdef void* event = NULL
    cdef const df_message* message = NULL
    cdef void* conf
    cdef char text[512]
    cdef bint is_same = False
    cdef int version = df_rk.version()
    if _is_checked:
        return
    if version >> 24 != SUPPORTED_MAJOR:
        raise OSError(f"it is version {version >> 24}, not {SUPPORTED_MAJOR}")
    conf = df_rk.conf_new()
    df_rk.conf_set(conf, b"log_level", b"0", text, sizeof(text))
    df_rk.conf_set_events(conf, EVENT_DELIVERY)
    rk = df_rk.create(0, conf, text, sizeof(text))
    if rk == NULL:
        df_rk.conf_destroy(conf)
        raise OSError("it makes no producer")
    with nogil:
        queue = df_rk.queue_get_main(rk)
        rkt = df_rk.topic_new(rk, b"deltaforge", NULL)
        if df_rk.produce(rkt, -1, COPIED, <void*><char*>b"value", 5, b"key", 3, &_is_checked) == 0:
            df_rk.purge(rk, 1)   # what is queued
            event = df_rk.queue_poll(queue, CHECK_MS)
        if event != NULL and df_rk.event_type(event) == EVENT_DELIVERY:
            message = df_rk.event_message_next(event)
        if message != NULL and message.err == ERROR_PURGED and message.rkt == rkt and message.partition == -1:
            if message.len == 5 and message.key_len == 3 and message.opaque == &_is_checked:
                is_same = memcmp(message.payload, b"value", 5) == 0 and memcmp(message.key, b"key", 3) == 0
        if event != NULL:
            df_rk.event_destroy(event)
        df_rk.topic_destroy(rkt)
        df_rk.queue_destroy(queue)
        df_rk.destroy(rk)
    if not is_same:
        raise OSError("a message that was handed over did not come back as it was")
    _is_checked = True
