"""A local host that delivers events to the function app. Entry: `host`."""
