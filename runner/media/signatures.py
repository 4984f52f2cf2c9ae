"""What a file is, by its first bytes. Reads a few hundred of them and parses nothing but a list of brands."""

from __future__ import annotations

HEAD = 400  # bytes: two packets of a transport stream
PHOTO_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")  # JPEG, PNG, TIFF in both byte orders
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # ISO/IEC 23008-12
AVIF_BRANDS = {b"avif", b"avis"}  # AV1 Image File Format, section 6
MOV_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}  # QuickTime and MP4 begin with one of these
VIDEO_MAGIC = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"FLV\x01",
    b"OggS",
)
TS_SYNC, TS_PACKET = 0x47, 188  # a transport stream; of AVCHD each packet has four bytes before it
TEXT = frozenset(b"\t\r\n") | frozenset(range(0x20, 0x7F))
RAW_MAGIC = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb")  # of cameras, where it is no TIFF
OTHER_PICTURES = {  # that are not read
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"8BPS": "a Photoshop file",
    b"\xff\x0a": "a JPEG XL",
    b"\0\0\0\x0cJXL ": "a JPEG XL",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
}

OTHER_FILMS = {  # that are not read
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01": "MXF",
    b"DKIF": "IVF",
    b"YUV4MPEG2": "YUV4MPEG2",
    b"nut/multimedia container\0": "NUT",
    b".RMF": "RealMedia",
    b"FWS": "Flash",
    b"CWS": "Flash",
    b"\x12\x00\x0a": "AV1 without a container",
}

AGAIN = "fetch the file itself once more, and upload that"
STAND_INS = {  # what lies in the place of a file, and what to do
    b"\0\x05\x16\x07": (
        "a note that a Mac puts beside a file",
        "leave it out: the file itself has its name without ._",
    ),
    b"\0\0\0\x01Bud1": ("a note of the Finder of a Mac about its folder (.DS_Store)", "leave it out"),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": (
        "a file of Windows or Office (Thumbs.db, for example)",
        "leave it out, and upload the photos or the video themselves",
    ),
    b"bplist00": ("a place-holder of a file in iCloud", "let the device load the original first, and upload that"),
    b"version https://git-lfs": ("a pointer of Git LFS", "fetch the file itself (git lfs pull), and upload that"),
    b"%PDF": ("a PDF", "upload the photos or the video itself"),
}


def stand_in(head: bytes) -> tuple[str, str] | None:
    """What is there in the place of a video or photo, and what to do; None where its beginning does not tell."""
    for magic, found in STAND_INS.items():
        if head.startswith(magic):
            return found
    if head and not head.strip(b"\0"):
        return "nothing but zeros at its beginning", "the copy broke off: copy it from the camera again"
    if head.lstrip(b"\xef\xbb\xbf \r\n\t")[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "a web page", f"the download went wrong: {AGAIN}"
    if head and all(byte in TEXT for byte in head):
        return "text", "leave it out; where it stands for a video or photo, fetch that once more"
    return None


def brands(head: bytes) -> set[bytes]:
    """Of the box `ftyp` at the beginning: the main one and those that the file is compatible with."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}


def looks_like_avif(head: bytes) -> bool:
    return bool(brands(head) & AVIF_BRANDS) and (head[8:12] in AVIF_BRANDS | HEIF_BRANDS)


def looks_like_heif(head: bytes) -> bool:
    """HEIC and AVIF."""
    return head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS | AVIF_BRANDS


def looks_like_webp(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def looks_like_photo(head: bytes) -> bool:
    """Like one of the formats that are read, as far as this tells: most raw files of cameras begin like a TIFF."""
    return head.startswith(PHOTO_MAGIC) or looks_like_heif(head) or looks_like_webp(head)


def other_picture(head: bytes) -> str:
    """What kind of picture that is not read it begins like; "" for none."""
    if head.startswith(RAW_MAGIC) or head[4:12] == b"ftypcrx " or (head.startswith(b"II*\0") and head[8:10] == b"CR"):
        return "a raw photo of a camera"
    return next((kind for magic, kind in OTHER_PICTURES.items() if head.startswith(magic)), "")


def other_film(head: bytes) -> str:
    """What kind of video that is not read it begins like; "" for none."""
    return next((kind for magic, kind in OTHER_FILMS.items() if head.startswith(magic)), "")


def looks_like_video(head: bytes) -> bool:
    """Like one of the containers that are allowed."""
    is_mov = head[4:8] in MOV_BOXES and not looks_like_heif(head) and not other_picture(head)
    is_avi = head.startswith(b"RIFF") and head[8:12] == b"AVI "
    return is_mov or is_avi or head.startswith(VIDEO_MAGIC) or _looks_like_transport_stream(head)


def _looks_like_transport_stream(head: bytes) -> bool:
    return any(
        len(head) > start + step and head[start] == head[start + step] == TS_SYNC
        for start, step in ((0, TS_PACKET), (4, TS_PACKET + 4))
    )
