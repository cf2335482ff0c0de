# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# distutils: language = c++
"""The compiled kernel: raw log bytes to JSON and objects, with every read bounds-checked.

It gives the bytes that the Python decoders give, or declines and lets them decide: errors are theirs.
One module out of several files, so that the compiler sees all of it.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove, memset

from collections import Counter
from functools import lru_cache
from typing import get_args

import msgspec

from deltaforge.core.errors import ProtocolError
from deltaforge.core.event import ChangeEvent, EventIds, Origin, SnapshotMark
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.core.json_text import encode_json, is_unicode
from deltaforge.core.row_ids import TouchedRows, event_id, touched_rows
from deltaforge.core.template import value_at
from deltaforge.protocol.mysql.charsets import text_decoder
from deltaforge.protocol.mysql.rows import Rows
from deltaforge.protocol.mysql.temporal import DATETIME_BYTES, TIME_BYTES
from deltaforge.protocol.mysql.types import Code
from deltaforge.records.masking import hash_name

include "encode/output.pxi"
include "encode/digest.pxi"
include "encode/texts.pxi"
include "decode/integers.pxi"
include "decode/layout.pxi"
include "decode/charsets.pxi"
include "decode/mysql_temporal.pxi"
include "decode/mysql_values.pxi"
include "decode/mysql_json.pxi"
include "decode/mysql_rows.pxi"
include "decode/keys.pxi"
include "decode/json_text.pxi"
include "decode/result_rows.pxi"
include "decode/postgres_values.pxi"
include "encode/envelope.pxi"
include "decode/transaction.pxi"
include "decode/groups.pxi"
include "decode/completed_rows.pxi"
include "encode/encoded.pxi"
include "encode/template.pxi"
include "copied_rows.pxi"
include "lanes.pxi"
include "encode/targets.pxi"
include "decode/binlog.pxi"
include "encode/hashes.pxi"
include "encode/record_plan.pxi"
include "encode/record_facts.pxi"
include "encode/record_numbers.pxi"
include "encode/record_values.pxi"
include "encode/record_nested.pxi"
include "encode/record_lists.pxi"
include "encode/record_masks.pxi"
include "encode/record_rows.pxi"
include "encode/record_changes.pxi"
include "encode/record_groups.pxi"
include "encode/redis.pxi"
include "sample/structure.pxi"
include "sample/sample.pxi"
include "decode/copydata.pxi"
include "libpq.pxi"
include "decode/copy_rows.pxi"
include "decode/postgres_transactions.pxi"
include "librdkafka/functions.pxi"
include "librdkafka/rows.pxi"
include "librdkafka/library.pxi"
include "librdkafka/producer.pxi"
include "spool.pxi"
include "spool_reader.pxi"
