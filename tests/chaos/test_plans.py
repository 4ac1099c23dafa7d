"""What is planned for a chaos run: the same seed gives the same run, with everything in it."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos import load, plan, soak
from tests.chaos.kinds import Kind
from tests.chaos.load import Share
from tests.chaos.plan import CONNECTIONS, LASTING, PROCESSES, REFUSALS, Fault

SHARE = Share(jobs=400, seconds=50.0, killers=5, hangers=2)


@given(seed=st.integers(0, 10**6))
def test_the_same_seed_gives_the_same_run(seed: int) -> None:
    assert load.plan(seed, SHARE) == load.plan(seed, SHARE)
    assert plan.plan(seed, 50.0, PROCESSES) == plan.plan(seed, 50.0, PROCESSES)
    assert soak.kills(seed, 50.0, 20) == soak.kills(seed, 50.0, 20)


@given(seed=st.integers(0, 10**6))
def test_a_run_that_is_long_enough_sees_every_fault_in_order(seed: int) -> None:
    for bag in (PROCESSES, CONNECTIONS, REFUSALS):
        planned = plan.plan(seed, 200.0, bag)

        assert {one.fault for one in planned} == set(bag)
        assert all(a.at <= b.at for a, b in itertools.pairwise(planned))
        assert all(bool(one.lasting) == (one.fault in LASTING) for one in planned)


def test_two_seeds_give_two_runs() -> None:
    assert load.plan(1, SHARE) != load.plan(2, SHARE)
    assert plan.plan(1, 50.0, PROCESSES) != plan.plan(2, 50.0, PROCESSES)


def test_every_kind_of_job_is_in_a_run_and_no_two_have_the_same_bytes() -> None:
    orders = load.plan(7, Share(jobs=600, seconds=50.0, killers=5, hangers=2))

    assert {order.kind for order in orders} == set(Kind)
    assert len({order.body[:200] for order in orders}) == len(orders) == 600
    assert {order.message_id is None for order in orders} == {True, False}
    assert any(order.priority for order in orders)
    assert any("x-delay" in order.headers for order in orders)


def test_a_soak_lets_one_coordinator_grow_old() -> None:
    late = [one.fault for one in soak.kills(1, 3600.0, 200) if one.at > 360.0]
    early = [one.fault for one in soak.kills(1, 3600.0, 200) if one.at < 360.0]

    assert len(late) + len(early) == 200
    assert not {Fault.KILL_COORDINATOR, Fault.KILL_GUARD} & set(late)
    assert {Fault.KILL_COORDINATOR, Fault.KILL_GUARD} & set(early)
