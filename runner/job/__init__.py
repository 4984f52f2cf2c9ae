"""One attempt in a child process. Entry: `supervise.run_job`."""
