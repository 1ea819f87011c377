"""All kinds of `field_pictures` that take one run each, in the order of its table."""

from __future__ import annotations

from benchmarks.field_album import Kind
from benchmarks.field_damage import damaged, damaged_others
from benchmarks.field_drawings import avatars, drawn, grey_and_brown, poor
from benchmarks.field_formats import odd_files, phones, sound, tiff_pages, transparency
from benchmarks.field_geometry import (
    enlarged,
    exif,
    small_in_large,
    squeezed,
    strips,
    tight_crops,
    tilted,
    tilted_squeezed,
    turned,
    untouched,
)
from benchmarks.field_scenes import badges_and_forms, others_faces, roomy, template

DAMAGED_SHARE = 0.02  # of damaged files that may get a wrong vector, since some damage cannot be noticed: issue 13

KINDS = (
    Kind("untouched", untouched),
    Kind("turned", turned),
    Kind("tilted", tilted),
    Kind("exif", exif),
    Kind("damaged-jpeg", damaged, share=DAMAGED_SHARE),
    Kind("damaged-other", damaged_others, share=DAMAGED_SHARE),
    Kind("sound", sound),
    Kind("phones", phones),
    Kind("tiff-pages", tiff_pages),
    Kind("odd-files", odd_files),
    Kind("transparency", transparency),
    Kind("somebody-else", others_faces),
    Kind("roomy", roomy),
    Kind("badges-forms", badges_and_forms),
    Kind("template", template, {"SHARED_PHOTOS": "reject"}),
    Kind("tight-crops", tight_crops),
    Kind("small-in-large", small_in_large),
    Kind("strips", strips),
    Kind("squeezed", squeezed),
    Kind("tilted-squeezed", tilted_squeezed),
    Kind("enlarged", enlarged),
    Kind("avatars", avatars),
    Kind("drawn", drawn),
    Kind("grey-sepia", grey_and_brown),
    Kind("poor", poor),
)
