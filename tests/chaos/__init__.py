"""Real processes on the storage emulator, killed, frozen and deafened at every one of their requests."""
