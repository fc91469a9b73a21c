# What is known of a table's columns before the first row, laid out for C.

cdef enum:
    NOT_OURS = 1  # what Encoding.add_event answers: left to the plain decoder
    FAILED = 2  # no event of the table

NO_TABLE = (1 << 48) - 1  # no table map's: the server counts from 1 up


cdef class Encoding:
    """From the rows events of one table map to rows in the wire format, projected. Never changes; thread-safe.

    `table`: the table map; None for rows that SELECT reads (cdc.binlog.selecting.text_rows), which have their own way from bytes to
    values: of such a one, `rows` reads nothing.

    `columns`: for each column of the table (kind, width, size, texts, kept, never_null). `names`: of the columns, as JSON strings.
    `key`: indexes of its columns, in key order. `readers`: of Kind.PYTHON columns, (bytes, start) -> (JSON, end), by index.
    """

    def __cinit__(self, table, str db, str table_name, str fingerprint, columns, names, key, readers):
        cdef Column* column
        cdef Py_ssize_t index
        if not 0 < len(key) <= MOST_KEY_COLUMNS:
            raise ValueError(f"a key of {len(key)} columns")
        self.table, self.db, self.table_name, self.fingerprint = table, db, table_name, fingerprint
        self.readers = readers
        self.kept_alive = []
        self.needs_python = bool(readers)
        for index, byte in enumerate((table.table_id if table is not None else NO_TABLE).to_bytes(6, "little")):
            self.table_id[index] = byte
        self.crc = crc32(f"{db}\0{table_name}".encode("utf-8", "surrogatepass"))
        self.count = len(columns)
        self.key_count = len(key)
        self.columns = <Column*>calloc(self.count, sizeof(Column))
        self.key_heads = <Text*>calloc(self.key_count, sizeof(Text))
        if self.columns == NULL or self.key_heads == NULL:
            raise MemoryError(f"the plan of {db}.{table_name}")
        for index, place in enumerate(key):
            self.key_heads[index] = self.text(b"%c%b:" % (b",{"[not index], names[place]))
        first = True
        for index, (kind, width, size, texts, kept, never_null) in enumerate(columns):
            column = &self.columns[index]
            column.kind, column.width, column.size = kind, width, size
            column.kept, column.never_null = kept, never_null
            column.key_place = key.index(index) if index in key else -1
            column.head = self.text(b"%c%b:" % (b",{"[first], names[index]) if kept else b"")
            first = first and not kept
            self.set_texts(column, texts)

    cdef Text text(self, bytes content):
        cdef Text found
        self.kept_alive.append(content)
        found.at = <const uint8_t*>PyBytes_AS_STRING(content)
        found.size = len(content)
        return found

    cdef int set_texts(self, Column* column, texts) except -1:
        cdef Py_ssize_t index
        if column.kind == ONE_BYTE:
            column.table = self.text(texts[0]).at
            return 0
        column.count = len(texts)
        if not column.count:
            return 0
        column.texts = <Text*>calloc(column.count, sizeof(Text))
        if column.texts == NULL:
            raise MemoryError(f"the plan of {self.db}.{self.table_name}")
        for index in range(column.count):
            column.texts[index] = self.text(texts[index])
            column.room += column.texts[index].size + 1
        return 0

    def __dealloc__(self):
        cdef Py_ssize_t index
        if self.columns != NULL:
            for index in range(self.count):
                free(self.columns[index].texts)
        free(self.columns)
        free(self.key_heads)

    cdef EncodedRows empty(self):
        return EncodedRows(self.db, self.table_name, self.fingerprint)

    def rows(self, int event_type, body):
        """The event's rows; None where it is of a kind that is left to the plain decoder. Raises GivenUp where it cannot be
        read: the plain decoder says what is wrong."""
        cdef Py_buffer view
        cdef EncodedRows out = self.empty()
        cdef int answer
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        try:
            if ROOM_AHEAD:
                out.reserve(view.len + view.len // 2 + 512)
            answer = self.add_event(event_type, <const uint8_t*>view.buf, view.len, out)
        finally:
            PyBuffer_Release(&view)
        if answer == FAILED:
            raise GivenUp(f"a rows event of {self.db}.{self.table_name}")
        return None if answer == NOT_OURS else out

    cdef int add_event(self, int event_type, const uint8_t* body, Py_ssize_t size, EncodedRows out) except -1:
        """Adds the rows of the event whose body this is, behind those that `out` has. Where the answer is not 0, it may have
        got some of them."""
        cdef Event event
        cdef int failed
        cdef bytes data = None
        event.op = op_of(event_type)
        if not event.op:
            return NOT_OURS
        event.version_2 = event_type >= FIRST_VERSION_2
        if self.needs_python:
            data = body[:size]
            body = <const uint8_t*>PyBytes_AS_STRING(data)
        event.begin = event.at = body
        event.end = body + size
        event.whole = True
        failed = read_header(self, &event)
        if not event.whole:
            return NOT_OURS
        if failed:
            return FAILED
        if size >= WORTH_RELEASING and not self.needs_python:
            with nogil:
                failed = add_rows(self, &event, out, NULL)
        else:
            failed = add_rows(self, &event, out, <PyObject*>data)
        return FAILED if failed else 0

    cdef int add_python_value(self, Py_ssize_t index, Event* event, EncodedRows out, object data) except -1:
        """1: what the plain reader raised, it raises again when it is asked alone."""
        cdef Py_ssize_t end
        cdef bytes text
        try:
            text, end = self.readers[index](data, event.at - event.begin)
        except MemoryError:
            raise
        except Exception:
            return 1
        if end < event.at - event.begin or end > event.end - event.begin:
            return 1
        add_bytes(out, <const uint8_t*>PyBytes_AS_STRING(text), len(text))
        event.at = event.begin + end
        return 0


class GivenUp(ValueError):
    """Bytes that are no event of the table; what is wrong with them is for the plain decoder to say."""
