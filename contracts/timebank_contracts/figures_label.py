"""The label of a programme: computed from its journal, never typed.

    none          fewer than 5 people, or nobody with an hour
    one-way       help goes one way: β < 1/10 or ρ < 1/10
    two-way       β ≥ 1/3, ρ ≥ 1/3 and ι ≥ 4/5
    co-produced   two-way, and δ ≥ 1/20 by 3 people or more who are helped themselves
    mixed         anything else

ρ = 2 Σ min(gᵢ, rᵢ) / Σ (gᵢ + rᵢ); β = people with an hour both ways / people with an hour; δ = minutes of `design` by
people who are helped / all minutes given; ι = minutes confirmed by neither the programme nor a rule / all given.
Source: design page 10, "Two-way index" to "The label is computed".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from timebank_contracts.figures_period import Ratio

Label = Literal["none", "one-way", "two-way", "co-produced", "mixed"]


class LabelPolicy(NamedTuple):
    """Thresholds, printed with every label: the network's policy."""

    people_min: int = 5
    active_minutes: int = 60
    one_way_below: Ratio = Ratio(1, 10)
    two_way_from: Ratio = Ratio(1, 3)
    independence_from: Ratio = Ratio(4, 5)
    design_from: Ratio = Ratio(1, 20)
    designers_min: int = 3


DEFAULT_POLICY = LabelPolicy()


@dataclass(slots=True)
class Person:
    """One person's minutes with one programme."""

    given: int = 0
    received: int = 0
    design: int = 0
    """Of those given: planning, deciding, evaluating the service."""


class TwoWay(NamedTuple):
    """What a label is computed from, and the label."""

    label: Label
    people: int
    rho: Ratio
    beta: Ratio
    design: Ratio
    independence: Ratio
    designers: int
    """People who are helped and also gave minutes of `design`."""
    givers_only: int
    receivers_only: int
    both: int


def two_way(people: Iterable[Person], *, independent_minutes: int, policy: LabelPolicy = DEFAULT_POLICY) -> TwoWay:
    """The two-way index of a programme, and its label.

    Args:
        people: everybody who gave to it or was helped by it.
        independent_minutes: of the minutes given, those confirmed by neither the programme nor a rule.
        policy: the thresholds.
    """
    seen = [person for person in people if person.given > 0 or person.received > 0]
    given = sum(max(0, person.given) for person in seen)
    received = sum(max(0, person.received) for person in seen)
    hour = policy.active_minutes
    active = [person for person in seen if max(0, person.given) + max(0, person.received) >= hour]
    designing = [person for person in seen if person.received > 0 and person.design > 0]
    both = sum(person.given > 0 and person.received > 0 for person in seen)
    found = TwoWay(
        label="none",
        people=len(seen),
        rho=Ratio(2 * sum(max(0, min(person.given, person.received)) for person in seen), given + received),
        beta=Ratio(sum(person.given >= hour and person.received >= hour for person in active), len(active)),
        design=Ratio(sum(person.design for person in designing), given),
        independence=Ratio(max(0, independent_minutes), given),
        designers=len(designing),
        givers_only=sum(person.given > 0 for person in seen) - both,
        receivers_only=sum(person.received > 0 for person in seen) - both,
        both=both,
    )
    return found._replace(label=label_of(found, policy))


def label_of(found: TwoWay, policy: LabelPolicy = DEFAULT_POLICY) -> Label:
    """The one word for these shares."""
    if found.people < policy.people_min or not found.beta.denominator:
        return "none"
    low, high = policy.one_way_below, policy.two_way_from
    if not found.beta.is_at_least(*low) or not found.rho.is_at_least(*low):
        return "one-way"
    is_two_way = found.beta.is_at_least(*high) and found.rho.is_at_least(*high)
    if not is_two_way or not found.independence.is_at_least(*policy.independence_from):
        return "mixed"
    is_designed = found.design.is_at_least(*policy.design_from) and found.designers >= policy.designers_min
    return "co-produced" if is_designed else "two-way"
