"""The truth in blobs: records, batches, messages, generations, usage."""
