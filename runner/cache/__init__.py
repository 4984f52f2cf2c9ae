"""Results of stages by the content of their inputs. Entry: `store.StageCache`."""
