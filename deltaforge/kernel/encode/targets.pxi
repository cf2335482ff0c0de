# Where the events of a batch go, and under which keys: the texts of templates, and what Python adds to them.
# The oracle is Destination and MessageKey in deltaforge/core/routing.py.

cdef struct Target:
    int32_t number           # of its destination among the names
    Py_ssize_t begin         # of its key among the keys; -1: the one that events have without a template
    Py_ssize_t end
    bint has_headers


@cython.final
cdef class TargetTemplates:
    """Where the events of a sink go, and under which keys.

    Args:
        destination: Parts of the template of topics or streams.
        key: Likewise; None: the key that events have without a template.
        is_allowed: Says whether a destination may be used; None: any.
    """

    cdef RowTemplate _destination
    cdef RowTemplate _key
    cdef object _is_allowed

    def __cinit__(self, tuple destination not None, tuple key, is_allowed):
        self._destination = RowTemplate(destination, True)
        self._key = None if key is None else RowTemplate(key, False)
        self._is_allowed = is_allowed

    def targets(self):
        """Targets of no event yet."""
        return Targets(self)

    def missing_paths(self):
        """The paths of the key that led to nothing in an event so far."""
        return [] if self._key is None else self._key.missing_paths()


@cython.final
cdef class Targets:
    """Destinations, keys and headers of events, in order."""

    cdef TargetTemplates _templates
    cdef Target* _targets
    cdef Py_ssize_t _count
    cdef Py_ssize_t _capacity
    cdef Output _keys
    cdef Output _names           # one behind the other, each different
    cdef Py_ssize_t* _name_ends
    cdef int32_t _name_count
    cdef int32_t* _slots         # hash table of names: number + 1, or 0
    cdef int32_t _slot_count     # a power of two, at least twice the names
    cdef int32_t _checked_count  # of the names
    cdef set _refused            # numbers of names that are not allowed
    cdef dict _headers           # by index; of few events, or of none

    def __cinit__(self, TargetTemplates templates not None):
        self._templates, self._headers, self._refused = templates, {}, set()

    def __dealloc__(self):
        free(self._targets)
        free(self._keys.data)
        free(self._names.data)
        free(self._name_ends)
        free(self._slots)

    def __len__(self):
        return self._count

    def destination(self, Py_ssize_t index):
        """Where the event at ``index`` goes."""
        return self._name(self._at(index).number)

    def key(self, Py_ssize_t index):
        """The key of the event at ``index``; None if it is the one without a template."""
        cdef Target* target = self._at(index)
        if target.begin < 0:
            return None
        return PyBytes_FromStringAndSize(<char*>self._keys.data + target.begin, target.end - target.begin)

    def headers(self, Py_ssize_t index):
        """The headers of the event at ``index``."""
        return self._headers[index] if self._at(index).has_headers else {}

    def destinations(self):
        """Each destination that an event has, once."""
        cdef Py_ssize_t n
        cdef set found = {self._targets[n].number for n in range(self._count)}
        return [self._name(number) for number in sorted(found)]

    def run_end(self, Py_ssize_t index, Py_ssize_t stop):
        """The first place up to ``stop`` with another destination than that at ``index``; ``stop`` if there is none."""
        cdef int32_t number = self._at(index).number
        if not index < stop <= self._count:
            raise IndexError(stop)
        while index < stop and self._targets[index].number == number:
            index += 1
        return index

    cdef Target* _at(self, Py_ssize_t index) except NULL:
        if index < 0 or index >= self._count:
            raise IndexError(index)
        return &self._targets[index]

    def append(self, str destination not None, bytes key, dict headers not None):
        """Add an event that was looked at elsewhere. Its destination is allowed."""
        cdef bytes name = destination.encode()
        cdef Py_ssize_t begin = -1
        if key is not None:
            begin = self._keys.size
            put(&self._keys, <const char*>key, len(key))
        put(&self._names, <const char*>name, len(name))
        if not self._close(self._names.size - len(name), begin) or self._keys.is_exhausted or self._names.is_exhausted:
            raise MemoryError
        self._checked_count = self._name_count
        if headers:
            self._headers[self._count - 1], self._targets[self._count - 1].has_headers = headers, True

    def extend(self, list groups not None, Py_ssize_t start):
        """Add the events of groups from ``start`` on; the index of the first group that is left to Python, or their
        number. Of that group nothing is added.
        """
        cdef Py_ssize_t stop = start, total, done
        cdef list programs = []
        cdef Facts** facts
        cdef Program** to
        cdef Program** keys
        if not 0 <= start <= len(groups):
            raise IndexError(start)
        while stop < len(groups) and type(groups[stop]) is RowGroup:
            stop += 1
        total = stop - start
        facts = <Facts**>calloc(max(total, 1), 3 * sizeof(void*))
        if facts == NULL:
            raise MemoryError
        to, keys = <Program**>(facts + total), <Program**>(facts + 2 * total)
        try:
            for done in range(total):
                self._prepare(_placed(groups[start + done]), programs, &facts[done], &to[done], &keys[done])
            with nogil:
                done = self._render(facts, to, keys, total)
            if done < 0:
                raise MemoryError
            return start + self._checked(facts, done)
        finally:
            free(facts)

    cdef int _prepare(self, RowGroup group, list programs, Facts** facts, Program** to, Program** key) except -1:
        cdef TableProgram program = self._templates._destination._program_of(group)
        facts[0], to[0] = &group.facts, &program.program
        if not programs or programs[len(programs) - 1] is not program:
            programs.append(program)   # which lives until all is done
        if self._templates._key is not None:
            program = self._templates._key._program_of(group)
            key[0] = &program.program
            programs.append(program)
        return 0

    cdef Py_ssize_t _render(self, Facts** facts, Program** to, Program** keys, Py_ssize_t total) noexcept nogil:
        """The number of groups that are not declined; -1 without memory."""
        cdef Output scratch
        cdef Py_ssize_t n, count, key_bytes
        memset(&scratch, 0, sizeof(scratch))
        for n in range(total):
            count, key_bytes = self._count, self._keys.size
            if not self._render_group(facts[n], to[n], keys[n], &scratch):
                self._count, self._keys.size = count, key_bytes
                break
        else:
            n = total
        free(scratch.data)
        return -1 if scratch.is_exhausted or self._keys.is_exhausted or self._names.is_exhausted else n

    cdef bint _render_group(self, Facts* facts, Program* to, Program* key, Output* scratch) noexcept nogil:
        cdef Value values[MAX_PIECES]
        cdef Py_ssize_t row, name_at, key_at = -1
        cdef const uint8_t* at = facts.data
        cdef const uint8_t* key_row = facts.data
        if to.is_declined or (key != NULL and key.is_declined):
            return False
        for row in range(facts.count):
            name_at = self._names.size
            if to.slot_count:
                at = find_values(facts, to, row, at, values)
                if at == NULL:
                    return False
            if not put_template(&self._names, scratch, facts, to, row, values, &self._templates._destination._missing):
                self._names.size = name_at
                return False
            if key != NULL:
                key_at = self._keys.size
                if key.slot_count:
                    key_row = find_values(facts, key, row, key_row, values)
                    if key_row == NULL:
                        self._names.size = name_at
                        return False
                if not put_template(&self._keys, scratch, facts, key, row, values, &self._templates._key._missing):
                    self._names.size = name_at
                    return False
            if not self._close(name_at, key_at):
                return False
            if key == NULL and to.is_alike:
                return self._repeat(facts.count - 1)
        return True

    cdef bint _room(self, Py_ssize_t more) noexcept nogil:
        cdef Py_ssize_t capacity = max(self._capacity * 2, self._count + more + 256)
        cdef Target* targets
        if self._count + more <= self._capacity:
            return True
        targets = <Target*>realloc(self._targets, capacity * sizeof(Target))
        if targets == NULL:
            self._names.is_exhausted = True
            return False
        self._targets, self._capacity = targets, capacity
        return True

    cdef bint _repeat(self, Py_ssize_t count) noexcept nogil:
        """Add events with the target of the last one."""
        cdef Py_ssize_t n
        if not self._room(count):
            return False
        for n in range(count):
            self._targets[self._count + n] = self._targets[self._count - 1]
        self._count += count
        return True

    cdef bint _close(self, Py_ssize_t name_at, Py_ssize_t key_at) noexcept nogil:
        """Complete an event whose destination stands behind the names, and its key behind the keys. False without
        memory, which ``_names`` notes.
        """
        cdef int32_t number
        if not self._room(1):
            return False
        number = self._number(name_at)
        if number < 0:
            self._names.is_exhausted = True
            return False
        self._targets[self._count] = Target(number, key_at, self._keys.size, False)
        self._count += 1
        return True

    cdef str _name(self, int32_t number):
        cdef Py_ssize_t begin = self._name_ends[number - 1] if number else 0
        return PyBytes_FromStringAndSize(<char*>self._names.data + begin, self._name_ends[number] - begin).decode()

    cdef bint _is_name(self, int32_t number, const uint8_t* at, Py_ssize_t size) noexcept nogil:
        cdef Py_ssize_t begin = self._name_ends[number - 1] if number else 0
        return self._name_ends[number] - begin == size and memcmp(self._names.data + begin, at, size) == 0

    cdef int32_t _number(self, Py_ssize_t name_at) noexcept nogil:
        """The number of the name that stands behind the names, which stays there if it is new; -1 without memory."""
        cdef const uint8_t* at = self._names.data + name_at
        cdef Py_ssize_t size = self._names.size - name_at
        cdef uint32_t slot
        cdef int32_t number
        if self._names.is_exhausted:
            return -1
        if self._count:   # as the event before, most often
            number = self._targets[self._count - 1].number
            if self._is_name(number, at, size):
                self._names.size = name_at
                return number
        if not self._room_for_name():
            return -1
        slot = _hash_of(at, size) & <uint32_t>(self._slot_count - 1)
        while self._slots[slot]:
            number = self._slots[slot] - 1
            if self._is_name(number, at, size):
                self._names.size = name_at
                return number
            slot = (slot + 1) & <uint32_t>(self._slot_count - 1)
        number = self._name_count
        self._name_ends[number] = self._names.size
        self._slots[slot] = number + 1
        self._name_count += 1
        return number

    cdef bint _room_for_name(self) noexcept nogil:
        """Have room for one more, in the list and in the hash table."""
        cdef int32_t count, number
        cdef uint32_t slot
        cdef Py_ssize_t begin
        cdef int32_t* slots
        cdef Py_ssize_t* ends
        if 2 * (self._name_count + 1) <= self._slot_count:
            return True
        if self._name_count > 1 << 28:
            return False
        count = max(self._slot_count * 2, 16)
        ends = <Py_ssize_t*>realloc(self._name_ends, count // 2 * sizeof(Py_ssize_t))
        if ends == NULL:
            return False
        self._name_ends = ends
        slots = <int32_t*>calloc(count, sizeof(int32_t))
        if slots == NULL:
            return False
        free(self._slots)
        self._slots, self._slot_count = slots, count
        for number in range(self._name_count):
            begin = ends[number - 1] if number else 0
            slot = _hash_of(self._names.data + begin, ends[number] - begin) & <uint32_t>(count - 1)
            while slots[slot]:
                slot = (slot + 1) & <uint32_t>(count - 1)
            slots[slot] = number + 1
        return True

    cdef Py_ssize_t _checked(self, Facts** facts, Py_ssize_t done) except -1:
        """The number of groups up to the first with a name that is not allowed; it and those behind are taken back."""
        is_allowed = self._templates._is_allowed
        cdef Py_ssize_t n, index, count
        while self._checked_count < self._name_count:
            if is_allowed is not None and not is_allowed(self._name(self._checked_count)):
                self._refused.add(self._checked_count)
            self._checked_count += 1
        if not self._refused:
            return done
        count = self._count
        for n in range(done):
            count -= facts[n].count
        for n in range(done):
            for index in range(count, count + facts[n].count):
                if self._targets[index].number in self._refused:
                    self._count = count
                    return n
            count += facts[n].count
        return done


cdef uint32_t _hash_of(const uint8_t* at, Py_ssize_t size) noexcept nogil:
    """FNV-1a."""
    cdef uint32_t value = 2166136261U
    cdef Py_ssize_t n
    for n in range(size):
        value = (value ^ at[n]) * 16777619U
    return value
