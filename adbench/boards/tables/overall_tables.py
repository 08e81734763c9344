"""Tables of text of the overall board: methods over several data sets."""

from __future__ import annotations

from collections.abc import Sequence

from adbench.boards.statistics.overall import MeanOfSets, OverallGroup, OverallRow
from adbench.boards.tables.figures import DASH, percent
from adbench.boards.tables.table import about_ranking, groups_of, p_text
from adbench.reports import Table

HEADING = "Over all data sets"
READ_AS = (
    "Mean rank: of the ranks on the data sets, 1 is best; mean: of the figures, in percent, each data set with the same"
    " weight. Brackets hold the 95 % confidence interval over the choice of data sets (Student's t), which is wide for"
    " few of them. On each data set: the figure of its board, and the rank among the methods that stand on all of them."
    f" A method with a gap ({DASH}) is listed, not ranked."
)
AGREEMENT = (
    "Kendall's tau-b of the order of the ranked methods: 1 for the same order, 0 for none, -1 for the opposite one."
)


def overall_tables(groups: Sequence[OverallGroup]) -> list[Table]:
    """A heading, then for each group the methods, and how far the data sets agree."""
    tables = [Table(HEADING, (), (), (READ_AS,))]
    for group in groups:
        tables += [group_table(group), *([agreement_table(group)] if group.agreement else [])]
    return tables


def title_of(group: OverallGroup) -> str:
    """The metric, and what the methods were given."""
    return f"{group.metric}: {group.regime}"


def group_table(group: OverallGroup) -> Table:
    """The methods of a group by mean rank, then those with a gap."""
    columns = ("mean rank", "method", "mean", *group.sets, "group", "p against the first")
    rows = tuple(
        (
            rank_text(entry.rank),
            entry.label,
            mean_text(entry.mean),
            *(cell_text(entry, name) for name in group.sets),
            groups_of(entry.label, group.ranking),
            p_text(group.tests.p.get(entry.label)),
        )
        for entry in group.entries
    )
    return Table(title_of(group), columns, rows, notes_of(group))


def notes_of(group: OverallGroup) -> tuple[str, ...]:
    """The protocol, and how groups and p were computed."""
    corrected = ", corrected for their number (Holm)" if group.tests.p else ""
    return (
        f"Boards: {group.protocol}.",
        f"Over all categories of all data sets together: {about_ranking(group.ranking)}",
        f"p: {group.tests.test}{corrected}. A data set with more categories weighs more here than in the mean rank.",
    )


def agreement_table(group: OverallGroup) -> Table:
    """How far each two data sets agree on the order of the methods."""
    rows = tuple(
        (one, other, DASH if tau is None else f"{tau:.2f}") for (one, other), tau in sorted(group.agreement.items())
    )
    return Table(f"Agreement, {title_of(group)}", ("data set", "and", "tau"), rows, (AGREEMENT,))


def rank_text(rank: MeanOfSets | None) -> str:
    """The mean rank with its interval; a dash with a gap."""
    if rank is None:
        return DASH
    return f"{rank.mean:.2f}" + ("" if rank.interval is None else " [{:.1f}, {:.1f}]".format(*rank.interval))


def mean_text(mean: MeanOfSets | None) -> str:
    """The mean figure in percent with its interval; a dash with a gap."""
    if mean is None:
        return DASH
    return percent(mean.mean) + ("" if mean.interval is None else " [{}, {}]".format(*map(percent, mean.interval)))


def cell_text(entry: OverallRow, name: str) -> str:
    """The figure on a data set, and the rank there."""
    figure = entry.figures.get(name)
    if figure is None or figure.mean is None:
        return DASH if figure is None else figure.mark
    return percent(figure.mean) + (f" ({entry.ranks[name]:g})" if name in entry.ranks else "")
