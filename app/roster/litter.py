"""Tell photos by their names from what systems leave beside them and from what goes with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

# Files and folders that no person put there, in lower case: Windows, macOS, and the NAS of Synology and QNAP.
LEFT_BY_SYSTEMS = frozenset(
    {
        *("desktop.ini", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "zbthumbnail.info", "picasa.ini", "icon\r"),
        *("@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "~snapshot", "lost+found"),
        *("__macosx", "temporary items", "network trash folder", "$recycle.bin", "recycler", "recycled"),
        *("system volume information", "found.000"),
    }
)
# Hidden files; Office's lock; what a file system without streams makes of a file's (Windows, Dropbox, Synology; \uf03a
# is Samba's colon); an editor's copies.
MARKS_OF_PROGRAMS = re.compile(
    r"\.|~\$|#.*#$|.*~$|.*[:\uf03a](zone\.identifier|smartscreen|com\.dropbox\.\w+|afp_\w+|\$data)"
    r"|.*@syno(resource|eastream)$",
    re.IGNORECASE | re.DOTALL,
)
# Endings of files that are no photos, whatever lies beside them.
NO_PHOTO = frozenset(
    {
        *(
            "xmp",
            "aae",
            "json",
            "txt",
            "thm",
            "pp3",
            "dop",
            "xml",
            "ini",
            "db",
            "log",
            "md",
            "url",
            "lnk",
            "html",
            "htm",
        ),
        *("mov", "mp4", "m4v", "avi", "mpg", "3gp", "lrv", "wav", "mp3", "m4a"),
        *("pdf", "doc", "docx", "odt", "rtf", "xls", "xlsx", "ods", "csv", "ppt", "pptx", "eml", "msg", "vcf"),
        *("zip", "rar", "7z", "tar", "gz", "md5", "sha1", "sha256"),
        *("tmp", "temp", "part", "partial", "crdownload", "download", "filepart", "bak", "old", "orig", "swp", "lock"),
    }
)
# A camera's own file, which it writes beside a JPEG of the same name.
RAW = frozenset({"dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "raf", "orf", "rw2", "pef", "srw"})


def is_litter(name: str) -> bool:
    """Tell whether a system or a program left a file or folder of this name behind, which nobody needs to hear of."""
    return name.lower() in LEFT_BY_SYSTEMS or MARKS_OF_PROGRAMS.match(name) is not None


def choose_photos(names: Sequence[str]) -> list[str]:
    """Return the names that may be photos. A name of an unknown ending may; a raw file may if it is the only one."""
    possible = [name for name in names if _ending(name) not in NO_PHOTO]
    finished = {_stem(name) for name in possible if _ending(name) not in RAW}
    return [name for name in possible if _ending(name) not in RAW or _stem(name) not in finished]


def _ending(name: str) -> str:
    return PurePath(name).suffix[1:].lower()


def _stem(name: str) -> str:
    return PurePath(name).stem.lower()
