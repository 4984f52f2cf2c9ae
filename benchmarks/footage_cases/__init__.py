"""What people upload, one module per topic; each has CASES."""
