"""Records by the kernel: the messages of Python, for random rows and plans; what cannot be a plan is refused."""

import random

import pytest

from deltaforge.kernel import compiled as kernel
from deltaforge.kernel import description
from deltaforge.records.plan import RecordPlan
from tests.fuzz import copied_rows, mysql_rows, postgres_rows, records

pytestmark = pytest.mark.skipif(kernel is None, reason=description)

KINDS = (mysql_rows.Case, postgres_rows.Case, copied_rows.MysqlCase, copied_rows.PostgresCase)
CASES = 150


@pytest.mark.parametrize("kind", KINDS)
def test_random_rows_make_the_messages_of_python(kind):
    taken = 0
    for seed in range(CASES):
        rnd = random.Random(seed)
        count = records.compared(kind(rnd, damage=0.2), rnd)
        assert count is not None, f"kernel and Python differ: seed {seed}"
        taken += count > 0
    assert taken > CASES // 10


def test_plans_of_other_tables_and_other_things_are_refused():
    rnd = random.Random(1)
    case, other = mysql_rows.Case(rnd, 0), mysql_rows.Case(rnd, 0)
    plan = records.plan_of(rnd, case.table)
    program = kernel.RecordProgram(plan, other.table.plan)  # columns that it does not have are those that are missing
    with pytest.raises(ValueError, match="another table"):
        kernel.EncodedEvents().extend_records(case.row_groups(), 0, 0, lambda _: program, 1)
    with pytest.raises(TypeError):
        kernel.EncodedEvents().extend_records(case.row_groups(), 0, 0, lambda _: plan, 1)
    with pytest.raises(IndexError):
        kernel.EncodedEvents().extend_records(case.row_groups(), 0, 1000, lambda _: program, 1)
    with pytest.raises(TypeError):
        kernel.RecordProgram(RecordPlan("avro", (object(),), (), None), case.table.plan)
    with pytest.raises(KeyError):
        kernel.RecordProgram(plan._replace(writer="xml"), case.table.plan)


def test_groups_without_a_plan_are_left_to_python():
    case = mysql_rows.Case(random.Random(2), 0)
    assert kernel.EncodedEvents().extend_records(case.row_groups(), 0, 0, lambda _: None, 1) == (0, 0)
