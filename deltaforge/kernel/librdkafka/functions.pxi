# The functions of librdkafka. The library is the one that confluent-kafka brings along: it is opened by path, and its
# functions are looked up by name.

cdef extern from *:
    """
    #include <dlfcn.h>
    typedef struct { int err; void* rkt; int32_t partition; void* payload; size_t len;
                     void* key; size_t key_len; int64_t offset; void* opaque; } df_message;
    typedef struct { char* topic; int partition_count; void* partitions; int err; } df_topic;
    typedef struct { int broker_count; void* brokers; int topic_count; df_topic* topics; } df_metadata;
    // No header comes with that library. Where one is installed, the compiler says whether it has what stands here;
    // what the library itself has is tried out before the first message: see _check_library.
    #if __has_include(<librdkafka/rdkafka.h>)
    #include <librdkafka/rdkafka.h>
    #define DF_SAME(ours, our_field, theirs, their_field) \\
        static_assert(offsetof(ours, our_field) == offsetof(theirs, their_field) && \\
            sizeof(ours::our_field) == sizeof(theirs::their_field), #theirs "." #their_field)
    DF_SAME(df_message, err, rd_kafka_message_t, err);
    DF_SAME(df_message, rkt, rd_kafka_message_t, rkt);
    DF_SAME(df_message, partition, rd_kafka_message_t, partition);
    DF_SAME(df_message, payload, rd_kafka_message_t, payload);
    DF_SAME(df_message, len, rd_kafka_message_t, len);
    DF_SAME(df_message, key, rd_kafka_message_t, key);
    DF_SAME(df_message, key_len, rd_kafka_message_t, key_len);
    DF_SAME(df_message, offset, rd_kafka_message_t, offset);
    DF_SAME(df_message, opaque, rd_kafka_message_t, _private);
    DF_SAME(df_topic, topic, rd_kafka_metadata_topic_t, topic);
    DF_SAME(df_topic, err, rd_kafka_metadata_topic_t, err);
    DF_SAME(df_metadata, topic_count, rd_kafka_metadata_t, topic_cnt);
    DF_SAME(df_metadata, topics, rd_kafka_metadata_t, topics);
    static_assert(sizeof(df_topic) == sizeof(rd_kafka_metadata_topic_t), "rd_kafka_metadata_topic_t");
    static_assert(RD_KAFKA_VTYPE_END == 0 && RD_KAFKA_VTYPE_RKT == 2 && RD_KAFKA_VTYPE_VALUE == 4 &&
        RD_KAFKA_VTYPE_KEY == 5 && RD_KAFKA_VTYPE_MSGFLAGS == 7 && RD_KAFKA_VTYPE_HEADERS == 10, "rd_kafka_vtype_t");
    static_assert(RD_KAFKA_EVENT_DR == 1 && RD_KAFKA_EVENT_LOG == 4 && RD_KAFKA_EVENT_ERROR == 8 &&
        RD_KAFKA_EVENT_STATS == 64, "rd_kafka_event_type_t");
    static_assert(RD_KAFKA_RESP_ERR__FATAL == -150 && RD_KAFKA_RESP_ERR__PURGE_QUEUE == -152 &&
        RD_KAFKA_RESP_ERR__QUEUE_FULL == -184, "rd_kafka_resp_err_t");
    static_assert(RD_KAFKA_MSG_F_COPY == 2 && RD_KAFKA_PURGE_F_QUEUE == 1 && RD_KAFKA_PURGE_F_INFLIGHT == 2 &&
        RD_KAFKA_PURGE_F_NON_BLOCKING == 4 && RD_KAFKA_PRODUCER == 0, "flags");
    #undef DF_SAME
    #endif
    static struct {
        int (*version)(void);
        void* (*conf_new)(void);
        void (*conf_destroy)(void*);
        int (*conf_set)(void*, const char*, const char*, char*, size_t);
        void (*conf_set_events)(void*, int);
        void* (*create)(int, void*, char*, size_t);
        void (*destroy)(void*);
        void* (*topic_new)(void*, const char*, void*);
        void (*topic_destroy)(void*);
        const char* (*topic_name)(const void*);
        int (*produce)(void*, int32_t, int, void*, size_t, const void*, size_t, void*);
        int (*producev)(void*, ...);
        void* (*headers_new)(size_t);
        int (*header_add)(void*, const char*, ssize_t, const void*, ssize_t);
        void* (*headers_copy)(const void*);
        void (*headers_destroy)(void*);
        int (*flush)(void*, int);
        int (*purge)(void*, int);
        int (*outq_len)(void*);
        int (*metadata)(void*, int, void*, const df_metadata**, int);
        void (*metadata_destroy)(const df_metadata*);
        void* (*queue_get_main)(void*);
        void (*queue_destroy)(void*);
        void* (*queue_poll)(void*, int);
        int (*event_type)(const void*);
        int (*event_error)(void*);
        const char* (*event_error_string)(void*);
        const char* (*event_stats)(void*);
        const df_message* (*event_message_next)(void*);
        int (*event_log)(void*, const char**, const char**, int*);
        void (*event_destroy)(void*);
        int (*set_log_queue)(void*, void*);
        int (*fatal_error)(void*, char*, size_t);
        int (*last_error)(void);
        const char* (*err2name)(int);
        const char* (*err2str)(int);
        void* (*init_transactions)(void*, int);
        void* (*begin_transaction)(void*);
        void* (*commit_transaction)(void*, int);
        void* (*abort_transaction)(void*, int);
        int (*error_code)(const void*);
        const char* (*error_string)(const void*);
        int (*error_is_retriable)(const void*);
        void (*error_destroy)(void*);
    } df_rk;
    static void* df_rk_library = NULL;

    // The missing name, or NULL if all are there.
    static const char* df_rk_load(const char* path) {
        if (df_rk_library) return NULL;
        void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library) return "the library itself";
        #define DF_FIND(field, name) \\
            if (!(*(void**)&df_rk.field = dlsym(library, "rd_kafka_" name))) return "rd_kafka_" name;
        DF_FIND(version, "version") DF_FIND(conf_new, "conf_new") DF_FIND(conf_destroy, "conf_destroy") DF_FIND(conf_set, "conf_set")
        DF_FIND(conf_set_events, "conf_set_events") DF_FIND(create, "new") DF_FIND(destroy, "destroy")
        DF_FIND(topic_new, "topic_new") DF_FIND(topic_destroy, "topic_destroy") DF_FIND(produce, "produce")
        DF_FIND(topic_name, "topic_name") DF_FIND(producev, "producev") DF_FIND(headers_new, "headers_new") DF_FIND(header_add, "header_add")
        DF_FIND(headers_copy, "headers_copy") DF_FIND(headers_destroy, "headers_destroy") DF_FIND(flush, "flush") DF_FIND(purge, "purge")
        DF_FIND(outq_len, "outq_len") DF_FIND(metadata, "metadata") DF_FIND(metadata_destroy, "metadata_destroy")
        DF_FIND(queue_get_main, "queue_get_main") DF_FIND(queue_destroy, "queue_destroy")
        DF_FIND(queue_poll, "queue_poll") DF_FIND(event_type, "event_type") DF_FIND(event_error, "event_error")
        DF_FIND(event_error_string, "event_error_string") DF_FIND(event_stats, "event_stats")
        DF_FIND(event_message_next, "event_message_next") DF_FIND(event_log, "event_log")
        DF_FIND(event_destroy, "event_destroy") DF_FIND(set_log_queue, "set_log_queue")
        DF_FIND(fatal_error, "fatal_error") DF_FIND(last_error, "last_error")
        DF_FIND(err2name, "err2name") DF_FIND(err2str, "err2str")
        DF_FIND(init_transactions, "init_transactions") DF_FIND(begin_transaction, "begin_transaction")
        DF_FIND(commit_transaction, "commit_transaction") DF_FIND(abort_transaction, "abort_transaction")
        DF_FIND(error_code, "error_code") DF_FIND(error_string, "error_string")
        DF_FIND(error_is_retriable, "error_is_retriable") DF_FIND(error_destroy, "error_destroy")
        #undef DF_FIND
        df_rk_library = library;
        return NULL;
    }
    // One message with headers, copied: VTYPE 2 topic, 7 flags, 4 value, 5 key, 10 headers, 0 end.
    static int df_rk_with_headers(void* rk, void* rkt, void* value, size_t size, void* key, size_t key_size,
                                  void* headers) {
        return df_rk.producev(rk, 2, rkt, 7, 2, 4, value, size, 5, key, key_size, 10, headers, 0);
    }
    """
    ctypedef struct df_topic:
        int err
    ctypedef struct df_metadata:
        int topic_count
        df_topic* topics
    ctypedef struct df_message:
        int err
        void* rkt
        int partition
        void* payload
        size_t len
        void* key
        size_t key_len
        void* opaque
    cdef struct df_functions:
        int (*version)() noexcept nogil
        void* (*conf_new)() noexcept nogil
        void (*conf_destroy)(void*) noexcept nogil
        int (*conf_set)(void*, const char*, const char*, char*, size_t) noexcept nogil
        void (*conf_set_events)(void*, int) noexcept nogil
        void* (*create)(int, void*, char*, size_t) noexcept nogil
        void (*destroy)(void*) noexcept nogil
        void* (*topic_new)(void*, const char*, void*) noexcept nogil
        void (*topic_destroy)(void*) noexcept nogil
        const char* (*topic_name)(const void*) noexcept nogil
        int (*produce)(void*, int, int, void*, size_t, const void*, size_t, void*) noexcept nogil
        void* (*headers_new)(size_t) noexcept nogil
        int (*header_add)(void*, const char*, Py_ssize_t, const void*, Py_ssize_t) noexcept nogil
        void* (*headers_copy)(const void*) noexcept nogil
        void (*headers_destroy)(void*) noexcept nogil
        int (*flush)(void*, int) noexcept nogil
        int (*purge)(void*, int) noexcept nogil
        int (*outq_len)(void*) noexcept nogil
        int (*metadata)(void*, int, void*, const df_metadata**, int) noexcept nogil
        void (*metadata_destroy)(const df_metadata*) noexcept nogil
        void* (*queue_get_main)(void*) noexcept nogil
        void (*queue_destroy)(void*) noexcept nogil
        void* (*queue_poll)(void*, int) noexcept nogil
        int (*event_type)(const void*) noexcept nogil
        int (*event_error)(void*) noexcept nogil
        const char* (*event_error_string)(void*) noexcept nogil
        const char* (*event_stats)(void*) noexcept nogil
        const df_message* (*event_message_next)(void*) noexcept nogil
        int (*event_log)(void*, const char**, const char**, int*) noexcept nogil
        void (*event_destroy)(void*) noexcept nogil
        int (*set_log_queue)(void*, void*) noexcept nogil
        int (*fatal_error)(void*, char*, size_t) noexcept nogil
        int (*last_error)() noexcept nogil
        const char* (*err2name)(int) noexcept nogil
        const char* (*err2str)(int) noexcept nogil
        void* (*init_transactions)(void*, int) noexcept nogil
        void* (*begin_transaction)(void*) noexcept nogil
        void* (*commit_transaction)(void*, int) noexcept nogil
        void* (*abort_transaction)(void*, int) noexcept nogil
        int (*error_code)(const void*) noexcept nogil
        const char* (*error_string)(const void*) noexcept nogil
        int (*error_is_retriable)(const void*) noexcept nogil
        void (*error_destroy)(void*) noexcept nogil
    df_functions df_rk
    const char* df_rk_load(const char* path) noexcept
    int df_rk_with_headers(void*, void*, void*, size_t, void*, size_t, void*) noexcept nogil
