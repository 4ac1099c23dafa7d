"""What of ``notify`` only its users can judge: a person's own texts, the secrets of webhooks."""

from supervisor.config.load import Configuration
from supervisor.config.mistakes import Mistake
from supervisor.notify.templates import TemplateError, load_texts
from supervisor.notify.webhook import signing_key


def unusable_notices(configuration: Configuration) -> tuple[Mistake, ...]:
    """Return a mistake for every text and every secret that notices could not be sent with."""
    return (*_texts(configuration), *_secrets(configuration))


def _texts(configuration: Configuration) -> tuple[Mistake, ...]:
    notify = configuration.settings.notify
    pools = {name: pool.processor for name, pool in configuration.settings.workers.items()}
    try:
        load_texts(notify.language, notify.templates, pools=pools)
    except TemplateError as error:
        key = "notify.templates"
        return tuple(_mistake(configuration, key, what) for what in error.mistakes)
    return ()


def _secrets(configuration: Configuration) -> tuple[Mistake, ...]:
    urls = [key for key in configuration.lines if key.endswith(".webhook.url")]
    found = []
    for url, webhook in zip(urls, configuration.settings.notify.webhooks, strict=False):
        try:
            signing_key(webhook.secret or "")
        except ValueError as error:
            found.append(_mistake(configuration, url.replace(".url", ".secret"), str(error)))
    return tuple(found)


def _mistake(configuration: Configuration, key: str, what: str) -> Mistake:
    return Mistake(configuration.file, configuration.lines.get(key, 0), key, what)
