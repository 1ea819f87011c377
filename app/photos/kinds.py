"""Tells a file's format by its first bytes, and names in a sentence what no decoder of ours reads."""

from __future__ import annotations

from app.errors import InvalidImage

JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# How a file of each kind begins. Pillow, which reads the header, and OpenCV, which decodes, go by the same bytes.
STARTS = {
    "JPEG": (JPEG_START,),
    "PNG": (PNG_START,),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "WEBP": (b"RIFF",),
}
# Phones' photos and films begin with the box `ftyp`: the "brands" of programs that can read the file
# (ISO/IEC 14496-12 and 23008-12).
AVIF_BRANDS = {b"avif", b"avis"}
HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
STILL_BRANDS = {b"mif1", b"msf1", b"mif2", b"miaf"}  # a picture of any codec
RAW_BRANDS = {b"crx "}
MAX_BRANDS = 32
FILM_STARTS = (b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"FLV\1")
FILM_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}  # QuickTime before it had `ftyp`
RAW_STARTS = (b"II*\0\x10\0\0\0CR", b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"FOVb")
JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
JPEG_2000_STARTS = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xffO\xffQ")
HTML_STARTS = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")
BEFORE_PHOTO = "delante de la foto hay {bytes} bytes que no son suyos; revise qué pone ahí el servidor"
HEAD_BYTES = 2048  # searched for an SVG's element, and for a photo behind text that the server put before it
# A photo's first bytes after a program has copied them as text: converted to UTF-8, or with other line ends.
AS_TEXT_STARTS = (
    *(b"\xef\xbf\xbd", b"\xc3\xbf\xc3\x98", b"\xc2\x89PNG"),
    *(b"\x89PNG\n\x1a", b"\x89PNG\r\r\n", b"\x89PNG\r\n\x1a\r"),
)
SAVE_AS_JPG = "ábrala en su equipo y guárdela como JPG"
AS_TEXT = "se dañó al copiarse como si fuera texto; súbala otra vez desde el archivo original"
RAW = f"es una foto RAW de cámara (sin revelar); {SAVE_AS_JPG}"
FILM = "es un video, no una foto; tome una foto y guárdela como JPG"
UNKNOWN = "no se reconoce como foto (JPG, PNG, WebP, HEIC, AVIF, BMP, GIF o TIFF)"
OFFICE = {b"word/": "un documento de Word", b"xl/": "una hoja de Excel", b"ppt/": "una presentación de PowerPoint"}


def find_kind(content: bytes) -> str:
    """Return the file's format, by its first bytes. Raises InvalidImage with what a file of another kind is."""
    if not content.startswith(RAW_STARTS):
        for kind, starts in STARTS.items():
            if content.startswith(starts) and (kind != "WEBP" or content[8:12] == b"WEBP"):
                return kind
    brands = _brands(content)
    if brands & AVIF_BRANDS:
        return "AVIF"
    if brands & (HEIC_BRANDS | STILL_BRANDS):
        return "HEIF"
    raise InvalidImage(describe_other_file(content))


def describe_other_file(content: bytes) -> str:
    """Say in a sentence what a file of none of our formats is, and what HR can do."""
    if not content:
        return "el archivo está vacío"
    if content.startswith(AS_TEXT_STARTS):
        return AS_TEXT
    for starts, sentence in _NAMED.items():
        if content.startswith(starts):
            return sentence
    if (brands := _brands(content)) or _is_film(content):
        return RAW if brands & RAW_BRANDS else FILM
    return _describe_zip(content) if content.startswith(b"PK\x03\x04") else _describe_text(content)


_NAMED = {
    JXL_STARTS: f"es una foto JPEG XL, que todavía no se lee; {SAVE_AS_JPG}",
    JPEG_2000_STARTS: f"es una foto JPEG 2000, que no se lee; {SAVE_AS_JPG}",
    RAW_STARTS: RAW,
    (b"8BPS",): "es un documento de Photoshop (PSD); expórtelo como JPG",
    (b"%PDF",): "es un documento PDF; saque de él la foto y guárdela como JPG",
    (b"\xd0\xcf\x11\xe0",): "es un documento de Office; saque de él la foto y guárdela como JPG",
    (b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b"): "es un archivo comprimido; descomprímalo y suba la foto que contiene",
}


def _brands(content: bytes) -> set[bytes]:
    if content[4:8] != b"ftyp":
        return set()
    length = min(int.from_bytes(content[:4], "big"), 16 + 4 * MAX_BRANDS)
    listed = content[16:length]
    return {content[8:12]} | {listed[place : place + 4] for place in range(0, len(listed) - 3, 4)}


def _is_film(content: bytes) -> bool:
    riff = content.startswith(b"RIFF") and content[8:12] == b"AVI "
    return riff or content.startswith(FILM_STARTS) or content[4:8] in FILM_BOXES


def _describe_zip(content: bytes) -> str:
    for folder, name in OFFICE.items():
        if folder in content:
            return f"es {name}; saque de él la foto y guárdela como JPG"
    return "es un archivo comprimido (ZIP); descomprímalo y suba la foto que contiene"


def _describe_text(content: bytes) -> str:
    head = content[:HEAD_BYTES].lstrip().lower()
    if head.startswith((b"<svg", b"<?xml", b"<!doctype svg")) and b"<svg" in head:
        return "es un dibujo SVG, no una foto; suba una foto de la persona como JPG"
    before = max(content.find(start, 0, HEAD_BYTES) for start in (JPEG_START, PNG_START))
    if before > 0:  # printed by a server's script
        return BEFORE_PHOTO.format(bytes=before)
    if head.startswith(HTML_STARTS):
        return "el servidor entregó una página web en lugar de una foto"
    return UNKNOWN
