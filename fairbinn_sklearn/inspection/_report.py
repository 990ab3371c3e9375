"""The report: one finding for each check, as text, HTML and DataFrame."""

import html
import math
import textwrap
from dataclasses import dataclass

import pandas as pd

HOLDS, FAILS, UNKNOWN, NOT_APPLICABLE = "holds", "does not hold", "unknown", "does not apply"
MARKS = {HOLDS: "[+]", FAILS: "[!]", UNKNOWN: "[?]", NOT_APPLICABLE: "[ ]"}
COLUMNS = ["statement", "verdict", "value", "result", "how", "advice"]


@dataclass(frozen=True)
class Finding:
    """The verdict of one check, and the advice that follows from it.

    `topics` names the subjects of the advice. Two findings with a common topic give the same or
    opposite advice.
    """

    check: str
    statement: str
    verdict: str
    result: str
    how: str
    advice: str = ""
    value: float = math.nan
    topics: tuple = ()

    def __post_init__(self):
        if self.verdict in (HOLDS, NOT_APPLICABLE):
            object.__setattr__(self, "advice", "")


def judge(holds):
    """Return the verdict on a statement that can be decided."""
    return HOLDS if holds else FAILS


class InspectionReport:
    """Findings on a fitted classifier, as `check_assumptions` and `diagnose` return them.

    The text has one line for each finding and the advice below them. Notebooks show the same as
    a table, with how each result was computed.

    Parameters
    ----------
    findings : list of Finding
        The findings, in the order in which they are shown.

    title : str
        First line of the text.

    advice_title : str
        Title of the list of advice.

    details : dict of str to object
        See below.

    Attributes
    ----------
    details : dict of str to object
        Further results. The functions that return the report list them.

    See Also
    --------
    check_assumptions : Report on the assumptions of the paper.
    diagnose : Report on training and predictions.
    """

    def __init__(self, findings, *, title, advice_title, details):
        self._findings = tuple(findings)
        self._title = title
        self._advice_title = advice_title
        self.details = details

    def to_frame(self):
        """Return the findings as a DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each check, by its short name. The columns are "statement", "verdict"
            ("holds", "does not hold", "unknown" or "does not apply"), "value" (the result as a
            number, NaN if it is none), "result" in words, "how" it was computed and judged, and
            "advice", empty if there is none.
        """
        rows = [[getattr(finding, column) for column in COLUMNS] for finding in self._findings]
        index = pd.Index([finding.check for finding in self._findings], name="check")
        return pd.DataFrame(rows, index=index, columns=COLUMNS)

    def __repr__(self):
        """Return the findings and the advice as text."""
        width = max(len(finding.statement) for finding in self._findings)
        lines = [self._title, ""]
        lines += [
            f"  {MARKS[finding.verdict]} {finding.verdict:14}  {finding.statement:{width}}  "
            f"{finding.result}".rstrip()
            for finding in self._findings
        ]
        if advice := self._advice():
            lines += ["", self._advice_title]
        for number, (text, checks) in enumerate(advice.items(), start=1):
            item = f"{number}. {', '.join(checks)}: {text}"
            lines += textwrap.wrap(item, 96, initial_indent="  ", subsequent_indent="     ")
        return "\n".join(lines)

    def _repr_html_(self):
        """Return the findings and the advice as an HTML table and an HTML list."""
        rows = [_row("th", ("Verdict", "Statement", "Result", "How"))]
        rows += [
            _row("td", (f"{MARKS[f.verdict]} {f.verdict}", f.statement, f.result, f.how))
            for f in self._findings
        ]
        page = f"<table><caption>{html.escape(self._title)}</caption>{''.join(rows)}</table>"
        if advice := self._advice():
            items = [f"{', '.join(checks)}: {text}" for text, checks in advice.items()]
            listed = "".join(f"<li>{html.escape(item)}</li>" for item in items)
            page += f"<p>{html.escape(self._advice_title)}</p><ol>{listed}</ol>"
        return page

    def _advice(self):
        """Return the checks that give each advice, by its text."""
        advice = {}
        for finding in self._findings:
            if finding.advice:
                advice.setdefault(finding.advice, []).append(finding.check)
        return advice


def _row(tag, cells):
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
