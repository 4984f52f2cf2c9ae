"""JSON documents, `report.html`, poster and comparison pictures."""
