"""The dispatcher: uploads -> a quiet time -> one job message per set of uploads -> executions to work on them."""
