# Messages into librdkafka, whole blocks at a time and without the GIL.
#
# Reports come as events that the caller polls: no callback runs Python code on a thread of the library.

cdef enum:
    EVENT_LOG = 0x4
    EVENT_ERROR = 0x8
    EVENT_STATISTICS = 0x40
    ERROR_FATAL = -150
    ERROR_QUEUE_FULL = -184
    MAX_TOPICS = 1000   # handles that are kept


class KafkaRefusal(Exception):
    """librdkafka refused something. ``args``: the name of its error and its text.

    Attributes:
        is_retriable: Whether the same request may be made again; only requests about transactions say so.
    """

    is_retriable = False


cdef bytes _bytes_at(void* data, size_t size):
    return None if data == NULL else PyBytes_FromStringAndSize(<char*>data, size)


cdef class KafkaProducer:
    """A producer of librdkafka.

    Args:
        library: Path of the shared library.
        settings: librdkafka's own, all as text.

    Raises:
        OSError: The library is not one that can be used; says why.
        KafkaRefusal: A setting is wrong.
    """

    cdef void* _rk
    cdef void* _queue
    cdef dict _topics   # name to the address of its handle
    cdef dict _headers  # of all rows
    cdef void* _fixed   # the same; NULL if there are none

    def __cinit__(self, str library not None, dict settings not None):
        cdef char text[512]
        cdef void* conf
        cdef const char* missing
        cdef bytes path = library.encode(), name_bytes, value_bytes
        self._topics, self._headers = {}, {}
        missing = df_rk_load(path)
        if missing != NULL:
            raise OSError(f"{(<bytes>missing).decode()} is missing")
        _check_library()
        encoded = [(name.encode(), value.encode()) for name, value in {**settings, "log.queue": "true"}.items()]
        conf = df_rk.conf_new()
        for name_bytes, value_bytes in encoded:
            if df_rk.conf_set(conf, name_bytes, value_bytes, text, sizeof(text)) != 0:
                df_rk.conf_destroy(conf)
                raise KafkaRefusal("_INVALID_ARG", (<bytes><char*>text).decode("utf-8", "replace"))
        df_rk.conf_set_events(conf, EVENT_DELIVERY | EVENT_LOG | EVENT_ERROR | EVENT_STATISTICS)
        self._rk = df_rk.create(0, conf, text, sizeof(text))
        if self._rk == NULL:
            df_rk.conf_destroy(conf)
            raise KafkaRefusal("_INVALID_ARG", (<bytes><char*>text).decode("utf-8", "replace"))
        self._queue = df_rk.queue_get_main(self._rk)
        df_rk.set_log_queue(self._rk, NULL)   # NULL: the main queue

    def __dealloc__(self):
        self.close()

    def close(self):
        """Disconnect; what waits is thrown away. May be called twice; anything else then raises ``ValueError``."""
        if self._rk == NULL:
            return
        self._drop_topics()
        if self._fixed != NULL:
            df_rk.headers_destroy(self._fixed)
            self._fixed = NULL
        with nogil:
            df_rk.purge(self._rk, 7)   # queued, in flight, and without waiting
            df_rk.queue_destroy(self._queue)
            df_rk.destroy(self._rk)
        self._rk = NULL

    def __len__(self):
        return df_rk.outq_len(self._rk) if self._rk != NULL else 0

    cdef int _check(self, int timeout_ms=0) except -1:
        """Raise unless it is open, and the time limit is one: librdkafka takes those below 0 for no limit."""
        if self._rk == NULL:
            raise ValueError("the producer is closed")
        if timeout_ms < 0:
            raise ValueError(timeout_ms)
        return 0

    cdef void* _topic(self, str name) except NULL:
        cdef size_t address
        cdef void* topic
        cdef bytes name_bytes
        known = self._topics.get(name)
        if known is not None:
            address = known
            return <void*>address
        name_bytes = name.encode()
        topic = df_rk.topic_new(self._rk, name_bytes, NULL)
        if topic == NULL:
            raise self._refusal(df_rk.last_error())
        self._topics[name] = <size_t>topic
        return topic

    cdef _refusal(self, int error):
        cdef char text[512]
        text[0] = 0
        if error == ERROR_FATAL:
            error = df_rk.fatal_error(self._rk, text, sizeof(text))
        said = (<bytes><char*>text).decode("utf-8", "replace") or (<bytes>df_rk.err2str(error)).decode()
        return KafkaRefusal((<bytes>df_rk.err2name(error)).decode(), said)

    def fix_headers(self, dict headers not None):
        """Give every message of :meth:`produce_rows` these headers, before its own. To be called once."""
        cdef bytes name_bytes, text_bytes
        if not headers or self._fixed != NULL:
            return
        self._headers = headers
        self._fixed = df_rk.headers_new(len(headers))
        for name, text in headers.items():
            name_bytes, text_bytes = name.encode(), text.encode()
            df_rk.header_add(self._fixed, name_bytes, len(name_bytes), <const char*>text_bytes, len(text_bytes))

    def produce_rows(
        self, EncodedEvents values not None, Targets targets not None, Py_ssize_t start, Py_ssize_t stop
    ):
        """Hand messages over; the index of the first that found the queue full, or ``stop``.

        Raises:
            KafkaRefusal: A message can never be taken; its index is a third argument.
        """
        cdef Py_ssize_t event, index = start
        cdef int error = 0
        cdef int32_t number
        cdef void** topics
        self._check()
        if not 0 <= start <= stop <= values.count or (stop and values.owner(stop - 1) >= targets._count):
            raise IndexError(start)
        if len(self._topics) >= MAX_TOPICS:
            self._drop_topics()
        topics = <void**>calloc(targets._name_count + 1, sizeof(void*))
        if topics == NULL:
            raise MemoryError
        try:
            while index < stop and not error:
                event = values.owner(index)
                number = targets._targets[event].number
                topics[number] = self._topic(targets._name(number))
                headers = {**targets.headers(event), **values.headers(index)}
                if headers:
                    headers = {**self._headers, **headers}
                    key = targets.key(event)
                    key = values.key(index) if key is None else key
                    if not self.produce(targets._name(number), values[index], key, headers):
                        return index
                    index += 1
                    continue
                with nogil:
                    index = produce_known(values, targets, index, stop, topics, self._rk, self._fixed, &error)
            if error and error != ERROR_QUEUE_FULL:
                raise self._refusal(error)
            return index
        except KafkaRefusal as refusal:
            refusal.args = (*refusal.args, index)
            raise
        finally:
            free(topics)

    cdef _drop_topics(self):
        """Give the handles of topics back; messages that wait keep theirs."""
        cdef size_t address
        for address in self._topics.values():
            df_rk.topic_destroy(<void*>address)
        self._topics.clear()

    def produce(self, str topic not None, bytes value, bytes key, dict headers not None):
        """Hand one message over; False if the queue is full. Headers are text or bytes.

        Raises:
            KafkaRefusal: It can never be taken.
        """
        cdef void* rkt
        cdef void* list_of = NULL
        cdef int error
        cdef bytes name_bytes, text_bytes
        cdef void* value_at = NULL if value is None else <void*><char*>value
        cdef void* key_at = NULL if key is None else <void*><char*>key
        cdef size_t value_size = 0 if value is None else len(value), key_size = 0 if key is None else len(key)
        self._check()
        rkt = self._topic(topic)
        encoded = [
            (name.encode(), text if isinstance(text, bytes) else text.encode()) for name, text in headers.items()
        ]
        if encoded:
            list_of = df_rk.headers_new(len(encoded))
            for name_bytes, text_bytes in encoded:
                df_rk.header_add(list_of, name_bytes, len(name_bytes), <const char*>text_bytes, len(text_bytes))
            error = df_rk_with_headers(self._rk, rkt, value_at, value_size, key_at, key_size, list_of)
            if error:
                df_rk.headers_destroy(list_of)   # taken over only with the message
        else:
            error = df_rk.produce(rkt, -1, COPIED, value_at, value_size, key_at, key_size, NULL)
            if error:
                error = df_rk.last_error()
        if error and error != ERROR_QUEUE_FULL:
            raise self._refusal(error)
        return error == 0

    def flush(self, int timeout_ms):
        """Send without lingering, and wait for acknowledgements. Reports still have to be polled."""
        self._check(timeout_ms)
        with nogil:
            df_rk.flush(self._rk, timeout_ms)

    def purge(self):
        """Throw away what waits and what is in flight; each is reported."""
        self._check()
        df_rk.purge(self._rk, 3)

    def connect(self, int timeout_ms):
        """Ask any broker who the brokers are.

        Raises:
            KafkaRefusal: None answered in time.
        """
        self._ask_brokers(NULL, timeout_ms)

    def find_topic(self, str topic not None, int timeout_ms):
        """Ask for a topic, which brokers may create then.

        Raises:
            KafkaRefusal: It is not there (yet), or none answered in time.
        """
        self._check(timeout_ms)
        self._ask_brokers(self._topic(topic), timeout_ms)

    cdef _ask_brokers(self, void* rkt, int timeout_ms):
        cdef const df_metadata* found = NULL
        cdef int error
        self._check(timeout_ms)
        with nogil:
            error = df_rk.metadata(self._rk, 0, rkt, &found, timeout_ms)
        if not error:
            if rkt != NULL and found.topic_count:
                error = found.topics[0].err
            df_rk.metadata_destroy(found)
        if error:
            raise self._refusal(error)

    def init_transactions(self, int timeout_ms):
        """Fence older producers of the same ``transactional.id`` and end their transactions.

        Raises:
            KafkaRefusal: It failed, or takes longer; a retriable one goes on where it was.
        """
        cdef void* error
        self._check(timeout_ms)
        with nogil:
            error = df_rk.init_transactions(self._rk, timeout_ms)
        self._check_transaction(error)

    def begin_transaction(self):
        """What is produced from here on becomes visible with the commit.

        Raises:
            KafkaRefusal: A transaction is open, or the producer has failed.
        """
        cdef void* error
        self._check()
        with nogil:
            error = df_rk.begin_transaction(self._rk)
        self._check_transaction(error)

    def commit_transaction(self, int timeout_ms):
        """Commit; every message has to be acknowledged before.

        Raises:
            KafkaRefusal: It failed, or takes longer; a retriable one goes on where it was.
        """
        cdef void* error
        self._check(timeout_ms)
        with nogil:
            error = df_rk.commit_transaction(self._rk, timeout_ms)
        self._check_transaction(error)

    def abort_transaction(self, int timeout_ms):
        """Throw away what was produced since the transaction began.

        Raises:
            KafkaRefusal: It failed, or takes longer; a retriable one goes on where it was.
        """
        cdef void* error
        self._check(timeout_ms)
        with nogil:
            error = df_rk.abort_transaction(self._rk, timeout_ms)
        self._check_transaction(error)

    cdef _check_transaction(self, void* error):
        if error == NULL:
            return
        name = (<bytes>df_rk.err2name(df_rk.error_code(error))).decode()
        refusal = KafkaRefusal(name, (<bytes>df_rk.error_string(error)).decode("utf-8", "replace"))
        refusal.is_retriable = df_rk.error_is_retriable(error) != 0
        df_rk.error_destroy(error)
        raise refusal

    def poll(self, int timeout_ms):
        """Reports that have come, waiting at most ``timeout_ms`` for the first: pairs of kind and content.

        Kinds: ``delivery`` (error name, text, topic, key, value), ``error`` and ``fatal`` (error name, text),
        ``statistics`` (JSON), ``log`` (syslog level, text).
        """
        cdef void* event
        self._check(timeout_ms)
        reports = []
        while True:
            with nogil:
                event = df_rk.queue_poll(self._queue, timeout_ms)
            if event == NULL:
                return reports
            try:
                self._read(event, reports)
            finally:
                df_rk.event_destroy(event)
            timeout_ms = 0

    cdef _read(self, void* event, list reports):
        cdef int kind = df_rk.event_type(event), error, level = 0
        cdef const df_message* message
        cdef const char* facility = NULL
        cdef const char* text = NULL
        if kind == EVENT_DELIVERY:
            while True:
                message = df_rk.event_message_next(event)
                if message == NULL:
                    return
                if message.err:
                    topic = (<bytes>df_rk.topic_name(message.rkt)).decode("utf-8", "replace")
                    key, value = _bytes_at(message.key, message.key_len), _bytes_at(message.payload, message.len)
                    reports.append(("delivery", (*self._refusal(message.err).args, topic, key, value)))
        elif kind == EVENT_ERROR:
            error = df_rk.event_error(event)
            if error == ERROR_FATAL:
                reports.append(("fatal", self._refusal(error).args))
            else:
                said = (<bytes>df_rk.event_error_string(event)).decode("utf-8", "replace")
                reports.append(("error", ((<bytes>df_rk.err2name(error)).decode(), said)))
        elif kind == EVENT_STATISTICS:
            reports.append(("statistics", (<bytes>df_rk.event_stats(event)).decode()))
        elif kind == EVENT_LOG:
            if df_rk.event_log(event, &facility, &text, &level) == 0:
                reports.append(("log", (level, (<bytes>text).decode("utf-8", "replace"))))
