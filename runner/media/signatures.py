"""What a file is, by its first bytes. Reads twelve of them and parses nothing."""

from __future__ import annotations

HEAD = 12  # bytes
PHOTO_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")  # JPEG, PNG, TIFF in both byte orders
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # ISO/IEC 23008-12
MOV_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}  # QuickTime and MP4 begin with one of these
MATROSKA = b"\x1a\x45\xdf\xa3"


def looks_like_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS


def looks_like_photo(head: bytes) -> bool:
    return head.startswith(PHOTO_MAGIC) or looks_like_heif(head)


def looks_like_video(head: bytes) -> bool:
    """Like one of the containers that are allowed."""
    is_mov = head[4:8] in MOV_BOXES and not looks_like_heif(head)
    return is_mov or head.startswith(MATROSKA) or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")
