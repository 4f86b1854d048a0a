"""`minidalle doctor`: what this machine and installation have, and one line that mends each trouble."""

import shutil
import sys
import textwrap

from minidalle.cli.checks import BAD, CHECKS, GOOD, Check, Finding, install_command

PLAIN = {GOOD: "+", BAD: "x", "→": "->"}  # for screens that cannot show the others


def examine() -> int:
    """Print what every check finds, a mark, a name and words each.

    Returns:
        1 if something needs mending (✗), else 0: what is only worth knowing (!) does not count.
    """
    findings = [finding for check in CHECKS for finding in findings_of(check)]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        _say(f"{_mark(finding.mark)} {finding.name:{width}}  ", finding.words)
        if finding.mend:
            _say(f"  {'':{width}}  {_mark('→')} ", finding.mend, wrap=False)  # so that it can be copied
    troubles = sum(finding.mark == BAD for finding in findings)
    _say("", f"{troubles} to mend" if troubles else "all is well")
    return min(troubles, 1)


def findings_of(check: Check) -> list[Finding]:
    """What a check finds. If it breaks, that is a finding too, and the other checks go on."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except Exception as error:  # a package that is missing or broken can raise anything
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        name = check.__name__.removeprefix("check_").replace("_", " ")
        found.append(Finding(BAD, name, f"{type(error).__name__}: {reason}", install_command()))
    return found


def _say(start: str, words: str, wrap: bool = True) -> None:
    """Print words after a start, on lines as wide as the screen that begin where the first words do."""
    if wrap:
        width = max(shutil.get_terminal_size((100, 24)).columns, 60)
        words = textwrap.fill(words, width - len(start), break_long_words=False, break_on_hyphens=False)
    line = start + words.replace("\n", "\n" + " " * len(start))
    print(line.encode(_encoding(), "replace").decode(_encoding()))


def _mark(mark: str) -> str:
    try:
        mark.encode(_encoding())
    except UnicodeEncodeError:
        return PLAIN[mark]
    return mark


def _encoding() -> str:
    return sys.stdout.encoding or "ascii"
