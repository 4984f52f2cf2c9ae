"""What is told to others about scenes: events, made from what is stored, and kept until each target has them."""
