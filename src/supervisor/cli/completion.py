"""``completion``: what a shell needs to complete commands, options and the names of pools."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

from supervisor.cli.exits import Complaint

if TYPE_CHECKING:
    from supervisor.config.settings import Pool

SCRIPT = "rabbit-supervisor"  # `python -m supervisor` is python to the shell
VARIABLE = "_RABBIT_SUPERVISOR_COMPLETE"  # set by the shell's half, and answered by click
_SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print what a shell needs to complete commands.")
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(*, shell: str) -> None:
    """Print the script by which SHELL completes `rabbit-supervisor`: commands, options, pools.

    The names of pools are those of the configuration file that is meant.

    \b
    Examples:
      eval "$(rabbit-supervisor completion bash)"       in ~/.bashrc
      eval "$(rabbit-supervisor completion zsh)"        in ~/.zshrc, after compinit
      rabbit-supervisor completion fish > ~/.config/fish/completions/rabbit-supervisor.fish
    """
    found = get_completion_class(shell)
    if found is None:
        message = f"{shell}: this version of click knows no completion for it"
        raise Complaint(message)
    completing = found(click.Group(), {}, SCRIPT, VARIABLE)
    # Not source(): for bash that starts one to see how old it is.
    click.echo(completing.source_template % completing.source_vars())


def pools(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the pools that begin so; none where the configuration cannot be read."""
    return [
        CompletionItem(name, help=pool.queue)
        for name, pool in _configured(context).items()
        if name.startswith(incomplete)
    ]


def queues(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the queues that begin so, as ``pools`` does."""
    known = _configured(context).values()
    return [CompletionItem(pool.queue) for pool in known if pool.queue.startswith(incomplete)]


def workers(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the pools that begin so and, as they are configured, their workers."""
    known = _configured(context)
    each = [f"{name}-{n}" for name in known for n in range(1, known[name].instances + 1)]
    return [CompletionItem(name) for name in (*known, *each) if name.startswith(incomplete)]


def _configured(context: click.Context) -> "Mapping[str, Pool]":
    from supervisor.cli.configured import settings

    try:
        with context.scope(cleanup=False):
            return settings().workers
    except click.ClickException:
        return {}
