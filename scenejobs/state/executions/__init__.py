"""Executions: starting them, whether they live, how long they ran."""
