"""What camera poses cost, by part, by number of frames, and with few pairs."""
