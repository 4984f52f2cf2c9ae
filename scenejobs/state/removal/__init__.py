"""What takes results and scenes away: on wish, and by age."""
