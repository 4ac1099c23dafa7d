"""``demo``: the whole pipeline on real video, with nothing to install beside ffmpeg."""

from pathlib import Path

import click

from supervisor.cli.exits import ExitCode, finish


@click.command(short_help="Play the whole pipeline on real video, no broker needed.")
@click.option(
    "--broker",
    default="embedded",
    show_default=True,
    metavar="URL",
    help="Play it on a RabbitMQ instead: amqp://user:password@host/",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Where the files go; an earlier demo's are replaced.",
)
def demo(*, broker: str, output: Path) -> None:
    """Play the whole pipeline on real video: download, cut, preview.

    A clip is made and served on this machine. Three scenes follow: all goes well; a link is
    broken; a worker is killed in the middle of its job. Everything that was started is gone
    afterwards, and the exit code is 0 only if every scene ended as it should. With --broker the
    queues it made (demo_...) stay in that broker.

    \b
    Examples:
      python -m supervisor demo
      python -m supervisor demo --broker amqp://guest:guest@localhost/
    """
    from supervisor.demo.play import play

    finish(ExitCode(play(broker=broker, output=output)))
