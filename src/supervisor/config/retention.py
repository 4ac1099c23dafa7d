"""Reading ``retention``: how long finished jobs stay, by how they ended."""

from supervisor.config.section import Section
from supervisor.config.settings import Retention
from supervisor.config.values import between, duration, whole
from supervisor.core.retention import Rule

_count = between(whole, 0)
_BY_AGE_ALONE = "intake"  # its rows are other programs', and in no order of ours


def read_retention(retention: Section) -> Retention:
    """Return the rules; a state that is not mentioned keeps its default."""
    default = Retention()
    found = Retention(
        completed=_rule(retention, "completed", default.completed),
        failed=_rule(retention, "failed", default.failed),
        cancelled=_rule(retention, "cancelled", default.cancelled),
        removed=_rule(retention, "removed", default.removed),
        intake=_rule(retention, _BY_AGE_ALONE, default.intake),
    )
    retention.finish()
    return found


def _rule(retention: Section, name: str, default: Rule) -> Rule:
    rule = retention.section(name)
    found = Rule(
        age=rule.value("age", duration, default.age),
        count=0 if name == _BY_AGE_ALONE else rule.value("count", _count, default.count),
    )
    rule.finish()
    return found
