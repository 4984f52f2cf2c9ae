"""Which frames are kept: measured, compared, and chosen under one budget. Entry: `of_captures`."""
