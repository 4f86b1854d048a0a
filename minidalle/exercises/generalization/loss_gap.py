"""Exercise: the gap between seen and unseen examples, and how sure it is if they come in groups."""

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generalization import probe_loss_gap
from minidalle.generalization.gap import loss_gap
from minidalle.runtime import generator

Answer = tuple[Tensor, Tensor]


def cases(seed: int) -> list[Case]:
    """A group for each example; groups of two and more; groups on both sides, whose numbers have holes and are in any
    order; unseen examples that are easier; a large group among small ones."""
    chance = generator(seed, "generalization.loss_gap")

    def losses(groups: list[int], level: float) -> Tensor:
        """Those of a group are alike, numbers that can be read."""
        own = level + 3 * torch.rand(len(groups), generator=chance)
        alike = torch.rand(max(groups) + 1, generator=chance)[torch.tensor(groups)]
        return (own + 4 * alike).mul(10).round() / 10

    def case(seen: list[int], unseen: list[int], worse: float = 3.0) -> Case:
        numbers = torch.randperm(100, generator=chance)
        return {
            "seen": losses(seen, 0.0 if worse > 0 else -worse),
            "unseen": losses(unseen, max(worse, 0.0)),
            "seen_groups": numbers[torch.tensor(seen)],
            "unseen_groups": numbers[torch.tensor(unseen)],
        }

    return [
        case([0, 1], [2, 3]),
        case([0, 1], [1, 2]),
        case([0, 0, 1], [2, 3, 3]),
        case([0, 1, 2, 0], [2, 0, 3], worse=-5.0),
        case([0, 0, 0, 1, 2, 2], [3, 4, 4, 3, 5]),
        case([4, 1, 0, 0, 1, 2, 1], [3, 1, 1, 2, 5, 3, 0, 6, 5], worse=-5.0),
        case([0, 0, 0, 0, 0, 1, 2, 3], [4, 4, 4, 0, 5]),
    ]


def _sums(errors: Tensor, groups: Tensor) -> Tensor:
    """The sum of each group's errors, in the order of the groups' numbers."""
    names, place = groups.unique(return_inverse=True)
    return errors.new_zeros(len(names)).index_add(0, place, errors)


def _error(sums: Tensor) -> Tensor:
    return (len(sums) / (len(sums) - 1) * sums.square().sum()).sqrt()


