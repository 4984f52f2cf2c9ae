"""What the dispatcher and the runner share: data, errors, ports, settings, adapters."""
