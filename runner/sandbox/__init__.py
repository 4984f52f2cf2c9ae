"""An untrusted file in a locked process. Entry: `run.run`."""
