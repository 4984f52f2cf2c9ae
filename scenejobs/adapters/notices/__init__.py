"""Where notices go: a webhook, an Event Grid topic, a storage queue. `targets.py` opens what the settings name."""
