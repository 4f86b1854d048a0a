"""The command line: one thin command per capability. Nothing heavy is imported before a command runs."""

import sys


def main() -> None:
    """Run the command line; what the user can mend is said in one line, and ends with exit code 2."""
    from minidalle.cli.class_app import app  # and with it all the others
    from minidalle.errors import InvalidValue

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # an old code page, as of a pipe on Windows, has no ✓ and no →
    try:
        sys.exit(app(standalone_mode=False, prog_name="minidalle"))
    except InvalidValue as error:
        from minidalle.cli.failures import as_typed

        _leave(as_typed(str(error), sys.argv[1:]), 2)
    except Exception as error:
        from minidalle.cli.failures import complaint

        words, code = complaint(error)
        _leave(words, code)


def _leave(words: str, code: int) -> None:
    print(f"minidalle: {words}", file=sys.stderr)
    sys.exit(code)
