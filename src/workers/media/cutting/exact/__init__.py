"""Cutting on the frame: only what lies between a cut and the next clean keyframe is encoded.

``smart`` divides a film and ``sewing`` joins its parts, as ``seams`` plans it from the ``reel`` of
its packets; ``likeness`` and ``parameter_sets`` say whether encoded frames fit between its own, and
``seam_commands`` spells the command lines.

Imports ``cuts`` and ``containers`` of cutting, ``workers.media.files`` and what lies below.
"""
