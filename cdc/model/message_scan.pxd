# cython: language_level=3
"""Steps over the text of a message, and of Redis' replies. As in json_scan: where they stand then, or NULL; NULL stays NULL."""
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcmp, memset

from cdc.model.json_scan cimport is_digit, is_utf8, plain_value_end, string_end, value_end
from cdc.model.received cimport Item, Like, TableTexts, Text


cdef inline const uint8_t* literal(const uint8_t* at, const uint8_t* end, const char* text, Py_ssize_t size) noexcept nogil:
    if at == NULL or end - at < size or memcmp(at, text, size) != 0:
        return NULL
    return at + size


cdef inline const uint8_t* whole_number(const uint8_t* at, const uint8_t* end, int64_t* value) noexcept nogil:
    """A number that is not negative, of 18 digits at most."""
    cdef const uint8_t* begin = at
    cdef int64_t total = 0
    if at == NULL:
        return NULL
    while at < end and is_digit(at[0]) and at - begin < 19:
        total = total * 10 + (at[0] - 48)
        at += 1
    if at == begin or at - begin > 18 or (begin[0] == 0x30 and at - begin > 1):
        return NULL
    value[0] = total
    return at


cdef inline const uint8_t* plain_string(const uint8_t* at, const uint8_t* end, Text* text) noexcept nogil:
    """From its opening quote to behind the closing one; `text` is what lies between. None with an escape."""
    cdef bint escaped = False
    if at == NULL or at >= end or at[0] != 0x22:
        return NULL
    text.data = at + 1
    at = string_end(at + 1, end, &escaped)
    if at == NULL or escaped:
        return NULL
    text.size = at - 1 - text.data
    return at


cdef inline const uint8_t* _string_or_null(const uint8_t* at, const uint8_t* end, Text* text) noexcept nogil:
    if at != NULL and at < end and at[0] == 0x6e:
        text.size = 0
        return literal(at, end, b"null", 4)
    return plain_string(at, end, text)


cdef inline const uint8_t* _object_or_null(const uint8_t* at, const uint8_t* end) noexcept nogil:
    if at == NULL or at >= end or (at[0] != 0x7b and at[0] != 0x6e):
        return NULL
    return value_end(at, end)


cdef inline const uint8_t* _scalar(const uint8_t* at, const uint8_t* end) noexcept nogil:
    return NULL if at == NULL else plain_value_end(at, end)


