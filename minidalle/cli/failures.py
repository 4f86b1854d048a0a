"""Failures as a user should see them: one line and an exit code. Imported only when something went wrong."""


def complaint(error: Exception) -> tuple[str, int]:
    """What to say about an error, and the exit code; an error that is a fault of ours is raised again."""
    if hasattr(error, "format_message"):  # typer's own: an unknown option, a value that is not one of …
        return f"{error.format_message().rstrip('.')}. What there is: minidalle --help", 2
    from minidalle.checkpoint import CheckpointError
    from minidalle.training.distributed import RankFailed
    from minidalle.training.loop import Diverged

    if isinstance(error, CheckpointError | Diverged | RankFailed):
        return str(error), 1
    raise error
