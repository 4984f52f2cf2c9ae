"""What an attempt has achieved, kept in the state container: resume store and cache of stages."""