cdef inline const uint8_t* _key_end(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Behind an object of scalars, names without escapes. Its values' own writing is looked at by who compares them."""
    cdef Text name
    if at == NULL or end - at < 2 or at[0] != 0x7b:
        return NULL
    at += 1
    while True:
        at = plain_string(at, end, &name)
        at = literal(at, end, b":", 1)
        at = _scalar(at, end)
        if at == NULL or at >= end:
            return NULL
        if at[0] == 0x7d:
            return at + 1
        if at[0] != 0x2c:
            return NULL
        at += 1


cdef inline const uint8_t* _again(const uint8_t* at, const uint8_t* end, const Like* like, Text text) noexcept nogil:
    """Behind a stretch that stands here again; NULL where it is to be read."""
    if at == NULL or like.item == NULL or end - at < text.size or memcmp(at, text.data, text.size) != 0:
        return NULL
    return at + text.size


cdef inline const uint8_t* _source(const uint8_t* begin, const uint8_t* end, Item* item, TableTexts* table, Like* like) noexcept nogil:
    cdef const uint8_t* at = _again(begin, end, like, like.source)
    cdef Text ignored
    cdef int64_t skipped
    if at != NULL:
        item.commit_us, item.gtid, item.file = like.item.commit_us, like.item.gtid, like.item.file
        item.copied = like.item.copied
        return at
    at = literal(begin, end, b',"source":{"version":', 21)
    at = plain_string(at, end, &ignored)
    at = literal(at, end, b',"connector":', 13)
    at = plain_string(at, end, &ignored)
    at = literal(at, end, b',"name":', 8)
    at = plain_string(at, end, &ignored)
    at = literal(at, end, b',"ts_ms":', 9)
    at = whole_number(at, end, &skipped)
    at = literal(at, end, b',"ts_us":', 9)
    at = whole_number(at, end, &item.commit_us)
    at = literal(at, end, b',"snapshot":"', 13)
    item.copied = at != NULL and at < end and at[0] == 0x69
    if item.copied:
        at = literal(at, end, b'incremental","db":', 18)
    else:
        at = literal(at, end, b'false","db":', 12)
    at = plain_string(at, end, &table.db)
    at = literal(at, end, b',"table":', 9)
    at = plain_string(at, end, &table.table)
    at = literal(at, end, b',"server_id":', 13)
    at = whole_number(at, end, &skipped)
    at = literal(at, end, b',"gtid":', 8)
    at = _string_or_null(at, end, &item.gtid)
    at = literal(at, end, b',"file":', 8)
    at = plain_string(at, end, &item.file)
    at = literal(at, end, b',"pos":', 7)
    like.source.data, like.source.size = begin, at - begin
    return at


cdef inline const uint8_t* _place(const uint8_t* begin, const uint8_t* end, Item* item, Like* like) noexcept nogil:
    cdef const uint8_t* at = _again(begin, end, like, like.place)
    if at != NULL:
        item.source_id, item.tx_pos = like.item.source_id, like.item.tx_pos
        item.seq[0], item.seq[1] = like.item.seq[0], like.item.seq[1]
        return at
    at = literal(begin, end, b',"thread":', 10)
    at = _scalar(at, end)
    at = literal(at, end, b',"query":', 9)
    at = _scalar(at, end)
    at = literal(at, end, b',"source_id":', 13)
    at = plain_string(at, end, &item.source_id)
    at = literal(at, end, b',"tx_pos":', 10)
    at = whole_number(at, end, &item.tx_pos)
    at = literal(at, end, b',"seq":[', 8)
    at = whole_number(at, end, &item.seq[0])
    at = literal(at, end, b',', 1)
    at = whole_number(at, end, &item.seq[1])
    at = literal(at, end, b',', 1)
    like.place.data, like.place.size = begin, at - begin
    return at


cdef inline const uint8_t* _schema(const uint8_t* begin, const uint8_t* end, Item* item, TableTexts* table, Like* like) noexcept nogil:
    cdef const uint8_t* at = _again(begin, end, like, like.schema)
    cdef Text ignored
    if at != NULL:
        item.token = like.item.token
        return at
    at = literal(begin, end, b'],"schema":', 11)
    at = plain_string(at, end, &table.schema)
    at = literal(at, end, b',"token":', 9)
    at = whole_number(at, end, &item.token)
    at = literal(at, end, b',"lane":', 8)
    at = plain_string(at, end, &ignored)
    at = literal(at, end, b',"n":', 5)
    like.schema.data, like.schema.size = begin, at - begin
    return at


cdef inline const uint8_t* _operation(const uint8_t* begin, const uint8_t* end, Item* item, Like* like) noexcept nogil:
    cdef const uint8_t* at = _again(begin, end, like, like.operation)
    cdef Text ignored
    cdef int64_t skipped
    if at != NULL:
        item.replay, item.op = like.item.replay, like.item.op
        return at
    at = begin
    if at == NULL:
        return NULL
    item.replay = end - at > 2 and at[0] == 0x2c
    if item.replay:
        at = literal(at, end, b',"replay":true', 14)
    at = literal(at, end, b'},"op":"', 8)
    if at == NULL or at >= end or at[0] not in b"cudr":
        return NULL
    item.op = at[0]
    at = literal(at + 1, end, b'","ts_ms":', 10)
    at = whole_number(at, end, &skipped)
    at = literal(at, end, b',"transaction":{"id":', 21)
    at = plain_string(at, end, &ignored)
    at = literal(at, end, b',"total_order":', 15)
    like.operation.data, like.operation.size = begin, at - begin
    return at


cdef inline bint read_change(Item* item, TableTexts* table, Like* like) noexcept nogil:
    """Reads a change event in the order of fields that render_change gives them. False for any other message. `table` and `like`
    are those that the message before has left, `like` without an item where there was none."""
    if _read_change(item, table, like):
        like.item = item
        return True
    like.item = NULL
    return False


cdef inline bint _read_change(Item* item, TableTexts* table, Like* like) noexcept nogil:
    cdef const uint8_t* at = item.value.data
    cdef const uint8_t* end = at + item.value.size
    cdef int64_t ignored
    if item.key.size == 0 or _key_end(item.key.data, item.key.data + item.key.size) != item.key.data + item.key.size:
        return False
    at = literal(at, end, b'{"before":', 10)
    at = _object_or_null(at, end)
    at = literal(at, end, b',"after":', 9)
    item.after.data = at
    at = _object_or_null(at, end)
    if at == NULL:
        return False
    item.after.size = at - item.after.data
    at = _to_orders(at, end, item, table, like)
    at = _orders(at, end, &ignored, &ignored)
    at = _end_of_transaction(at, end, item)
    at = literal(at, end, b'}}', 2)
    if at == NULL or at != end or (item.op == 0x64) != (item.after.data[0] == 0x6e):
        return False
    return is_utf8(item.value.data, item.value.size) and is_utf8(item.key.data, item.key.size)


cdef inline const uint8_t* _to_orders(const uint8_t* at, const uint8_t* end, Item* item, TableTexts* table, Like* like) noexcept nogil:
    """From the comma before `source` to the total order."""
    cdef int64_t skipped
    at = _source(at, end, item, table, like)
    at = whole_number(at, end, &skipped)
    at = literal(at, end, b',"row":', 7)
    at = whole_number(at, end, &skipped)
    at = _place(at, end, item, like)
    at = whole_number(at, end, &item.seq[2])
    at = literal(at, end, b',', 1)
    at = whole_number(at, end, &item.seq[3])
    at = _schema(at, end, item, table, like)
    at = whole_number(at, end, &item.n)
    return _operation(at, end, item, like)


cdef inline const uint8_t* _orders(const uint8_t* at, const uint8_t* end, int64_t* total, int64_t* of_table) noexcept nogil:
    at = whole_number(at, end, total)
    at = literal(at, end, b',"data_collection_order":', 25)
    return whole_number(at, end, of_table)


cdef inline const uint8_t* _end_of_transaction(const uint8_t* at, const uint8_t* end, Item* item) noexcept nogil:
    if at == NULL:
        return NULL
    item.ends = end - at > 2 and at[0] == 0x2c
    return literal(at, end, b',"end":true', 11) if item.ends else at


cdef enum:
    MOST_ROWS = 999999  # of a bundle, as cdc.model.bundle takes them


cdef inline bint is_bundle(const Item* item) noexcept nogil:
    return item.key.size == 0 and item.value.size > 10 and memcmp(item.value.data, b'{"copied":', 10) == 0


cdef inline const uint8_t* bundle_head(Item* item, TableTexts* table, int64_t* rows) noexcept nogil:
    """Reads what the rows of a bundle (cdc.model.bundle) have in common into `item`, whose value it is. Returns where its first row
    begins; NULL where it is to be read by others."""
    cdef const uint8_t* at = item.value.data
    cdef const uint8_t* end = at + item.value.size
    cdef Like like
    cdef int64_t of_table
    memset(&like, 0, sizeof(like))
    at = literal(at, end, b'{"copied":', 10)
    at = whole_number(at, end, rows)
    item.shared.data = at
    at = _to_orders(at, end, item, table, &like)
    if at == NULL:
        return NULL
    item.shared.size = at - item.shared.data
    at = _orders(at, end, &item.order, &of_table)
    at = _end_of_transaction(at, end, item)
    at = literal(at, end, b'},"rows":[', 10)
    if at == NULL or not item.copied or not item.ends or item.op != 0x72 or item.order != of_table:
        return NULL
    # Each has more bytes than that: so the number bounds the memory for them.
    return at if 0 < rows[0] <= min(MOST_ROWS, item.value.size // 18) else NULL


cdef inline const uint8_t* bundle_row(const uint8_t* at, const uint8_t* end, Item* item) noexcept nogil:
    """Behind one row of a bundle."""
    item.value.data = at
    at = literal(at, end, b'{"key":', 7)
    item.key.data = at
    at = _key_end(at, end)
    item.key.size = at - item.key.data
    at = literal(at, end, b',"after":', 9)
    item.after.data = at
    if at == NULL or at >= end or at[0] != 0x7b:
        return NULL
    at = value_end(at, end)
    item.after.size = at - item.after.data
    at = literal(at, end, b'}', 1)
    item.value.size = at - item.value.data
    return at


cdef inline const uint8_t* counted(const uint8_t* at, const uint8_t* end, uint8_t kind, int64_t* value) noexcept nogil:
    """The head of one of RESP's arrays or bulk strings; nulls, of size -1, are none."""
    if at == NULL or at >= end or at[0] != kind:
        return NULL
    return literal(whole_number(at + 1, end, value), end, b"\r\n", 2)


cdef inline const uint8_t* bulk(const uint8_t* at, const uint8_t* end, Text* text) noexcept nogil:
    cdef int64_t size
    at = counted(at, end, 0x24, &size)
    if at == NULL or end - at < size + 2:
        return NULL
    text.data = at
    text.size = size
    return at + size + 2
