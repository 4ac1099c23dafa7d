"""A processor that does not import: what it needs is not installed."""

import no_such_library  # type: ignore[import-not-found]  # that is the point

handle = no_such_library.handle
