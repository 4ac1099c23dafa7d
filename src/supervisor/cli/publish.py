"""``publish``: hand in one job, and wait for it if asked."""

from typing import Any

import click

from supervisor.cli.completion import pools
from supervisor.cli.options import Whole, takes_json, takes_supervisor


@click.command(short_help="Hand in a job.")
@takes_supervisor
@click.argument("pool", shell_complete=pools)
@click.option("--link", metavar="URL", help="What to download.")
@click.option(
    "--file",
    "file",
    metavar="PATH",
    help="The video to cut or preview, from this folder on; it must lie in the media folder.",
)
@click.option("--data", metavar="JSON", help="The job's data, a JSON object; - reads stdin.")
@click.option("--from", "sender", metavar="WHO", help="Who is told what came of it.")
@click.option("--noreply", is_flag=True, help="Tell nobody.")
@click.option(
    "--priority",
    metavar="LEVEL",
    default="normal",
    show_default=True,
    help="critical, high, normal, low or background (or 1 to 5).",
)
@click.option("--delay", metavar="TIME", default="0", help="Wait this long first: 30s, 10m, 2h.")
@click.option("--at", metavar="MOMENT", help="Not before then: 2026-12-24T18:00:00+01:00.")
@click.option("--id", "job_id", metavar="ID", help="The job's id; the same id twice is one job.")
@click.option("--name", default="", metavar="TYPE", help="Its type, where a pool has several.")
@click.option(
    "--max-attempts",
    type=Whole(1),
    metavar="N",
    help="How often it may run in all; else as the pool has it.",
)
@click.option("--unique", metavar="KEY", help="One job for this key, while that is not over.")
@click.option("--unique-for", metavar="TIME", help="With --unique: for so long, whatever it does.")
@click.option("--replace", is_flag=True, help="With --unique: a job that waits gets this data.")
@click.option(
    "--then",
    multiple=True,
    metavar="POOL|JSON",
    shell_complete=pools,
    help="What its files go to next; more than one: one after the other.",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Show its progress, then that of all that comes of it; exit 0 if all completed, else 1.",
)
@takes_json
def publish(**options: Any) -> None:  # as declared above; Request says their types
    """Hand in a job for the workers of POOL.

    It goes through the running supervisor; without one, straight to RabbitMQ.

    \b
    Examples:
      python -m supervisor publish download --link https://example.com/v.mp4 --from user123 --wait
      cp clip.mp4 var/media/
      python -m supervisor publish cutter --file var/media/clip.mp4 --from user123
      python -m supervisor publish hooks --data '{"url": "http://localhost:9000/"}' --priority high
      python -m supervisor publish cutter --file var/media/clip.mp4 --at 2026-12-24T18:00:00+01:00
      python -m supervisor publish download --link https://example.com/v.mp4 --then preview
    """
    from supervisor.cli.publishing import publish_job
    from supervisor.cli.request import Request

    publish_job(Request(**options))
