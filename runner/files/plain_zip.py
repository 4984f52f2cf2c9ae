"""Zip files that can be read without trusting them: members that are stored as they are, and no more than there is."""

from __future__ import annotations

import zipfile

# What reading one may raise when it is torn, of something else, or written to do harm.
READ_ERRORS = (OSError, ValueError, KeyError, EOFError, RecursionError, zipfile.BadZipFile, NotImplementedError)


def require_plain(archive: zipfile.ZipFile, file_bytes: int) -> None:
    """Raises ValueError for what we never write; a small file must not unpack to a large one.

    file_bytes: size of the whole file.
    """
    members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members):
        raise ValueError("compressed or encrypted")
    if sum(member.file_size for member in members) > file_bytes:
        raise ValueError("the members overlap")
    if len({member.filename for member in members}) != len(members):
        raise ValueError("a name is there twice")
