"""Which part of the work a supervisor does: from the file, the environment, or ``--role``."""

from collections.abc import Mapping

import msgspec

from supervisor.config.mistakes import Findings
from supervisor.config.section import Section
from supervisor.config.settings import Role, Settings
from supervisor.config.values import flag, member

ROLE = "SUPERVISOR_ROLE"  # what --role says
WORKER_MODE = "WORKER_MODE"  # true: workers only; false: the API only


def read_role(top: Section, environ: Mapping[str, str], findings: Findings) -> Role:
    """Return the role of a supervisor; the environment knows better than the file."""
    written = top.value("role", member(Role), Role.ALL)
    try:
        if named := environ.get(ROLE):
            return member(Role)(named)
        if mode := environ.get(WORKER_MODE):
            return Role.WORKER if flag(mode) else Role.API
    except ValueError as error:
        findings.add(0, ROLE if environ.get(ROLE) else WORKER_MODE, str(error))
    return written


def cast_as(settings: Settings) -> Settings:
    """Return the settings of a supervisor in its role: no workers, or no address, are left."""
    match settings.role:
        case Role.API:
            idle = {
                name: msgspec.structs.replace(pool, instances=0)
                for name, pool in settings.workers.items()
            }
            return msgspec.structs.replace(settings, workers=idle)
        case Role.WORKER:
            silent = msgspec.structs.replace(settings.http, listen=None)
            return msgspec.structs.replace(settings, http=silent)
        case Role.ALL:
            return settings
