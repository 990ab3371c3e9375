"""The report: one verdict a check, as text, HTML and DataFrame."""

import html
import math
import textwrap
from dataclasses import asdict, dataclass

import pandas as pd

HOLDS, FAILS, UNKNOWN, NO_PART = "holds", "does not hold", "unknown", "does not apply"
MARKS = {HOLDS: "[+]", FAILS: "[!]", UNKNOWN: "[?]", NO_PART: "[ ]"}
HEADINGS = {"assumption": "Assumptions of the paper", "training": "Training and decisions"}


@dataclass(frozen=True)
class Check:
    """What was looked at, what came out, how, and what to change where that is called for."""

    check: str
    kind: str
    statement: str
    verdict: str
    figure: str
    how: str
    change: str = ""
    value: float = math.nan

    def __post_init__(self):
        if self.verdict in (HOLDS, NO_PART):
            object.__setattr__(self, "change", "")


def judge(holds):
    """Verdict on what can be told."""
    return HOLDS if holds else FAILS


class AssumptionsReport:
    """Verdicts on a fitted net, as `check_assumptions` returns them.

    It prints as a table, with what to change below; notebooks show all of it.

    Parameters
    ----------
    checks : list of Check
        The verdicts, in the order in which they are shown.

    layers : pandas.DataFrame
        The layers of the net, see below.

    lipschitz_bound, lipschitz_seen : float
        See below.

    block_bounds : dict of str to float
        See below.

    n_rows : int
        See below.

    Attributes
    ----------
    layers : pandas.DataFrame
        One row a layer, by name, in the order of the forward pass: "block" it lies in, "type",
        "lipschitz" (bound of its Lipschitz constant; NaN if unknown), "bounded" (whether its
        outputs are bounded whatever the weights before it; None if unknown), "largest_output" (in
        absolute value, on the given rows) and "how" the bound was found.

    lipschitz_bound : float
        Upper bound of the Lipschitz constant of the net, from its input to its logits. NaN if
        unknown.

    lipschitz_seen : float
        Largest norm of the gradient of the logits at the given rows, a lower bound of the same
        constant. NaN if the rows have no gradient.

    block_bounds : dict of str to float
        Upper bounds of the constants of the blocks of the net, by name. NaN if unknown.

    n_rows : int
        Rows that the net was looked at with.

    See Also
    --------
    check_assumptions : Makes the report.
    """

    def __init__(self, checks, layers, lipschitz_bound, lipschitz_seen, block_bounds, n_rows):
        self._checks = tuple(checks)
        self.layers = layers
        self.lipschitz_bound = lipschitz_bound
        self.lipschitz_seen = lipschitz_seen
        self.block_bounds = block_bounds
        self.n_rows = n_rows

    def to_frame(self):
        """Return the verdicts as a DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            One row a check, by its short name: "kind" ("assumption" or "training"), "statement",
            "verdict" ("holds", "does not hold", "unknown" or "does not apply"), "figure" in words
            and its "value" as a number, "how" it was computed, and what to "change".
        """
        columns = ["check", "kind", "statement", "verdict", "value", "figure", "how", "change"]
        return pd.DataFrame(map(asdict, self._checks), columns=columns).set_index("check")

    def __repr__(self):
        """Table of the verdicts, and what to change."""
        width = max(len(check.statement) for check in self._checks)
        lines = [self._title()]
        for kind, heading in HEADINGS.items():
            lines += ["", heading]
            lines += [
                f"  {MARKS[check.verdict]} {check.verdict:14}  {check.statement:{width}}  "
                f"{check.figure}".rstrip()
                for check in self._checks
                if check.kind == kind
            ]
        changes = {}
        for check in self._checks:
            if check.change:
                changes.setdefault(check.change, []).append(check.check)
        if changes:
            lines += ["", "What to change"]
        for change, checks in changes.items():
            told = f"{', '.join(checks)}: {change}"
            lines += textwrap.wrap(told, 96, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines)

    def _repr_html_(self):
        """Table of the verdicts, with how each was computed."""
        head = ("Verdict", "Statement", "Figure", "How", "What to change")
        rows = [_row("th", head)]
        for kind, heading in HEADINGS.items():
            rows.append(f'<tr><th colspan="{len(head)}">{html.escape(heading)}</th></tr>')
            rows += [
                _row(
                    "td",
                    (f"{MARKS[c.verdict]} {c.verdict}", c.statement, c.figure, c.how, c.change),
                )
                for c in self._checks
                if c.kind == kind
            ]
        caption = f"<caption>{html.escape(self._title())}</caption>"
        return f"<table>{caption}{''.join(rows)}</table>"

    def _title(self):
        rows = "row" if self.n_rows == 1 else "rows"
        return f"FairBiNN's assumptions and training, checked on {self.n_rows:,} {rows}"


def _row(tag, cells):
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
