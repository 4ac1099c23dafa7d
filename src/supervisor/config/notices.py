"""Reading ``notify``: who is told about outcomes, as a mapping or as the short list of sinks."""

from supervisor.config.document import Broken, Listing, Node, Scalar, Table, kind_of
from supervisor.config.mistakes import Findings
from supervisor.config.section import Section
from supervisor.config.settings import Notify, Webhook
from supervisor.config.values import (
    above_zero,
    duration,
    existing_file,
    flag,
    one_of,
    text,
    web_address,
)

LANGUAGES = ("en", "pt-BR")
_SINK = "must be one of {log: true} and {webhook: {url: ...}}"


def read_notify(top: Section, findings: Findings) -> Notify:
    """Return what ``notify`` says; absent, outcomes are logged and nobody else is told."""
    match top.node("notify"):
        case Listing() as sinks:
            log, webhooks = _sinks(sinks, "notify", findings)
            return Notify(log=log, webhooks=webhooks)
        case Table() as table:
            return _notify(Section(table, "notify", findings), findings)
        case None | Broken() | Scalar(kind="null"):
            return Notify()
        case node:
            top.wrong("notify", f"must be a mapping or a list of sinks, is {kind_of(node)}")
            return Notify()


def _notify(section: Section, findings: Findings) -> Notify:
    default = Notify()
    log, webhooks = default.log, default.webhooks
    match section.node("sinks"):
        case Listing() as sinks:
            log, webhooks = _sinks(sinks, "notify.sinks", findings)
        case None | Broken() | Scalar(kind="null"):
            pass
        case node:
            section.wrong("sinks", f"must be a list, is {kind_of(node)}")
    found = Notify(
        language=section.value("language", one_of(*LANGUAGES), default.language),
        templates=section.value("templates", existing_file, None),
        log=log,
        webhooks=webhooks,
    )
    section.finish()
    return found


def _sinks(sinks: Listing, key: str, findings: Findings) -> tuple[bool, tuple[Webhook, ...]]:
    """Return whether outcomes are logged, and the webhooks; only sinks that are named exist."""
    log = False
    webhooks: list[Webhook] = []
    for index, item in enumerate(sinks.items):
        where = f"{key}[{index}]"
        if isinstance(item, Broken):
            continue
        if not isinstance(item, Table) or not item.entries:
            findings.add(item.line, where, f"{_SINK}, is {kind_of(item)}")
            continue
        sink = Section(item, where, findings)
        log = sink.value("log", flag, log)
        if _names_webhook(item):
            webhooks.append(_webhook(sink.section("webhook")))
        else:
            sink.node("webhook")
        sink.finish()
    return log, tuple(webhooks)


def _names_webhook(item: Node) -> bool:
    return isinstance(item, Table) and "webhook" in item.entries


def _webhook(webhook: Section) -> Webhook:
    found = Webhook(
        url=webhook.required("url", web_address, "", why="say where outcomes are posted"),
        secret=webhook.value("secret", text, None),
        timeout=webhook.value("timeout", above_zero(duration), 10.0),
    )
    webhook.finish()
    return found