def _errors(seen: Tensor, unseen: Tensor) -> Tensor:
    """What each example adds to its group's u, [B + C]."""
    return torch.cat([-(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])


def _right(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    sums = _sums(_errors(seen, unseen), torch.cat([seen_groups, unseen_groups]))
    return unseen.mean() - seen.mean(), _error(sums)


def _group_means(losses: Tensor, groups: Tensor) -> Tensor:
    return torch.stack([losses[groups == group].mean() for group in groups.unique()])


def flips_the_sign(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """A gap says how much *higher* the loss of unseen examples is: unseen minus seen."""
    gap, se = _right(seen, unseen, seen_groups, unseen_groups)
    return -gap, se


def takes_the_gap_for_positive(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """Unseen examples can be easier, and then the gap is negative. Leave its sign."""
    gap, se = _right(seen, unseen, seen_groups, unseen_groups)
    return gap.abs(), se


def divides_by_the_seen_loss(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """The gap is a plain difference, in nats, and no share of the seen loss."""
    gap, se = _right(seen, unseen, seen_groups, unseen_groups)
    return gap / seen.mean(), se


def averages_group_means(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """Every example weighs the same in the gap: take the mean of each side's losses. Groups matter for the error
    only."""
    sides = _group_means(seen, seen_groups).mean(), _group_means(unseen, unseen_groups).mean()
    return sides[1] - sides[0], _right(seen, unseen, seen_groups, unseen_groups)[1]


def takes_medians(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """The loss of a side is the mean of its losses; the error in the formula is that of means."""
    return unseen.median() - seen.median(), _right(seen, unseen, seen_groups, unseen_groups)[1]


def takes_examples_for_independent(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """Examples of one group go together, so that they are fewer facts than they seem: add the errors up within each
    group first, then square."""
    return unseen.mean() - seen.mean(), (seen.var() / len(seen) + unseen.var() / len(unseen)).sqrt()


def gives_each_example_a_group(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """You square the error of each example. Those of one group, on both sides, are added up before: u(g) is a sum."""
    return unseen.mean() - seen.mean(), _error(_errors(seen, unseen))


def takes_the_spread_of_each_side(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """That is the error of independent examples. Those of a group go together: add up within groups, then square."""
    return unseen.mean() - seen.mean(), _errors(seen, unseen).norm()


def squares_inside_of_groups(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """First the sum within each group, u(g), then its square. If you square first, it does not matter any more who is
    in which group."""
    squares = _sums(_errors(seen, unseen).square(), torch.cat([seen_groups, unseen_groups]))
    return unseen.mean() - seen.mean(), (len(squares) / (len(squares) - 1) * squares.sum()).sqrt()


def takes_the_sides_for_independent(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """A group that is on both sides moves both means together. It has one u(g), with what it has on either side."""
    errors = _errors(seen, unseen).split([len(seen), len(unseen)])
    sides = [_error(_sums(*side)) for side in zip(errors, (seen_groups, unseen_groups), strict=True)]
    return unseen.mean() - seen.mean(), (sides[0].square() + sides[1].square()).sqrt()


def takes_a_group_on_both_sides_for_two(
    seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor
) -> Answer:
    """A number means the same group on both sides: put both sides together before you sum over groups. Yours has two
    sums where there is one."""
    sums = _sums(_errors(seen, unseen), torch.cat([seen_groups, unseen_groups + 1000]))
    return unseen.mean() - seen.mean(), _error(sums)


def adds_errors_instead_of_squares(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """Errors of two sides do not simply add up, for they seldom point the same way: squares are added, and those of
    whole groups."""
    errors = _errors(seen, unseen).split([len(seen), len(unseen)])
    sides = [_error(_sums(*side)) for side in zip(errors, (seen_groups, unseen_groups), strict=True)]
    return unseen.mean() - seen.mean(), sides[0] + sides[1]


def numbers_the_groups_of_each_side_anew(
    seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor
) -> Answer:
    """The first group of one side need not be the first of the other: yours are added up all the same. Number the
    groups of both sides together."""
    places = [groups.unique(return_inverse=True)[1] for groups in (seen_groups, unseen_groups)]
    return unseen.mean() - seen.mean(), _error(_sums(_errors(seen, unseen), torch.cat(places)))


def adds_the_seen_errors(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """A group that is hard on both sides changes the gap little: in u(g) the seen part is subtracted."""
    errors = torch.cat([(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    return unseen.mean() - seen.mean(), _error(_sums(errors, torch.cat([seen_groups, unseen_groups])))


def forgets_the_factor(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """The means were made of the same groups, so that these seem closer to them than they are. G / (G − 1) makes up
    for that."""
    sums = _sums(_errors(seen, unseen), torch.cat([seen_groups, unseen_groups]))
    return unseen.mean() - seen.mean(), sums.norm()


def leaves_the_factor_outside_of_the_root(
    seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor
) -> Answer:
    """G / (G − 1) belongs to the squares, and so under the root with them."""
    sums = _sums(_errors(seen, unseen), torch.cat([seen_groups, unseen_groups]))
    return unseen.mean() - seen.mean(), len(sums) / (len(sums) - 1) * sums.norm()


def counts_examples_in_the_factor(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """In G / (G − 1), G is the number of groups. You take the number of examples."""
    sums = _sums(_errors(seen, unseen), torch.cat([seen_groups, unseen_groups]))
    n = len(seen) + len(unseen)
    return unseen.mean() - seen.mean(), sums.norm() * (n / (n - 1)) ** 0.5


def counts_common_groups_twice(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """G is how many different groups there are on both sides together: one that is on both sides counts once."""
    sums = _sums(_errors(seen, unseen), torch.cat([seen_groups, unseen_groups]))
    n = len(seen_groups.unique()) + len(unseen_groups.unique())
    return unseen.mean() - seen.mean(), sums.norm() * (n / (n - 1)) ** 0.5


def forgets_to_divide_by_the_sides(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """An example moves its side's mean by its error divided by how many there are: by C on the unseen side, by B on
    the seen one."""
    errors = torch.cat([seen.mean() - seen, unseen - unseen.mean()])
    return unseen.mean() - seen.mean(), _error(_sums(errors, torch.cat([seen_groups, unseen_groups])))


def divides_both_sides_by_all(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """Each side has a mean of its own: divide by B what is on the seen side, by C what is on the unseen one, and not by
    B + C."""
    errors = torch.cat([seen.mean() - seen, unseen - unseen.mean()]) / (len(seen) + len(unseen))
    return unseen.mean() - seen.mean(), _error(_sums(errors, torch.cat([seen_groups, unseen_groups])))


def takes_group_means_of_errors(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """u(g) is a sum over the group's examples, not their mean: a large group moves the gap more."""
    errors, groups = _errors(seen, unseen), torch.cat([seen_groups, unseen_groups])
    return unseen.mean() - seen.mean(), _error(_group_means(errors, groups))


def takes_means_within_each_side(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """You average the errors of a group on each side, and divide by the number of groups. Add them up, and divide by
    how many examples the side has."""
    u: dict[int, Tensor] = {}
    for sign, losses, groups in ((1, unseen, unseen_groups), (-1, seen, seen_groups)):
        for group in groups.unique().tolist():
            own = (losses[groups == group].mean() - losses.mean()) / len(groups.unique())
            u[group] = u.get(group, torch.zeros(())) + sign * own
    return unseen.mean() - seen.mean(), _error(torch.stack([*u.values()]))


def takes_one_mean_for_both_sides(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """With one mean for both sides, the gap itself becomes an error. Subtract the mean of each loss's own side."""
    mean = torch.cat([seen, unseen]).mean()
    errors = torch.cat([(mean - seen) / len(seen), (unseen - mean) / len(unseen)])
    return unseen.mean() - seen.mean(), _error(_sums(errors, torch.cat([seen_groups, unseen_groups])))


def subtracts_no_mean(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """How far a loss is from its side's mean makes the error, not how large it is: subtract the mean first."""
    errors = torch.cat([-seen / len(seen), unseen / len(unseen)])
    return unseen.mean() - seen.mean(), _error(_sums(errors, torch.cat([seen_groups, unseen_groups])))


def takes_the_error_of_a_mean(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """The gap is the *sum* of what groups add to it, not their mean: do not divide by G."""
    gap, se = _right(seen, unseen, seen_groups, unseen_groups)
    return gap, se / len(torch.cat([seen_groups, unseen_groups]).unique())


def returns_the_variance(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """A standard error is the root of a variance: take `sqrt` of it."""
    gap, se = _right(seen, unseen, seen_groups, unseen_groups)
    return gap, se.square()


def group_by_group(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """Right: a loop over the different numbers, with what each has on either side."""
    means = seen.mean(), unseen.mean()
    names = {*seen_groups.tolist(), *unseen_groups.tolist()}
    total = torch.zeros(())
    for name in names:
        own = (unseen[unseen_groups == name] - means[1]).sum() / len(unseen)
        total = total + (own - (seen[seen_groups == name] - means[0]).sum() / len(seen)) ** 2
    return means[1] - means[0], torch.sqrt(total * len(names) / (len(names) - 1))


def by_a_table_of_groups(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> Answer:
    """Right: a table that says who is in which group, times the errors."""
    groups = torch.cat([seen_groups, unseen_groups])
    names = groups.unique()
    belongs = (groups == names[:, None]).to(seen.dtype)  # [G, B + C]
    errors = torch.cat([(seen.mean() - seen) / seen.numel(), (unseen - unseen.mean()) / unseen.numel()])
    return -(seen.mean() - unseen.mean()), (belongs @ errors).norm() / (1 - 1 / len(names)) ** 0.5


HINTS = (
    "The gap is a difference of two means. For its error, give each example what it adds to the gap: its distance from "
    "its side's mean, over the size of the side, with a minus on the seen side. Then add up within groups, and square.",
    "errors = cat([−(seen − mean) / B, (unseen − mean) / C]), groups = cat([seen_groups, unseen_groups]); u(g) is the "
    "sum of the errors whose group is g, and se = √(G / (G − 1) · Σ u(g)²). `groups.unique(return_inverse=True)` "
    "numbers the groups from 0, and `zeros.index_add(0, numbers, errors)` adds up.",
    """\
def loss_gap(seen, unseen, seen_groups, unseen_groups):
    errors = torch.cat([..., (unseen - unseen.mean()) / len(unseen)])
    names, numbers = torch.cat([seen_groups, unseen_groups]).unique(return_inverse=True)
    sums = errors.new_zeros(len(names)).index_add(0, numbers, errors)  # u(g)
    se = ...
    return ..., se
""",
)

EXERCISE = Exercise(
    id="generalization.loss_gap",
    points=4, minutes=30, stars=3,
    reference=loss_gap, cases=cases,
    wrong=(takes_the_error_of_a_mean, takes_the_spread_of_each_side, takes_means_within_each_side, flips_the_sign,
           takes_the_gap_for_positive, divides_by_the_seen_loss, averages_group_means, takes_medians,
           takes_examples_for_independent, gives_each_example_a_group, squares_inside_of_groups,
           takes_the_sides_for_independent, takes_a_group_on_both_sides_for_two, adds_errors_instead_of_squares,
           numbers_the_groups_of_each_side_anew, adds_the_seen_errors, forgets_the_factor,
           counts_examples_in_the_factor, leaves_the_factor_outside_of_the_root, counts_common_groups_twice,
           forgets_to_divide_by_the_sides, divides_both_sides_by_all, takes_group_means_of_errors,
           takes_one_mean_for_both_sides, subtracts_no_mean, returns_the_variance),
    also_right=(group_by_group, by_a_table_of_groups),
    hints=HINTS,
    reaches="generalization_gap", probe=probe_loss_gap, tolerance=1e-4,
)  # fmt: skip
