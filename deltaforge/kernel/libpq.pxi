# Reading a PostgreSQL replication stream: all messages that have arrived in one call into libpq. The library is the one
# that psycopg has loaded.

cdef extern from *:
    """
    #include <dlfcn.h>
    static int (*df_pq_get)(void*, char**, int) = NULL;
    static int (*df_pq_consume)(void*) = NULL;
    static void (*df_pq_free)(void*) = NULL;
    static bool df_pq_load(const char* path) {
        void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library) return false;
        *(void**)&df_pq_get = dlsym(library, "PQgetCopyData");
        *(void**)&df_pq_consume = dlsym(library, "PQconsumeInput");
        *(void**)&df_pq_free = dlsym(library, "PQfreemem");
        return df_pq_get && df_pq_consume && df_pq_free;
    }
    static inline int df_pq_next(void* connection, char** data) { return df_pq_get(connection, data, 1); }
    static inline bool df_pq_receive(void* connection) { return df_pq_consume(connection) == 1; }
    static inline void df_pq_release(void* data) { df_pq_free(data); }
    """
    bint df_pq_load(const char* path) noexcept
    int df_pq_next(void* connection, char** data) noexcept nogil
    bint df_pq_receive(void* connection) noexcept nogil
    void df_pq_release(void* data) noexcept nogil


cdef class CopyReader:
    """Takes messages out of a connection.

    Args:
        library: Path of libpq.
        connection: Address of the ``PGconn``, in COPY BOTH and nonblocking.

    Raises:
        OSError: The library cannot be used.
    """

    cdef void* _connection

    def __cinit__(self, str library not None, size_t connection):
        if not df_pq_load(library.encode()):
            raise OSError(f"{library} is not a libpq")
        if connection == 0:
            raise ValueError("no connection")
        self._connection = <void*>connection

    def read(self, Py_ssize_t max_bytes, CopyData begun=None, Py_ssize_t index=0):
        """What has arrived, also at the socket, up to about ``max_bytes``, and how it ended: 0 no whole message is
        left, 1 there may be more, below 0 as ``PQgetCopyData``. Before it comes what is in ``begun`` from ``index`` on.
        """
        cdef CopyData found = CopyData.__new__(CopyData)
        cdef int state
        if begun is not None:
            if not 0 <= index <= begun.count:
                raise IndexError(index)
            for n in range(index, begun.count):
                if not found._append(<char*>begun._block.data + begun._offsets[n], begun._size(n)):
                    raise MemoryError
        with nogil:
            state = self._fill(found, max_bytes)
        if state == 2:
            raise MemoryError
        return found, state

    cdef int _fill(self, CopyData found, Py_ssize_t max_bytes) noexcept nogil:
        """Add what has arrived: how it ended, as ``read`` says, or 2 without memory."""
        cdef char* data = NULL
        cdef int length
        cdef bint is_kept
        while True:
            length = df_pq_next(self._connection, &data)
            if length == 0:   # libpq takes in a few KiB at a time
                if found._block.size >= max_bytes:
                    return 1
                if not df_pq_receive(self._connection):
                    return -2
                length = df_pq_next(self._connection, &data)
            if length <= 0:
                return length
            is_kept = found._append(data, length)
            df_pq_release(data)
            if not is_kept:
                return 2
