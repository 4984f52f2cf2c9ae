"""Frames and photos out of untrusted files, in a sandboxed process. Entry: `decoder`."""
