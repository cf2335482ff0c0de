"""Rows of a select: the kernel writes the images that Python writes, takes nothing that Python refuses, and stops inside its
buffer.
"""

import random
from types import SimpleNamespace

import pytest

from deltaforge.core.errors import ProtocolError
from deltaforge.kernel import compiled as kernel
from deltaforge.kernel import description
from deltaforge.protocol.mysql.result_rows import Form, RowImages
from deltaforge.protocol.mysql.result_values import row_values
from tests.fuzz import mysql_results

needs_kernel = pytest.mark.skipif(kernel is None, reason=description)


@needs_kernel
@pytest.mark.parametrize("damage", [0, 0.3])
def test_the_kernel_writes_the_images_that_python_writes(damage):
    rnd, taken, left = random.Random(17), 0, 0
    for _ in range(1500):
        case = mysql_results.Case(rnd, damage)
        count, images, at, last = case.by_kernel(len(case.buffer), 1 << 30)
        assert images == case.by_python(count)
        assert at == sum(len(row) + 4 for row in case.rows[:count])
        assert last == (sum(len(row) + 4 for row in case.rows[: count - 1]) if count else -1)
        if count < len(case.rows):
            assert refused(case, count)
            left += 1
        taken += count
    assert taken > 1500
    assert left > (300 if damage else 0)


def refused(case, number):
    """Whether Python refuses a row, too. The kernel may leave a valid one to it."""
    try:
        RowImages(case.columns).image(case.rows[number])
    except ProtocolError:
        return True
    return False


@needs_kernel
def test_rows_are_taken_while_there_is_room_and_as_far_as_they_have_come():
    rnd = random.Random(4)
    for _ in range(300):
        case = mysql_results.Case(rnd, 0)
        whole = case.by_kernel(len(case.buffer), 1 << 30)
        for size in rnd.sample(range(len(case.buffer)), min(20, len(case.buffer))):
            count, images, at, _ = case.by_kernel(size, 1 << 30)
            assert at <= size
            assert count <= whole[0]
            assert whole[1].startswith(images)
        count, images, _, _ = case.by_kernel(len(case.buffer), 1)
        assert count == min(1, whole[0])
        assert whole[1].startswith(images)


def test_damaged_rows_are_errors_of_ours():
    rnd, errors = random.Random(5), 0
    for _ in range(1000):
        case = mysql_results.Case(rnd, 1)
        for row in case.rows:
            for read in (RowImages(case.columns).image, lambda row, case=case: row_values(row, case.columns)):
                try:
                    read(row)
                except ProtocolError:
                    errors += 1
    assert errors > 500


@needs_kernel
@pytest.mark.parametrize(
    ("form", "size", "width", "precision", "scale"),
    [
        (-1, 1, 1, 0, 0), (12, 1, 1, 0, 0), (Form.FIXED, 9, 9, 0, 0), (Form.FIXED, 4, 2, 0, 0), (Form.DOUBLE, 0, 0, 0, 0),
        (Form.SHORTER, 4, 4, 0, 0), (Form.SHORTER, 9, 8, 0, 0), (Form.SHORTER, 4, -1, 0, 0), (Form.DECIMAL, 0, 0, 66, 0),
        (Form.DECIMAL, 0, 0, 5, 6), (Form.DECIMAL, 0, 0, 0, 0), (Form.BITS, 0, 9, 0, 0), (Form.DATETIME, 0, 5, 0, 7),
        (Form.TIME, 0, 3, 0, -1), (Form.BYTES, 0, 0, 0, 0), (Form.BYTES, 0, 5, 0, 0),
    ],
)  # fmt: skip
def test_a_column_that_no_result_has_is_refused(form, size, width, precision, scale):
    column = SimpleNamespace(
        form=form, size=size, width=width, precision=precision, scale=scale, is_signed=False
    )  # no ResultColumn of ours
    with pytest.raises((ValueError, OverflowError)):
        kernel.ResultRows([column])
