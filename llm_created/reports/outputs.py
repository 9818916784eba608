"""What was made of a run beside what is shown, and what it cost, in lines for a terminal."""

from __future__ import annotations

from ..analysis.funnel import bounds_said, compute_said, cost, lost_said, outputs_said, servers_said, spent_on_rows
from ..clients.prices import Price
from ..runs.journal import Journal
from ..runs.readings import Reading, Which
from ..utils.console import wrap

# Other readings of a run.
_ALSO = 4


def others(journal: Journal, width: int) -> list[str]:
    """What else was made of the run, and by what it is called."""
    here = journal.reading, journal.get("target")
    found: dict[tuple[str, int], list[Reading]] = {}
    for one in journal.readings():
        found.setdefault(one.key, []).append(one)
    said = []
    for key, ones in found.items():
        if key != here and key[0]:
            named = [f" ({one.name})" for one in ones if one.name]
            said.append(ones[0].said + "".join(named[:1]))
    of = "as last created" if journal.which == Which() else "as named" if journal.which.name else "as in its folder"
    return wrap(f"{of}; also made of it: {'; '.join(said[:_ALSO])}", width, then="  ") if said else []


def cost_lines(journal: Journal, kept: int, width: int = 80) -> list[str]:
    """Calls, tokens, dollars, and what one kept row cost, over the life of the run."""
    spent, own, price = journal.spent(), spent_on_rows(journal), journal.get("price")
    tokens = own.prompt_tokens + own.completion_tokens
    marked = f" ({spent.estimated:,} of them estimated)" if spent.estimated else ""
    line = f"{spent.calls:,} calls · {spent.prompt_tokens:,} + {spent.completion_tokens:,} tokens{marked}"
    if kept:
        line += f" · {tokens / kept:,.0f} tokens per kept row"
    dollars, of_rows = cost(spent, price), cost(own, price)
    if dollars is None or of_rows is None:
        line += " · price not known (--price IN,OUT)"
    elif Price(*price).free:
        line += f" · {compute_said(journal) or 'free'}"
    else:
        line += f" · ${dollars:,.4f}" + (f", ${of_rows / kept:,.6f} per kept row" if kept else "") + f" by {price[2]}"
    more = lost_said(spent, price), outputs_said(journal), bounds_said(journal), servers_said(journal)
    return ["", *(part for one in (line, *filter(None, more)) for part in wrap(one, width, then="  "))]
