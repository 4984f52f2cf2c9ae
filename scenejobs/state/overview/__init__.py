"""What people are told about scenes, and what nobody needs any more."""
