"""What a pool's ``options.sites`` says: how each site is treated, and which hosts are one site."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from workers import sites
from workers.media.amounts import Seconds
from workers.sites import Manners

OTHERS = "*"  # the entry for sites that have none of their own


class SiteOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry; what it leaves out is as for all the others."""

    concurrency: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    interval: Seconds | None = None
    cool_down: Seconds | None = None
    longest: Seconds | None = None  # pause, however often or for how long the site asks


def of_host(host: str, options: Mapping[str, SiteOptions]) -> tuple[str, Manners]:
    """Return the site a host belongs to, and how it is treated.

    A host below one that is named belongs to that one, the nearest first.
    """
    named = {sites.name_of(name): entry for name, entry in options.items()}
    name = sites.name_of(host)
    labels = name.split(".")
    above = (".".join(labels[n:]) for n in range(len(labels)))
    site = next((one for one in above if one in named), name)
    return site, _manners(named.get(site, SiteOptions()), named.get(OTHERS, SiteOptions()))


def _manners(own: SiteOptions, others: SiteOptions) -> Manners:
    chosen: dict[str, object] = {}
    for entry in (others, own):
        said = msgspec.structs.asdict(entry)
        chosen |= {key: value for key, value in said.items() if value is not None}
    return msgspec.structs.replace(Manners(), **chosen)
