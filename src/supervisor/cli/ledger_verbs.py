"""``ledger``: what the ledger is and how large, and how it moves into another database."""

import click

from supervisor.cli.options import takes_config, takes_json


@click.group(short_help="Look at the ledger, or copy it into another database.")
def ledger() -> None:
    """Look at the ledger, or copy it into another database.

    \b
    Example:
      python -m supervisor ledger info
      python -m supervisor ledger copy sqlite:///var/ledger.db postgresql://rabbit@db/jobs
    """


@ledger.command(short_help="Show what the ledger is, how large, and what is in it.")
@takes_config
@click.argument("url", required=False)
@takes_json
def info(*, url: str | None, as_json: bool) -> None:
    """Show what the ledger at URL is: its kind, its version, its size, who holds it, its jobs.

    Without URL that of the configuration. Nothing is changed, and it may be in use.

    \b
    Example:
      python -m supervisor ledger info
      python -m supervisor ledger info sqlite:////backup/ledger.db --json
    """
    from supervisor.cli.ledgers import show

    show(url, as_json=as_json)


@ledger.command(short_help="Copy a whole ledger into an empty one.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@takes_json
def copy(*, source: str, target: str, as_json: bool) -> None:
    """Copy the ledger FROM into the empty ledger TO, from a file to PostgreSQL or back.

    Stop the supervisor first: a ledger that is in use is refused. TO gets all or nothing, FROM
    keeps all it has; one of an older version is brought up to this one. Write the new one into
    ledger: afterwards, and start the supervisor.

    A password in a URL is seen by whoever lists the processes of this machine: leave it out, and
    give it as PGPASSWORD or in the file .pgpass, as for psql.

    \b
    Example:
      PGPASSWORD=... python -m supervisor ledger copy \\
        sqlite:///var/ledger.db postgresql://rabbit@db.example/jobs
    """
    from supervisor.cli.ledgers import copy_all

    copy_all(source, target, as_json=as_json)
