from math import ceil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stages.store.chunks import MAX_OBJECTS, MIB, plan_chunks, spans

# networks, parameters, chunk, shard, objects: measured and tabulated before the code was written
MEASURED = [
    (100, 10_000, (20, 10_000), None, 5),
    (100, 1_000_000, (1, 1_000_000), None, 100),
    (100, 11_699_112, (1, 974_926), None, 1200),
    (100, 1_000_000_000, (1, 1_048_219), (1, 2_096_438), 47_700),
    (1000, 1_000_000, (1, 250_000), None, 4000),
    (10_000, 10_000, (24, 10_000), None, 417),
    (10_000, 1_000_000, (9, 26_316), None, 42_256),
    (10_000, 11_699_112, (9, 26_833), (9, 268_330), 48_928),
]


def objects(networks: int, parameters: int) -> int:
    plan = plan_chunks(networks, parameters)
    rows, columns = plan.shard or plan.chunk
    return ceil(networks / rows) * ceil(parameters / columns)


@pytest.mark.parametrize(("networks", "parameters", "chunk", "shard", "count"), MEASURED)
def test_the_measured_table(networks, parameters, chunk, shard, count):
    plan = plan_chunks(networks, parameters)
    assert (plan.chunk, plan.shard) == (chunk, shard)
    assert objects(networks, parameters) == count


sizes = st.integers(1, 100_000)
lengths = st.integers(1, 2 * 10**9)


@given(networks=sizes, parameters=lengths)
def test_chunks_stay_within_the_array_and_their_bounds(networks, parameters):
    rows, columns = plan_chunks(networks, parameters).chunk
    assert 1 <= rows <= networks
    assert 1 <= columns <= parameters
    assert columns * 4 <= 4 * MIB
    assert networks * columns * 4 <= 1024 * MIB
    assert rows == 1 or rows * columns * 4 <= 2 * MIB  # more rows only to fill a chunk of about 1 MiB


@given(networks=sizes, parameters=lengths)
def test_edge_chunks_waste_less_than_one_value_per_chunk(networks, parameters):
    rows, columns = plan_chunks(networks, parameters).chunk
    assert ceil(parameters / columns) * columns - parameters < ceil(parameters / columns)
    assert ceil(networks / rows) * rows - networks < ceil(networks / rows)


@given(networks=sizes, parameters=lengths)
@example(networks=100_000, parameters=10**9)  # shards at their largest
def test_a_shard_is_whole_chunks_of_the_same_rows(networks, parameters):
    plan = plan_chunks(networks, parameters)
    if plan.shard is None:
        assert objects(networks, parameters) <= MAX_OBJECTS
        return
    assert plan.shard[0] == plan.chunk[0]
    assert plan.shard[1] % plan.chunk[1] == 0
    assert plan.shard[0] * plan.shard[1] * 4 <= 256 * MIB
    held_back = (plan.shard[1] // plan.chunk[1] + 1) * plan.shard[0] * plan.chunk[1] * 4 > 256 * MIB
    assert objects(networks, parameters) <= 1.1 * MAX_OBJECTS or held_back


@given(total=st.integers(0, 1000), step=st.integers(1, 100))
def test_spans_cover_everything_once_in_order(total, step):
    found = list(spans(total, step))
    assert [i for start, stop in found for i in range(start, stop)] == list(range(total))
    assert all(stop - start == step for start, stop in found[:-1])
